"""Commands about shadow mode: what would have been sent, and who released what; words of ``icansee deliveries``."""

from __future__ import annotations

import getpass
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from listener.commands.common import (
    ConfigOption,
    JsonFlag,
    load_settings,
    open_ways_out,
    out,
    print_json,
    quiet_logging,
)
from triage.errors import Misconfigured
from workers.config import Settings
from workers.delivery_ports import Release, Released, ShadowKind, delivery_facts, released_by

if TYPE_CHECKING:
    from workers.audit.messages import Configured

StageOf = tuple[ShadowKind, str]
NameArgument = Annotated[str | None, typer.Argument(metavar="[DESTINATION]", help="a destination of the settings")]
ScannerOption = Annotated[str | None, typer.Option("--scanner", metavar="NAME", help="of results.shadow_scanners")]
PatternOption = Annotated[str | None, typer.Option("--pattern", metavar="LETTER", help="of results.shadow_patterns")]
RuleOption = Annotated[str | None, typer.Option("--rule", metavar="NAME", help="a rule with shadow: true")]
SiteOption = Annotated[bool, typer.Option("--site", help="the whole site (results.shadow)")]
ByOption = Annotated[str, typer.Option("--by", metavar="NAME", help="who decides this")]
WhyOption = Annotated[str, typer.Option("--why", metavar="TEXT", help="the reason; it is kept")]
LimitOption = Annotated[int, typer.Option("--limit", min=1, help="at most this many, the newest first")]


def shadow_report(config: ConfigOption = None, limit: LimitOption = 1000, as_json: JsonFlag = False) -> None:
    """What would have been sent, to whom, when, and what is in shadow mode."""
    quiet_logging()
    settings = load_settings(config)
    known = open_ways_out(settings)
    found, records = known.listed(shadow=True, limit=limit), known.releases()
    released = released_by(records)
    stages = {_words(one): one not in released for one in stages_of(settings)}
    ends = _ends(settings, released)
    if as_json:
        facts = [delivery_facts(one) for one in found]
        releases = [asdict(one) for one in records]
        print_json({"shadow": ends, "stages": stages, "deliveries": facts, "releases": releases})
        return
    for name, shadow in ends.items():
        out().print(f"{name}: {'shadow, nothing is sent' if shadow else 'sends'}")
    for words, shadow in stages.items():
        out().print(escape(f"{words}: {'in shadow mode' if shadow else 'released'}"))
    counted = Counter((one.shadow_of or "-", one.destination, one.output, one.state.value) for one in found)
    for (why, name, output, state), number in sorted(counted.items()):
        out().print(escape(f"{why:30} {name:20} {output:10} {state:11} {number}"))
    for one in found:
        when = one.done_at or one.planned_at
        facts_of = f"{one.destination} {one.output} {one.decided.study_instance_uid} r{one.decided.revision}"
        why = f"  because of {one.shadow_of}" if one.shadow_of else ""
        line = f"{when:%Y-%m-%d %H:%M:%S}  {facts_of} {one.decided.stage} {one.size_bytes or '-'} bytes{why}"
        out().print(escape(line))
    _print_records(records)


def release_history(config: ConfigOption = None, as_json: JsonFlag = False) -> None:
    """Who released what from shadow mode or took it back, when and why."""
    quiet_logging()
    records = open_ways_out(load_settings(config)).releases()
    if as_json:
        print_json([asdict(one) for one in records])
    elif records:
        _print_records(records)
    else:
        out().print("nothing was promoted")


def promote(
    by: ByOption,
    why: WhyOption,
    destination: NameArgument = None,
    scanner: ScannerOption = None,
    pattern: PatternOption = None,
    rule: RuleOption = None,
    site: SiteOption = False,
    config: ConfigOption = None,
) -> None:
    """End the shadow mode of a destination, scanner, pattern, rule or the site: decisions from now on are sent. Who and
    why is kept."""
    _release(config, _chosen(destination, scanner, pattern, rule, site=site), by, why, promoted=True)


def demote(
    by: ByOption,
    why: WhyOption,
    destination: NameArgument = None,
    scanner: ScannerOption = None,
    pattern: PatternOption = None,
    rule: RuleOption = None,
    site: SiteOption = False,
    config: ConfigOption = None,
) -> None:
    """Take a promotion back. Who and why is kept."""
    _release(config, _chosen(destination, scanner, pattern, rule, site=site), by, why, promoted=False)


