"""Senders that work at the same time in; who goes first when the processor is scarce out.

All senders share one process. A destination that is slow, or fails, has a queue that never ends, and each attempt costs
the processor as much as one that succeeds. Without an order its attempts delay those of a destination that answers at
once. So a sender whose receiver cost more time lately waits, for a moment, for those whose receivers cost less.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

LONGEST_WAIT_S = 0.25  # nobody waits longer for others: a destination that is always busy holds up no other
FAILED_S = 1.0  # a failed attempt counts as this long
MEMORY = 0.2  # weight of the newest attempt
CLEARLY = 2.0  # only who costs this many times more gives way


class Turns:
    """Shared by the senders of one process. Safe to share between threads."""

    def __init__(self, longest_wait_s: float = LONGEST_WAIT_S) -> None:
        self._longest_wait_s = longest_wait_s
        self._changed = threading.Condition()
        self._cost_s: dict[str, float] = {}
        self._working: dict[str, float] = {}

    @contextmanager
    def turn(self, name: str) -> Iterator[None]:
        """The time of one attempt: it begins when no cheaper sender is at work, or after the longest wait."""
        with self._changed:
            own = self._cost_s.get(name, 0.0)
            self._changed.wait_for(lambda: not self._gives_way(own), self._longest_wait_s)
            self._working[name] = own
        try:
            yield
        finally:
            with self._changed:
                del self._working[name]
                self._changed.notify_all()

    def note(self, name: str, began: float, *, failed: bool) -> None:
        """What an attempt cost. began: ``time.monotonic()`` before the receiver was asked."""
        newest = FAILED_S if failed else time.monotonic() - began
        with self._changed:
            self._cost_s[name] = (1 - MEMORY) * self._cost_s.get(name, newest) + MEMORY * newest

    def _gives_way(self, own: float) -> bool:
        return any(cost * CLEARLY < own for cost in self._working.values())
