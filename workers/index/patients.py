"""What is known of patients besides their images: infusions, and marks of what changed. Rows in, values out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from triage.infusions import Infusion
from workers.identity_events import Persons
from workers.index.schema import infusions, reconsider, studies
from workers.index.spellings import remember
from workers.ports import PatientKey

Insert = Callable[[sa.Table], Any]


def read_infusions(
    connection: Connection, *conditions: sa.ColumnElement[bool]
) -> dict[PatientKey, tuple[Infusion, ...]]:
    c = infusions.c
    found: defaultdict[PatientKey, list[Infusion]] = defaultdict(list)
    for row in connection.execute(sa.select(infusions).where(*conditions).order_by(c.patient_id, c.issuer, c.day)):
        found[PatientKey(row.patient_id, row.issuer)].append(Infusion(row.day, row.kind, row.source))
    return {patient: tuple(some) for patient, some in found.items()}


def with_ids(patient_ids: Collection[str]) -> sa.ColumnElement[bool]:
    return infusions.c.patient_id.in_(patient_ids)


def of_person(
    known: Mapping[PatientKey, tuple[Infusion, ...]], who: Persons, person: PatientKey
) -> tuple[Infusion, ...]:
    """Those of every ID that is merged into the person's, one for each day, whoever said so."""
    said = sorted(one for key, some in known.items() if who.in_force(key) == person for one in some)
    days = {one.day: one for one in said}
    return tuple(days[day] for day in sorted(days))


def is_of(patient: PatientKey) -> tuple[sa.ColumnElement[bool], ...]:
    return infusions.c.patient_id == patient.patient_id, infusions.c.issuer == patient.issuer


def add_infusion(
    connection: Connection, insert: Insert, patient: PatientKey, infusion: Infusion, now: datetime
) -> None:
    remember(connection, insert, {patient.patient_id})
    statement = insert(infusions)
    key = {"patient_id": patient.patient_id, "issuer": patient.issuer, "day": infusion.day}
    said = {"kind": infusion.kind, "source": infusion.source}
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=list(key), set_={name: statement.excluded[name] for name in said}
        ),
        [key | said],
    )
    mark(connection, insert, patient.patient_id, now)


def remove_infusion(connection: Connection, insert: Insert, patient: PatientKey, day: date, now: datetime) -> bool:
    done = connection.execute(infusions.delete().where(*is_of(patient), infusions.c.day == day))
    if done.rowcount:
        mark(connection, insert, patient.patient_id, now)
    return bool(done.rowcount)


def mark(connection: Connection, insert: Insert, patient_id: str, now: datetime) -> None:
    """An empty ID is nobody."""
    if not patient_id:
        return
    statement = insert(reconsider)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["patient_id"], set_={"marked_at": statement.excluded["marked_at"]}
        ),
        [{"patient_id": patient_id, "marked_at": now}],
    )


def mark_of_study(connection: Connection, insert: Insert, study_instance_uid: str, now: datetime) -> None:
    of_study = studies.c.study_instance_uid == study_instance_uid
    patient_id = connection.execute(sa.select(studies.c.patient_id).where(of_study)).scalar_one_or_none()
    mark(connection, insert, patient_id or "", now)
