"""Commands about shadow mode: what would have been sent, and who released what; words of ``icansee deliveries``."""

from __future__ import annotations

import getpass
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from listener.commands.common import (
    ConfigOption,
    JsonFlag,
    index_time,
    load_settings,
    open_ways_out,
    out,
    print_json,
    quiet_logging,
)
from triage.errors import Misconfigured
from workers.config import Settings
from workers.deliveries.stages import Promoter, StageKey, move_stage, readable_stages, stage_words, stages_of
from workers.deliveries.staging import shadow_at
from workers.delivery_ports import Release, Released, ShadowKind, delivery_facts, released_by

NameArgument = Annotated[str | None, typer.Argument(metavar="[DESTINATION]", help="a destination of the settings")]
ScannerOption = Annotated[str | None, typer.Option("--scanner", metavar="NAME", help="of results.shadow_scanners")]
PatternOption = Annotated[str | None, typer.Option("--pattern", metavar="LETTER", help="of results.shadow_patterns")]
RuleOption = Annotated[str | None, typer.Option("--rule", metavar="NAME", help="a rule with shadow: true")]
SiteOption = Annotated[bool, typer.Option("--site", help="the whole site (results.shadow)")]
ByOption = Annotated[str, typer.Option("--by", metavar="NAME", help="who decides this")]
WhyOption = Annotated[str, typer.Option("--why", metavar="TEXT", help="the reason; it is kept")]
LimitOption = Annotated[int, typer.Option("--limit", min=1, help="at most this many, the newest first")]

PROMOTES = (
    "End the shadow mode of a destination, scanner, pattern, rule or the site: decisions from now on are sent. "
    "Name and reason are recorded."
)


def shadow_report(config: ConfigOption = None, limit: LimitOption = 1000, as_json: JsonFlag = False) -> None:
    """What would have been sent, to whom, when, and what is in shadow mode."""
    quiet_logging()
    settings = load_settings(config)
    known = open_ways_out(settings)
    found, records = known.listed(shadow=True, limit=limit), known.releases()
    released = released_by(records)
    stages = {stage_words(one): one not in released for one in stages_of(settings.results)}
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


def _moving(*, promoted: bool) -> Callable[..., None]:
    """The command that promotes, or the one that takes it back: they have the same options."""

    def command(
        by: ByOption,
        why: WhyOption,
        destination: NameArgument = None,
        scanner: ScannerOption = None,
        pattern: PatternOption = None,
        rule: RuleOption = None,
        site: SiteOption = False,
        config: ConfigOption = None,
    ) -> None:
        _move(config, _chosen(destination, scanner, pattern, rule, site=site), by, why, promoted=promoted)

    return command


def _ends(settings: Settings, released: Released) -> dict[str, bool]:
    """Destination -> whether nothing at all is sent there."""
    return {one.name: bool(shadow_at(one, settings.results, released)) for one in settings.results.destinations}


def _chosen(
    destination: str | None, scanner: str | None, pattern: str | None, rule: str | None, *, site: bool
) -> StageKey:
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


def _move(config: Path | None, stage: StageKey, by: str, why: str, *, promoted: bool) -> None:
    quiet_logging()
    settings = load_settings(config)
    known, now = open_ways_out(settings), index_time(settings)
    if move_stage(settings, known, stage, Promoter(by, why, login=_login()), promoted=promoted, now=now) is None:
        stands = "released" if promoted else "in shadow mode"
        out().print(escape(f"nothing is recorded: {stage_words(stage)} is {stands} already"))
    else:
        out().print("recorded; it counts for decisions from now on")
    released = released_by(known.releases())
    still = [stage_words(one) for one in readable_stages(settings.results) if one not in released]
    if still:
        out().print(escape(f"in shadow mode: {', '.join(still)}"))


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # an account without a name
        return ""


def _print_records(records: Iterable[Release]) -> None:
    for one in records:
        word = "promoted" if one.promoted else "demoted"
        named = one.name if one.kind is ShadowKind.DESTINATION else stage_words((one.kind, one.name))
        out().print(escape(f"{one.at:%Y-%m-%d %H:%M}  {named} {word} by {one.by}: {one.why}"))


def add_stages(deliveries: typer.Typer) -> None:
    """Put the commands under ``icansee deliveries``."""
    deliveries.command("shadow-report")(shadow_report)
    deliveries.command("history")(release_history)
    deliveries.command("promote", help=PROMOTES)(_moving(promoted=True))
    deliveries.command("demote", help="Take a promotion back. Name and reason are recorded.")(_moving(promoted=False))
