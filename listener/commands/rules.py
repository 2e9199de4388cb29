"""Commands about the rules that decide what goes where: rules test | names."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
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

if TYPE_CHECKING:
    from workers.config import Settings
    from workers.ports import StudyIndex
    from workers.rules.asking import Looked, RulesAnswer
    from workers.rules.rule import RuleSet, Send

rules = typer.Typer(help="The rules that decide what goes where.", no_args_is_help=True)

MOST_STUDIES = 100_000


@rules.callback()
def _rules() -> None:
    """The rules that decide what goes where."""


@rules.command("names")
def names(as_json: JsonFlag = False) -> None:
    """The names that an expression may use."""
    from workers.rules.facts import NAMES

    if as_json:
        print_json({name: {"type": kind, "says": says} for name, (kind, says) in NAMES.items()})
        return
    table = Table("name", "type", "says")
    for name, (kind, says) in NAMES.items():
        table.add_row(name, kind, escape(says))
    out().print(table)


@rules.command("test")
def tried(
    file: Annotated[Path, typer.Argument(metavar="RULES.yaml", help="the rules")],
    target: Annotated[
        str | None,
        typer.Argument(metavar="[STUDY_UID|DIR]", help="a stored study, or a folder with document.json files"),
    ] = None,
    all_stored: Annotated[bool, typer.Option("--all-stored", help="every stored decision")] = False,
    config: ConfigOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Tell which rule fits which decision, why the others do not, and what would be sent. Nothing is sent."""
    quiet_logging()
    from workers.rules.read import read_rules
    from workers.rules.site import known_of

    settings = load_settings(config)
    found = read_rules(file, known_of(settings.results))
    if (target is None) == (not all_stored):
        raise Misconfigured("STUDY_UID|DIR: name one of them, or give --all-stored")
    told = [_entry(document, verdict) for document, verdict in _verdicts(found, target, settings)]
    if as_json:
        print_json(told)
        return
    table = Table("stage", "category", "priority", "fits", "would be sent")
    table.add_column("because", overflow="fold")
    table.add_column("study", overflow="fold")
    for entry in told:
        cells = (entry["stage"], entry["category"], entry["priority"], ", ".join(entry["fits"]) or "-", entry["sent"])
        because = "; ".join(f"{one['rule']}: {one['why']}" for one in entry["looked"])
        table.add_row(*map(str, cells), escape(because), entry["study_instance_uid"])
    out().print(table)


def _verdicts(
    found: RuleSet, target: str | None, settings: Settings
) -> Iterator[tuple[Mapping[str, Any], RulesAnswer]]:
    from workers.rules.asking import ask_rules
    from workers.rules.facts import decision_facts
    from workers.rules.site import SiteRules

    folder = None if target is None else Path(target)
    if folder is not None and folder.is_dir():
        now = _now()
        for path in sorted(folder.rglob("document.json")):
            document = _read(path)
            yield document, ask_rules(found, decision_facts(document, None, [], now=now), now=now)
        return
    index = existing_index(settings)
    site = SiteRules(found, index, _now)
    for document in _stored(index, target):
        yield document, site.asked(document)


def _stored(index: StudyIndex, uid: str | None) -> Iterator[Mapping[str, Any]]:
    uids = [row.study_instance_uid for row in index.studies(limit=MOST_STUDIES)] if uid is None else [uid]
    for one in uids:
        document = index.assessment(one)
        if document is not None:
            yield document
        elif uid is not None:
            raise Misconfigured(f"STUDY_UID|DIR: {uid} is no folder and no study with a decision here")


def _read(path: Path) -> Mapping[str, Any]:
    try:
        document: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        _ = document["decision"]["category"], document["study"]["study_instance_uid"], document["findings"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Misconfigured(f"STUDY_UID|DIR: {path} is no document of a decision ({type(error).__name__})") from error
    return document


def _now() -> datetime:
    return datetime.now().astimezone()


def _entry(document: Mapping[str, Any], verdict: RulesAnswer) -> dict[str, Any]:
    return {
        "study_instance_uid": document["study"]["study_instance_uid"],
        "stage": document["stage"],
        "category": document["decision"]["category"],
        "priority": document["decision"]["priority"],
        "fits": list(verdict.fired),
        "sent": "as configured" if verdict.sends is None else _sends(verdict.sends),
        "in_shadow_mode": _sends(verdict.would),
        "looked": [{"rule": one.rule.name, "line": one.rule.line, "why": _why(one)} for one in verdict.looked],
    }


def _sends(sends: Sequence[Send]) -> str:
    return "; ".join(f"{', '.join(one.outputs)} to {', '.join(one.to)}" for one in sends) or "nothing"


def _why(one: Looked) -> str:
    if one.failure is not None:
        return f"no value ({one.failure})"
    if one.late:
        return "not at this hour"
    return ("fits, in shadow mode" if one.rule.shadow else "fits") if one.fits else f"not {one.rule.when.text.strip()}"
