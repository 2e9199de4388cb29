"""Heartbeats of the receiving hosts in the shared folder: a host that stopped beating without saying goodbye is found by
the others, which then write the index rows that died with it.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import socket
import time
from collections.abc import Callable
from pathlib import Path

BEAT_EVERY_S = 5.0
SILENT_S = 30.0  # several beats; one host too many scanned for costs a scan


class Hosts:
    """One receiving host among those that share ``folder``. No clock is compared with another host's: a silent host is
    one whose file did not change for a while of our own time.

    Args:
        folder: on the shared file system; created when missing.
        monotonic: seconds that only go forward.
    """

    def __init__(self, folder: Path, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        name = re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname())
        self._own = folder / f"{name}.{secrets.token_hex(6)}.alive"
        self._monotonic = monotonic
        self._seen: dict[Path, tuple[str, float]] = {}
        self._beats = 0

    def beat(self) -> None:
        """Say that we live."""
        self._beats += 1
        temporary = self._own.with_suffix(".tmp")
        temporary.write_text(f"{os.getpid()} {self._beats}\n", encoding="ascii")
        temporary.replace(self._own)

    def goodbye(self) -> None:
        """Everything we took is in the index; nobody needs to look after us."""
        self._own.unlink(missing_ok=True)

    def lost(self) -> int:
        """How many hosts fell silent since the last call; each of them is told once, to one of the others."""
        now, found = self._monotonic(), 0
        seen: dict[Path, tuple[str, float]] = {}
        for path in self._own.parent.glob("*.alive"):
            with contextlib.suppress(OSError):
                beat = path.read_text(encoding="ascii", errors="replace")
                known, since = self._seen.get(path, ("", now))
                seen[path] = (beat, since if beat == known else now)
                if path != self._own and now - seen[path][1] > SILENT_S:
                    path.unlink()  # fails for all but one of those who see it
                    found += 1
        self._seen = seen
        return found
