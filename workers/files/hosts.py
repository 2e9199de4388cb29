"""Heartbeats of the receiving hosts in the shared folder: a host that stopped beating without saying goodbye is found
by the others, which then write the index rows that died with it."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import secrets
import socket
import time
from collections.abc import Callable
from pathlib import Path

from workers.listing import files_in

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
        self._name = f"{name}.{secrets.token_hex(6)}"
        self._own = folder / f"{self._name}.alive"
        self._monotonic = monotonic
        self._seen: dict[Path, tuple[str, float]] = {}
        self._told: frozenset[Path] = frozenset()
        self._beats, self._numbers = 0, itertools.count()

    def beat(self) -> None:
        """Say that we live."""
        self._beats += 1
        temporary = self._own.with_suffix(".tmp")
        temporary.write_text(f"{os.getpid()} {self._beats}\n", encoding="ascii")
        temporary.replace(self._own)

    def goodbye(self) -> None:
        """Every row of this host is in the index: no other host needs to scan for it."""
        self._own.unlink(missing_ok=True)

    def lost(self) -> int:
        """How many hosts fell silent since the last call; each of them is told once, to one of the others, which holds
        a claim on it until settle(). A claim of a host that is silent or gone itself is as good as a silent host."""
        now = self._monotonic()
        seen: dict[Path, tuple[str, float]] = {}
        for path in [*files_in(self._own.parent, ending=".alive"), *files_in(self._own.parent, ending=".claimed")]:
            host, claimant = _whose(path)
            if path == self._own or claimant == self._name:
                continue
            with contextlib.suppress(OSError):  # what goes wrong here is tried again at the next call
                beat = self._beat_of(claimant or host)
                known, since = self._seen.get(path, ("", now))
                seen[path] = (beat, since if beat == known else now)
        self._seen = seen
        for path in (path for path, (_, since) in seen.items() if now - since > SILENT_S):
            with contextlib.suppress(OSError):  # fails for all but one of those who see it
                path.rename(path.with_name(f"{_whose(path)[0]}@{self._name}.{next(self._numbers)}.claimed"))
        told, self._told = self._told, self.claims()  # what the folder says: a rename over NFS may succeed and fail
        return len(self._told - told)

    def claims(self) -> frozenset[Path]:
        """The lost hosts that we must look after; to be asked for before a scan begins."""
        return frozenset(
            path for path in files_in(self._own.parent, ending=".claimed") if _whose(path)[1] == self._name
        )

    def settle(self, claims: frozenset[Path]) -> None:
        """A scan that began after ``claims`` were made is finished: nobody needs to look after these any more."""
        for path in claims:
            path.unlink(missing_ok=True)

    def _beat_of(self, host: str) -> str:
        try:
            return (self._own.parent / f"{host}.alive").read_text(encoding="ascii", errors="replace")
        except FileNotFoundError:
            return "gone"


def _whose(path: Path) -> tuple[str, str]:
    """(host, who has claimed it or empty) of ``<host>.alive`` or ``<host>@<who>.<number>.claimed``."""
    host, _, rest = path.name.removesuffix(".alive").partition("@")
    return host, rest.removesuffix(".claimed").rpartition(".")[0]
