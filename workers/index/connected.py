"""Transactions on one engine: what every group of queries of the index stands on."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Engine, RowMapping

from workers.index.errors import transient_errors
from workers.index.schema import WRITES, studies
from workers.ports import StudyRow, StudyState

STUDY_COLUMNS = [studies.c[f.name] for f in fields(StudyRow)]


class Connected:
    """One engine. Safe to share between threads and across a fork."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._look = threading.local()  # connection: the one of ``one_look``

    def close(self) -> None:
        """Give the connections back; it must not be used afterwards."""
        self._engine.dispose()

    def time(self) -> datetime:
        """The clock of the database, UTC.

        Raises:
            Transient: the database is away.
        """
        with self._reading() as connection:
            said: datetime = connection.execute(sa.select(sa.func.clock_timestamp())).scalar_one()
        return said.astimezone(UTC)

    @contextmanager
    def one_look(self) -> Iterator[None]:
        """See ports.StudyIndex."""
        with self._reading() as connection:
            before = getattr(self._look, "connection", None)
            self._look.connection = connection
            try:
                yield
            finally:
                self._look.connection = before

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        held: Connection | None = getattr(self._look, "connection", None)
        with transient_errors(), nullcontext(held) if held is not None else self._engine.connect() as connection:
            yield connection

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        with (
            transient_errors(),
            self._engine.connect().execution_options(**{WRITES: True}) as connection,
            connection.begin(),
        ):
            yield connection

    def _read(self, statement: sa.Select[Any], **values: Any) -> Sequence[RowMapping]:
        """values: those of the statement's bindparams. A statement that is made once costs half of one made anew."""
        with self._reading() as connection:
            return connection.execute(statement, values).mappings().all()

    def _studies(self, statement: sa.Select[Any], **values: Any) -> list[StudyRow]:
        return [_study_row(row) for row in self._read(statement, **values)]

    def _update_one(self, statement: sa.Update) -> bool:
        with self._write() as connection:
            return connection.execute(statement).rowcount == 1

    def _insert(self, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
        """INSERT of the dialect at hand: ON CONFLICT is not part of the common one."""
        return postgresql.insert(table) if self._engine.dialect.name == "postgresql" else sqlite.insert(table)


def _study_row(row: RowMapping) -> StudyRow:
    return StudyRow(**{**row, "state": StudyState(row["state"]), "reasons": tuple(row["reasons"] or ())})
