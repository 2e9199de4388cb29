"""Results that went out and are wrong in, the rejection notes for whoever has them out (IHE IOCM).

``retract`` hides all objects of a decision, by command. ``outdated`` hides those of an earlier decision when a newer
one is planned, as the site wants; the report stays, since the newer report names it as its predecessor.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from workers.deliveries.escalation import AT_ONCE
from workers.deliveries.sending import Delivering
from workers.delivery_ports import (
    DICOM_OUTPUTS,
    TAKEN_BACK_BY,
    WAITS,
    Decided,
    Deliveries,
    Delivery,
    DeliveryState,
    Unplanned,
)

RETRACT, OUTDATED = "retract", "outdated"
GOT = (DeliveryState.DONE, DeliveryState.SENDING)  # what is being sent now may arrive
MOST = 10_000  # deliveries of one study
MOST_URGENT = 1  # a retraction by command


def notes(found: Iterable[Delivery], output: str, wrong: Collection[Decided], *, urgency: int) -> list[Delivery]:
    """One note for each destination that got objects of each wrong decision. Pure.

    Args:
        found: deliveries of the study.
    """
    holders = dict.fromkeys(
        (one.decided, one.destination)
        for one in found
        if one.decided in wrong and one.output in DICOM_OUTPUTS and _got(one)
    )
    return [Delivery(decided, output, name, due_at=AT_ONCE, urgency=urgency) for decided, name in holders]


def _corrections(found: Iterable[Delivery]) -> list[Delivery]:
    """What takes back each alert that went out."""
    return [
        Delivery(one.decided, TAKEN_BACK_BY[one.output], one.destination, due_at=AT_ONCE, urgency=MOST_URGENT)
        for one in found
        if one.output in TAKEN_BACK_BY and _got(one)
    ]


def _got(one: Delivery) -> bool:
    """Also a delivery that had nothing to send is done."""
    return one.state is DeliveryState.SENDING or (one.state is DeliveryState.DONE and bool(one.size_bytes))


def contradicts(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether the newer document says something else: category, priority, or the presence of a pattern."""
    return _said(old) != _said(new)


def _said(document: Mapping[str, Any]) -> tuple[Any, ...]:
    decision, findings = document["decision"], document.get("findings", ())
    presence = sorted((one["pattern"], one["presence"]) for one in findings)
    return decision["category"], decision["priority"], presence


def outdated(parts: Delivering, newer: Unplanned, planned: Iterable[Delivery], *, urgency: int) -> list[Delivery]:
    """The notes for earlier decisions of the study, when this one is planned; none for a first look.

    Args:
        planned: of the newer decision. Who does not get it keeps what is there.

    Raises:
        Transient: the index is away.
    """
    policy = parts.results.retract_earlier
    if policy == "never" or newer.decided.stage == "first_look":
        return []
    found = parts.deliveries.listed(study_instance_uid=newer.decided.study_instance_uid, states=GOT, limit=MOST)
    earlier = {one.decided for one in found if one.decided.sequence < newer.decided.sequence}
    if policy == "changed" and earlier:
        document = parts.document(newer.decided)
        earlier = {one for one in earlier if contradicts(parts.document(one), document)}
    informed = {one.destination for one in planned if one.state is DeliveryState.PLANNED and not one.shadow}
    some = [one for one in found if one.destination in informed]
    return notes(some, OUTDATED, earlier, urgency=urgency)


def retract(
    deliveries: Deliveries, wrong: Collection[Decided], destinations: Collection[str], *, why: str, now: datetime
) -> tuple[int, int]:
    """Plan the notes of some decisions of one study, and give up what still waits of them; nobody gets them any more.

    Args:
        destinations: names that this node or another one serves.

    Returns:
        How many notes were planned, and how many deliveries were given up. Asked again, it plans nothing twice.
    """
    study = next(iter(wrong)).study_instance_uid
    found = [
        one
        for one in deliveries.listed(study_instance_uid=study, limit=MOST)
        if one.decided in wrong and one.destination in destinations
    ]
    corrections = {RETRACT, *TAKEN_BACK_BY.values()}
    waiting = [one.number for one in found if one.state in WAITS and one.output not in corrections]
    given_up = deliveries.discard(waiting, why=f"retracted: {why}", now=now) if waiting else 0
    deliveries.mark_retracted(list(wrong), now=now)
    there = {(one.decided, one.output, one.destination) for one in found}
    some = [*notes(found, RETRACT, wrong, urgency=MOST_URGENT), *_corrections(found)]
    some = [one for one in some if (one.decided, one.output, one.destination) not in there]
    deliveries.add(some, now=now)
    return len(some), given_up
