"""The delivery process: plans what was decided, and lets every destination's sender work in a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TypeVar

from triage.errors import Transient
from workers.backoff import Backoff
from workers.deliveries.escalation import earlier_escalations
from workers.deliveries.plan import PlanFacts, destination_names, planned
from workers.deliveries.sending import LEASE_S, Delivering, DeliverySender
from workers.delivery_ports import Destination
from workers.log import brief, get_logger

log = get_logger(__name__)

PLAN_EVERY_S = 0.2
AT_ONCE = 100  # decisions planned in one pass
FREE_EVERY_S = 10.0
T = TypeVar("T")
AWAY = Backoff(0.5, 10.0)  # while the index is away


def plan_new(parts: Delivering) -> int:
    """Plan what has no plan yet, the oldest decision first; how many decisions that were.

    Raises:
        Transient: the index is away.
    """
    if not parts.results.destinations:
        return 0  # decisions stay without a plan until somebody wants them
    waiting = parts.deliveries.unplanned(limit=AT_ONCE)
    if not waiting:
        return 0
    known = {one.name: one for one in parts.deliveries.all_known()}
    for decision in waiting:
        uid = decision.decided.study_instance_uid
        facts = PlanFacts(
            known,
            earlier_escalations(parts.deliveries, parts.results, uid),
            parts.deliveries.acknowledged(uid),
            parts.wanted(decision.decided),
        )
        some = planned(decision, parts.results, facts)
        parts.deliveries.plan(decision.decided, some, now=parts.clock.now())
    return len(waiting)


def take_up(parts: Delivering) -> None:
    """Make the destinations known, and take up what this process was sending when it died.

    Raises:
        Transient: the index is away.
    """
    now = parts.clock.now()
    parts.deliveries.register(destination_names(parts.results), since=now - timedelta(seconds=parts.results.backfill_s))
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
    patiently(lambda: take_up(parts), stop)
    wake = threading.Condition()
    threads = [
        threading.Thread(target=_serve, args=(DeliverySender(name, destination, parts), wake, stop), name=f"to {name}")
        for name, destination in destinations.items()
    ]
    for thread in threads:
        thread.start()
    next_free = 0.0
    while not stop.wait(PLAN_EVERY_S):
        alive()
        if patiently(lambda: plan_new(parts), stop):
            with wake:
                wake.notify_all()
        if time.monotonic() >= next_free:
            patiently(lambda: parts.deliveries.free(now=parts.clock.now(), for_s=LEASE_S), stop)
            next_free = time.monotonic() + FREE_EVERY_S
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


def patiently(work: Callable[[], T], stop: threading.Event) -> T | None:
    """What ``work`` returns; while the index is away, and after a fault, it is tried again after a growing pause."""
    pause_s = AWAY.first_s
    while not stop.is_set():
        try:
            return work()
        except Exception as error:  # whatever it is, the others go on
            known = isinstance(error, Transient)
            log.warning("delivery.pass_failed", error=brief(error), exc_info=not known)
            stop.wait(pause_s)
            pause_s = AWAY.next_s(pause_s)
    return None
