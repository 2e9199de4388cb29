"""The pace that one peer has to keep over all its associations: events in, waiting out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Pace:
    """At most so many events a second over any stretch; up to one second's worth may come at once.

    Args:
        per_s: events per second.
        now, sleep: the clock.
    """

    def __init__(
        self, per_s: float, *, now: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._per_s, self._now, self._sleep = per_s, now, sleep
        self._lock = threading.Lock()
        self._left, self._at = max(1.0, per_s), now()

    def keep(self) -> float:
        """Wait until one more event is allowed; how long it took, in seconds."""
        with self._lock:
            now = self._now()
            self._left = min(max(1.0, self._per_s), self._left + (now - self._at) * self._per_s) - 1.0
            self._at = now
            wait_s = max(0.0, -self._left / self._per_s)
        if wait_s:
            self._sleep(wait_s)
        return wait_s
