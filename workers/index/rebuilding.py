"""An index that was lost in, a mark beside the images out: it is filled again, and nothing is decided meanwhile."""

from __future__ import annotations

import contextlib
import os
from datetime import UTC, datetime
from pathlib import Path

KEPT = {"store": 2, "results": 1, "facts": 1}  # beside the index: folders, and how deep their files lie
MISSING = "was not there at the start"


def rebuilding_mark(files_dir: Path) -> Path:
    """Lies there while the index is being filled again; nothing is decided meanwhile."""
    return files_dir.absolute() / "index.rebuilding"


def rebuilding_since(files_dir: Path) -> int | None:
    """Tells one mark from a later one; None: there is none."""
    try:
        return rebuilding_mark(files_dir).stat().st_mtime_ns
    except OSError:
        return None


def is_rebuilding(files_dir: Path) -> bool:
    """True also while the disk does not tell: nothing is decided then."""
    try:
        rebuilding_mark(files_dir).stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def mark_rebuilding(files_dir: Path, why: str) -> None:
    """Unless the store is empty, and there is nothing to fill the index from. why: what happened to the index."""
    if any(_holds_something(files_dir / name, depth) for name, depth in KEPT.items()):
        mark = rebuilding_mark(files_dir)
        mark.touch()
        with contextlib.suppress(OSError):  # the disk is full: there is room for a name, and that counts
            mark.write_text(why, encoding="utf-8")


def note_rebuilt(files_dir: Path) -> None:
    """The index is whole again. Why it had to be filled is kept."""
    with contextlib.suppress(FileNotFoundError):
        rebuilding_mark(files_dir).replace(_rebuilt(files_dir))


def last_rebuilt(files_dir: Path) -> tuple[str, datetime] | None:
    """What happened to the index the last time that it was filled again, and when that was done; None: never."""
    path = _rebuilt(files_dir)
    try:
        return path.read_text(encoding="utf-8") or MISSING, datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except (OSError, ValueError):
        return None


def _rebuilt(files_dir: Path) -> Path:
    return files_dir.absolute() / "index.rebuilt"


def _holds_something(folder: Path, depth: int) -> bool:
    """True also for a folder that cannot be read now: Path.glob would take it for an empty one."""
    try:
        with os.scandir(folder) as entries:
            return any(depth == 1 or _holds_something(Path(entry.path), depth - 1) for entry in entries)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
