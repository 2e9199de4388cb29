"""A folder in, its files received out. Files are moved in, taken when they stop changing, and removed when they are
stored.

Links, devices and pipes are never opened: they are moved aside by their name. What is refused lies in ``refused/``
beside a file that says why.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from listener.intake.taking import FileTaker, Taken
from triage.errors import Misconfigured
from workers.archives import START_BYTES, advice, archive_kind
from workers.audit.messages import RemoteNode
from workers.audit.spool import Auditor, NoAudit
from workers.log import brief, get_logger
from workers.settings import NodeSettings

log = get_logger(__name__)

REFUSED = "refused"
SENDER = "DROPFOLDER"
READ_BYTES = 1 << 20
CUT_WAIT_S = 600.0  # a copy that stalls for longer inside an element has broken off
MOST_FILES = 2000  # of one look that wait to be tried first; the others have their turn at the next
MOST_FOLDERS = 16  # within each other
DICOMDIR = "1.2.840.10008.1.3.10"  # Media Storage Directory Storage
ZEROS = "the file begins with zeros only: its copy broke off"
DIRECTORY = "it is a DICOMDIR, a list of the files beside it: they are taken without it"
REASON_NAME = ".reason.txt"
LONGEST_NAME = 200  # bytes; a file system allows 255, the endings of the names here need some

Mark = tuple[int, int, int]
"""Inode, size, time of change: other than before when somebody wrote to the file."""


@dataclass(frozen=True)
class _Seen:
    """A file that lies there. since_s: when it was first as it is. waits: it was tried and stays; it keeps no
    place from files that were not. cut: it was cut short, and why."""

    mark: Mark
    since_s: float
    waits: bool = False
    cut: str | None = None


class DropFolder:
    """``look`` again and again.

    Args:
        taker: makes the taker of one look.
        settle_s: a file that did not change for this long is complete, unless it ends inside an element.
    """

    def __init__(
        self,
        folder: Path,
        taker: Callable[[], FileTaker],
        *,
        settle_s: float,
        auditor: Auditor | None = None,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder, self._taker, self._settle_s, self._now_s = folder, taker, settle_s, now_s
        self._auditor = auditor or NoAudit()
        self._seen: dict[Path, _Seen] = {}
        self._unread: set[Path] = set()
        """Folders that could not be read at the last look: each is logged once."""

    def look(self) -> int:
        """Take what is complete; how many files were stored.

        Raises:
            OSError: the folder cannot be read.
        """
        taker, stored, young = self._taker(), 0, 0
        seen: dict[Path, _Seen] = {}
        unread, self._unread = self._unread, set()
        for path, status in self._files(self._folder, MOST_FOLDERS, unread):
            if young >= MOST_FILES:
                break
            file = self._seen_now(path, _mark(status))
            if self._now_s() - file.since_s < (self._settle_s if file.cut is None else CUT_WAIT_S):
                seen[path] = file
                young += not file.waits
                continue
            try:
                left = self._take(path, status, file, taker)
            except OSError as error:  # one file that cannot be read holds up no other
                left = replace(file, since_s=self._now_s(), waits=True)
                if not file.waits:  # once: it is tried at every look
                    log.warning("drop.not_taken", error=brief(error))
            if left is not None:
                seen[path] = left
        self._seen = seen
        stored = taker.tally.instances
        for transfer in taker.tally.studies.values():
            self._auditor.transferred(RemoteNode(SENDER, "127.0.0.1"), transfer, complete=True)
        return stored

    def _seen_now(self, path: Path, mark: Mark) -> _Seen:
        before = self._seen.get(path)
        return before if before is not None and before.mark == mark else _Seen(mark, self._now_s())

    def _files(self, folder: Path, depth: int, unread: Collection[Path]) -> Iterator[tuple[Path, os.stat_result]]:
        """Whatever is no folder, with its state; names that begin with a dot are still being written."""
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
        for entry in found:
            path = Path(entry.path)
            if entry.name.startswith(".") or (folder == self._folder and entry.name == REFUSED):
                continue
            if entry.is_dir(follow_symlinks=False):
                if depth > 0:
                    yield from self._files_within(path, depth - 1, unread)
                    with suppress(OSError):  # not empty, or somebody is about to use it
                        if abs(time.time() - path.stat().st_mtime) > self._settle_s:
                            path.rmdir()
                else:
                    self._not_read(path, unread, f"more than {MOST_FOLDERS} folders within each other")
                continue
            with suppress(FileNotFoundError):
                yield path, entry.stat(follow_symlinks=False)

    def _files_within(
        self, folder: Path, depth: int, unread: Collection[Path]
    ) -> Iterator[tuple[Path, os.stat_result]]:
        try:
            yield from self._files(folder, depth, unread)
        except FileNotFoundError:  # taken away meanwhile
            return
        except OSError as error:
            self._not_read(folder, unread, brief(error))

    def _not_read(self, folder: Path, before: Collection[Path], why: str) -> None:
        self._unread.add(folder)
        if folder not in before:
            log.warning("drop.folder_not_read", error=why)

    def _take(self, path: Path, status: os.stat_result, file: _Seen, taker: FileTaker) -> _Seen | None:
        """The file as it stays; None: it is stored or set aside."""
        if not stat.S_ISREG(status.st_mode):
            self._set_aside(path, "it is a link, a device or a pipe: only plain files are taken")
            return None
        if file.cut is not None:
            self._set_aside(path, file.cut)
            return None
        taken = self._read(path, file.mark, taker)
        if taken is None or (taken.reason is None and _mark(path.stat(follow_symlinks=False)) != file.mark):
            return _Seen(file.mark, self._now_s())  # somebody writes to it: what comes is taken, too
        if taken.reason is None:
            path.unlink(missing_ok=True)
            return None
        return self._refused(path, taken, taken.reason, file)

    def _refused(self, path: Path, taken: Taken, reason: str, file: _Seen) -> _Seen | None:
        if taken.was_cut:
            return replace(file, waits=True, cut=reason)
        if taken.again:
            return replace(file, since_s=self._now_s(), waits=True)
        start = self._start(path)
        if start and not any(start):  # some copies make room for the whole file first
            return replace(file, waits=True, cut=ZEROS)
        archive = archive_kind(start)
        said = DIRECTORY if taken.sop_class_uid == DICOMDIR else reason
        self._set_aside(path, said if archive is None else advice(archive))
        return None

    @staticmethod
    def _read(path: Path, mark: Mark, taker: FileTaker) -> Taken | None:
        """None: it changed while it was read."""
        # O_NONBLOCK: should a pipe have taken the file's place, opening it must not wait for its other end
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise OSError("it is not a plain file any more")
            with taker.begin() as file:
                while not file.is_refused and (piece := os.read(fd, READ_BYTES)):
                    file.write(piece)
                return file.end() if _mark(os.fstat(fd)) == mark else None
        finally:
            os.close(fd)

    @staticmethod
    def _start(path: Path) -> bytes:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            return os.read(fd, START_BYTES)
        finally:
            os.close(fd)

    def _set_aside(self, path: Path, reason: str) -> None:
        aside = self._folder / REFUSED
        aside.mkdir(exist_ok=True)
        name = os.fsencode(path.name)[:LONGEST_NAME].decode(errors="ignore") or "file"
        target = aside / name
        number = 1
        while os.path.lexists(target) or os.path.lexists(f"{target}{REASON_NAME}"):
            number += 1
            target = aside / f"{name}.{number}"
        path.rename(target)
        Path(f"{target}{REASON_NAME}").write_text(f"{reason}\n", encoding="utf-8")
        log.warning("drop.refused", reason=reason)


def _mark(status: os.stat_result) -> Mark:
    return status.st_ino, status.st_size, status.st_mtime_ns


def drop_folder(settings: NodeSettings, taker: Callable[[], FileTaker], auditor: Auditor) -> DropFolder:
    """The folder of ``store.drop_dir``, made when it is missing.

    Raises:
        Misconfigured: it cannot be used, or lies in the state folder or around it.
    """
    folder, state = settings.store.drop_dir, settings.store.state_dir.absolute().resolve()
    if folder is None:
        raise Misconfigured("store.drop_dir: not set")
    folder = folder.absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        inside = folder.resolve()
    except OSError as error:
        raise Misconfigured(f"store.drop_dir: {folder} cannot be used ({error.strerror})") from error
    if inside.is_relative_to(state) or state.is_relative_to(inside):
        raise Misconfigured("store.drop_dir: a folder apart from store.state_dir is needed: what lies in it is removed")
    return DropFolder(inside, taker, settle_s=settings.store.drop_settle_s, auditor=auditor)
