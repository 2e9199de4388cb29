"""Named parts of a piece of work in, their seconds out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Stopwatch:
    """Seconds per named part. They are reported only: no decision of the core depends on time."""

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self.parts_s: dict[str, float] = {}
        self._now = now

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        started = self._now()
        yield
        self.parts_s[name] = self.parts_s.get(name, 0.0) + self._now() - started
