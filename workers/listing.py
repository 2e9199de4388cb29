"""A folder in, its files out. A folder that cannot be read is an error: Path.glob would take it for an empty one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path


def files_in(folder: Path, *, ending: str = "") -> list[Path]:
    """What lies in the folder, in the order of its names, but for names that begin with a dot.

    Args:
        ending: only names that end with it.

    Raises:
        OSError: the folder is not there, or cannot be read now.
    """
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.name.endswith(ending) and not entry.name.startswith(".")]
    return [folder / name for name in sorted(names)]


def files_below(folder: Path, *, unread: Callable[[Path, OSError], object]) -> Iterator[Path]:
    """Whatever is no folder below it, folder by folder, in the order of the names. Links to folders are not followed.

    Args:
        unread: called for each folder that cannot be read.
    """

    def failed(error: OSError) -> None:
        unread(Path(str(error.filename)), error)

    for where, names, files in os.walk(folder, onerror=failed):
        names.sort()
        yield from (Path(where, name) for name in sorted(files))
