"""File system calls of the store: files without a name, names given once, temporary files that no process uses any
more."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import itertools
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from triage.errors import Rejected
from workers.dicom_status import OUT_OF_RESOURCES

PREPARED_FILES = 8  # about as many as there are objects that begin at the same moment; each is an open descriptor

Chunk = bytes | bytearray | memoryview
Name = str | Path  # text where it is made for each received object: a Path costs 5 us


def file_system_of(path: Path) -> str:
    """Type of the file system that holds ``path``, e.g. ``ext4``; empty when the system does not tell."""
    device = path.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    # proc(5): the third field is the device, the type is the first one behind the separator
    types = [line.partition(" - ")[2].split()[0] for line in lines if line.split()[2] == wanted]
    return types[-1] if types else ""


def create_unnamed(folder: Name) -> int:
    """A new file without a name; it is gone when it is closed, or when its process is, unless it was named."""
    return os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o640)


def give_name(fd: int, path: Name) -> None:
    """Name a file that has none.

    Raises:
        FileExistsError: the name is in use.
    """
    # open(2), O_TMPFILE: by way of /proc. The folder's descriptor is not used for an absolute path, but without one
    # Python calls link() instead of linkat(), which does not follow the link in /proc.
    os.link(f"/proc/self/fd/{fd}", path, src_dir_fd=fd, follow_symlinks=True)


def can_name_later(folder: Path, names: Iterator[str]) -> bool:
    """Whether files without a name can be made here, and named afterwards."""
    path = folder / next(names)
    try:
        fd = create_unnamed(folder)
        try:
            give_name(fd, path)
            path.unlink(missing_ok=True)  # a sweep may have taken it for a leftover
        finally:
            os.close(fd)
    except OSError:  # this file system, or no /proc
        return False
    return True


class PreparedFiles:
    """Files without a name for objects that are still to come. Safe for many threads.

    Args:
        folders: in any of which they may get their names.
    """

    def __init__(self, folders: Sequence[str]) -> None:
        self._ready: deque[int] = deque()
        # no way from a file made in one folder to a name in another, when they are on different disks
        self._open = len({Path(folder).stat().st_dev for folder in folders}) == 1
        # ext4 takes the inode from near the folder: all from one place would be slow after many were deleted there
        self._everywhere = itertools.cycle(folders)

    def make(self) -> None:
        """One more, unless there are enough."""
        if self._open and len(self._ready) < PREPARED_FILES:
            with contextlib.suppress(OSError):  # the sender of the object that needs this file gets the error
                self._ready.append(create_unnamed(next(self._everywhere)))

    def take(self, folder: str) -> int:
        """A file without a name, which can be given one in ``folder``: a prepared one, or a new one.

        Raises:
            OSError: the disk is full or fails.
        """
        try:
            return self._ready.popleft()
        except IndexError:
            return create_unnamed(folder)

    def close(self) -> None:
        """Give them back, and make no more."""
        self._open = False
        with contextlib.suppress(IndexError):  # another thread may still take one
            while True:
                os.close(self._ready.popleft())


def beginning(parts: Iterable[Chunk], count: int) -> bytes:
    """The first ``count`` bytes of the parts, or all there are."""
    found = bytearray()
    for part in parts:
        found += memoryview(part)[: count - len(found)]
        if len(found) == count:
            break
    return bytes(found)


def create_locked(folder: Name, names: Iterator[str]) -> tuple[int, Path]:
    """A new temporary file, locked so that no sweep takes it for a leftover."""
    while True:
        path = Path(folder, next(names))
        fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o640)
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(fd).st_nlink:
                return fd, path
        os.close(fd)  # a sweep came between creating and locking it: take the next name


def remove_if_abandoned(path: Path) -> bool:
    """Remove a temporary file that no process holds locked any more; whether it was removed."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()
    except (BlockingIOError, FileNotFoundError):
        return False
    finally:
        os.close(fd)
    return True


def is_the_file(name: Name, fd: int) -> bool:
    """Whether ``name`` is a name of the open file, and not of another file."""
    try:
        return os.path.samestat(Path(name).stat(), os.fstat(fd))
    except OSError:
        return False


def write_all(fd: int, parts: list[Chunk]) -> None:
    """Append all parts; at most IOV_MAX of them."""
    views = [memoryview(part) for part in parts]
    while views:
        written = os.writev(fd, views)
        while views and written >= len(views[0]):
            written -= len(views.pop(0))
        if written:
            views[0] = views[0][written:]


class disk_errors:  # noqa: N801 - reads as a context manager; a generator would cost 2 us at every write
    """Turns errors of the disk into a refusal: the sender keeps the object and may try again."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            reason = "out_of_space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "disk_error"
            raise Rejected(OUT_OF_RESOURCES, reason, str(error.strerror)) from error
