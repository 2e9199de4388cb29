"""The delivery process: plans what was decided, and lets every destination's sender work in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from triage.errors import Transient
from workers.backoff import Backoff
from workers.deliveries.corrections import corrections
from workers.deliveries.escalation import earlier_escalations
from workers.deliveries.forwarding import Forwarding, forward_decided, forward_new, knows_its_images
from workers.deliveries.other_nodes import (
    by_key,
    end_removed,
    left_to_others,
    narrowed,
    numbers_of,
    served_elsewhere,
    waits_for_nobody,
)
from workers.deliveries.plan import MAY_BE_KNOWN, PlanFacts, destination_names, planned, urgency_of
from workers.deliveries.retracting import outdated
from workers.deliveries.sending import LEASE_S, Delivering, DeliverySender
from workers.deliveries.staging import patterns_in_shadow, scanners_in_shadow, shadow_of_patterns, shadow_of_scanner
from workers.delivery_ports import Decided, Delivery, Destination, Known, Released, Unplanned, released_by
from workers.log import brief, get_logger, study_hash

if TYPE_CHECKING:  # the language is only loaded where there are rules
    from workers.rules.answer import RulesAnswer

log = get_logger(__name__)

PLAN_EVERY_S = 0.2
FORWARD_EVERY_S = 0.5
AT_ONCE = 100  # decisions planned in one pass
FREE_EVERY_S = 10.0
T = TypeVar("T")
AWAY = Backoff(0.5, 10.0)  # while the index is away


def plan_new(parts: Delivering) -> int:
    """Plan what has no plan yet, the oldest decision first; how many decisions that were. One that cannot be planned is
    tried again after a growing pause; it keeps no other waiting.

    Raises:
        Transient: the index is away.
    """
    if not parts.results.destinations:
        return 0  # decisions stay without a plan until somebody wants them
    own, now = destination_names(parts.results), parts.clock.now()
    later = parts.postponed.waiting(parts.clock.elapsed_s())
    waiting = [one for one in parts.deliveries.unplanned(limit=AT_ONCE + len(later)) if one.decided not in later]
    left = parts.deliveries.unplanned_for(own, images=False, limit=AT_ONCE + len(later) * len(own))
    left = [one for one in left if one.decided not in later]
    if not waiting and not left:
        return 0
    known = {one.name: one for one in parts.deliveries.all_known()}
    released = released_by(parts.deliveries.releases())
    elsewhere = served_elsewhere(known.values(), own, parts.owner, now)
    work = [(one.decided, partial(_plan_one, parts, one, known, released, elsewhere)) for one in waiting]
    for rows in by_key(left, lambda one: one.decided):
        work.append((rows[0].decided, partial(_plan_left, parts, rows, known, released)))
    return sum([_tried(parts, decided, plan) for decided, plan in work])


def _tried(parts: Delivering, decided: Decided, plan: Callable[[], bool]) -> bool:
    """Whether it has its plan now."""
    try:
        done = plan()
    except Exception as error:
        known = isinstance(error, Transient)
        names = {"study": study_hash(decided.study_instance_uid), "stage": decided.stage}
        log.warning("delivery.not_planned", error=brief(error), exc_info=not known, **names)
        parts.postponed.put(decided, parts.clock.elapsed_s())
        return False
    if done:
        parts.postponed.end(decided)
    else:
        parts.postponed.put(decided, parts.clock.elapsed_s(), grows=False)
    return done


def _plan_one(
    parts: Delivering,
    decision: Unplanned,
    known: Mapping[str, Known],
    released: Released,
    elsewhere: Sequence[str],
) -> bool:
    """False: it is not known yet which images it rests on."""
    if not _knows_its_images(parts, decision.decided):
        return False
    some, for_holders = _planned(parts, decision, known, released)
    note = MAY_BE_KNOWN if decision.restored else None
    some += left_to_others(decision.decided, elsewhere, now=parts.clock.now(), note=note)
    parts.deliveries.plan(decision.decided, some, now=parts.clock.now(), corrections=for_holders)
    return True


def _plan_left(parts: Delivering, rows: Sequence[Delivery], known: Mapping[str, Known], released: Released) -> bool:
    """Plan a decision for those of our destinations that another node left to us; False as in ``_plan_one``."""
    decided = rows[0].decided
    decision = parts.deliveries.stored_decision(decided)
    if decision is not None:
        if not _knows_its_images(parts, decided):
            return False
        results = narrowed(parts.results, {one.destination for one in rows})
        forwarding = None if parts.forwarding is None else replace(parts.forwarding, results=results)
        decision = replace(decision, restored=any(one.answer == MAY_BE_KNOWN for one in rows))
        late = parts.clock.now() - decision.created_at > timedelta(seconds=results.give_up_after_s)
        mine = replace(parts, results=results, forwarding=forwarding)
        some, for_holders = _planned(mine, decision, known, released, late=late)
        parts.deliveries.add(some, now=parts.clock.now(), corrections=for_holders)
    parts.deliveries.end_unplanned(numbers_of(rows))
    return True


def _planned(
    parts: Delivering, decision: Unplanned, known: Mapping[str, Known], released: Released, *, late: bool = False
) -> tuple[list[Delivery], list[Delivery]]:
    """What goes to our destinations, and what goes there as a correction only; the images that a decision sends further
    are planned by the way. Of one that was retracted nothing is sent."""
    if decision.retracted:
        return [], []
    uid = decision.decided.study_instance_uid
    if parts.deliveries.is_fetched(uid):
        return [], []  # nobody waits for an old study that was retrieved to compare with it
    facts = PlanFacts(
        known,
        earlier_escalations(parts.deliveries, parts.results, uid),
        parts.deliveries.acknowledged(uid),
        released=released,
        shadow=_shadow(parts, decision, released),
        late=late,
    )
    answer = _answer(parts, decision)
    if answer is not None:
        if parts.forwarding is not None:
            forward_decided(parts.forwarding, decision, parts.document(decision.decided), answer, known)
        facts = replace(facts, sends=answer.sends, held=answer.held, would=answer.would, would_rule=answer.would_rule)
    some = planned(decision, parts.results, facts)
    instead, for_holders = corrections(parts, decision, some, facts)
    some += instead
    return some + outdated(parts, decision, [*some, *for_holders], urgency=urgency_of(decision)), for_holders


def _knows_its_images(parts: Delivering, decided: Decided) -> bool:
    if parts.forwarding is None or parts.forwarding.meant is None:
        return True  # nobody asks
    return knows_its_images(parts.forwarding, decided, parts.document(decided))


def _shadow(parts: Delivering, decision: Unplanned, released: Released) -> list[str]:
    """Why nothing of this decision is sent: its scanner, its patterns."""
    scanners, patterns = scanners_in_shadow(parts.results, released), patterns_in_shadow(parts.results, released)
    why = shadow_of_scanner(scanners, parts.scanner(decision.decided.study_instance_uid)) if scanners else []
    return why + (shadow_of_patterns(patterns, parts.document(decision.decided)) if patterns else [])


def _answer(parts: Delivering, decision: Unplanned) -> RulesAnswer | None:
    """What the rules want. None, as without rules, after a fault of the program: no result is lost by it."""
    try:
        return parts.wanted(decision.decided)
    except Transient:
        raise
    except Exception:
        log.exception("delivery.rules_fault", study=study_hash(decision.decided.study_instance_uid))
        return None


def take_up(parts: Delivering) -> None:
    """Make the destinations known, and take up what this process was sending when it died.

    Raises:
        Transient: the index is away.
    """
    now = parts.clock.now()
    parts.deliveries.register(destination_names(parts.results), since=now - timedelta(seconds=parts.results.backfill_s))
    ended = end_removed(parts.deliveries, destination_names(parts.results), parts.owner, alone=parts.alone)
    if ended:
        log.info("delivery.removed_destinations", ended=ended)
    for name, number in waits_for_nobody(
        parts.deliveries, destination_names(parts.results), parts.owner, alone=parts.alone
    ):
        log.warning("delivery.no_such_destination", to=name, number=number)
    taken_up = parts.deliveries.free(now=now, owner=parts.owner)
    if taken_up:
        log.info("delivery.taken_up", number=taken_up)


def run(
    parts: Delivering,
    destinations: Mapping[str, Destination],
    stop: threading.Event,
    *,
    alive: Callable[[], None] = lambda: None,
) -> None:
    """Until ``stop``. alive: called as often as the planning turns."""
    patiently(lambda: take_up(parts), stop, alive)
    wake = threading.Condition()
    threads = [
        threading.Thread(target=_serve, args=(DeliverySender(name, destination, parts), wake, stop), name=f"to {name}")
        for name, destination in destinations.items()
    ]
    for thread in threads:
        thread.start()
    if parts.forwarding is not None:
        threads.append(threading.Thread(target=_forward, args=(parts.forwarding, wake, stop), name="images"))
        threads[-1].start()
    threads.append(threading.Thread(target=_free, args=(parts, stop), name="lost leases"))
    threads[-1].start()
    while not stop.wait(PLAN_EVERY_S):
        if patiently(lambda: plan_new(parts), stop, alive):
            with wake:
                wake.notify_all()
    with wake:
        wake.notify_all()
    for thread in threads:
        thread.join()


def _serve(sender: DeliverySender, wake: threading.Condition, stop: threading.Event) -> None:
    while not stop.is_set():
        pause_s = patiently(sender.step, stop) or 0.0
        if pause_s:
            with wake:
                wake.wait(pause_s)
    sender.close()


def _free(parts: Delivering, stop: threading.Event) -> None:
    """In a thread of its own: whatever keeps decisions from being planned, what a dead host was sending goes on."""
    while not stop.is_set():
        patiently(lambda: parts.deliveries.free(now=parts.clock.now(), for_s=LEASE_S), stop)
        stop.wait(FREE_EVERY_S)


def _forward(parts: Forwarding, wake: threading.Condition, stop: threading.Event) -> None:
    """In a thread of its own: whatever keeps results from being planned, images go on."""
    while not stop.wait(FORWARD_EVERY_S):
        if patiently(lambda: forward_new(parts), stop):
            with wake:
                wake.notify_all()


def patiently(work: Callable[[], T], stop: threading.Event, alive: Callable[[], None] = lambda: None) -> T | None:
    """What ``work`` returns; while the index is away, and after a fault, it is tried again after a growing pause.

    Args:
        alive: called before each attempt.
    """
    pause_s = AWAY.first_s
    while not stop.is_set():
        alive()
        try:
            return work()
        except Exception as error:  # whatever it is, the others go on
            known = isinstance(error, Transient)
            log.warning("delivery.pass_failed", error=brief(error), exc_info=not known)
            stop.wait(pause_s)
            pause_s = AWAY.next_s(pause_s)
    return None
