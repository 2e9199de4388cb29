"""The index about patients: infusions, who is who, and marks of what changed. A part of ports.StudyIndex."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from datetime import date, datetime

import sqlalchemy as sa

from triage.identity import SameId, id_form, same_form
from triage.infusions import Infusion, StatedInfusion, said_again, standing
from workers.identity_events import IdentityEvent, Persons
from workers.index import patients, persons
from workers.index.connected import STUDY_COLUMNS, Connected
from workers.index.schema import AT_ONCE, instances, reconsider, studies
from workers.index.spellings import SAME_ID, spelled_as, spellings
from workers.output_kinds import KOS
from workers.ports import InstanceRow, PatientKey, StudyRow

_WITH_ID = (
    sa.select(*STUDY_COLUMNS)
    .where(studies.c.patient_id.in_(spelled_as(sa.bindparam("form", type_=sa.Text))))
    .order_by(studies.c.study_date, studies.c.study_time, studies.c.study_instance_uid)
)
_MARKED = sa.select(reconsider).order_by(reconsider.c.marked_at, reconsider.c.patient_id)


_I = instances.c
_KEY_OBJECTS = (
    sa.select(*(_I[one.name] for one in fields(InstanceRow)))
    .where(_I.study_instance_uid.in_(sa.bindparam("studies", expanding=True)), _I.sop_class_uid == KOS)
    .order_by(_I.received_at, _I.sop_instance_uid)
)


class PatientQueries(Connected):
    """See ports.StudyIndex for what each method promises."""

    @property
    def same_id(self) -> SameId:
        found: SameId = self._engine.get_execution_options().get(SAME_ID, SameId.CONFIRMED)
        return found

    def key_objects(self, study_instance_uids: Sequence[str]) -> list[InstanceRow]:
        found: list[InstanceRow] = []
        with self._reading() as connection:
            for first in range(0, len(study_instance_uids), AT_ONCE):
                some = {"studies": study_instance_uids[first : first + AT_ONCE]}
                found += [InstanceRow(**row) for row in connection.execute(_KEY_OBJECTS, some).mappings()]
        return found

    def infusions_of(self, patient: PatientKey) -> tuple[Infusion, ...]:
        with self._reading() as connection:
            who = persons.persons(connection, {patient.patient_id})
            known = patients.read_statements(connection, patients.with_ids({patient.patient_id, *who.patient_ids}))
        return standing(patients.said_of_person(known, who, who.in_force(patient)))

    def infusions_like(self, patient_id: str) -> dict[PatientKey, tuple[StatedInfusion, ...]]:
        with self._reading() as connection:
            known, who = self._said_like(connection, patient_id)
        keys = {who.in_force(key) for key in known}
        like = sorted(key for key in keys if same_form(key.patient_id, patient_id))
        return {key: patients.said_of_person(known, who, key) for key in like}

    def add_infusion(self, patient: PatientKey, infusion: Infusion, *, now: datetime) -> None:
        with self._write() as connection:
            known, _ = self._said_like(connection, patient.patient_id)
            before = _of_day(known.get(patient, ()), infusion.day)
            said = said_again(before, infusion, patients.after_all(connection, now))
            self._put_statement(connection, patient, said, now)

    def remove_infusion(self, patient: PatientKey, day: date, *, now: datetime) -> bool:
        with self._write() as connection:
            known, who = self._said_like(connection, patient.patient_id)
            found = patients.is_known_by(known, who, patient, day)
            own = _of_day(known.get(patient, ()), day)
            if found or own is None:
                said = own or StatedInfusion(Infusion(day))
                withdrawn = replace(said, withdrawn_at=patients.after_all(connection, now))
                self._put_statement(connection, patient, withdrawn, now)
            return found

    def infusions(self) -> dict[PatientKey, tuple[Infusion, ...]]:
        with self._reading() as connection:
            return patients.of_everybody(patients.read_statements(connection), persons.all_persons(connection))

    def record_identity(self, event: IdentityEvent) -> bool:
        return self._record_identity(event)[1]

    def _record_identity(self, event: IdentityEvent) -> tuple[IdentityEvent, bool]:
        with self._write() as connection:
            return persons.record(connection, self._insert, event)

    def identity_events(self, patient_id: str) -> list[IdentityEvent]:
        with self._reading() as connection:
            return persons.read_events(connection, {patient_id})

    def studies_with_id(self, patient_id: str) -> list[StudyRow]:
        return self._studies(_WITH_ID, form=id_form(patient_id))

    def marked_patients(self) -> dict[str, datetime]:
        return {row["patient_id"]: row["marked_at"] for row in self._read(_MARKED)}

    def mark_patient(self, patient_id: str, *, now: datetime) -> None:
        with self._write() as connection:
            patients.mark(connection, self._insert, patient_id, now)

    def forget_mark(self, patient_id: str, marked_at: datetime) -> None:
        c = reconsider.c
        with self._write() as connection:
            connection.execute(reconsider.delete().where(c.patient_id == patient_id, c.marked_at == marked_at))

    def _said_like(
        self, connection: sa.Connection, patient_id: str
    ) -> tuple[dict[PatientKey, tuple[StatedInfusion, ...]], Persons]:
        """What was said under every spelling of an ID and of those that are merged with it, and who is who."""
        who = persons.persons(connection, {patient_id})
        ids = spellings(connection, {patient_id, *who.patient_ids})
        return patients.read_statements(connection, patients.with_ids(ids)), who

    def _put_statement(
        self, connection: sa.Connection, patient: PatientKey, said: StatedInfusion, now: datetime
    ) -> None:
        patients.put_statement(connection, self._insert, patient, said, now)
        self._mark_in_force(connection, patient, now)

    def _mark_in_force(self, connection: sa.Connection, patient: PatientKey, now: datetime) -> None:
        """Studies are found by the ID in force."""
        who = persons.persons(connection, {patient.patient_id})
        patients.mark(connection, self._insert, who.in_force(patient).patient_id, now)


def _of_day(statements: Iterable[StatedInfusion], day: date) -> StatedInfusion | None:
    """What was last said about the day."""
    return next((one for one in statements if one.infusion.day == day), None)
