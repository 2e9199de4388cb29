"""What a person sees and does about deliveries: rows of the index in, values out. A part of ports.Deliveries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from workers.delivery_ports import (
    GIVEN_UP,
    OPEN,
    PLAN,
    RETRIED,
    Decided,
    Delivery,
    DeliveryState,
    Known,
    Release,
    ShadowKind,
)
from workers.index.connected import Connected
from workers.index.image_schema import image_batches
from workers.index.schema import assessments, deliveries, destinations, instances, releases
from workers.index.superseding import give_way

B, D, I = image_batches.c, deliveries.c, instances.c  # noqa: E741 - as the other tables
LONG_AGO = datetime.fromisoformat("1970-01-01T00:00:00+00:00")  # due at once, whatever the clock says
COLUMNS = tuple(field.name for field in fields(Delivery) if field.name != "decided")
ENDED = (DeliveryState.DONE, DeliveryState.SUPERSEDED)


class DeliveryLists(Connected):
    """See ports.Deliveries."""

    def one(self, number: int) -> Delivery | None:
        found = self._select(sa.select(deliveries).where(D.number == number))
        return found[0] if found else None

    def listed(
        self,
        *,
        states: Sequence[DeliveryState] = (),
        destination: str | None = None,
        study_instance_uid: str | None = None,
        shadow: bool | None = None,
        limit: int = 200,
    ) -> list[Delivery]:
        conditions: list[sa.ColumnElement[bool]] = []
        if states:
            conditions.append(D.state.in_([state.value for state in states]))
        if destination is not None:
            conditions.append(D.destination == destination)
        if study_instance_uid is not None:
            conditions.append(D.study_instance_uid == study_instance_uid)
        if shadow is not None:
            conditions.append(D.shadow == shadow)
        return self._select(sa.select(deliveries).where(*conditions).order_by(D.number.desc()).limit(limit))

    def tallies(self, *, ended: bool = True) -> dict[tuple[str, str], int]:
        statement = sa.select(D.destination, D.state, sa.func.count()).group_by(D.state, D.destination)
        if not ended:  # a scan of the whole index otherwise: 64 ms among 100,000 rows of PostgreSQL
            statement = statement.where(D.state.in_([state.value for state in DeliveryState if state not in ENDED]))
        with self._reading() as connection:
            return {(row[0], row[1]): row[2] for row in connection.execute(statement)}

    def oldest_open(self) -> dict[str, datetime]:
        name = destinations.c.name

        def oldest(state: DeliveryState) -> sa.ScalarSelect[datetime]:  # one look into the index for each
            found = sa.select(sa.func.min(D.planned_at, type_=D.planned_at.type))
            return found.where(D.state == state.value, D.destination == name).scalar_subquery()

        statement = sa.select(name, oldest(DeliveryState.PLANNED), oldest(DeliveryState.SENDING))
        with self._reading() as connection:
            rows = [(row[0], [when for when in row[1:] if when is not None]) for row in connection.execute(statement)]
        return {destination: min(times) for destination, times in rows if times}

    def sent(self, destination: str, *, since: datetime, until: datetime) -> int:
        statement = sa.select(sa.func.count()).where(
            D.state == DeliveryState.DONE.value,
            D.destination == destination,
            D.done_at >= since,
            D.done_at <= until,
            D.size_bytes > 0,
        )
        with self._reading() as connection:
            return int(connection.execute(statement).scalar_one())

    def delivered(self, study_instance_uid: str, revision: int) -> bool:
        a = assessments.c
        planned = sa.select(a.planned_at).where(
            a.study_instance_uid == study_instance_uid, a.revision == revision, a.stage == "full"
        )
        of_study = D.study_instance_uid == study_instance_uid
        still_open = sa.select(D.number).where(of_study, D.state.in_([state.value for state in OPEN])).limit(1)
        batch = sa.select(B.number).where(B.study_instance_uid == study_instance_uid, B.planned_at.is_(None)).limit(1)
        loose = sa.select(I.sop_instance_uid).where(I.study_instance_uid == study_instance_uid, I.batch.is_(None))
        with self._reading() as connection:
            has_plan = connection.execute(planned).scalar() is not None
            return has_plan and all(
                connection.execute(one).first() is None for one in (still_open, batch, loose.limit(1))
            )

    def retry(self, numbers: Sequence[int], *, now: datetime) -> int:
        statement = (
            deliveries.update()
            .where(D.number.in_(numbers), D.state.in_(RETRIED), D.output != PLAN)
            .values(state=DeliveryState.PLANNED.value, due_at=LONG_AGO, attempts=0, done_at=None)
            .values(planned_at=now)
            .returning(D.number, D.destination, D.study_instance_uid)
        )
        with self._write() as connection:
            rows = connection.execute(statement).all()
            names = {row.destination for row in rows}
            connection.execute(destinations.update().where(destinations.c.name.in_(names)).values(paused_until=None))
            return _still_waiting(connection, rows, now)

    def discard(self, numbers: Sequence[int], *, why: str, now: datetime) -> int:
        statement = deliveries.update().where(D.number.in_(numbers), D.state.in_(GIVEN_UP))
        values = {"state": DeliveryState.DISCARDED.value, "answer": f"given up: {why}", "done_at": now}
        with self._write() as connection:
            return connection.execute(statement.values(**values)).rowcount

    def let_go(self, numbers: Sequence[int], *, by: str, now: datetime, behind: Sequence[Delivery] = ()) -> int:
        statement = deliveries.update().where(D.number.in_(numbers), D.state == DeliveryState.HELD.value)
        values = {"state": DeliveryState.PLANNED.value, "due_at": LONG_AGO, "planned_at": now, "released_by": by}
        with self._write() as connection:
            rows = connection.execute(statement.values(**values).returning(D.number, D.study_instance_uid)).all()
            waiting = _still_waiting(connection, rows, now)
            going = sa.select(D.study_instance_uid, D.destination).where(
                D.number.in_([row.number for row in rows]), D.state == DeliveryState.PLANNED.value
            )
            places = {tuple(row) for row in connection.execute(going)}
            some = [one for one in behind if (one.decided.study_instance_uid, one.destination) in places]
            if some:
                notes = [delivery_values(one, now) for one in some]
                connection.execute(self._insert(deliveries).on_conflict_do_nothing(), notes)
            return waiting

    def known(self, destination: str) -> Known | None:
        return next((one for one in self._known(destinations.c.name == destination)), None)

    def all_known(self) -> list[Known]:
        return self._known(sa.true())

    def release(self, release: Release) -> None:
        with self._write() as connection:
            connection.execute(releases.insert().values(**asdict(release) | {"kind": release.kind.value}))

    def releases(self) -> list[Release]:
        with self._reading() as connection:
            rows = connection.execute(sa.select(releases).order_by(releases.c.number)).mappings()
            found = [{key: value for key, value in row.items() if key != "number"} for row in rows]
        return [Release(**one | {"kind": ShadowKind(one["kind"])}) for one in found]

    def _known(self, condition: sa.ColumnElement[bool]) -> list[Known]:
        columns = [destinations.c[field.name] for field in fields(Known)]
        with self._reading() as connection:
            rows = connection.execute(sa.select(*columns).where(condition).order_by(destinations.c.name))
            return [Known(**row) for row in rows.mappings()]

    def _select(self, statement: sa.Select[tuple[object, ...]]) -> list[Delivery]:
        with self._reading() as connection:
            return [delivery_of(row) for row in connection.execute(statement)]


def _still_waiting(connection: Connection, rows: Sequence[sa.Row[Any]], now: datetime) -> int:
    """How many of these that a person let wait again are not overtaken by a newer decision, a retraction or an
    acknowledgement."""
    give_way(connection, sorted({row.study_instance_uid for row in rows}), now)
    wait = sa.select(sa.func.count()).where(
        D.number.in_([row.number for row in rows]), D.state == DeliveryState.PLANNED.value
    )
    return int(connection.execute(wait).scalar_one())


def delivery_of(row: sa.Row[tuple[object, ...]]) -> Delivery:
    values = row._mapping
    known = {name: values[name] for name in COLUMNS} | {"state": DeliveryState(values["state"])}
    return Delivery(decided=Decided(row.study_instance_uid, row.revision, row.stage), **known)


def delivery_values(one: Delivery, now: datetime) -> dict[str, Any]:
    known = {name: getattr(one, name) for name in COLUMNS if name != "number"}
    return known | {
        "study_instance_uid": one.decided.study_instance_uid,
        "revision": one.decided.revision,
        "stage": one.decided.stage,
        "sequence": one.decided.sequence,
        "state": one.state.value,
        "planned_at": one.planned_at or now,
    }
