"""The deliveries in the index: ports.Deliveries over SQLite or PostgreSQL.

Leases are compare-and-set: one UPDATE whose WHERE states what must still be true. A time that lies further ahead than
any honest one was written before the clock was set back, and counts as passed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from workers.delivery_ports import (
    WAITS,
    Decided,
    Delivery,
    DeliveryState,
    Known,
    Unplanned,
)
from workers.index.acknowledgements import Acknowledgements
from workers.index.corrections import as_needed
from workers.index.decisions import RESTORED
from workers.index.delivery_lists import DeliveryLists, delivery_of, delivery_values
from workers.index.other_nodes import OtherNodes
from workers.index.retrieved import fetched_among
from workers.index.schema import assessments, deliveries, destinations, open_engine
from workers.index.superseding import give_way, note_retracted

D, PLANNED, SENDING = deliveries.c, DeliveryState.PLANNED.value, DeliveryState.SENDING.value
NO_LEASE: dict[str, None] = {"lease_owner": None, "lease_until": None}


def open_delivery_table(url: str) -> SqlDeliveries:
    """The deliveries of an index whose tables are there already.

    Raises:
        Misconfigured: the URL is not one of SQLite or PostgreSQL.
    """
    return SqlDeliveries(open_engine(url))


def _next_due(*before: sa.ColumnElement[int]) -> sa.Select[tuple[int]]:
    """The most urgent one that waits, whose time has come, and of whose study nothing is on the way to the same place.

    before: what counts more than urgency. Parameters: destination; now; late, called: what is due after it was written
    before the clock was set back; called: of an escalation.
    """
    other = deliveries.alias("other")
    now, late, called = (sa.bindparam(name, type_=D.due_at.type) for name in ("now", "late", "called"))
    beside = sa.exists().where(
        other.c.study_instance_uid == D.study_instance_uid,
        other.c.destination == D.destination,
        other.c.state == SENDING,
    )
    due = sa.or_(D.due_at <= now, sa.and_(sa.not_(D.escalates), D.due_at > late), D.due_at > called)
    wanted = sa.select(D.number).where(
        D.destination == sa.bindparam("destination"), D.state == PLANNED, due, sa.not_(beside)
    )
    return wanted.order_by(*before, D.urgency, D.number).limit(1)


# made once: making them takes as long as running them
NEXT = _next_due()
NEXT_LOCKED = NEXT.with_for_update()
LEAST_TRIED_LOCKED = _next_due(D.attempts).with_for_update()
TAKE = (
    deliveries.update()
    .where(D.number == sa.bindparam("taken"), D.state == PLANNED)
    .values(
        state=SENDING,
        attempts=D.attempts + 1,
        lease_owner=sa.bindparam("owner"),
        lease_until=sa.bindparam("until", type_=D.lease_until.type),
    )
    .returning(*deliveries.c)
)


class SqlDeliveries(DeliveryLists, Acknowledgements, OtherNodes):
    """See ports.Deliveries for what each method promises. Safe to share between threads."""

    # Destinations whose last look found something. Replaced, never changed: a lost entry costs one look.
    _busy: frozenset[str] = frozenset()

    def register(self, names: Sequence[str], *, since: datetime) -> dict[str, Known]:
        rows = [{"name": name, "since": since, "failures": 0} for name in names]
        with self._write() as connection:
            if rows:
                connection.execute(self._insert(destinations).on_conflict_do_nothing(), rows)
        return {one.name: one for one in self.all_known() if one.name in names}

    def unplanned(self, *, study_instance_uid: str | None = None, limit: int) -> list[Unplanned]:
        a = assessments.c
        of_study = sa.true() if study_instance_uid is None else a.study_instance_uid == study_instance_uid
        statement = (
            sa.select(a.study_instance_uid, a.revision, a.stage, a.created_at, a.document, a.planned_at, a.retracted_at)
            .where(sa.or_(a.planned_at.is_(None), a.planned_at == RESTORED), of_study)
            .order_by(a.created_at, a.revision, a.stage_rank)
            .limit(limit)
        )
        with self._reading() as connection:
            return [
                Unplanned(
                    Decided(row.study_instance_uid, row.revision, row.stage),
                    row.created_at,
                    str((row.document.get("decision") or {}).get("priority", "")),
                    restored=row.planned_at is not None,
                    retracted=row.retracted_at is not None,
                )
                for row in connection.execute(statement)
            ]

    def is_fetched(self, study_instance_uid: str) -> bool:
        with self._reading() as connection:
            return bool(fetched_among(connection, [study_instance_uid]))

    def plan(
        self, decided: Decided, some: Sequence[Delivery], *, now: datetime, corrections: Sequence[Delivery] = ()
    ) -> None:
        a = assessments.c
        key = (
            a.study_instance_uid == decided.study_instance_uid,
            a.revision == decided.revision,
            a.stage == decided.stage,
        )
        with self._write() as connection:
            self._put(connection, some, now, corrections)
            connection.execute(assessments.update().where(*key).values(planned_at=now))

    def mark_retracted(self, wrong: Sequence[Decided], *, now: datetime) -> None:
        with self._write() as connection:
            for one in wrong:
                connection.execute(note_retracted(one, now))
            give_way(connection, sorted({one.study_instance_uid for one in wrong}), now)

    def add(self, some: Sequence[Delivery], *, now: datetime, corrections: Sequence[Delivery] = ()) -> None:
        with self._write() as connection:
            self._put(connection, some, now, corrections)

    def hold(self, destination: str, *, owner: str, now: datetime, for_s: float) -> bool:
        c, span = destinations.c, timedelta(seconds=for_s)
        free = sa.or_(c.owner.is_(None), c.owner == owner, c.owner_until <= now, c.owner_until > now + 2 * span)
        statement = destinations.update().where(c.name == destination, free)
        with self._write() as connection:
            return connection.execute(statement.values(owner=owner, owner_until=now + span)).rowcount == 1

    def take(
        self,
        destination: str,
        *,
        owner: str,
        now: datetime,
        for_s: float,
        longest_s: float,
        escalate_s: float = 0.0,
        least_tried: bool = False,
    ) -> Delivery | None:
        late, called = (now + timedelta(seconds=one) for one in (longest_s, max(longest_s, escalate_s)))
        due = {"destination": destination, "now": now, "late": late, "called": called}
        if destination not in self._busy:  # most of the time there is nothing, and a look needs no lock
            with self._reading() as connection:
                if connection.execute(NEXT, due).first() is None:
                    return None
        lease = {"owner": owner, "until": now + timedelta(seconds=for_s)}
        with self._write() as connection:
            number = connection.execute(LEAST_TRIED_LOCKED if least_tried else NEXT_LOCKED, due).scalar()
            row = None if number is None else connection.execute(TAKE, {"taken": number, **lease}).one_or_none()
        self._busy = self._busy - {destination} if row is None else self._busy | {destination}
        return None if row is None else delivery_of(row)

    def settle(self, delivery: Delivery, *, now: datetime) -> bool:
        names = ("due_at", "failure", "error_class", "answer", "size_bytes", "attempts")
        values: dict[str, Any] = {name: getattr(delivery, name) for name in names}
        held = [D.number == delivery.number]
        if delivery.state is not DeliveryState.DONE:  # that the receiver has it is true, whoever holds the lease
            held += [D.state == SENDING, D.lease_owner == delivery.lease_owner, D.lease_until == delivery.lease_until]
        ended = None if delivery.state in (DeliveryState.PLANNED, DeliveryState.HELD) else now
        statement = deliveries.update().where(*held)
        with self._write() as connection:
            stored = connection.execute(
                statement.values(state=delivery.state.value, done_at=ended, **NO_LEASE, **values)
            ).rowcount
            if delivery.state.value in WAITS:
                give_way(connection, [delivery.decided.study_instance_uid], now)
        return stored == 1

    def free(self, *, now: datetime, owner: str | None = None, for_s: float = 0.0) -> int:
        too_far = now + 2 * timedelta(seconds=for_s)
        lost = sa.or_(D.lease_until <= now, D.lease_until > too_far) if owner is None else D.lease_owner == owner
        look = sa.select(D.number).where(D.state == SENDING, lost).limit(1)
        with self._reading() as connection:
            if connection.execute(look).first() is None:
                return 0
        statement = deliveries.update().where(D.state == SENDING, lost).values(state=PLANNED, **NO_LEASE)
        with self._write() as connection:
            studies = [row[0] for row in connection.execute(statement.returning(D.study_instance_uid))]
            give_way(connection, studies, now)
        return len(studies)

    def expire(self, destination: str, *, before: datetime, why: str, now: datetime) -> int:
        statement = deliveries.update().where(D.destination == destination, D.state == PLANNED, D.planned_at < before)
        values = {"state": DeliveryState.DEAD.value, "failure": why, "error_class": "transient", "done_at": now}
        with self._write() as connection:
            return connection.execute(statement.values(**values)).rowcount

    def pause(self, destination: str, *, failures: int, until: datetime | None) -> None:
        statement = destinations.update().where(destinations.c.name == destination)
        with self._write() as connection:
            connection.execute(statement.values(failures=failures, paused_until=until))

    def _put(
        self, connection: Connection, some: Sequence[Delivery], now: datetime, corrections: Sequence[Delivery] = ()
    ) -> None:
        some = [*some, *as_needed(connection, corrections, now)]
        if some:
            values = [delivery_values(one, now) for one in some]
            connection.execute(self._insert(deliveries).on_conflict_do_nothing(), values)
            give_way(connection, sorted({one.decided.study_instance_uid for one in some}), now)
