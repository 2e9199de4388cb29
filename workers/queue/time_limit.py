"""Tasks that take too long in, an end of them out. Time in which a task waits for a processor is not its own.

On a busy machine a harmless study takes many times as long, and must not be quarantined for it. What hangs in a call,
asleep or not, waits for no processor: it is ended at the limit. Celery's own limit stands behind, for a machine that
gives no processor at all, or does not tell.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from celery import Celery, bootsteps

from workers.log import get_logger
from workers.queue.pool_life import MAIN_LOOP, POOL
from workers.reading.child import waited_for_processor_s

log = get_logger(__name__)

LOOK_EVERY_S = 1.0


class TaskTimes:
    """How long each running task has taken, without its waits for a processor.

    Args:
        waited_s: for how long a process could have run and did not, since its start.
    """

    def __init__(
        self,
        limit_s: float,
        *,
        waited_s: Callable[[int], float] = waited_for_processor_s,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit_s, self._waited_s, self._monotonic = limit_s, waited_s, monotonic
        self._begun: dict[tuple[Any, int], tuple[float, float]] = {}

    def over(self, running: Mapping[Any, int]) -> list[Any]:
        """The tasks whose time is over.

        Args:
            running: task -> the process that works on it.
        """
        now = self._monotonic()
        waited = {pid: self._waited_s(pid) for pid in running.values()}
        self._begun = {one: self._begun.get(one, (now, waited[one[1]])) for one in running.items()}
        return [
            task
            for (task, pid), (begun, before) in self._begun.items()
            if now - begun - (waited[pid] - before) > self._limit_s
        ]


def limit_tasks(app: Celery, limit_s: float) -> None:
    """Have the main loop of the worker end the process of each task whose time is over."""
    times = TaskTimes(limit_s)

    class Limit(bootsteps.StartStopStep):  # type: ignore[misc] # celery has no types
        requires = frozenset({MAIN_LOOP, POOL})

        def start(self, worker: Any) -> None:
            worker.timer.call_repeatedly(LOOK_EVERY_S, lambda: _look(worker, times), priority=10)

    app.steps["worker"].add(Limit)


def _look(worker: Any, times: TaskTimes) -> None:
    pool = getattr(getattr(worker, "pool", None), "_pool", None)
    if pool is None:
        return  # it starts, or ends
    jobs = dict(pool._cache)
    running = {number: job._worker_pid for number, job in jobs.items() if getattr(job, "_worker_pid", None)}
    for number in times.over(running):
        log.error("worker.time_limit", child=running[number])
        pool.on_hard_timeout(jobs[number])  # as Celery's own limit: the task fails, and its process ends
