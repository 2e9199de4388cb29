"""The deliveries in the index: ports.Deliveries over SQLite or PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Engine

from workers.delivery_ports import Decided, Delivery
from workers.index.errors import transient_errors
from workers.index.schema import WRITES, deliveries

D = deliveries.c


class SqlDeliveries:
    """See ports.Deliveries. One UPDATE whose WHERE states what must still be true decides who tries a delivery."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def plan(self, some: Sequence[Delivery]) -> None:
        if not some:
            return
        insert = postgresql.insert if self._engine.dialect.name == "postgresql" else sqlite.insert
        with self._write() as connection:
            connection.execute(insert(deliveries).on_conflict_do_nothing(), [_values(one) for one in some])

    def due(self, *, now: datetime) -> list[Delivery]:
        return self._open(D.due_at <= now)

    def open(self, study_instance_uid: str) -> list[Delivery]:
        return self._open(D.study_instance_uid == study_instance_uid)

    def take(self, delivery: Delivery, *, now: datetime, for_s: float) -> Delivery | None:
        statement = (
            deliveries.update()
            .where(*_is(delivery), D.done_at.is_(None), D.due_at <= now)
            .values(due_at=now + timedelta(seconds=for_s), attempts=D.attempts + 1)
            .returning(*deliveries.c)
        )
        with self._write() as connection:
            row = connection.execute(statement).one_or_none()
        return None if row is None else _delivery(row)

    def done(self, delivery: Delivery, *, now: datetime) -> None:
        with self._write() as connection:
            connection.execute(deliveries.update().where(*_is(delivery)).values(done_at=now, failure=None))

    def failed(self, delivery: Delivery, *, reason: str, due_at: datetime) -> None:
        with self._write() as connection:
            connection.execute(
                deliveries.update().where(*_is(delivery), D.done_at.is_(None)).values(failure=reason, due_at=due_at)
            )

    def _open(self, condition: sa.ColumnElement[bool]) -> list[Delivery]:
        statement = sa.select(deliveries).where(D.done_at.is_(None), condition).order_by(D.due_at, *_KEY)
        with transient_errors(), self._engine.connect() as connection:
            return [_delivery(row) for row in connection.execute(statement)]

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        with (
            transient_errors(),
            self._engine.connect().execution_options(**{WRITES: True}) as connection,
            connection.begin(),
        ):
            yield connection


_KEY = (D.study_instance_uid, D.revision, D.stage, D.output, D.destination)


def _values(one: Delivery) -> dict[str, object]:
    return {
        "study_instance_uid": one.decided.study_instance_uid,
        "revision": one.decided.revision,
        "stage": one.decided.stage,
        "output": one.output,
        "destination": one.destination,
        "due_at": one.due_at,
        "attempts": one.attempts,
        "failure": one.failure,
    }


def _is(one: Delivery) -> list[sa.ColumnElement[bool]]:
    values = _values(one)
    return [column == values[column.name] for column in _KEY]


def _delivery(row: sa.Row[tuple[object, ...]]) -> Delivery:
    decided = Decided(row.study_instance_uid, row.revision, row.stage)
    return Delivery(decided, row.output, row.destination, row.due_at, row.attempts, row.failure)
