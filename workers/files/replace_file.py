"""A file written under its name: whole or not at all, even when several processes do it at once."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


def write_whole(path: Path, write: Callable[[Path], object]) -> Path:
    """Write under a hidden name with the same suffixes (a format may follow from them), then rename.

    Raises:
        OSError: the file system fails; what was there before is still there.
    """
    growing = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        write(growing)
        growing.replace(path)
    finally:
        growing.unlink(missing_ok=True)
    return path
