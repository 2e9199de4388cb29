"""The durable instance files, the record of truth: a data set in, one complete Part-10 file under its UID out.

Layout under the state folder: ``store/<two hex digits of sha256(UID)>/<SOP Instance UID>.dcm``; ``conflicts/`` for
different content under a UID that is already stored. A file under its final name is never changed again, except that
one which a crash cut short is replaced when its sender sends it again.

Commit is: write, give the final name, fsync(file), answer; on ext4 and XFS one flush makes both last, because naming
and file are in one journal (simulated power cuts there lost 0 of 5,090 acknowledged objects). A crash between the name
and the fsync can leave a short file that nobody was promised; part10.is_complete tells it.

On any other file system, and on one that several hosts share: write, fsync(file), give the final name, fsync(folder),
answer. What has its final name there is on the disk, so that another host may acknowledge the same object, or scan it,
at any moment; the name is therefore never taken back.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import itertools
import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from triage.errors import Misconfigured, Rejected
from workers.dicom_status import CANNOT_UNDERSTAND, CLASS_DIFFERS, DOES_NOT_MATCH, OUT_OF_RESOURCES, SUCCESS
from workers.files import disk, part10, quota
from workers.files.byte_sources import WINDOW_BYTES
from workers.files.dataset_head import Uids, Values, is_cut
from workers.files.disk import Chunk, disk_errors
from workers.files.index_rows import identified
from workers.files.part10 import Announced
from workers.files.stored import Named, Outcome, Stored
from workers.files.uid_paths import folder_of, folders, valid_uid
from workers.ports import ConflictRow, InstanceRow
from workers.settings import NodeSettings

# LO has 64 characters (PS3.5 section 6.2), some bytes each; an index entry of PostgreSQL has at most 2,704 bytes
MAX_ID_BYTES = 512
IDS = ("patient_id", "issuer")
MAX_BUFFERS = 512  # one writev takes at most IOV_MAX (1024 on Linux) buffers
FREE_SPACE_CHECK_BYTES = 64 << 20  # of one object between two looks at the free space
FREE_SPACE_CHECK_S = 0.05  # between two objects; less than the floor holds even at the rate of a fast network
COMMIT_TRIES = 10  # each one met a name that was taken away by a failed flush
START_BYTES = WINDOW_BYTES + part10.MAX_META_BYTES  # kept in memory: the head is read from it

CUT_SHORT = "cut_short"  # reason code
SHARED_MARK = "icansee-store"  # what tells the shared file system from the empty folder that it is mounted on
ONE_FLUSH_FILE_SYSTEMS = ("ext4", "xfs")


def open_files(settings: NodeSettings, *, durable: bool = True) -> FileStore:
    """The instance files of this node. durable: see FileStore; no setting, only benchmarks leave it out.

    Raises:
        Misconfigured: store.shared_dir is not the shared file system, but the folder below its mount point.
    """
    if settings.store.shared_dir is not None and not (settings.store.files_dir / SHARED_MARK).is_file():
        raise Misconfigured(
            f"store.shared_dir: {settings.store.files_dir} is not the shared store; mount it, or run "
            "`icansee store init` once when it is new"
        )
    return FileStore(
        settings.store.files_dir,
        min_free_bytes=settings.store.min_free_bytes,
        max_object_bytes=settings.listener.max_object_bytes,
        max_conflict_bytes=settings.store.max_conflict_bytes,
        durable=durable,
        sync_folders=True if settings.store.shared_dir is not None else None,
    )


class FileStore:
    """Receives objects into the store folder. Safe for many threads and processes at once. Is ports.InstanceFiles.

    Args:
        state_dir: the node's state folder; created when missing.
        min_free_bytes: nothing is accepted while less than this is free on the disk.
        max_object_bytes: largest data set accepted.
        max_conflict_bytes: quota of the conflicts folder; None: no quota.
        durable: False leaves out every fsync (for measurements: a power cut then loses acknowledged objects).
        sync_folders: content is flushed before it gets its name, and names have a flush of their own; None: unless the
            file system is known to need neither. True where several hosts share the folder.
        now: the clock, UTC.
    """

    def __init__(
        self,
        state_dir: Path,
        *,
        min_free_bytes: int = 0,
        max_object_bytes: int = 4 << 30,
        max_conflict_bytes: int | None = None,
        durable: bool = True,
        sync_folders: bool | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.root = state_dir.absolute() / "store"
        self.folders = {name: f"{self.root}/{name}" for name in folders()}
        self.conflicts = state_dir.absolute() / "conflicts"
        self.max_object_bytes = max_object_bytes
        self.now = now
        self._durable = durable
        self._min_free_bytes = min_free_bytes
        self.max_conflict_bytes = max_conflict_bytes
        self._names = map(f".{os.getpid()}.{secrets.token_hex(4)}.{{}}.part".format, itertools.count())
        for folder in (self.conflicts, *(self.root / name for name in folders())):
            folder.mkdir(parents=True, exist_ok=True)
        known = disk.file_system_of(self.root) in ONE_FLUSH_FILE_SYSTEMS
        self.sync_folders = not known if sync_folders is None else sync_folders
        self.unnamed = not self.sync_folders and disk.can_name_later(self.root / folders()[0], self._names)
        """Objects have no name while they come in: nothing to lock, to sweep or to take away, one change of a
        folder."""
        self._look_at_space_at = 0.0
        self.prepared = disk.PreparedFiles(list(self.folders.values()))

    def conflict_path(self, row: ConflictRow) -> Path | None:
        path = self.conflicts / Path(row.path).name
        return path if path.is_file() else None

    def path(self, row: InstanceRow) -> Path:
        """Absolute path of an indexed instance.

        Raises:
            ValueError: the row's path does not lie in the store folder (a damaged index).
        """
        path = self.root / row.path
        if ".." in Path(row.path).parts or not path.is_relative_to(self.root):
            raise ValueError(f"not a path in the store: {row.path!r}")
        return path

    def size_now(self, row: InstanceRow) -> int:
        return self.path(row).stat().st_size

    def all_files(self) -> Iterable[Path]:
        """Every file under its final name, folder by folder."""
        return itertools.chain.from_iterable(map(self.files_in, folders()))

    def files_in(self, folder: str) -> Iterator[Path]:
        """Every file under its final name in one of the folders."""
        with os.scandir(self.root / folder) as entries:
            yield from (Path(e.path) for e in entries if e.name.endswith(".dcm") and not e.name.startswith("."))

    def spool(self, announced: Announced, *, limit_bytes: int | None = None) -> Spool:
        """Begin to receive one object. limit_bytes: a smaller limit than the store's own.

        Raises:
            Rejected: the UIDs cannot be file names (0xA900), or the disk is too full or fails (0xA700).
        """
        for name, uid in (("Instance", announced.sop_instance_uid), ("Class", announced.sop_class_uid)):
            if not valid_uid(uid):
                raise Rejected(DOES_NOT_MATCH, "invalid_uid", f"the SOP {name} UID of the request is not a UID")
        if time.monotonic() >= self._look_at_space_at:
            self.check_free_space()
            self._look_at_space_at = time.monotonic() + FREE_SPACE_CHECK_S
        return Spool(self, announced, self._names, min(limit_bytes or self.max_object_bytes, self.max_object_bytes))

    def prepare(self) -> None:
        """Make the file for one of the next objects now, while no sender waits for an answer."""
        if self.unnamed:
            self.prepared.make()

    def check_free_space(self) -> None:
        """Refuse early, while there is still room to finish what was begun.

        Raises:
            Rejected: 0xA700, less than the floor is free.
        """
        with disk_errors():
            room = os.statvfs(self.root)
        free = room.f_bavail * room.f_frsize
        if free < self._min_free_bytes:
            raise Rejected(OUT_OF_RESOURCES, "out_of_space", f"{free} bytes free, {self._min_free_bytes} wanted")

    def sweep_temporary(self) -> int:
        """Remove what interrupted receptions left behind; how many. Files of running receptions are locked and stay."""
        removed = 0
        for folder in folders():
            with os.scandir(self.root / folder) as entries:
                leftovers = [Path(e.path) for e in entries if e.name.startswith(".") and e.name.endswith(".part")]
            removed += sum(map(disk.remove_if_abandoned, leftovers))
        return removed

    def make_durable(self, fd: int, folder: Path) -> None:
        """Flush a file and its name. Concurrent calls are grouped by the journal of the file system."""
        self.flush(fd)
        if self.sync_folders:
            self.flush_names(folder)

    def flush(self, fd: int) -> None:
        """Flush the content of a file."""
        if self._durable:
            os.fsync(fd)

    def flush_names(self, folder: Path) -> None:
        """Flush the names in a folder."""
        if not self._durable:
            return
        directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


class Spool:
    """One object that is being received: write() until its data set is complete, then finish(); abort() when it is cut
    off."""

    def __init__(self, store: FileStore, announced: Announced, names: Iterator[str], limit_bytes: int) -> None:
        self._store, self.announced, self._names = store, announced, names
        self._folder = store.folders[folder_of(announced.sop_instance_uid)]
        self._final = f"{self._folder}/{announced.sop_instance_uid}.dcm"
        self._limit_bytes = limit_bytes
        self._header = part10.header(announced)
        self._size = len(self._header)
        self._next_space_check = FREE_SPACE_CHECK_BYTES
        self._pending: list[Chunk] = [self._header]
        self._start = b""
        self._temporary: Path | None = None
        self._closed = self._renamed = False
        with disk_errors():
            if store.unnamed:
                self._fd = store.prepared.take(self._folder)
            else:
                self._fd, self._temporary = disk.create_locked(self._folder, names)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.abort()

    def write(self, parts: list[Chunk], count: int) -> None:
        """Append buffers of ``count`` bytes in all; they are on their way to the disk, and reusable, on return.

        Raises:
            Rejected: 0xA700, the object is larger than allowed or the disk is full.
        """
        self._size += count
        if self._size - len(self._header) > self._limit_bytes:
            raise Rejected(OUT_OF_RESOURCES, "too_large", f"the object exceeds {self._limit_bytes} bytes")
        if self._size > self._next_space_check:
            self._next_space_check = self._size + FREE_SPACE_CHECK_BYTES
            self._store.check_free_space()
        pending, self._pending = [*self._pending, *parts], []
        if len(self._start) < START_BYTES:
            self._start += disk.beginning(pending, START_BYTES - len(self._start))
        with disk_errors():
            for first in range(0, len(pending), MAX_BUFFERS):
                disk.write_all(self._fd, pending[first : first + MAX_BUFFERS])

    def finish(self) -> Stored:
        """Check, name and make durable; after this the object may be acknowledged. Closes the spool in every case.

        Raises:
            Rejected: the data set does not say who it is (0xC000), is not the announced one (0xA900), or the disk
                fails (0xA700).
        """
        try:
            values, uids = self.head()
            status = SUCCESS if uids.sop_class_uid == self.announced.sop_class_uid else CLASS_DIFFERS
            with disk_errors():
                part10.seal(self._fd, self._size)
                outcome, path, filed, size = self._commit()
            now = self._store.now()
            return Stored(outcome, status, path, self.announced, filed, uids, values, size, now)
        finally:
            self.abort()

    def abort(self) -> None:
        """Throw away what is not committed. May be called twice."""
        if self._closed:
            return
        self._closed = True
        try:
            if self._temporary is not None and not self._renamed:
                self._temporary.unlink(missing_ok=True)
        finally:
            os.close(self._fd)

    def head(self) -> tuple[Values, Uids]:
        """What the data set says of itself. Raises Rejected as ``finish``."""
        if self._pending:
            raise Rejected(CANNOT_UNDERSTAND, "missing_uid", "the data set is empty")
        values, uids = identified(self._read_at, len(self._header), self.announced)
        if any(len(values.get(name, b"")) > MAX_ID_BYTES for name in IDS):
            raise Rejected(CANNOT_UNDERSTAND, "overlong_id", f"patient ID or issuer has over {MAX_ID_BYTES} bytes")
        if uids.sop_instance_uid != self.announced.sop_instance_uid:
            raise Rejected(DOES_NOT_MATCH, "uid_mismatch", "the data set has another SOP Instance UID than the request")
        return values, uids

    def check_whole(self) -> None:
        """Raises Rejected (0xC000) when the data set ends inside an element: its file was cut short."""
        if is_cut(self._read_at, len(self._header), self.announced.transfer_syntax_uid, self._size - len(self._header)):
            raise Rejected(CANNOT_UNDERSTAND, CUT_SHORT, "the file ends before its data set does: it was cut short")

    def _read_at(self, position: int, count: int) -> bytes:
        end = min(position + count, self._size)
        return self._start[position:end] if end <= len(self._start) else os.pread(self._fd, count, position)

    def _commit(self) -> Named:
        if self._store.sync_folders:
            self._store.flush(self._fd)  # before the file has a name: when this fails, no other process has seen it
        elif self._temporary is None:
            fcntl.flock(self._fd, fcntl.LOCK_EX)  # until it is closed: see _existing
        for _ in range(COMMIT_TRIES):
            # link() fails when the name exists: of two senders of one UID exactly one is first. rename() would replace.
            try:
                if self._temporary is None:
                    disk.give_name(self._fd, self._final)
                else:
                    os.link(self._temporary, self._final)
                    self._temporary.unlink()  # before the flush: one journal commit carries both changes of the folder
            except FileExistsError:
                found = self._commit_again()
                if found is not None:
                    return found
            else:
                self._settle()
                return Outcome.NEW, self._final, self.announced, self._size
        raise OSError(errno.EBUSY, "the name is given and taken away all the time")

    def _commit_again(self) -> Named | None:
        """Another process has the name. None: the name was taken away meanwhile."""
        with self._existing() as existing:
            if existing is None:
                return None
            if not part10.is_complete(existing):
                return self._take_over(self._final, Outcome.NEW)
            if part10.same_content(existing, self._fd):
                try:
                    # of another host, or of a process that was killed in between, it may not be durable yet
                    self._store.make_durable(existing, Path(self._folder))
                except OSError:
                    # the kernel may call its lost pages clean from now on; ours are there
                    return self._take_over(self._final, Outcome.NEW)
                return Outcome.SAME, self._final, part10.read_meta(existing)[1], os.fstat(existing).st_size
        # the name holds the digest: what it may replace is equal
        aside = f"{self._store.conflicts}/{self.announced.sop_instance_uid}.{part10.content_digest(self._fd)[:16]}.dcm"
        if not os.path.lexists(aside):
            quota.check(self._store.conflicts, os.fstat(self._fd).st_size, most=self._store.max_conflict_bytes)
        return self._take_over(aside, Outcome.CONFLICT)

    @contextlib.contextmanager
    def _existing(self) -> Iterator[int | None]:
        """The file that has the name, locked against those who would take the name away; None: it is gone already.

        Its sender holds the lock until the file is durable, or gone because its flush failed. On a shared store no name
        is taken away, and nobody waits for another host."""
        try:
            existing = os.open(self._final, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            yield None
            return
        try:
            if not self._store.sync_folders:
                fcntl.flock(existing, fcntl.LOCK_SH)
            if not part10.is_complete(existing):
                with contextlib.suppress(OSError):  # a network file system may lock only what is open for writing
                    fcntl.flock(existing, fcntl.LOCK_EX)  # one of several replaces it
            yield existing if disk.is_the_file(self._final, existing) else None
        finally:
            os.close(existing)

    def _take_over(self, name: str, outcome: Outcome) -> Named:
        """Replace what has a name by the own copy, which is flushed first: the other one may be what somebody answered
        for. Ours is locked, or named already: no sweep takes its temporary name for a leftover."""
        if self._temporary is None:
            self._temporary = Path(self._folder, next(self._names))
            disk.give_name(self._fd, self._temporary)
        self._store.flush(self._fd)
        self._temporary.replace(name)
        self._renamed = True
        self._store.make_durable(self._fd, Path(name).parent)
        return outcome, name, self.announced, self._size

    def _settle(self) -> None:
        """The object has its name and the temporary one is gone; make that last."""
        self._renamed = True
        if self._store.sync_folders:
            # when this fails the name stays: its content is on the disk, and another host may have acknowledged it
            self._store.flush_names(Path(self._folder))
            return
        try:
            self._store.flush(self._fd)
        except OSError:
            # after a failed fsync the kernel calls the lost pages clean: a second fsync would succeed and mean nothing
            if disk.is_the_file(self._final, self._fd):
                Path(self._final).unlink(missing_ok=True)
            raise
