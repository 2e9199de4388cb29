"""Limits of one peer that hold over all its associations: places to hold and a pace to keep.

A place is a locked file, so that the limit counts over all receiving processes and a dead one gives its places back.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path


def take_place(folder: Path, name: str, places: int) -> int | None:
    """A free place among ``places`` of ``name``: a descriptor to close when the place is given back; None: all taken.

    Raises:
        OSError: no descriptor or lock is left, or the disk is full.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # the name comes from outside: only a digest of it becomes a file name
    stem = hashlib.sha256(name.encode()).hexdigest()[:16]
    for number in range(places):
        fd = os.open(folder / f"{stem}.{number}", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            continue
        except OSError:
            os.close(fd)
            raise
        return fd
    return None


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
