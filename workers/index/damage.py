"""A damaged SQLite file in, an empty one in its place out; the damaged one is kept aside under a dated name.

Several processes have the file open. One that connects holds a shared lock meanwhile, one that replaces the file an
exclusive one: a connection belongs to the old file and its log, or to the new one and its log, never to a mixture. Who
finds under its hand another file than the one that it opened connects again.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine, ExceptionContext, make_url

from workers.log import get_logger

log = get_logger(__name__)

DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
COMPANIONS = ("-wal", "-shm")  # the files beside a database in WAL mode
ASIDE = "damaged"
MOST_ASIDE = 3  # damaged files that are kept; a disk that fails again and again must not be filled by them


def sqlite_path(url: str) -> Path | None:
    """The file of a SQLite URL; None: in memory, or another database."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database or parsed.database == ":memory:":
        return None
    return Path(parsed.database)


def is_damage(error: BaseException | None) -> bool:
    """Whether the file is damaged, and not only busy, away or on a full disk."""
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(code, int) and code & 0xFF in DAMAGE


def damage_in(path: Path, *, thorough: bool = False) -> str | None:
    """What is wrong with the file; None: nothing, or it is empty or not there.

    Args:
        thorough: compare rows and indexes as well; takes several times as long.

    Raises:
        sqlite3.OperationalError, OSError: it cannot be read now.
    """
    # Never open the file but by SQLite: closing it would drop every lock that this process has on it, and another
    # process would then delete the log under its hands (sqlite.org/howtocorrupt.html, section 2.2).
    if not path.exists():
        return None
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=15.0)) as connection:
            pragma = "integrity_check" if thorough else "quick_check"
            found = str(connection.execute(f"PRAGMA {pragma}(1)").fetchone()[0])
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        return str(error)
    return None if found == "ok" else found.splitlines()[0][:200]


def kept_aside(path: Path) -> list[Path]:
    """The damaged files of earlier times, oldest first."""
    found = path.parent.glob(f"{path.name}.{ASIDE}-*")
    return sorted(one for one in found if not one.name.endswith(COMPANIONS))


@contextmanager
def locked(path: Path, *, exclusive: bool) -> Iterator[None]:
    """Hold the lock beside a database while it is connected to, or replaced."""
    with path.with_name(f"{path.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
        yield


def put_aside(path: Path, *, create: Callable[[Path], None], before: Callable[[], None], thorough: bool) -> bool:
    """Replace the file when it is damaged indeed. False: it is not, or another process was faster.

    Args:
        create: writes an empty database to a path.
        before: called once it is known that the file will be replaced.

    Raises:
        sqlite3.OperationalError, OSError: the file cannot be read, or the disk is full.
    """
    with locked(path, exclusive=True):
        problem = damage_in(path, thorough=thorough)
        if problem is None:
            return False
        before()
        fresh = path.with_name(f".{path.name}.new")
        for leftover in (fresh, *(fresh.with_name(fresh.name + suffix) for suffix in COMPANIONS)):
            leftover.unlink(missing_ok=True)
        create(fresh)
        aside = path.with_name(f"{path.name}.{ASIDE}-{datetime.now(UTC):%Y%m%dT%H%M%S%f}Z")
        for suffix in COMPANIONS:  # first: nobody may meet the new file with the old log
            with contextlib.suppress(FileNotFoundError):
                path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
        os.link(path, aside)
        fresh.replace(path)
        log.error("index.damaged", problem=problem, kept=aside.name, remedy="it is built again from the stored files")
        _forget_oldest(path)
    return True


def follow(engine: Engine, path: Path | None, prepare: Callable[[Any], None]) -> None:
    """Have every connection of the engine belong to the file that is there now.

    Args:
        path: None: the database is in memory.
        prepare: makes a new connection ready; it opens the file and its log.
    """

    @sa.event.listens_for(engine, "connect")
    def connected(connection: Any, record: Any) -> None:
        if path is None:
            prepare(connection)
            return
        try:
            with locked(path, exclusive=False):
                prepare(connection)
                record.info[FILE] = file_number(path)
        except OSError as error:
            raise sqlite3.OperationalError(f"the lock beside the index cannot be used ({error.strerror})") from error

    @sa.event.listens_for(engine, "checkout")
    def same_file(_connection: Any, record: Any, _proxy: Any) -> None:
        if path is not None and record.info.get(FILE) != file_number(path):
            raise sa.exc.DisconnectionError("the index was replaced")


def guard(engine: Engine, replace: Callable[[bool], object]) -> None:
    """Have the engine replace a file that shows to be damaged in use.

    Args:
        replace: called with True (thoroughly) when the database said that it is damaged.
    """

    @sa.event.listens_for(engine, "handle_error")
    def damaged(context: ExceptionContext) -> None:
        if not is_damage(context.original_exception):
            return
        context.is_disconnect = True  # no connection to the damaged file is used again; the error is a passing one
        try:
            replace(True)
        except (sqlite3.Error, OSError) as error:
            log.error("index.damaged_and_not_replaced", error=type(error).__name__)


FILE = "icansee_file"  # key in a pooled connection: the file that it opened


def file_number(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except OSError:
        return None


def _forget_oldest(path: Path) -> None:
    for old in kept_aside(path)[:-MOST_ASIDE]:
        for one in (old, *(old.with_name(old.name + suffix) for suffix in COMPANIONS)):
            one.unlink(missing_ok=True)
