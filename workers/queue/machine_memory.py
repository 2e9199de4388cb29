"""The memory that the processes of this container or service may take together, by the control groups of Linux."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

GROUPS = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")
# version 1 states "no limit" as the largest multiple of a page that it can hold
NO_LIMIT_BYTES = 1 << 60


def memory_of_group(*, groups: Path = GROUPS, own: Path = OWN) -> int | None:
    """The smallest limit of this process's memory group and those above it, in bytes; None: there is none."""
    found = []
    for file in _files(groups, own):
        with suppress(OSError, ValueError):  # "max", or a kernel without this file
            found.append(int(file.read_text(encoding="ascii")))
    return min((limit for limit in found if limit < NO_LIMIT_BYTES), default=None)


def _files(groups: Path, own: Path) -> Iterator[Path]:
    try:
        lines = own.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        number, controllers, path = (*line.split(":", 2), "", "")[:3]
        if "memory" in controllers.split(","):
            folder, name = groups / "memory", "memory.limit_in_bytes"
        elif number == "0" and not controllers:
            folder, name = groups, "memory.max"
        else:
            continue
        place = PurePosixPath(path.lstrip("/"))
        # inside a container the path may be that of the host: the root is its own group there
        for part in (place, *place.parents):
            yield folder / part / name