def stages_of(settings: Settings) -> list[StageOf]:
    """Everything that the settings and the rules put into shadow mode."""
    results = settings.results
    found: list[StageOf] = [(ShadowKind.SITE, "")] if results.shadow else []
    found += [(ShadowKind.DESTINATION, one.name) for one in results.destinations if one.shadow]
    found += [(ShadowKind.SCANNER, one.name) for one in results.shadow_scanners]
    found += [(ShadowKind.PATTERN, name) for name in results.shadow_patterns]
    if results.rules is not None:
        from workers.rules.listing import listed_rules

        found += [(ShadowKind.RULE, one.name) for one in listed_rules(results) if one.shadow]
    return found


def _ends(settings: Settings, released: Released) -> dict[str, bool]:
    """Destination -> whether nothing at all is sent there."""
    from workers.deliveries.staging import shadow_at

    return {one.name: bool(shadow_at(one, settings.results, released)) for one in settings.results.destinations}


def _chosen(
    destination: str | None, scanner: str | None, pattern: str | None, rule: str | None, *, site: bool
) -> StageOf:
    named = [
        (kind, name)
        for kind, name in (
            (ShadowKind.DESTINATION, destination),
            (ShadowKind.SCANNER, scanner),
            (ShadowKind.PATTERN, pattern),
            (ShadowKind.RULE, rule),
            (ShadowKind.SITE, "" if site else None),
        )
        if name is not None
    ]
    if len(named) != 1:
        raise Misconfigured("DESTINATION: name one destination, or give one of --scanner, --pattern, --rule, --site")
    return named[0]


def _release(config: Path | None, stage: StageOf, by: str, why: str, *, promoted: bool) -> None:
    quiet_logging()
    settings, (kind, name) = load_settings(config), stage
    if kind is ShadowKind.DESTINATION and name not in {one.name for one in settings.results.destinations}:
        raise Misconfigured(f"DESTINATION: {name} is not among results.destinations")
    in_shadow = stages_of(settings)
    if kind is not ShadowKind.DESTINATION and stage not in in_shadow:
        there = ", ".join(_words(one) for one in in_shadow) or "nothing"
        raise Misconfigured(f"--{kind}: {_words(stage)} is not in shadow mode by the settings; there is {there}")
    if not by.strip() or not why.strip():
        raise Misconfigured("--by, --why: a name and a reason are needed")
    known, now = open_ways_out(settings), datetime.now(UTC)
    record = Release(name, promoted, by.strip(), why.strip(), now, kind)
    known.release(record)
    _audited(settings, record)
    still = [_words(one) for one in in_shadow if one not in released_by(known.releases())]
    out().print("recorded; it counts for decisions from now on")
    if still:
        out().print(escape(f"in shadow mode: {', '.join(still)}"))


def _audited(settings: Settings, record: Release) -> None:
    """Into the audit log of the node, and to the audit repository."""
    from workers.audit.journal import Journal, journal_file
    from workers.audit.spool import auditor_of

    change = _configured(record)
    facts: dict[str, Any] = {"at": record.at.isoformat(), "who": record.by, "did": change.what, "why": record.why}
    Journal(journal_file(settings)).add({**facts, "study": None, "status": 0, "login": change.login})
    auditor_of(settings).configured(change)


def _configured(record: Release) -> Configured:
    from workers.audit.messages import Configured

    word = "promoted" if record.promoted else "demoted"
    try:
        login = getpass.getuser()
    except (KeyError, OSError):  # an account without a name
        login = ""
    return Configured(record.by, login, f"{word}: {_words((record.kind, record.name))}", record.why)


def _words(stage: StageOf) -> str:
    return "the site" if stage[0] is ShadowKind.SITE else f"{stage[0]} {stage[1]}"


def _print_records(records: Iterable[Release]) -> None:
    for one in records:
        word = "promoted" if one.promoted else "demoted"
        named = one.name if one.kind is ShadowKind.DESTINATION else _words((one.kind, one.name))
        out().print(escape(f"{one.at:%Y-%m-%d %H:%M}  {named} {word} by {one.by}: {one.why}"))


def add_stages(deliveries: typer.Typer) -> None:
    """Put the commands under ``icansee deliveries``."""
    deliveries.command("shadow-report")(shadow_report)
    deliveries.command("history")(release_history)
    deliveries.command("promote")(promote)
    deliveries.command("demote")(demote)
