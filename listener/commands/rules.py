"""Commands about the rules that decide what goes where: rules test | names."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from listener.commands.common import (
    ConfigOption,
    JsonFlag,
    existing_index,
    load_settings,
    out,
    print_json,
    quiet_logging,
)
from triage.errors import Misconfigured
from workers.listing import files_below

if TYPE_CHECKING:
    from workers.config import Settings
    from workers.destination_settings import DestinationSettings
    from workers.ports import InstanceRow, StudyIndex
    from workers.rules.answer import Looked, RulesAnswer
    from workers.rules.rule import Forward, RuleSet, Send

rules = typer.Typer(help="The rules that decide what goes where.", no_args_is_help=True)

MOST_STUDIES = 100_000
STANDS_FOR = "STUDY_UID|DIR"


@dataclass(frozen=True)
class Tried:
    """What the rules want of one decision, or of one series as it arrives (document None)."""

    study_instance_uid: str
    answer: RulesAnswer
    series_instance_uid: str | None = None
    document: Mapping[str, Any] | None = None


@rules.callback()
def _rules() -> None:
    """The rules that decide what goes where."""


@rules.command("names")
def names(as_json: JsonFlag = False) -> None:
    """The names that an expression may use."""
    from workers.rules.facts import ARRIVAL_NAMES, HEADERS, NAMES

    if as_json:
        print_json(
            {
                name: {"type": kind, "says": says, "at_arrival": name in ARRIVAL_NAMES}
                for name, (kind, says) in NAMES.items()
            }
        )
        return
    table = Table("name", "type", "at arrival", "says")
    for name, (kind, says) in NAMES.items():
        table.add_row(name, kind, "yes" if name in ARRIVAL_NAMES else "", escape(says))
    out().print(table)
    out().print(f"keywords of dicom: {', '.join(HEADERS)}")


@rules.command("test")
def tried(
    file: Annotated[Path, typer.Argument(metavar="RULES.yaml", help="the rules")],
    target: Annotated[
        str | None,
        typer.Argument(
            metavar=f"[{STANDS_FOR}]", help="a stored study, or a folder with DICOM files or document.json files"
        ),
    ] = None,
    all_stored: Annotated[bool, typer.Option("--all-stored", help="every stored study")] = False,
    config: ConfigOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Tell which rule fits which series and decision, why the others do not, and what would be sent. Nothing is
    sent."""
    quiet_logging()
    from workers.rules.read import read_rules
    from workers.rules.site import known_of

    settings = load_settings(config)
    found = read_rules(file, known_of(settings.results))
    if (target is None) == (not all_stored):
        raise Misconfigured(f"{STANDS_FOR}: name one of them, or give --all-stored")
    folder = None if target is None else Path(target)
    if folder is not None and len(folder.parts) > 1 and not folder.is_dir():
        raise Misconfigured(f"{STANDS_FOR}: {target} is no folder")
    some = _of_folder(found, folder) if folder is not None and folder.is_dir() else _of_node(found, target, settings)
    told = [_entry(one, settings.results.destinations) for one in some]
    if as_json:
        print_json(told)
        return
    table = Table("moment", "category", "priority", "fits", "would be sent")
    table.add_column("because", overflow="fold")
    table.add_column("study, series", overflow="fold")
    for entry in told:
        sent = "; ".join(filter(None, (entry["sent"], entry["not_sent"], entry["images"], _held(entry))))
        cells = (entry["stage"], entry["category"], entry["priority"], ", ".join(entry["fits"]) or "-", sent)
        because = "; ".join(f"{one['rule']}: {one['why']}" for one in entry["looked"])
        uids = "\n".join(filter(None, (entry["study_instance_uid"], entry.get("series_instance_uid"))))
        table.add_row(*(escape(str(cell or "")) for cell in cells), escape(because), uids)
    out().print(table)


def _of_node(found: RuleSet, uid: str | None, settings: Settings) -> Iterator[Tried]:
    """Both moments of stored studies, as if their images arrived now."""
    from workers.container import open_deliveries, open_images
    from workers.delivery_ports import ShadowKind, released_by
    from workers.files.store import open_files
    from workers.rules.heads import readable_head
    from workers.rules.site import SiteRules

    index, files = existing_index(settings), open_files(settings)
    stored, released = open_images(settings), released_by(open_deliveries(settings).releases())
    tags = _Tags(lambda study: [one.tag for one in stored.tags([study]).get(study, [])])
    site = SiteRules(
        found,
        index,
        lambda: datetime.now(UTC),
        head=lambda rows: readable_head([files.path(row) for row in rows]),
        tags=tags.of,
        released=lambda: [name for kind, name in released if kind is ShadowKind.RULE],
    )
    for one in _uids(index, uid):
        row = index.study(one)
        for series, rows in _by_series(index.instances(one)).items():
            yield Tried(one, tags.kept(one, site.asked_at_arrival(row, rows, tags.of(one))), series)
        document = index.assessment(one)
        if document is not None:
            yield Tried(one, site.asked(document), document=document)


def _uids(index: StudyIndex, uid: str | None) -> list[str]:
    if uid is None:
        return [row.study_instance_uid for row in index.studies(limit=MOST_STUDIES)]
    if index.study(uid) is None:
        raise Misconfigured(f"{STANDS_FOR}: {uid} is no folder and no study here")
    return [uid]


