"""The searches for missing baselines in the index: prior_ports.PriorSearches over SQLite or PostgreSQL."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from workers.index.answer_schema import fetched_from
from workers.index.connected import Connected
from workers.index.retrieved import fetched_among
from workers.index.schema import open_engine, prior_searches
from workers.ports import PatientKey
from workers.prior_ports import PriorSearch, SearchState

P = prior_searches.c
_WAITING = P.state == SearchState.WAITING.value
KEPT = ("study_instance_uid", "source", "asked_at")  # when a search is planned again


def open_prior_searches(url: str) -> SqlPriorSearches:
    """The searches of an index whose tables are there already.

    Raises:
        Misconfigured: the URL is not one of SQLite or PostgreSQL.
    """
    return SqlPriorSearches(open_engine(url))


class SqlPriorSearches(Connected):
    """See prior_ports.PriorSearches. A lease is a time until which the patient's other searches wait."""

    def plan(self, searches: Sequence[PriorSearch]) -> None:
        if not searches:
            return
        with self._write() as connection:
            connection.execute(
                self._insert(prior_searches).on_conflict_do_nothing(), [_values(one) for one in searches]
            )

    def plan_again(self, search: PriorSearch, *, now: datetime) -> bool:
        free = sa.or_(P.leased_until.is_(None), P.leased_until <= now, P.asked_at > now)
        planned = _values(replace(search, state=SearchState.WAITING, finished_at=None))
        kept = {name: value for name, value in planned.items() if name not in KEPT}
        with self._write() as connection:
            done = connection.execute(prior_searches.update().where(*_is(search), free).values(**kept))
            return bool(done.rowcount)

    def take(self, *, owner: str, now: datetime, for_s: float, without: Collection[str] = ()) -> PriorSearch | None:
        other = prior_searches.alias()
        running = sa.exists().where(
            other.c.patient_id == P.patient_id,
            other.c.issuer == P.issuer,
            other.c.state == SearchState.WAITING.value,
            other.c.leased_until > now,
            other.c.asked_at <= now,
        )
        # asked in the future: the clock was set back, and what was written then counts as over; what nobody asked yet
        # has nothing to wait for
        due = sa.or_(P.due_at <= now, P.asked_at > now, P.asked_at.is_(None))
        wanted = sa.select(prior_searches).where(_WAITING, due, ~running, P.source.not_in(without))
        with self._write() as connection:
            if self._engine.dialect.name == "postgresql":  # SQLite holds its write lock already
                connection.execute(sa.text("LOCK TABLE prior_searches IN SHARE ROW EXCLUSIVE MODE"))
            row = connection.execute(wanted.order_by(P.due_at, P.position, *_KEY).limit(1)).one_or_none()
            if row is None:
                return None
            taken = (
                prior_searches.update()
                .where(*_is(_search(row)))
                .values(
                    attempts=P.attempts + 1, leased_by=owner, leased_until=now + timedelta(seconds=for_s), asked_at=now
                )
                .returning(*prior_searches.c)
            )
            return _search(connection.execute(taken).one())

    def finish(self, search: PriorSearch, state: SearchState, answer: Mapping[str, Any], *, now: datetime) -> None:
        done = {"finished_at": now, "leased_by": None, "leased_until": None}
        with self._write() as connection:
            connection.execute(
                prior_searches.update()
                .where(*_is(search))
                .values(state=state.value, answer=answer, failure=None, **done)
            )
            if state is SearchState.FOUND:
                of_study = P.study_instance_uid == search.study_instance_uid
                connection.execute(
                    prior_searches.update().where(of_study, _WAITING).values(state=SearchState.NOT_NEEDED.value, **done)
                )

    def put_off(self, search: PriorSearch, *, failure: str, answer: Mapping[str, Any], due_at: datetime) -> None:
        with self._write() as connection:
            connection.execute(
                prior_searches.update()
                .where(*_is(search), _WAITING)
                .values(failure=failure, answer=answer, due_at=due_at, leased_by=None, leased_until=None)
            )

    def give_up(self, search: PriorSearch, *, failure: str, answer: Mapping[str, Any], now: datetime) -> None:
        with self._write() as connection:
            connection.execute(
                prior_searches.update()
                .where(*_is(search), _WAITING)
                .values(
                    state=SearchState.GAVE_UP.value,
                    failure=failure,
                    answer=answer,
                    finished_at=now,
                    leased_by=None,
                    leased_until=None,
                )
            )

    def release(self, owner: str, *, now: datetime) -> int:
        with self._write() as connection:
            done = connection.execute(
                prior_searches.update()
                .where(_WAITING, P.leased_by == owner)
                .values(leased_by=None, leased_until=None, due_at=now)
            )
            return int(done.rowcount)

    def of_study(self, study_instance_uid: str) -> list[PriorSearch]:
        statement = sa.select(prior_searches).where(P.study_instance_uid == study_instance_uid)
        with self._reading() as connection:
            return [_search(row) for row in connection.execute(statement.order_by(P.position, *_KEY))]

    def of_studies(self, study_instance_uids: Sequence[str]) -> dict[str, list[PriorSearch]]:
        statement = sa.select(prior_searches).where(P.study_instance_uid.in_(study_instance_uids))
        found: dict[str, list[PriorSearch]] = {}
        with self._reading() as connection:
            for row in connection.execute(statement.order_by(P.position, *_KEY)):
                found.setdefault(row.study_instance_uid, []).append(_search(row))
        return found

    def note_fetched(self, study_instance_uid: str, sender: str) -> None:
        with self._write() as connection:
            values = {"study_instance_uid": study_instance_uid, "sender": sender}
            connection.execute(self._insert(fetched_from).on_conflict_do_nothing().values(**values))

    def fetched(self, study_instance_uids: Sequence[str]) -> set[str]:
        with self._reading() as connection:
            return fetched_among(connection, study_instance_uids)


_KEY = (P.study_instance_uid, P.source)


def _is(one: PriorSearch) -> list[sa.ColumnElement[bool]]:
    return [P.study_instance_uid == one.study_instance_uid, P.source == one.source]


def _values(one: PriorSearch) -> dict[str, object]:
    return {
        "study_instance_uid": one.study_instance_uid,
        "source": one.source,
        "position": one.position,
        "patient_id": one.patient.patient_id,
        "issuer": one.patient.issuer,
        "due_at": one.due_at,
        "state": one.state.value,
        "attempts": one.attempts,
        "asked_at": one.asked_at,
        "finished_at": one.finished_at,
        "failure": one.failure,
        "answer": dict(one.answer),
        "asked_for": one.asked_for,
        "leased_by": None,
        "leased_until": None,
    }


def _search(row: sa.Row[tuple[object, ...]]) -> PriorSearch:
    return PriorSearch(
        study_instance_uid=row.study_instance_uid,
        source=row.source,
        position=row.position,
        patient=PatientKey(row.patient_id, row.issuer),
        due_at=row.due_at,
        state=SearchState(row.state),
        attempts=row.attempts,
        asked_at=row.asked_at,
        finished_at=row.finished_at,
        failure=row.failure,
        answer=row.answer,
        asked_for=row.asked_for,
    )
