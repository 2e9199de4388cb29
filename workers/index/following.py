"""An engine on a SQLite file in; connections that belong to the file that is there now out.

Several processes have the file open. One that connects holds a shared lock meanwhile, one that replaces the file an
exclusive one: a connection belongs to the old file and its log, or to the new one and its log, never to a mixture. Who
finds under its hand another file than the one that it opened connects again. The file of the lock says which file is
the index: another one under its name was put there by somebody else, e.g. from a backup.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.engine import Engine, make_url

COMPANIONS = ("-wal", "-shm")  # the files beside a database in WAL mode: its log, and what its users share
FILES = "icansee_files"  # key in a pooled connection: the files that it opened
NOTE_BYTES = 48  # of the file of the lock: two numbers of at most 20 digits
RENEW = "icansee_renew"  # option of an engine: see ``Renew``


def sqlite_path(url: str) -> Path | None:
    """The file of a SQLite URL; None: in memory, or another database."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database or parsed.database == ":memory:":
        return None
    return Path(parsed.database)


class Loss(StrEnum):
    """What happened to the file, but for damage; in the words of a log."""

    DELETED = "was deleted"
    EMPTIED = "was emptied"
    LOG = "lost the log beside it"
    REPLACED = "was replaced by another file"


@dataclass(frozen=True)
class Files:
    """Numbers (inodes) of the database and of its companions; None: it is not there. empty: the database has no
    byte."""

    database: int | None
    log: int | None
    shared: int | None
    empty: bool

    def lost_since(self, opened: Files) -> Loss | None:
        """What happened to files that a connection has open; None: nothing, or there is a new database.

        While anybody has the database open, nobody removes its log.
        """
        if self.database is None:
            return Loss.DELETED
        if self.empty and not opened.empty:
            return Loss.EMPTIED
        if self.database != opened.database:
            return None
        gone = (opened.log not in (None, self.log), opened.shared not in (None, self.shared))
        return Loss.LOG if any(gone) else None


class Renew(Protocol):
    """Has another file in the place of one that was lost; returns when there is one, also of somebody who was faster.

    opened, connection: what the caller has open.

    Raises:
        sqlite3.Error, OSError: not now.
    """

    def __call__(self, loss: Loss, opened: Files, connection: sqlite3.Connection) -> object: ...


class Lock:
    """The lock beside a database, held."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def noted(self) -> tuple[int | None, int | None]:
        """Numbers of the file that is the index and of its log; None: nobody has noted it yet."""
        database, log, *_ = [*os.pread(self._fd, NOTE_BYTES, 0).decode("ascii", "replace").split(), "", ""]
        return int(database) if database.isdigit() else None, int(log) if log.isdigit() else None

    def note(self, found: Files) -> None:
        """These files are the index."""
        os.pwrite(self._fd, f"{found.database or '-'} {found.log or '-'}".ljust(NOTE_BYTES).encode(), 0)


@contextmanager
def locked(path: Path, *, exclusive: bool) -> Iterator[Lock]:
    """Hold the lock beside a database while it is connected to, or replaced."""
    fd = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
        yield Lock(fd)
    finally:
        os.close(fd)


def follow(engine: Engine, path: Path | None, prepare: Callable[[Any], None]) -> None:
    """Have every connection of the engine belong to the file that is there now.

    Args:
        path: None: the database is in memory.
        prepare: makes a new connection ready; it opens the file and its log.
    """
    if path is None:
        sa.event.listen(engine, "connect", lambda connection, _record: prepare(connection))
        return
    in_use = False  # the engine has met a file with tables: one without is a loss

    @sa.event.listens_for(engine, "connect")
    def connected(connection: Any, record: Any) -> None:
        nonlocal in_use
        with _as_database_errors():
            if in_use and files_of(path).empty:
                _lost(engine, Loss.DELETED, files_of(path), connection)
                raise sqlite3.OperationalError("the index was deleted")
            _refuse_stranger(engine, path, connection)
            with locked(path, exclusive=False) as lock:
                prepare(connection)
                opened, filled = files_of(path), holds_tables(connection)
                if filled and lock.noted() != (opened.database, opened.log):
                    lock.note(opened)
            record.info[FILES] = opened
            if in_use and not filled:
                _lost(engine, Loss.DELETED, opened, connection)
                raise sqlite3.OperationalError("the index was deleted")
            in_use = in_use or filled

    @sa.event.listens_for(engine, "checkout")
    def same_file(connection: Any, record: Any, _proxy: Any) -> None:
        nonlocal in_use
        with _as_database_errors():
            now, opened = files_of(path), record.info.get(FILES)
            in_use = in_use or (now == opened and holds_tables(connection))  # they were made behind the connection
        if now == opened:
            return
        with _as_database_errors():
            loss = None if opened is None else now.lost_since(opened)
            if loss is not None:
                _lost(engine, loss, opened, connection)
        if loss is not None or opened is None or now.database != opened.database:
            raise sa.exc.DisconnectionError("the index was replaced")
        record.info[FILES] = now  # a new database gets its log with the first change


def _refuse_stranger(engine: Engine, path: Path, connection: Any) -> None:
    """Before a file that somebody put there is read together with the log of the one before it."""
    with locked(path, exclusive=False) as lock:
        now, noted = files_of(path), lock.noted()[0]
    if not now.empty and noted not in (None, now.database):
        _lost(engine, Loss.REPLACED, now, connection)


def files_of(path: Path) -> Files:
    """What there is now.

    Raises:
        OSError: the folder cannot be read now.
    """
    database, log, shared = (_status(name) for name in (path, *(Path(f"{path}{one}") for one in COMPANIONS)))
    return Files(
        None if database is None else database.st_ino,
        None if log is None else log.st_ino,
        None if shared is None else shared.st_ino,
        empty=database is None or database.st_size == 0,
    )


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None


def holds_tables(connection: sqlite3.Connection) -> bool:
    """Whether anybody has ever made something in this database."""
    return connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is not None


def fresh_beside(path: Path) -> Path:
    """A free name for a file that is to take the place of this one."""
    fresh = path.with_name(f".{path.name}.new")
    for leftover in (fresh, *(fresh.with_name(fresh.name + suffix) for suffix in COMPANIONS)):
        leftover.unlink(missing_ok=True)
    return fresh


def _lost(engine: Engine, loss: Loss, opened: Files, connection: Any) -> None:
    renew: Renew | None = engine.get_execution_options().get(RENEW)
    if renew is None:  # whoever has it made again needs to know where images and facts are
        raise sqlite3.OperationalError(f"the index {loss}; a process of the node makes it again")
    renew(loss, opened, connection)


@contextmanager
def _as_database_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise sqlite3.OperationalError(f"the index cannot be opened ({error.strerror})") from error