class _Tags:
    """Tags of each study: those that are stored, and those that the rules put while they are tried."""

    def __init__(self, stored: Callable[[str], Sequence[str]] = lambda _uid: ()) -> None:
        self._stored = stored
        self._new: dict[str, list[str]] = {}

    def of(self, uid: str) -> list[str]:
        return list(dict.fromkeys([*self._stored(uid), *self._new.get(uid, ())]))

    def kept(self, uid: str, answer: RulesAnswer) -> RulesAnswer:
        self._new.setdefault(uid, []).extend(tag for tag, _ in answer.tags)
        return answer


def _by_series(rows: Sequence[InstanceRow]) -> dict[str, list[InstanceRow]]:
    found: dict[str, list[InstanceRow]] = {}
    for row in rows:
        found.setdefault(row.series_instance_uid, []).append(row)
    return found


def _of_folder(found: RuleSet, folder: Path) -> Iterator[Tried]:
    """Every series and every document below a folder; what only a node knows is empty."""
    from workers.rules.answer import ask_rules
    from workers.rules.facts import arrival_facts, decision_facts
    from workers.rules.heads import readable_head, rows_of_folder
    from workers.rules.rule import Moment

    now, tags = found.local(datetime.now(UTC)), _Tags()
    for rows in rows_of_folder(folder):
        uid, head = rows[0].study_instance_uid, readable_head([Path(row.path) for row in rows])
        facts = arrival_facts(None, rows, head, tags=tags.of(uid), now=now)
        answer = tags.kept(uid, ask_rules(found, facts, now=now, moment=Moment.ARRIVAL))
        yield Tried(uid, answer, rows[0].series_instance_uid)
    documents = sorted(one for one in files_below(folder, unread=_not_readable) if one.name == "document.json")
    for path in documents:
        document = _read(path)
        uid = document["study"]["study_instance_uid"]
        answer = ask_rules(found, decision_facts(document, None, [], now=now, tags=tags.of(uid)), now=now)
        yield Tried(uid, answer, document=document)


def _not_readable(folder: Path, error: OSError) -> None:
    raise Misconfigured(f"{STANDS_FOR}: {folder} cannot be read ({error.strerror})")


def _read(path: Path) -> Mapping[str, Any]:
    try:
        document: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        _ = document["decision"]["category"], document["study"]["study_instance_uid"], document["findings"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Misconfigured(f"{STANDS_FOR}: {path} is no document of a decision ({type(error).__name__})") from error
    return document


def _entry(one: Tried, destinations: Sequence[DestinationSettings]) -> dict[str, Any]:
    document, answer = one.document, one.answer
    entry: dict[str, Any] = {"study_instance_uid": one.study_instance_uid, "not_sent": None}
    if document is None:
        entry |= {"series_instance_uid": one.series_instance_uid, "stage": "arrival", "category": None}
        entry |= {"priority": None, "fits": list(answer.fired), "sent": None}
        entry["images"] = "images as configured" if answer.forwards is None else _forwards(answer.forwards, "no images")
    else:
        decision = document["decision"]
        entry |= {"stage": document["stage"], "category": decision["category"], "priority": decision["priority"]}
        sent = "as configured" if answer.sends is None else _sends(answer.sends)
        entry |= {"fits": list(answer.fired), "sent": sent, "images": _forwards(answer.forwards or (), None)}
        named = {name for send in answer.sends or () for name in send.to}
        asked = [each for each in destinations if answer.sends is None or each.name in named]
        entry |= {"held": answer.held, "not_sent": _not_sent(asked, document["stage"], decision["priority"])}
    return entry | {
        "tags": [tag for tag, _ in answer.tags],
        "in_shadow_mode": "; ".join(
            filter(None, (_sends(answer.would) if answer.would else None, _forwards(answer.would_forward, None)))
        )
        or "nothing",
        "looked": [
            {"rule": each.rule.name, "line": each.rule.line, "why": _why(each), "when": each.rule.when.text.strip()}
            for each in answer.looked
        ],
    }


def _held(entry: Mapping[str, Any]) -> str:
    tagged = f"tags: {', '.join(entry['tags'])}" if entry["tags"] else ""
    return "; ".join(filter(None, ("held until a person releases it" if entry.get("held") else "", tagged)))


def _not_sent(destinations: Sequence[DestinationSettings], stage: str, priority: str) -> str | None:
    """What the settings of destinations say against it."""
    from workers.deliveries.plan import never_gets

    said = [(one.name, never_gets(one, stage, priority)) for one in destinations]
    return "; ".join(f"not to {name}, which gets {why}" for name, why in said if why) or None


def _sends(sends: Sequence[Send]) -> str:
    return "; ".join(f"{', '.join(one.outputs)} to {', '.join(one.to)}" for one in sends) or "nothing"


def _forwards(forwards: Sequence[Forward], nothing: str | None) -> str | None:
    return "; ".join(f"images of the {one.images.value} to {', '.join(one.to)}" for one in forwards) or nothing


def _why(one: Looked) -> str:
    if one.failure is not None:
        return f"no value ({one.failure})"
    if one.late:
        return "not at this hour"
    return ("fits, in shadow mode" if one.rule.shadow else "fits") if one.fits else f"not {one.rule.when.text.strip()}"
