"""What is known of patients besides their images: infusions, and marks of what changed. Rows in, values out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from triage.identity import issuer_form, same_form
from triage.infusions import Infusion, StatedInfusion, standing
from workers.identity_events import Persons
from workers.index.schema import infusions, reconsider, studies
from workers.index.spellings import remember
from workers.ports import PatientKey

Insert = Callable[[sa.Table], Any]


def read_statements(
    connection: Connection, *conditions: sa.ColumnElement[bool]
) -> dict[PatientKey, tuple[StatedInfusion, ...]]:
    """What was said about infusions, also what was withdrawn since."""
    c = infusions.c
    found: defaultdict[PatientKey, list[StatedInfusion]] = defaultdict(list)
    for row in connection.execute(sa.select(infusions).where(*conditions).order_by(c.patient_id, c.issuer, c.day)):
        infusion = Infusion(row.day, row.kind, row.source)
        said = StatedInfusion(infusion, row.said_at, row.withdrawn_at, row.first_said_at)
        found[PatientKey(row.patient_id, row.issuer)].append(said)
    return {patient: tuple(some) for patient, some in found.items()}


def with_ids(patient_ids: Collection[str]) -> sa.ColumnElement[bool]:
    return infusions.c.patient_id.in_(patient_ids)


def said_of_person(
    known: Mapping[PatientKey, Sequence[StatedInfusion]], who: Persons, person: PatientKey
) -> tuple[StatedInfusion, ...]:
    """Of every ID that is merged into the person's."""
    return tuple(one for key, some in known.items() if who.in_force(key) == person for one in some)


def of_everybody(
    known: Mapping[PatientKey, Sequence[StatedInfusion]], who: Persons
) -> dict[PatientKey, tuple[Infusion, ...]]:
    """By the ID in force; nobody without an infusion."""
    keys = sorted({who.in_force(key) for key in known})
    found = {key: standing(said_of_person(known, who, key)) for key in keys}
    return {key: some for key, some in found.items() if some}


def is_known_by(
    known: Mapping[PatientKey, Sequence[StatedInfusion]], who: Persons, patient: PatientKey, day: date
) -> bool:
    """Whether an infusion of that day holds, under the ID of the patient or another spelling of it."""
    return any(one.day == day for one in standing(_like(known, who, who.in_force(patient))))


def _like(
    known: Mapping[PatientKey, Sequence[StatedInfusion]], who: Persons, person: PatientKey
) -> Iterator[StatedInfusion]:
    """Under every spelling of the ID that no issuer tells apart."""
    for key, some in known.items():
        one = who.in_force(key)
        issuers = {issuer_form(one.issuer), issuer_form(person.issuer)} - {""}
        if same_form(one.patient_id, person.patient_id) and len(issuers) < 2:
            yield from some


def after_all(connection: Connection, now: datetime) -> datetime:
    """Now, or just after everything that was said before: a clock may have been set back."""
    c = infusions.c
    latest = connection.execute(sa.select(sa.func.max(c.said_at), sa.func.max(c.withdrawn_at))).one()
    said: list[datetime] = [at for at in latest if at is not None]
    return max([now, *(at + timedelta(microseconds=1) for at in said)])


def put_statement(
    connection: Connection, insert: Insert, patient: PatientKey, said: StatedInfusion, now: datetime
) -> None:
    """In place of what was last said under this ID about this day."""
    remember(connection, insert, {patient.patient_id})
    statement, infusion = insert(infusions), said.infusion
    key = {"patient_id": patient.patient_id, "issuer": patient.issuer, "day": infusion.day}
    values: dict[str, Any] = {"kind": infusion.kind, "source": infusion.source}
    values |= {"said_at": said.said_at, "withdrawn_at": said.withdrawn_at, "first_said_at": said.first_said_at}
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=list(key), set_={name: statement.excluded[name] for name in values}
        ),
        [key | values],
    )
    mark(connection, insert, patient.patient_id, now)


def forget_statement(connection: Connection, patient: PatientKey, day: date) -> None:
    c = infusions.c
    of_day = (c.patient_id == patient.patient_id, c.issuer == patient.issuer, c.day == day)
    connection.execute(infusions.delete().where(*of_day))


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
