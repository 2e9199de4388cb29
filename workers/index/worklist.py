"""The worklist in SQL: filters, order and place in, one window of rows out. See worklist_ports.Worklist."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine, RowMapping

from workers.index.answer_schema import order_priorities
from workers.index.connected import Connected
from workers.index.errors import transient_errors
from workers.index.following import sqlite_path
from workers.index.list_terms import (
    GONE,
    GROUP,
    PRIORITIES,
    READ_BY,
    URGENT,
    Conditions,
    EpochS,
    Key,
    conditions_of,
    group_of,
    in_group,
    key_of,
)
from workers.index.schema import AT_ONCE, UtcDateTime, acknowledgements, assessments, open_engine, studies
from workers.index.search_text import teach_folding
from workers.index.window_end import WindowEnd, end_of, end_text
from workers.ports import StudyState
from workers.worklist_ports import (
    Deadlines,
    Group,
    ListOrder,
    ListWindow,
    Marks,
    ScannerDay,
    StudyFault,
    Throughput,
    Wanted,
    WorklistRow,
)

RANKS = {group: rank for rank, group in enumerate(Group)}
ROW_COLUMNS = [studies.c[one.name] for one in fields(WorklistRow) if one.name in studies.c]
NO_DEADLINES = Deadlines()


def _first_decided_at() -> sa.ColumnElement[Any]:
    """When the images of a study were first decided: another decision on them is no later one. NULL: images
    have come since."""
    a, c = assessments.c, studies.c
    of_it = (a.study_instance_uid == c.study_instance_uid, a.created_at >= c.last_received_at)
    first = sa.select(sa.func.min(a.created_at)).where(*of_it).correlate(studies).scalar_subquery()
    return sa.type_coerce(first, UtcDateTime)


FIRST_DECIDED_AT = _first_decided_at()
FULL_ROWS = sa.select(*ROW_COLUMNS, GROUP.label("group"), READ_BY.label("read_by"), URGENT.label("urgent")).select_from(
    studies
)


def open_worklist_table(url: str, deadlines: Deadlines = NO_DEADLINES) -> WorklistTable:
    """The worklist of an index whose tables are there."""
    return WorklistTable(open_engine(url), sqlite_path(url), deadlines)


class WorklistTable(Connected):
    """See worklist_ports.Worklist."""

    def __init__(self, engine: Engine, path: Path | None = None, deadlines: Deadlines = NO_DEADLINES) -> None:
        super().__init__(engine)
        teach_folding(engine)
        self._deadlines = deadlines
        self._path = path
        self._watching: Connection | None = None
        self._seen: tuple[object, ...] | None = None
        self._opened: object = None  # the file that the connection has
        self._lock = threading.Lock()

    def close(self) -> None:
        with self._lock:
            self._forget()
        super().close()

    def window(self, wanted: Wanted) -> ListWindow:
        conditions, key = conditions_of(wanted), key_of(wanted.order, self._deadlines)
        listed = _in_reading_order if wanted.order is ListOrder.READING else _in_order
        # one transaction with one view of the rows: its numbers fit each other, and a study that changes its group
        # between two queries is in one of the answers
        with self._reading() as connection, self._unchanging(connection).begin():
            counts = _counts(connection)
            found, more = listed(connection, wanted, conditions, key)
            rows = self._rows(connection, [place.uid for place in found])
            matching = _matching(connection, wanted, counts, conditions)
            tallies: Counter[Group] = Counter()
            for (group, gone), number in counts.items():
                tallies[group] += number if wanted.gone or not gone else 0
            urgent = _urgent_wanted(connection, wanted, tallies[Group.P1])
        return ListWindow(
            rows=tuple(rows),
            matching=matching,
            total=sum(counts.values()),
            tallies=tallies,
            more=more,
            urgent_elsewhere=urgent - sum(place.group is Group.P1 for place in found),
            end=_end_text(found[-1], wanted.order) if more else None,
        )

    def _rows(self, connection: Connection, uids: Sequence[str]) -> list[WorklistRow]:
        """In the order of the UIDs."""
        found: dict[str, WorklistRow] = {}
        for start in range(0, len(uids), AT_ONCE):
            some = studies.c.study_instance_uid.in_(uids[start : start + AT_ONCE])
            for row in connection.execute(FULL_ROWS.where(some)).mappings():
                found[row["study_instance_uid"]] = self._row(row)
        return [found[uid] for uid in uids]

    def _row(self, row: RowMapping) -> WorklistRow:
        values = dict(row)
        urgent, group, read_by = values.pop("urgent"), Group(values["group"]), values["read_by"] or ""
        limit = None if read_by else self._deadlines.minutes(group, urgent=bool(urgent))
        values |= {
            "state": StudyState(values["state"]),
            "group": group,
            "reasons": tuple(values["reasons"] or ()),
            "read_by": read_by,
            "deadline": None if limit is None else values["first_received_at"] + timedelta(minutes=limit),
        }
        return WorklistRow(**values)

    def flag_times_s(self, *, limit: int) -> list[float]:
        c = studies.c
        wanted = (
            sa.select(c.last_received_at, FIRST_DECIDED_AT.label("first"))
            .where(c.decided_at.is_not(None))
            .order_by(c.decided_at.desc())
            .limit(limit)
        )
        rows = [row for row in self._read(wanted) if row["first"] is not None]  # none: images have come since
        return [(row["first"] - row["last_received_at"]).total_seconds() for row in rows]

    def flags_since(self, since: datetime) -> list[tuple[datetime, bool]]:
        c = studies.c
        judged = (c.decided_at >= since, c.category.is_not(None), c.category != "not_assessable")
        first = sa.func.coalesce(FIRST_DECIDED_AT, c.decided_at)
        hour = sa.cast(sa.func.floor(EpochS(first) / 3600.0), sa.Integer)  # one row for many studies
        flagged = sa.func.coalesce(c.priority, "").in_(PRIORITIES)
        counted = sa.select(hour, flagged, sa.func.count()).where(*judged).group_by(hour, flagged).order_by(hour)
        with self._reading() as connection:
            found = [
                [(datetime.fromtimestamp(3600 * at, UTC), bool(whether))] * number
                for at, whether, number in connection.execute(counted)
            ]
        return [one for some in found for one in some if one[0] + timedelta(hours=1) > since]

    def scanners_since(self, since: date) -> list[ScannerDay]:
        c, f = studies.c, sa.func
        judged = sa.and_(c.category.is_not(None), c.category != "not_assessable")
        flagged = sa.and_(judged, f.coalesce(c.priority, "").in_(PRIORITIES))
        name, ratio = f.coalesce(c.scanner, ""), c.tissue_ratio
        counts = [f.sum(sa.case((which, 1), else_=0)) for which in (judged, flagged)]
        sums = [f.count(ratio), f.coalesce(f.sum(ratio), 0.0), f.coalesce(f.sum(ratio * ratio), 0.0)]
        wanted = (
            sa.select(name, c.study_date, *counts, *sums)
            .where(c.decided_at.is_not(None), c.study_date >= since)
            .group_by(name, c.study_date)
            .order_by(name, c.study_date)
        )
        with self._reading() as connection:
            return [ScannerDay(*row) for row in connection.execute(wanted)]

    def throughput(self, since: datetime) -> Throughput:
        c, f = studies.c, sa.func
        received = sa.select(f.count(), f.coalesce(f.sum(c.instance_count), 0)).where(c.last_received_at >= since)
        decided = sa.select(f.count()).select_from(studies).where(c.decided_at >= since)
        with self._reading() as connection:
            number, images = connection.execute(received).one()
            return Throughput(number, int(images), connection.execute(decided).scalar_one())

    def faults(self, *, limit: int) -> list[StudyFault]:
        c = studies.c
        wanted = (
            sa.select(c.study_instance_uid, c.state, c.failure, c.attempts, c.settled_at.label("at"))
            .where(c.failure.is_not(None), c.state.in_([StudyState.FAILED.value, StudyState.READY.value]))
            .order_by(c.settled_at.desc(), c.study_instance_uid)
            .limit(limit)
        )
        return [StudyFault(**{**row, "state": StudyState(row["state"])}) for row in self._read(wanted)]

    # --- has anything changed?

    def marks(self, known: Marks | None) -> Marks:
        with self._watched():
            before, self._seen = self._seen, self._writes()
            return known if known is not None and self._seen == before else self._marks()

    def version(self) -> Hashable:
        with self._watched():
            return self._writes()

    def _unchanging(self, connection: Connection) -> Connection:
        """SQLite reads one state in a transaction as it is."""
        if self._engine.dialect.name != "postgresql":
            return connection
        return connection.execution_options(isolation_level="REPEATABLE READ")

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """One at a time on the kept connection. After a fault it is opened anew."""
        with self._lock:
            try:
                with transient_errors():
                    yield
                    self._connection().rollback()  # a transaction that stays open would see nothing new
            except BaseException:
                self._forget()
                raise

    def _writes(self) -> tuple[object, ...]:
        """Changes with every write to the database, of whatever table. An answer of microseconds."""
        connection = self._connection()
        if self._engine.dialect.name == "postgresql":
            # the log is ahead of what is visible while a commit is flushed; the snapshot changes when it is visible
            both = "SELECT pg_current_wal_insert_lsn()::text, pg_current_snapshot()::text"
            return tuple(connection.exec_driver_sql(both).one())
        return (self._opened, connection.exec_driver_sql("PRAGMA data_version").scalar())

    def _connection(self) -> Connection:
        """Kept open: SQLite counts the writes of others for each connection. A replaced file is opened anew."""
        if self._watching is not None and self._file() != self._opened:
            self._forget()
        if self._watching is None:
            self._opened = self._file()
            self._watching = self._engine.connect()
        return self._watching

    def _file(self) -> object:
        if self._path is None or str(self._path) == ":memory:":
            return None
        return os.stat(self._path).st_ino  # noqa: PTH116 - called twenty times a second

    def _forget(self) -> None:
        if self._watching is not None:
            self._watching.close()
        self._watching, self._seen = None, None

    def _marks(self) -> Marks:
        c, f = studies.c, sa.func
        decided: list[sa.ColumnElement[Any]] = [
            f.max(c.decided_at),
            f.count(c.decided_at),
            f.max(c.settled_at),
            f.count(c.failure),
        ]
        decided += [
            sa.select(f.count()).select_from(table).scalar_subquery() for table in (acknowledgements, order_priorities)
        ]
        other = [
            f.count(), f.sum(c.instance_count), f.sum(c.revision), f.sum(c.attempts), f.count(c.lease_owner),
            f.max(c.last_received_at), f.count(c.ready_at), f.count(c.stated_patient_id),
            f.sum(f.length(c.patient_id)), f.sum(f.length(c.patient_name)),
            f.sum(sa.case((c.state.in_(GONE), 1), else_=0)),
        ]  # fmt: skip
        row = self._connection().execute(sa.select(*decided, *other)).one()
        return Marks(repr(tuple(row[: len(decided)])), repr(tuple(row[len(decided) :])))


def _end_text(place: WindowEnd, order: ListOrder) -> str:
    """Only a place in reading order changes while people read; the others are looked up, and hold patient IDs."""
    return end_text(place if order is ListOrder.READING else WindowEnd(place.uid))


def _place_now(connection: Connection, key: Key, after: str | None) -> WindowEnd | None:
    """Where the window before ended; None: no study and no window is known by that text."""
    end = None if after is None else end_of(after)
    if end is None or (end.values is not None and len(end.values) == len(key) - 1):
        return end
    return next(iter(_places(connection, [studies.c.study_instance_uid == end.uid], key, 1)), None)


def _behind(key: Key, end: WindowEnd | None) -> list[sa.ColumnElement[bool]]:
    """The condition that a row stands behind that place; none without one."""
    if end is None or end.values is None:
        return []
    either, same = [], list[sa.ColumnElement[bool]]()
    for (expression, falls), value in zip(key, [*end.values, end.uid], strict=True):
        bound = sa.literal(value, type_=expression.type)
        either.append(sa.and_(*same, expression < bound if falls else expression > bound))
        same.append(expression == bound)
    return [sa.or_(*either)]


def _in_order(connection: Connection, wanted: Wanted, conditions: Conditions, key: Key) -> tuple[list[WindowEnd], bool]:
    """The places of a window, and whether there are more behind."""
    behind = _behind(key, _place_now(connection, key, wanted.after))
    found = _places(connection, [*conditions, *behind], key, wanted.limit + 1)
    return found[: wanted.limit], len(found) > wanted.limit


def _in_reading_order(
    connection: Connection, wanted: Wanted, conditions: Conditions, key: Key
) -> tuple[list[WindowEnd], bool]:
    """Group by group, until the window is full: most studies are in the last groups and are not looked at. No P1 is cut
    off."""
    end = _place_now(connection, key, wanted.after)
    after, behind = None if end is None else end.group, _behind(key, end)
    found: list[WindowEnd] = []
    urgent = 0
    for group in Group:
        if (wanted.groups and group not in wanted.groups) or (after is not None and RANKS[group] < RANKS[after]):
            continue
        here = [*conditions, in_group(group), *(behind if group is after else ())]
        limit = None if group is Group.P1 else max(1, wanted.limit + 1 - len(found))
        found += _places(connection, here, key, limit)
        urgent += len(found) if group is Group.P1 else 0
        if len(found) > max(wanted.limit, urgent):
            break
    full = max(wanted.limit, urgent)
    return found[:full], len(found) > full


def _places(connection: Connection, conditions: Conditions, key: Key, limit: int | None) -> list[WindowEnd]:
    """In their order. They stand in the index studies_listed: no row of the table is read for them."""
    order = [expression.desc() if falls else expression.asc() for expression, falls in key]
    values = [expression.label(f"k{number}") for number, (expression, _) in enumerate(key)]
    statement = sa.select(GROUP, *values).where(*conditions).order_by(*order).limit(limit)
    return [WindowEnd(uid, Group(group), before) for group, *before, uid in connection.execute(statement)]


def _urgent_wanted(connection: Connection, wanted: Wanted, urgent: int) -> int:
    """P1 studies that somebody who asks so wants to know of."""
    if not urgent or not wanted.unread:
        return urgent
    conditions = conditions_of(Wanted(gone=wanted.gone, unread=True))
    statement = sa.select(sa.func.count()).select_from(studies).where(in_group(Group.P1), *conditions)
    return connection.execute(statement).scalar_one()


def _counts(connection: Connection) -> dict[tuple[Group, bool], int]:
    """(group, whether its images were deleted) -> number, without any filter."""
    c = studies.c
    by = (c.priority, c.category, c.before_treatment, c.state)
    found: Counter[tuple[Group, bool]] = Counter()
    for priority, category, before, state, number in connection.execute(sa.select(*by, sa.func.count()).group_by(*by)):
        found[group_of(priority, state, category, before_treatment=before), state in GONE] += number
    return dict(found)


def _matching(
    connection: Connection,
    wanted: Wanted,
    counts: Mapping[tuple[Group, bool], int],
    conditions: Conditions,
) -> int:
    """Rows that the filters let through; they are counted again only where the tallies do not say it."""
    if wanted.unread or wanted.since is not None or wanted.find.split():
        return connection.execute(sa.select(sa.func.count()).select_from(studies).where(*conditions)).scalar_one()
    fit = [
        number
        for (group, gone), number in counts.items()
        if (wanted.gone or not gone) and (not wanted.groups or group in wanted.groups)
    ]
    return sum(fit)
