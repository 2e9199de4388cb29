"""Who is who, in the index: events in, the identity in force in the row of every study that they concern out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import fields, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from workers.identities import PatientKey, StudyFacts, Votes
from workers.identity_events import Change, IdentityEvent, Persons, events_in_turn, persons_among
from workers.index.patients import mark
from workers.index.schema import identity_events, studies
from workers.index.spellings import remember, spellings, tolerance
from workers.ports import InstanceRow

Insert = Callable[[sa.Table], Any]

STUDY_FACTS = tuple(field.name for field in fields(StudyFacts))
WHO = ("patient_id", "issuer", "birth_date", "sex")  # of StudyFacts: what an event can change
STATED = tuple(f"stated_{name}" for name in WHO)


_ABOUT = (
    sa.select(identity_events)
    .where(
        sa.or_(
            identity_events.c.old_id.in_(sa.bindparam("ids", expanding=True)),
            identity_events.c.new_id.in_(sa.bindparam("ids", expanding=True)),
        )
    )
    .order_by(identity_events.c.number)
)


def read_events(connection: Connection, patient_ids: Collection[str]) -> list[IdentityEvent]:
    """The events about these IDs and about every ID that is connected with them, oldest first."""
    known = spellings(connection, patient_ids)
    while known:
        rows = connection.execute(_ABOUT, {"ids": sorted(known)}).all()
        found = known | spellings(connection, {one for row in rows for one in (row.old_id, row.new_id)})
        if found == known:
            return [_event(row) for row in rows]
        known = found
    return []


def persons(connection: Connection, patient_ids: Collection[str]) -> Persons:
    """Who is who among these IDs and those connected with them."""
    return _persons(connection, read_events(connection, patient_ids))


def all_persons(connection: Connection) -> Persons:
    """Who is who, of everybody."""
    return _persons(connection, all_events(connection))


def all_events(connection: Connection) -> list[IdentityEvent]:
    """In the order in which they were recorded."""
    rows = connection.execute(sa.select(identity_events).order_by(identity_events.c.number))
    return [_event(row) for row in rows]


def _persons(connection: Connection, events: list[IdentityEvent]) -> Persons:
    if not events:
        return Persons(())
    ids = spellings(connection, Persons(events).patient_ids)
    c = studies.c
    concerned = sa.or_(c.patient_id.in_(ids), c.stated_patient_id.in_(ids))
    columns = [c[name] for name in (*STUDY_FACTS, *STATED)]
    rows = connection.execute(sa.select(*columns).where(concerned).distinct()).mappings()
    return persons_among(events, [facts_of_images(row) for row in rows], tolerance(connection))


def record(connection: Connection, insert: Insert, event: IdentityEvent) -> tuple[IdentityEvent, bool]:
    """Store an event and put it in force. The event as it is stored, and False: it was known.

    It is later than every event before it, also when a clock was set back: the files of events are replayed by time.

    Raises:
        IdentityRefusedError: it contradicts what is in force.
    """
    ids = {event.old.patient_id, event.new.patient_id}
    known = persons(connection, ids).known_as(event)
    if known is not None:
        return known, False
    latest = connection.execute(sa.select(sa.func.max(identity_events.c.at))).scalar()
    stored = event if latest is None else replace(event, at=max(event.at, latest + timedelta(microseconds=1)))
    connection.execute(identity_events.insert(), [_values(stored)])
    _mark_and_put_in_force(connection, insert, ids, event.at)
    return stored, True


def restore_events(connection: Connection, insert: Insert, kept: Collection[IdentityEvent], now: datetime) -> int:
    """Record the events that have no row and say more than the rows do; how many. Nobody sees a state between two."""
    recorded = all_events(connection)
    rows = set(recorded)
    whole = events_in_turn(recorded, [event for event in dict.fromkeys(kept) if event not in rows])
    new = [event for event in whole if event not in rows]
    if not new:
        return 0
    if whole[: len(recorded)] != recorded:  # the order of the rows is that of the events
        connection.execute(identity_events.delete())
        rows = set()
    connection.execute(identity_events.insert(), [_values(event) for event in whole if event not in rows])
    ids = {one for event in new for one in (event.old.patient_id, event.new.patient_id)}
    _mark_and_put_in_force(connection, insert, ids, now)
    return len(new)


def _mark_and_put_in_force(connection: Connection, insert: Insert, patient_ids: Collection[str], now: datetime) -> None:
    remember(connection, insert, patient_ids)
    for patient_id in sorted(patient_ids):
        mark(connection, insert, patient_id, now)
    put_in_force(connection, insert, patient_ids, now)


def put_in_force(connection: Connection, insert: Insert, patient_ids: Collection[str], now: datetime) -> None:
    """Write the identity in force into every study that is concerned, and mark who loses and who gets a study."""
    known = persons(connection, patient_ids)
    if not known.events:
        return
    ids = spellings(connection, known.patient_ids)
    c = studies.c
    columns = [c.study_instance_uid, *(c[name] for name in (*STUDY_FACTS, *STATED))]
    concerned = sa.or_(c.patient_id.in_(ids), c.stated_patient_id.in_(ids))
    for row in connection.execute(sa.select(*columns).where(concerned)).mappings().all():
        stated = facts_of_images(row)
        now_is = known.facts_in_force(row["study_instance_uid"], stated)
        same = now_is == stated
        values = {name: getattr(now_is, name) for name in WHO}
        values |= {f"stated_{name}": None if same else getattr(stated, name) for name in WHO}
        if all(row[name] == value for name, value in values.items()):
            continue
        connection.execute(studies.update().where(c.study_instance_uid == row["study_instance_uid"]).values(**values))
        for patient_id in sorted({row["patient_id"], now_is.patient_id}):
            mark(connection, insert, patient_id, now)


def facts_of_images(row: Mapping[str, Any] | RowMapping) -> StudyFacts:
    """What the images of a study state. row: with STUDY_FACTS and STATED."""
    found = {name: row[name] for name in STUDY_FACTS}
    if row["stated_patient_id"] is not None:
        found |= {name: row[f"stated_{name}"] for name in WHO}
    return StudyFacts(**found)


def row_votes(row: InstanceRow) -> Votes:
    """The vote of one object."""
    return Votes(row_facts(row), 1, max(1, row.frame_count))


def row_facts(row: InstanceRow) -> StudyFacts:
    """What one object says about its patient and study."""
    return StudyFacts(**{name: getattr(row, name) for name in STUDY_FACTS})


def _values(event: IdentityEvent) -> dict[str, Any]:
    return {
        "change": event.change.value,
        "old_id": event.old.patient_id,
        "old_issuer": event.old.issuer,
        "new_id": event.new.patient_id,
        "new_issuer": event.new.issuer,
        "source": event.source,
        "at": event.at,
        "study_instance_uid": event.study_instance_uid,
        "birth_date": event.birth_date,
        "sex": event.sex,
    }


def _event(row: Any) -> IdentityEvent:
    return IdentityEvent(
        change=Change(row.change),
        old=PatientKey(row.old_id, row.old_issuer),
        new=PatientKey(row.new_id, row.new_issuer),
        source=row.source,
        at=row.at,
        study_instance_uid=row.study_instance_uid,
        birth_date=row.birth_date,
        sex=row.sex,
    )
