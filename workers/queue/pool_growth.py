"""A worker whose children are all busy while a study waits in, one more child out; one that is idle for long ends.

Studies that hang occupy every child until the time limit. Nobody can tell a long call of a library from an endless one,
so that an urgent study gets a child of its own instead of waiting to find out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import Any

from celery import Celery, bootsteps
from celery.worker import state

from workers.log import get_logger
from workers.queue.pool_life import MAIN_LOOP, POOL

log = get_logger(__name__)

LOOK_EVERY_S = 1.0
BUSY_S = 2.0  # a study that has just begun may be done soon
IDLE_S = 120.0  # a child costs 0.4 GB, and a new one some seconds


class PoolGrowth:
    """When a pool of at least one child grows and shrinks.

    Args:
        most: further children at most.
    """

    def __init__(self, most: int, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._most, self._monotonic = most, monotonic
        self._idle_since: float | None = None
        self._begun: dict[str, float] = {}
        self.further = 0

    def turn(self, running: Collection[str], children: int, waiting: Callable[[], int]) -> int:
        """1: start a child, -1: end one, 0: leave them.

        Args:
            running: names of the tasks that children work on.
            children: how many there are.
            waiting: how many studies nobody took; asked only when it matters.
        """
        now = self._monotonic()
        self._begun = {name: self._begun.get(name, now) for name in running}
        if len(running) < children:
            self._idle_since = now if self._idle_since is None else self._idle_since
            if self.further and now - self._idle_since > IDLE_S:
                self.further, self._idle_since = self.further - 1, now
                return -1
            return 0
        self._idle_since = None
        busy = all(now - begun >= BUSY_S for begun in self._begun.values())
        if busy and self.further < self._most and waiting():
            self.further += 1
            return 1
        return 0


def grow_when_busy(app: Celery, queue: str, most: int) -> None:
    """Have the main loop of the worker start further children while all are busy and a message waits in ``queue``."""
    growth = PoolGrowth(most)

    class Grow(bootsteps.StartStopStep):  # type: ignore[misc] # celery has no types
        requires = frozenset({MAIN_LOOP, POOL})

        def start(self, worker: Any) -> None:
            worker.timer.call_repeatedly(LOOK_EVERY_S, lambda: _look(worker, growth, queue), priority=10)

    app.steps["worker"].add(Grow)


def _look(worker: Any, growth: PoolGrowth, queue: str) -> None:
    consumer = getattr(worker, "consumer", None)
    if consumer is None or getattr(consumer, "qos", None) is None:
        return  # it starts, or waits for the broker
    running = {str(one.id) for one in state.active_requests}
    change = growth.turn(running, worker.pool.num_processes, lambda: _waiting(consumer, queue))
    if change == 0:
        return
    log.warning("worker.pool_changed", children=worker.pool.num_processes + change, running=len(running))
    try:
        worker.pool.grow(1) if change > 0 else worker.pool.shrink(1)
    except ValueError:  # all of them are busy by now
        growth.further += 1
        return
    consumer._update_prefetch_count(change)  # as Celery's own control command pool_grow
    worker.pool.maintain_pool()


def _waiting(consumer: Any, queue: str) -> int:
    try:
        return int(consumer.task_consumer.channel._size(queue))  # kombu asks a broker for nothing else
    except (*consumer.connection_errors, AttributeError):
        return 0  # the broker is away, and nothing can be taken from it
