"""A damaged SQLite file in, an empty one in its place out; the damaged one is kept aside under a dated name.

workers.index.following says who uses which file.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Engine, ExceptionContext

from workers.index.following import COMPANIONS, RENEW, Files, Loss, Renew, files_of, fresh_beside, holds_tables, locked
from workers.log import get_logger

log = get_logger(__name__)

DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
ASIDE = "damaged"
MOST_ASIDE = 3  # damaged files that are kept; a disk that fails again and again must not be filled by them


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
    if files_of(path).empty:
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


def put_aside(path: Path, *, create: Callable[[Path], None], before: Callable[[str], None], thorough: bool) -> bool:
    """Replace the file when it is damaged indeed. False: it is not, or another process was faster.

    Args:
        create: writes an empty database to a path.
        before: called with what happened, once it is known that the file will be replaced.

    Raises:
        sqlite3.OperationalError, OSError: the file cannot be read, or the disk is full.
    """
    with locked(path, exclusive=True) as lock:
        problem = damage_in(path, thorough=thorough)
        if problem is None:
            return False
        before("was damaged")
        fresh = fresh_beside(path)
        create(fresh)
        aside = path.with_name(f"{path.name}.{ASIDE}-{datetime.now(UTC):%Y%m%dT%H%M%S%f}Z")
        for suffix in COMPANIONS:  # first: nobody may meet the new file with the old log
            with contextlib.suppress(FileNotFoundError):
                path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
        os.link(path, aside)
        fresh.replace(path)
        lock.note(files_of(path))
        log.error("index.damaged", problem=problem, kept=aside.name, remedy="it is built again from the stored files")
        _forget_oldest(path)
    return True


def make_again(
    path: Path,
    loss: Loss,
    opened: Files,
    connection: sqlite3.Connection,
    *,
    create: Callable[[Path], None],
    before: Callable[[str], None],
) -> None:
    """See following.Renew.

    Args:
        create: writes an empty database to a path.
        before: called with what happened, once it is known that nobody else was faster.
    """
    with locked(path, exclusive=True) as lock:
        now = files_of(path)
        if loss is Loss.REPLACED:
            database, its_log = lock.noted()
            if database == now.database:
                return
            before(loss)
            if now.log == its_log:  # it is of the file that was there before
                _forget_companions(path)
        else:
            if now.database != opened.database if loss is Loss.LOG else _is_whole(path, now):
                return
            before(loss)
            fresh = fresh_beside(path)
            if loss is not Loss.LOG or not _copied(connection, fresh):
                create(fresh)
            _forget_companions(path)  # first: nobody may meet the new file with the old log
            fresh.replace(path)
        lock.note(files_of(path))
        log.error("index.lost", problem=f"the index {loss}", remedy="it is built again from the stored files")


def _forget_companions(path: Path) -> None:
    for suffix in COMPANIONS:
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _is_whole(path: Path, now: Files) -> bool:
    if now.empty:
        return False
    with contextlib.closing(sqlite3.connect(path, timeout=15.0)) as connection:
        return holds_tables(connection)


def _copied(connection: sqlite3.Connection, fresh: Path) -> bool:
    """Whoever has a log open that was deleted still reads all that is in it."""
    try:
        connection.execute("VACUUM INTO ?", (str(fresh),))
    except sqlite3.Error:
        fresh.unlink(missing_ok=True)
        return False
    return True


def guard(engine: Engine, replace: Callable[[bool], object], renewed: Renew) -> None:
    """Have the engine replace a file that shows to be damaged in use, or that is lost.

    Args:
        replace: called with True (thoroughly) when the database said that it is damaged.
        renewed: called when the file is lost.
    """
    engine.update_execution_options(**{RENEW: renewed})

    @sa.event.listens_for(engine, "handle_error")
    def damaged(context: ExceptionContext) -> None:
        if not is_damage(context.original_exception):
            return
        context.is_disconnect = True  # no connection to the damaged file is used again; the error is a passing one
        try:
            replace(True)
        except (sqlite3.Error, OSError) as error:
            log.error("index.damaged_and_not_replaced", error=type(error).__name__)


def _forget_oldest(path: Path) -> None:
    for old in kept_aside(path)[:-MOST_ASIDE]:
        for one in (old, *(old.with_name(old.name + suffix) for suffix in COMPANIONS)):
            one.unlink(missing_ok=True)
