"""Results that went out and are wrong in, the rejection notes for whoever has them out (IHE IOCM).

``retract`` hides all objects of a decision, by command. ``outdated`` hides those of an earlier decision when a newer
one is planned, or released that was on hold, as the site wants; the report stays, since the newer report names it as
its predecessor.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from workers.deliveries.beside import MOST, arrived
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
    return one.state is DeliveryState.SENDING or arrived(one)


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
        planned: of the newer decision. Who does not get it keeps what is there; of one on hold the release makes them.

    Raises:
        Transient: the index is away.
    """
    informed = {one.destination for one in planned if one.state is DeliveryState.PLANNED and not one.shadow}
    told = Told(parts.deliveries, parts.document, parts.results.retract_earlier)
    return _outdated(told, newer.decided, informed, urgency=urgency)


@dataclass(frozen=True)
class Told:
    """What tells which earlier decisions are outdated. document: of a stored decision. policy: of the settings."""

    deliveries: Deliveries
    document: Callable[[Decided], Mapping[str, Any]]
    policy: Literal["never", "changed", "always"]


def _outdated(told: Told, newer: Decided, informed: Collection[str], *, urgency: int) -> list[Delivery]:
    """informed: destinations that get the newer decision now."""
    if told.policy == "never" or newer.stage == "first_look" or not informed:
        return []
    found = told.deliveries.listed(study_instance_uid=newer.study_instance_uid, states=GOT, limit=MOST)
    some = [one for one in found if one.destination in informed and one.output in DICOM_OUTPUTS]
    earlier = {one.decided for one in some if one.decided.sequence < newer.sequence}
    if told.policy == "changed" and earlier:
        document = told.document(newer)
        earlier = {one for one in earlier if contradicts(told.document(one), document)}
    return notes(some, OUTDATED, earlier, urgency=urgency)


def release(told: Told, numbers: Collection[int], *, by: str, now: datetime) -> int:
    """Let go of what is held, and plan the notes for earlier decisions that it outdates; how many deliveries wait now.

    Args:
        by: who, and why; it is kept.

    Raises:
        Transient: the index is away.
    """
    found = (told.deliveries.one(number) for number in numbers)
    held = [one for one in found if one is not None and one.state is DeliveryState.HELD]
    behind: list[Delivery] = []
    for newer in dict.fromkeys(one.decided for one in held):
        mine = [one for one in held if one.decided == newer]
        behind += _outdated(told, newer, {one.destination for one in mine}, urgency=max(one.urgency for one in mine))
    return told.deliveries.let_go(list(numbers), by=by, now=now, behind=behind)


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
