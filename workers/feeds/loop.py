"""What waits of every feed in, facts in the index out, again and again: at once after a message, and every second."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from triage.errors import Transient
from workers.backoff import Backoff
from workers.log import brief, get_logger

log = get_logger(__name__)

EVERY_S = 1.0
LONGEST_PAUSE_S = 30.0


@dataclass(frozen=True)
class Job:
    """One thing that is done again and again. work: returns how many facts it applied."""

    name: str
    work: Callable[[], int]
    every_s: float = EVERY_S


class Loop:
    """Runs the jobs in one thread, so that facts are applied one after the other. A job that fails waits ever longer,
    and does not hold up the others."""

    def __init__(self, jobs: Sequence[Job], *, alive: Callable[[], None]) -> None:
        self._jobs = jobs
        self._alive = alive
        self._next = dict.fromkeys((job.name for job in jobs), 0.0)
        self._pause_s = {job.name: job.every_s for job in jobs}
        self._woken = threading.Event()

    def wake(self, name: str) -> None:
        """Do this job now, unless it has just failed."""
        job = next(job for job in self._jobs if job.name == name)
        if self._pause_s[name] <= job.every_s:
            self._next[name] = 0.0
        self._woken.set()

    def run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            self._alive()
            for job in self._jobs:
                if time.monotonic() >= self._next[job.name]:
                    self._do(job)
            self._woken.wait(min(EVERY_S, 0.2))
            self._woken.clear()

    def _do(self, job: Job) -> None:
        pauses = Backoff(job.every_s, max(LONGEST_PAUSE_S, job.every_s))
        pause_s = job.every_s
        try:
            # before the work: what comes during it is looked at again
            self._next[job.name] = time.monotonic() + job.every_s
            applied = job.work()
            if applied:
                log.info("feeds.applied", feed=job.name, messages=applied)
        except Exception as error:  # whatever it is, the other feeds go on
            pause_s = pauses.next_s(self._pause_s[job.name])
            known = isinstance(error, Transient)
            log.warning("feeds.not_applied", feed=job.name, error=brief(error), exc_info=not known, again_in_s=pause_s)
            self._next[job.name] = time.monotonic() + pause_s
        self._pause_s[job.name] = pause_s
