"""Destinations that a newer decision does not go to and an older one of the study went to, or waits for.

Rules may send each decision elsewhere, so that nothing would take the place of the older one. Where the two say
different things a wrong result would stay, or would still go out. So whoever may hold the older one gets the newer as a
correction. What never went out gives way, unless the newer one is as urgent or could not be assessed: then the newer
goes in its place, since nobody may lose an alert by a newer word that is no all-clear.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from workers.deliveries.beside import MOST, arrived
from workers.deliveries.plan import PlanFacts, blank_for, in_order
from workers.deliveries.retracting import contradicts
from workers.deliveries.sending import Delivering
from workers.delivery_ports import (
    REJECTION_NOTE,
    STANDING_OUTPUTS,
    TAKEN_BACK_BY,
    TAKES_BACK,
    WAITS,
    Decided,
    Delivery,
    DeliveryState,
    Unplanned,
)
from workers.destination_settings import cannot_take
from workers.result_settings import Kind

NOT_ASSESSABLE = "not_assessable"


def corrections(
    parts: Delivering, newer: Unplanned, planned: Iterable[Delivery], facts: PlanFacts
) -> tuple[list[Delivery], list[Delivery]]:
    """What goes in the place of something older that waits, and what is sent to holders of something older only.

    Args:
        planned: of the newer decision. A first look corrects nothing: the full decision follows.

    Raises:
        Transient: the index is away.
    """
    addressed = {one.destination for one in planned if not one.shadow}
    others = [one for one in parts.results.destinations if one.name not in addressed]
    if newer.decided.stage == "first_look" or not others:
        return [], []
    found = parts.deliveries.listed(study_instance_uid=newer.decided.study_instance_uid, limit=MOST)
    instead: list[Delivery] = []
    for_holders: list[Delivery] = []
    for destination in others:
        older = _older(found, destination.name, newer.decided)
        blank = blank_for(destination, newer, parts.results, facts) if older else None
        if blank is None or blank.shadow:
            continue
        last = max((one.decided for one in older), key=lambda one: one.sequence)
        if parts.deliveries.stored_decision(last) is None:
            continue
        document = parts.document(newer.decided)
        if not contradicts(parts.document(last), document):
            continue
        before = min(one.urgency for one in older if one.decided == last)
        outputs = [one for one in in_order(row.output for row in older) if _is_still_wanted(parts, destination, one)]
        some = [replace(blank, output=output, urgency=min(blank.urgency, before)) for output in outputs]
        still = blank.urgency <= before or document["decision"]["category"] == NOT_ASSESSABLE
        (instead if still else for_holders).extend(some)
    return instead, for_holders


def _is_still_wanted(parts: Delivering, destination: Kind, output: str) -> bool:
    """Settings may have changed since; what rules send stands in no settings."""
    wanted = parts.results.rules is not None or output in destination.outputs
    return wanted and not cannot_take(destination.kind, output)


def _older(found: Sequence[Delivery], name: str, newer: Decided) -> list[Delivery]:
    """What a destination has of earlier decisions, is getting or waits for; not what was taken back."""
    here = [one for one in found if one.destination == name and one.decided.sequence < newer.sequence]
    taken_back = {(one.decided, one.output) for one in here if one.output in TAKES_BACK}
    return [
        one
        for one in here
        if one.output not in STANDING_OUTPUTS
        and not one.shadow
        and (one.state in (*WAITS, DeliveryState.SENDING) or arrived(one))
        and not _is_taken_back(one, taken_back)
    ]


def _is_taken_back(one: Delivery, notes: Collection[tuple[Decided, str]]) -> bool:
    return (one.decided, TAKEN_BACK_BY.get(one.output, REJECTION_NOTE)) in notes
