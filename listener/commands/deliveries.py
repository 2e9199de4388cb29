"""Commands about results on their way out: deliver (the process), and the words of ``icansee deliveries``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from listener.commands.common import (
    WRONG_REQUEST,
    ConfigOption,
    JsonFlag,
    existing_index,
    index_time,
    load_settings,
    open_ways_out,
    out,
    print_json,
    quiet_logging,
)
from listener.commands.node import ParentOption
from listener.commands.stages import add_stages
from listener.node.private import keep_private
from listener.node.processes import note_start
from triage.errors import Misconfigured
from workers.deliveries.escalation import acknowledge
from workers.delivery_ports import GIVEN_UP, OPEN, RETRIED, Decided, Deliveries, DeliveryState, delivery_facts

deliveries = typer.Typer(help="Results on their way to PACS, RIS and folders.", no_args_is_help=True)

MOST_AT_ONCE = 10_000
ANSWERED = (DeliveryState.DISCARDED, DeliveryState.HELD)
Numbers = Annotated[list[int] | None, typer.Argument(metavar="[NUMBER]...", help="numbers of deliveries, see list")]
StateOption = Annotated[
    list[DeliveryState] | None, typer.Option("--state", help="only in this state; may be given several times")
]
ToOption = Annotated[str | None, typer.Option("--to", metavar="DESTINATION", help="only for this destination")]
EveryOption = Annotated[bool, typer.Option("--all", help="all dead ones (of the destination of --to)")]
StudyOption = Annotated[str | None, typer.Option("--study", metavar="STUDY_UID", help="only of this study")]
LimitOption = Annotated[int, typer.Option("--limit", min=1, help="at most this many, the newest first")]
ByOption = Annotated[str, typer.Option("--by", metavar="NAME", help="who decides this")]
WhyOption = Annotated[str, typer.Option("--why", metavar="TEXT", help="the reason; it is kept")]


def deliver(config: ConfigOption = None, parent: ParentOption = None) -> None:
    """Send results to the destinations of the settings."""
    settings = load_settings(config)
    keep_private(settings)
    from listener.node.deliver_program import usable_rules
    from listener.node.settings_descriptor import turn_into
    from workers.deliveries.all import open_destinations

    open_destinations(settings.node())  # wrong settings and rules are refused here already
    usable_rules(settings.results)
    note_start(settings.store.state_dir, "deliver")
    turn_into("listener.node.deliver_program", settings.node(), parent)


@deliveries.command("list")
def listed(
    config: ConfigOption = None,
    state: StateOption = None,
    to: ToOption = None,
    study: StudyOption = None,
    limit: LimitOption = 200,
    as_json: JsonFlag = False,
) -> None:
    """Deliveries, the newest first."""
    quiet_logging()
    found = open_ways_out(load_settings(config)).listed(
        states=state or (), destination=to, study_instance_uid=study, limit=limit
    )
    if as_json:
        print_json([delivery_facts(one) for one in found])
        return
    table = Table("number", "state", "to", "output", "decision", "tries", "bytes", "planned")
    table.add_column("said", overflow="fold")
    for one in found:
        decision = f"{one.decided.study_instance_uid} r{one.decided.revision} {one.decided.stage}"
        cells = [str(one.number), one.state.value, one.destination, one.output, decision, str(one.attempts)]
        # who gave it up or holds it back says why in the answer; otherwise the last failure counts
        said = (one.answer or one.failure) if one.state in ANSWERED else (one.failure or one.answer)
        size = "" if one.size_bytes is None else str(one.size_bytes)
        table.add_row(*cells, size, f"{one.planned_at:%Y-%m-%d %H:%M:%S}", escape(said or ""))
    out().print(table)


@deliveries.command("show")
def show_one(
    number: Annotated[int, typer.Argument(metavar="NUMBER")], config: ConfigOption = None, as_json: JsonFlag = False
) -> None:
    """Everything about one delivery."""
    quiet_logging()
    found = open_ways_out(load_settings(config)).one(number)
    if found is None:
        raise Misconfigured(f"NUMBER: there is no delivery {number}")
    facts = delivery_facts(found)
    if as_json:
        print_json(facts)
        return
    for name, value in facts.items():
        out().print(f"{name:20} {escape('-' if value is None else str(value))}")


@deliveries.command("retry")
def send_again(
    numbers: Numbers = None,
    config: ConfigOption = None,
    to: ToOption = None,
    every: EveryOption = False,
) -> None:
    """Send again what is dead, given up or waiting, now."""
    quiet_logging()
    settings = load_settings(config)
    known = open_ways_out(settings)
    chosen = _chosen(known, numbers, to, every)
    left = _say_left(known, numbers, RETRIED)
    number = known.retry(chosen, now=index_time(settings))
    _say_overtaken(known, numbers)
    out().print(f"{number} deliveries wait to be sent")
    _end(left=left)


@deliveries.command("discard")
def give_up(
    why: WhyOption,
    numbers: Numbers = None,
    config: ConfigOption = None,
    to: ToOption = None,
    every: EveryOption = False,
) -> None:
    """Give up deliveries that wait or are dead; the reason is kept with them. With --all: the dead ones, and all for a
    destination that the settings do not have any more."""
    quiet_logging()
    settings = load_settings(config)
    known = open_ways_out(settings)
    removed = to is not None and to not in {one.name for one in settings.results.destinations}
    chosen = _chosen(known, numbers, to, every, states=OPEN if removed else (DeliveryState.DEAD,))
    left = _say_left(known, numbers, GIVEN_UP)
    out().print(f"{known.discard(chosen, why=why, now=index_time(settings))} deliveries given up")
    _end(left=left)


@deliveries.command("release")
def release_held(
    by: ByOption,
    numbers: Numbers = None,
    config: ConfigOption = None,
    study: StudyOption = None,
    to: ToOption = None,
    every: Annotated[bool, typer.Option("--all", help="all that are held (of --study, --to)")] = False,
    why: Annotated[str, typer.Option("--why", metavar="TEXT", help="the reason; it is kept")] = "",
) -> None:
    """Send deliveries that a rule or the alert budget holds back. The name is recorded."""
    quiet_logging()
    from workers.deliveries.retracting import Told, release
    from workers.deliveries.stored import stored_document_of

    if not by.strip():
        raise Misconfigured("--by: a name is needed")
    if bool(numbers) == every or (numbers and (study or to)):
        raise Misconfigured("NUMBER: name deliveries by their numbers, or say --all (and --study, --to)")
    settings = load_settings(config)
    known = open_ways_out(settings)
    held = known.listed(states=[DeliveryState.HELD], destination=to, study_instance_uid=study, limit=MOST_AT_ONCE)
    chosen = numbers or [one.number for one in held]
    said = by.strip() + (f": {why.strip()}" if why.strip() else "")
    left = _say_left(known, numbers, (DeliveryState.HELD,))
    told = Told(known, stored_document_of(existing_index(settings)), settings.results.retract_earlier)
    number = release(told, chosen, by=said, now=index_time(settings))
    _say_overtaken(known, numbers)
    out().print(f"{number} deliveries wait to be sent")
    _end(left=left)


@deliveries.command("retract")
def retract_results(
    study: Annotated[str, typer.Argument(metavar="STUDY_UID")],
    why: Annotated[str, typer.Option("--reason", metavar="TEXT", help="the reason; it stands in the rejection note")],
    revision: Annotated[int | None, typer.Option("--revision", min=0, help="default: the newest")] = None,
    config: ConfigOption = None,
) -> None:
    """Take a decision back wherever it went: rejection notes (IHE IOCM) for DICOM objects, retractions for alerts."""
    quiet_logging()
    from workers.container import open_results
    from workers.deliveries.other_nodes import delivery_owner, served_elsewhere
    from workers.deliveries.retracting import retract

    if not why.strip():
        raise Misconfigured("--reason: a reason is needed")
    settings = load_settings(config)
    known, versions = open_ways_out(settings), existing_index(settings).assessments(study)
    now = index_time(settings)
    number = revision if revision is not None or not versions else versions[-1]["revision"]
    wrong = [Decided(study, one["revision"], one["stage"]) for one in versions if one["revision"] == number]
    if not wrong:
        raise Misconfigured(
            f"STUDY_UID: no decision{'' if number is None else f' on revision {number}'} is stored here"
        )
    unplanned = known.unplanned(study_instance_uid=study, limit=MOST_AT_ONCE) if settings.results.destinations else []
    if any(one.decided in wrong for one in unplanned):
        raise Misconfigured("STUDY_UID: the delivery process has not yet taken up this decision, try again when it has")
    for one in wrong:
        open_results(settings).note_retraction(study, one.revision, one.stage, why=why.strip(), at=now)
    names = [one.name for one in settings.results.destinations]
    names += served_elsewhere(known.all_known(), names, delivery_owner(settings.store), now)
    sent, given_up = retract(known, wrong, names, why=why.strip(), now=now)
    out().print(f"{sent} rejection notes planned; {given_up} deliveries given up")


@deliveries.command("acknowledge")
def acknowledge_study(
    study: Annotated[str, typer.Argument(metavar="STUDY_UID")], by: ByOption, config: ConfigOption = None
) -> None:
    """Record that somebody has seen the study: it is not escalated any more. The name is recorded."""
    quiet_logging()
    if not by.strip():
        raise Misconfigured("--by: a name is needed")
    settings = load_settings(config)
    stopped = acknowledge(open_ways_out(settings), study, by=by.strip(), now=index_time(settings))
    out().print(f"{stopped} deliveries will not go out" if stopped else "nothing waits to be escalated for this study")


def _chosen(
    known: Deliveries,
    numbers: list[int] | None,
    to: str | None,
    every: bool,
    *,
    states: Sequence[DeliveryState] = (DeliveryState.DEAD,),
) -> list[int]:
    if numbers and not every and to is None:
        return numbers
    if every and not numbers:
        return [one.number for one in known.listed(states=states, destination=to, limit=MOST_AT_ONCE)]
    raise Misconfigured("NUMBER: name deliveries by their numbers, or say --all (and --to DESTINATION)")


def _say_left(known: Deliveries, numbers: list[int] | None, takes: Sequence[DeliveryState]) -> bool:
    """Say which of the named deliveries are left as they are, and why; whether there are any. ``takes``: the states
    that are not."""
    left = False
    for number in numbers or ():
        one = known.one(number)
        if one is None:
            out().print(f"{number}: there is no delivery {number}")
        elif one.state not in takes:
            out().print(f"{number}: it is {one.state.value}, and only {' or '.join(takes)} ones are changed")
        left = left or one is None or one.state not in takes
    return left


def _end(*, left: bool) -> None:
    if left:
        raise typer.Exit(WRONG_REQUEST)


def _say_overtaken(known: Deliveries, numbers: list[int] | None) -> None:
    """Say which of the named deliveries do not go out all the same, and why."""
    for one in filter(None, map(known.one, numbers or ())):
        if one.state is DeliveryState.SUPERSEDED:
            out().print(f"{one.number}: a newer decision of the study is planned for its destination, or went there")
        elif one.state is DeliveryState.DISCARDED:
            out().print(f"{one.number}: {one.answer}")


add_stages(deliveries)
