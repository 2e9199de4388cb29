"""The sign of life of one process in, whether it has been silent for too long out: stopped, wedged or in a deadlock.

No clock is compared. The watcher counts its own seconds, and only those in which it looked: after a pause of the whole
machine nobody is blamed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

# The health check names a process after 60 s, and a worker ends its own silent child by then.
LONGEST_SILENCE_S = 90.0
# Before the first sign, and after the last one of an orderly end: libraries load, a database is waited for.
LONGEST_START_S = 300.0
LONGEST_LOOK_S = 1.0  # counted for one look


class SilenceWatch:
    """Looked at every fraction of a second.

    Args:
        path: of the sign of life, see workers.heartbeat.heartbeat_file.
        monotonic: seconds that only go forward.
    """

    def __init__(self, path: Path, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._path, self._monotonic = path, monotonic
        self.begin()

    def begin(self) -> None:
        """A process starts. The file of its predecessor is no sign of it."""
        self._sign, self._signed = self._written(), False
        self.forgive()

    def forgive(self) -> None:
        """Count from now on: the silence had another cause."""
        self._silent_s, self._looked = 0.0, self._monotonic()

    def look(self) -> float:
        """Seconds of silence."""
        now, sign = self._monotonic(), self._written()
        self._silent_s += min(now - self._looked, LONGEST_LOOK_S)
        self._looked = now
        if sign != self._sign:
            self._sign, self._signed, self._silent_s = sign, sign is not None, 0.0
        return self._silent_s

    @property
    def too_long(self) -> bool:
        return self._silent_s > (LONGEST_SILENCE_S if self._signed else LONGEST_START_S)

    def _written(self) -> int | None:
        try:
            return self._path.stat().st_mtime_ns
        except OSError:
            return None
