"""Refused connections in, few log lines out: one a minute for an address and a reason, with a count."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from workers.log import get_logger

log = get_logger(__name__)

EVERY_S = 60.0
MOST_ADDRESSES = 1000  # an attacker may have many: the oldest are forgotten, then logged anew


@dataclass
class _Said:
    at_s: float
    left_out: int = 0


class RefusalLog:
    """Safe for many threads.

    Args:
        event: name of the lines.
        now: a monotonic clock in seconds.
    """

    def __init__(self, event: str, now: Callable[[], float] = time.monotonic) -> None:
        self._event, self._now = event, now
        self._lock = threading.Lock()
        self._said: OrderedDict[tuple[str, str], _Said] = OrderedDict()

    def refused(self, address: str, reason: str, **facts: str) -> None:
        """Log a refusal, unless the same one was logged less than a minute ago: then it is counted."""
        left_out = self._to_say(address, reason)
        if left_out is not None:
            more = {"left_out": left_out} if left_out else {}
            log.warning(self._event, reason=reason, address=address, **facts, **more)

    def _to_say(self, address: str, reason: str) -> int | None:
        """How many were left out since the last line; None: nothing is said now."""
        key, now_s = (address, reason), self._now()
        with self._lock:
            said = self._said.get(key)
            if said is not None and now_s - said.at_s < EVERY_S:
                said.left_out += 1
                return None
            self._said[key] = _Said(now_s)
            self._said.move_to_end(key)
            while len(self._said) > MOST_ADDRESSES:
                self._said.popitem(last=False)
            return 0 if said is None else said.left_out
