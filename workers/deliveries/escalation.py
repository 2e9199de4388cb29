"""When a destination hears of a P1 that nobody has acknowledged, and the acknowledgement.

Such a destination (``escalate_after_s``) has its delivery planned with the decision, and due later. So nothing has to
remember to escalate: a delivery process that was down sends what has become due. Whoever acknowledges the study
discards what waits. The discarded delivery is the record of it, and no later decision of the study is escalated again.
A study is acknowledged by a person (command, page) or by a message of a clinical system. An acknowledgement covers what
was decided by then, planned or not. A P1 that comes first after it is news and is escalated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from workers.delivery_ports import (
    STANDING_OUTPUTS,
    Acknowledgement,
    Deliveries,
    Delivery,
    DeliveryState,
    Unplanned,
)
from workers.destination_settings import DestinationSettings
from workers.result_settings import ResultsSettings

AT_ONCE = datetime(1970, 1, 1, tzinfo=UTC)  # a clock that is set back delays nothing
ESCALATED = "P1"
WAITING = (DeliveryState.PLANNED, DeliveryState.HELD)


def due_at(destination: DestinationSettings, decision: Unplanned, earlier: Sequence[Delivery]) -> datetime | None:
    """When a decision is to go to this destination; None: it gets nothing of it.

    Args:
        earlier: what is planned, or was, of the study's decisions for this destination.
    """
    if destination.escalate_after_s is None:
        return AT_ONCE
    states = {one.state for one in earlier} - {DeliveryState.SUPERSEDED, DeliveryState.HELD}
    if DeliveryState.DISCARDED in states:
        return None  # somebody has acknowledged the study
    if states - {DeliveryState.PLANNED}:
        return AT_ONCE  # whoever was called gets what is newer
    waiting = [one.due_at for one in earlier if one.state in WAITING]
    if decision.priority != ESCALATED and not waiting:
        return None
    # a newer decision does not start the time again
    return min([*waiting, decision.created_at + timedelta(seconds=destination.escalate_after_s)])


def earlier_escalations(
    deliveries: Deliveries, results: ResultsSettings, study_instance_uid: str
) -> dict[str, list[Delivery]]:
    """What is planned, or was, of a study for destinations of escalation, by their names."""
    found = {
        name: deliveries.listed(destination=name, study_instance_uid=study_instance_uid) for name in _names(results)
    }
    return {name: [one for one in some if one.output not in STANDING_OUTPUTS] for name, some in found.items()}


def acknowledge(
    deliveries: Deliveries, results: ResultsSettings, study_instance_uid: str, *, by: str, now: datetime
) -> int:
    """Stop the escalation of a study; how many waiting deliveries will not go out.

    The one way to acknowledge a study, for the command, the page and the messages of clinical systems. It may be called
    again.

    Raises:
        Transient: the index is away.
    """
    deliveries.acknowledge(Acknowledgement(study_instance_uid, by, now))  # first: what is not planned yet is covered
    waiting = deliveries.listed(states=WAITING, study_instance_uid=study_instance_uid)
    own = {one.name for one in results.destinations}
    called = [
        one for one in waiting if one.destination in _names(results) or (one.destination not in own and _is_timed(one))
    ]
    numbers = [one.number for one in called if one.output not in STANDING_OUTPUTS]
    return deliveries.discard(numbers, why=f"acknowledged by {by}", now=now)


def _is_timed(one: Delivery) -> bool:
    """An escalation of another node with the same index: it was never tried and was due later from the beginning."""
    return one.attempts == 0 and one.failure is None and one.planned_at is not None and one.due_at > one.planned_at


def stopped(one: Delivery, seen: Acknowledgement) -> Delivery:
    """The delivery of an escalation that was acknowledged before it was planned: it is listed, for the record."""
    answer = f"given up: acknowledged by {seen.by}"
    return replace(one, state=DeliveryState.DISCARDED, answer=answer, done_at=seen.at)


def covering(known: Sequence[Acknowledgement], decision: Unplanned) -> Acknowledgement | None:
    """The acknowledgement of a study that covers a decision; None: there is none."""
    return next((one for one in known if one.at >= decision.created_at), None)


def _names(results: ResultsSettings) -> list[str]:
    return [one.name for one in results.destinations if one.escalate_after_s is not None]
