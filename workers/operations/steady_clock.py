"""Whether the clock of this machine goes as time passes: nothing is deleted by age just after it has leapt.

What was seen last is in a file, so that a leap counts over restarts. The seconds since the start of the machine only go
forward. After a start of the machine they say nothing about how long it was off.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from workers.log import brief, get_logger

log = get_logger(__name__)

LEAP = timedelta(hours=1)  # a clock that is set by less changes no age that matters
STEADY = timedelta(days=1)  # so long the clock must have gone evenly; somebody sets a wrong one right within a day


@dataclass(frozen=True)
class _Seen:
    """At one look: the time, the seconds since the start of the machine, and since when the clock goes evenly."""

    at: datetime
    running_s: float
    since: datetime


class SteadyClock:
    """Of one machine.

    Args:
        file: keeps what was seen last. On the machine's own disk: the seconds are its own.
    """

    def __init__(
        self,
        file: Path,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        running_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._file, self._now, self._running_s = file, now, running_s

    def is_steady(self) -> bool:
        """Look at the clock; whether it has gone evenly for a day. The very first look believes it."""
        now, running_s = self._now(), self._running_s()
        try:
            seen = self._read()
        except FileNotFoundError:
            seen = _Seen(now, running_s, now - STEADY)
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.error("clock.file_not_readable", error=brief(error))
            seen = _Seen(now, running_s, now)
        since = seen.since
        if _has_leapt(seen, now, running_s):
            log.warning("clock.leapt", seconds=round((now - seen.at).total_seconds()))
            since = now
        self._write(_Seen(now, running_s, since))
        return now - since >= STEADY

    def _read(self) -> _Seen:
        said = json.loads(self._file.read_text(encoding="ascii"))
        at, since = datetime.fromisoformat(said["at"]), datetime.fromisoformat(said["since"])
        return _Seen(at, float(said["running_s"]), since)

    def _write(self, seen: _Seen) -> None:
        """When this fails the next look compares with what was seen before."""
        said = {"at": seen.at.isoformat(), "running_s": seen.running_s, "since": seen.since.isoformat()}
        temporary = self._file.with_name(f".{self._file.name}.{os.getpid()}")
        try:
            temporary.write_text(json.dumps(said), encoding="ascii")
            temporary.replace(self._file)
        except OSError as error:
            log.warning("clock.not_kept", error=brief(error))


def _has_leapt(seen: _Seen, now: datetime, running_s: float) -> bool:
    passed = now - seen.at
    if running_s >= seen.running_s:
        return abs(passed - timedelta(seconds=running_s - seen.running_s)) > LEAP
    return not -LEAP < passed < STEADY - LEAP  # the machine was started meanwhile
