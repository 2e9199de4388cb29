"""The worklist in SQL: filters, order and place in, one window of rows out. See worklist_ports.Worklist."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import fields
from datetime import date, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine, RowMapping

from workers.index.connected import Connected
from workers.index.damage import sqlite_path
from workers.index.errors import transient_errors
from workers.index.schema import UtcDateTime, acknowledgements, assessments, open_engine, studies
from workers.ports import StudyState
from workers.worklist_ports import Group, ListOrder, ListWindow, Marks, Wanted, WorklistRow

RANKS = {group.value: rank for rank, group in enumerate(Group)}
GONE = (StudyState.REMOVING.value, StudyState.REMOVED.value)
ROW_COLUMNS = [studies.c[one.name] for one in fields(WorklistRow) if one.name not in ("group", "read_by")]
ESCAPE = "\\"  # of LIKE
PRIORITIES = ("P1", "P2", "P3")
UNKNOWN_DAY = date(1, 1, 1)

Key = Sequence[tuple[sa.ColumnElement[Any], bool]]  # (expression, whether it falls)


def open_worklist_table(url: str) -> WorklistTable:
    """The worklist of an index whose tables are there."""
    return WorklistTable(open_engine(url), sqlite_path(url))


def _group() -> sa.Case[Any]:
    c = studies.c
    return sa.case(
        (c.priority == "P1", Group.P1.value),
        (c.priority == "P2", Group.P2.value),
        (c.priority == "P3", Group.P3.value),
        (c.state == StudyState.FAILED.value, Group.FAILED.value),
        (c.category == "not_assessable", Group.NOT_ASSESSABLE.value),
        (c.category == "no_pattern", Group.NO_PATTERN.value),
        else_=Group.WAITING.value,
    )


GROUP = _group()


def _read_by() -> sa.ScalarSelect[Any]:
    """Who acknowledged the decision that is shown, the first one: what came before a decision is not about it."""
    a, c = acknowledgements.c, studies.c
    of_it = (a.study_instance_uid == c.study_instance_uid, a.at >= c.decided_at)
    return sa.select(a.by).where(*of_it).order_by(a.number).limit(1).correlate(studies).scalar_subquery()


READ_BY = _read_by()


def _key(order: ListOrder) -> Key:
    """What the order sorts by. The UID makes it total."""
    c = studies.c
    keys: dict[ListOrder, Key] = {
        ListOrder.READING: [(sa.case(RANKS, value=GROUP), False), (c.first_received_at, False)],
        ListOrder.NEWEST: [(c.first_received_at, True)],
        ListOrder.OLDEST: [(c.first_received_at, False)],
        ListOrder.STUDY_DATE: [(sa.func.coalesce(c.study_date, UNKNOWN_DAY), True), (c.study_time, True)],
        ListOrder.PATIENT: [(c.patient_id, False), (sa.func.coalesce(c.study_date, UNKNOWN_DAY), True)],
    }
    return [*keys[order], (c.study_instance_uid, False)]


class WorklistTable(Connected):
    """See worklist_ports.Worklist."""

    def __init__(self, engine: Engine, path: Path | None = None) -> None:
        super().__init__(engine)
        self._path = path
        self._watching: Connection | None = None
        self._seen: tuple[object, ...] | None = None

    def close(self) -> None:
        self._forget()
        super().close()

    def window(self, wanted: Wanted) -> ListWindow:
        conditions, key = _conditions(wanted), _key(wanted.order)
        with self._reading() as connection, connection.begin():  # one transaction: its numbers fit each other
            tallies = {
                Group(group): number
                for group, number in connection.execute(sa.select(GROUP, sa.func.count()).group_by(GROUP))
            }
            matching = connection.execute(
                sa.select(sa.func.count()).select_from(studies).where(*conditions)
            ).scalar_one()
            placed = [*conditions, *_behind(connection, key, wanted.after)]
            rows = _rows(connection, placed, key, wanted.limit + 1)
            more, rows = len(rows) > wanted.limit, rows[: wanted.limit]
            if more and wanted.order is ListOrder.READING and rows[-1].group is Group.P1:
                rest = [*placed, *_behind(connection, key, rows[-1].study_instance_uid)]
                rows += _rows(connection, [*rest, GROUP.in_([Group.P1.value])], key, None)
                more = bool(
                    _rows(connection, [*placed, *_behind(connection, key, rows[-1].study_instance_uid)], key, 1)
                )
        here = sum(row.group is Group.P1 for row in rows)
        return ListWindow(
            rows=tuple(rows),
            matching=matching,
            total=sum(tallies.values()),
            tallies=tallies,
            more=more,
            urgent_elsewhere=tallies.get(Group.P1, 0) - here,
        )

    def flag_times_s(self, *, limit: int) -> list[float]:
        a, c = assessments.c, studies.c
        of_it = (a.study_instance_uid == c.study_instance_uid, a.revision == c.decided_revision)
        first = sa.select(sa.func.min(a.created_at)).where(*of_it).correlate(studies).scalar_subquery()
        wanted = (
            sa.select(c.last_received_at, sa.type_coerce(first, UtcDateTime).label("first"))
            .where(c.decided_at.is_not(None))
            .order_by(c.decided_at.desc())
            .limit(limit)
        )
        waits = [(row["first"] - row["last_received_at"]).total_seconds() for row in self._read(wanted)]
        return [wait for wait in waits if wait >= 0.0]  # below: images have come since

    def flags_since(self, since: datetime) -> list[tuple[datetime, bool]]:
        c = studies.c
        judged = (c.decided_at >= since, c.category.is_not(None), c.category != "not_assessable")
        rows = self._read(sa.select(c.decided_at, c.priority).where(*judged).order_by(c.decided_at))
        return [(row["decided_at"], row["priority"] in PRIORITIES) for row in rows]

    # --- has anything changed?

    def marks(self, known: Marks | None) -> Marks:
        try:
            with transient_errors():
                before, self._seen = self._seen, self._writes()
                found = known if known is not None and self._seen == before else self._marks()
                self._connection().rollback()  # a transaction that stays open would see nothing new
                return found
        except BaseException:
            self._forget()
            raise

    def _writes(self) -> tuple[object, ...]:
        """Changes with every write to the database, of whatever table. An answer of microseconds."""
        connection = self._connection()
        if self._path is None:
            return (connection.exec_driver_sql("SELECT pg_current_wal_insert_lsn()").scalar(),)
        return (self._file(), connection.exec_driver_sql("PRAGMA data_version").scalar())

    def _connection(self) -> Connection:
        """Kept open: SQLite counts the writes of others for each connection. A replaced file is opened anew."""
        if self._watching is not None and self._seen is not None and self._path is not None:
            file = self._file()
            if file != self._seen[0]:
                self._forget()
        if self._watching is None:
            self._watching = self._engine.connect()
        return self._watching

    def _file(self) -> object:
        if self._path is None or str(self._path) == ":memory:":
            return None
        return os.stat(self._path).st_ino  # noqa: PTH116 - called four times a second

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
        decided.append(sa.select(f.count()).select_from(acknowledgements).scalar_subquery())
        other = [
            f.count(), f.sum(c.instance_count), f.sum(c.revision), f.sum(c.attempts), f.count(c.lease_owner),
            f.max(c.last_received_at), f.count(c.ready_at), f.count(c.stated_patient_id),
            f.sum(f.length(c.patient_id)), f.sum(f.length(c.patient_name)),
            f.sum(sa.case((c.state.in_(GONE), 1), else_=0)),
        ]  # fmt: skip
        row = self._connection().execute(sa.select(*decided, *other)).one()
        return Marks(repr(tuple(row[: len(decided)])), repr(tuple(row[len(decided) :])))


def _conditions(wanted: Wanted) -> list[sa.ColumnElement[bool]]:
    c = studies.c
    found: list[sa.ColumnElement[bool]] = []
    if wanted.groups:
        found.append(GROUP.in_(sorted(wanted.groups)))
    if not wanted.gone:
        found.append(c.state.not_in(GONE))
    if wanted.unread:
        found.append(READ_BY.is_(None))
    if wanted.since is not None:
        found.append(c.first_received_at >= wanted.since)
    for word in wanted.find.split():
        plain = word.replace(ESCAPE, ESCAPE * 2).replace("%", ESCAPE + "%").replace("_", ESCAPE + "_")
        columns = (c.patient_name, c.patient_id, c.accession_number)
        found.append(sa.or_(*(column.ilike(f"%{plain}%", escape=ESCAPE) for column in columns)))
    return found


def _behind(connection: Connection, key: Key, after: str | None) -> list[sa.ColumnElement[bool]]:
    """The condition that a row stands behind that study; none when it is not there any more."""
    if after is None:
        return []
    expressions = [expression.label(f"k{number}") for number, (expression, _) in enumerate(key)]
    place = connection.execute(sa.select(*expressions).where(studies.c.study_instance_uid == after)).one_or_none()
    if place is None:
        return []
    either, same = [], list[sa.ColumnElement[bool]]()
    for (expression, falls), value in zip(key, place, strict=True):
        bound = sa.literal(value, type_=expression.type)
        either.append(sa.and_(*same, expression < bound if falls else expression > bound))
        same.append(expression == bound)
    return [sa.or_(*either)]


def _rows(
    connection: Connection, conditions: Sequence[sa.ColumnElement[bool]], key: Key, limit: int | None
) -> list[WorklistRow]:
    order = [expression.desc() if falls else expression.asc() for expression, falls in key]
    statement = (
        sa.select(*ROW_COLUMNS, GROUP.label("group"), READ_BY.label("read_by"))
        .where(*conditions)
        .order_by(*order)
        .limit(limit)
    )
    return [_row(row) for row in connection.execute(statement).mappings()]


def _row(row: RowMapping) -> WorklistRow:
    values = {**row, "state": StudyState(row["state"]), "group": Group(row["group"])}
    return WorklistRow(**{**values, "reasons": tuple(row["reasons"] or ()), "read_by": row["read_by"] or ""})
