"""A node whose processes together get no more memory than a limit: a memory cgroup, version 1 or 2, made by root."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.node import Node

CGROUPS = Path("/sys/fs/cgroup")
GIB = 1 << 30
MIB = 1 << 20


@dataclass(frozen=True)
class MemoryLimit:
    """folder: of the cgroup; limit, peak: names of its files."""

    folder: Path
    peak: str

    @property
    def peak_mib(self) -> int | None:
        with suppress(OSError, ValueError):
            return int((self.folder / self.peak).read_text()) // MIB
        return None

    @property
    def killed(self) -> int:
        """Processes that the kernel ended for want of memory."""
        for name in ("memory.oom_control", "memory.events"):
            with suppress(OSError):
                words = (self.folder / name).read_text().split()
                return int(dict(zip(words[::2], words[1::2], strict=False)).get("oom_kill", 0))
        return 0


@contextmanager
def memory_limit(limit_bytes: int) -> Iterator[MemoryLimit | None]:
    """A cgroup; None: this machine does not let us make one."""
    found = _made(limit_bytes)
    try:
        yield found
    finally:
        if found is not None:
            with suppress(OSError):
                found.folder.rmdir()


def _made(limit_bytes: int) -> MemoryLimit | None:
    for place, limit, peak in (
        (CGROUPS / "memory", "memory.limit_in_bytes", "memory.max_usage_in_bytes"),
        (CGROUPS, "memory.max", "memory.peak"),
    ):
        folder = place / f"icansee-bench-{os.getpid()}"
        with suppress(OSError):
            folder.mkdir()
            if (folder / limit).exists():
                (folder / limit).write_text(str(limit_bytes))
                return MemoryLimit(folder, peak)
            folder.rmdir()
    return None


class LimitedNode(Node):
    """``icansee serve`` and everything that it starts, inside the limit."""

    limit: MemoryLimit | None = None

    def command(self, *arguments: str) -> list[str]:
        plain = super().command(*arguments)
        if self.limit is None or arguments[0] != "serve":
            return plain
        return ["sh", "-c", 'echo $$ > "$0"; exec "$@"', str(self.limit.folder / "cgroup.procs"), *plain]
