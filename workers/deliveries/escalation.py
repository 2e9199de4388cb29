"""When a destination hears of a P1 that nobody has acknowledged, and the acknowledgement.

Such a destination (``escalate_after_s``) has its delivery planned with the decision, and due later. So nothing has to
remember to escalate: a delivery process that was down sends what has become due. Whoever acknowledges the study
discards what waits, also where it waits again after it was being sent. The discarded delivery is listed, and no later
decision of the study is escalated again. Only an acknowledgement counts as one: what was given up for another reason
calls nobody off.
A study is acknowledged by a person (command, page) or by a message of a clinical system. An acknowledgement covers what
was decided by then, planned or not. A P1 that comes first after it is news and is escalated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from workers.delivery_ports import (
    WAITS,
    Acknowledgement,
    Call,
    Decided,
    Deliveries,
    Delivery,
    DeliveryState,
    Unplanned,
)
from workers.destination_settings import DestinationSettings
from workers.result_settings import ResultsSettings

AT_ONCE = datetime(1970, 1, 1, tzinfo=UTC)  # a clock that is set back delays nothing
ESCALATED = "P1"
CALLED = (DeliveryState.DONE, DeliveryState.SHADOW)


def due_at(destination: DestinationSettings, decision: Unplanned, earlier: Sequence[Call]) -> datetime | None:
    """When a decision is to go to this destination; None: it gets nothing of it.

    Args:
        earlier: what is planned, or was, of the study's decisions for this destination.
    """
    if destination.escalate_after_s is None:
        return AT_ONCE
    if was_called(earlier):
        return AT_ONCE  # whoever was called gets what is newer
    if any(one.seen for one in earlier):
        return None  # somebody has acknowledged the study
    if any(one.delivery.state is DeliveryState.SENDING for one in earlier):
        return AT_ONCE  # whoever is just being called, too
    waiting = [one.delivery.due_at for one in earlier if one.delivery.state in WAITS]
    if decision.priority != ESCALATED and not waiting:
        return None
    # a newer decision does not start the time again
    return min([*waiting, decision.created_at + timedelta(seconds=destination.escalate_after_s)])


def was_called(earlier: Sequence[Call]) -> bool:
    """Whether the destination has got an earlier decision; what failed, or is being sent, has called nobody yet."""
    return any(one.delivery.state in CALLED for one in earlier)


def earlier_escalations(
    deliveries: Deliveries, results: ResultsSettings, study_instance_uid: str
) -> dict[str, list[Call]]:
    """What is planned, or was, of a study for destinations of escalation, by their names."""
    names = [one.name for one in results.destinations if one.escalate_after_s is not None]
    found = deliveries.calls(study_instance_uid, names)
    return {name: [one for one in found if one.delivery.destination == name] for name in names}


def acknowledge(
    deliveries: Deliveries, study_instance_uid: str, *, by: str, now: datetime, seen: Decided | None = None
) -> int:
    """Stop the escalation of a study; how many waiting deliveries will not go out.

    The one way to acknowledge a study, for the command, the page and the messages of clinical systems. It may be called
    again.

    Args:
        seen: the newest decision that this person has before him; None: the newest one that is stored.

    Raises:
        Transient: the index is away.
    """
    return deliveries.acknowledge(Acknowledgement(study_instance_uid, by, now, None if seen is None else seen.sequence))


def stopped(one: Delivery, seen: Acknowledgement) -> Delivery:
    """The delivery of an escalation that was acknowledged before it was planned: it is listed, for the record."""
    answer = f"given up: acknowledged by {seen.by}"
    return replace(one, state=DeliveryState.DISCARDED, answer=answer, done_at=seen.at)


def covering(known: Sequence[Acknowledgement], decision: Unplanned) -> Acknowledgement | None:
    """The acknowledgement of a study that covers a decision; None: there is none."""
    return next((one for one in known if one.covers(decision.decided.sequence, decision.created_at)), None)
