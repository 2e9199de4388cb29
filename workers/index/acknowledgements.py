"""Who has acknowledged which study, what that stops, and which study a clinical system means. A part of
ports.Deliveries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace

import sqlalchemy as sa

from workers.delivery_ports import NOTHING_SEEN, STANDING_OUTPUTS, Acknowledgement, Call
from workers.identities import PatientKey
from workers.index.connected import Connected
from workers.index.delivery_lists import delivery_of
from workers.index.escalations import COVERED, DISCARDED, OF_DECISION, sequence_in, stop_acknowledged
from workers.index.persons import persons
from workers.index.schema import acknowledgements, assessments, deliveries, studies

A, D, S = acknowledgements.c, deliveries.c, assessments.c


class Acknowledgements(Connected):
    """See ports.Deliveries."""

    def acknowledge(self, one: Acknowledgement) -> int:
        one = self.with_sequence(one)
        with self._write() as connection:
            connection.execute(acknowledgements.insert().values(**asdict(one)))
            return stop_acknowledged(connection, [one.study_instance_uid], one.at)

    def with_sequence(self, one: Acknowledgement) -> Acknowledgement:
        """With the newest decision that is stored now, when it names none. One that is stored meanwhile is not seen."""
        if one.sequence is not None:
            return one
        newest = sa.select(sa.func.max(sequence_in(S.revision, S.stage)).label("sequence"))
        found = self._read(newest.where(S.study_instance_uid == one.study_instance_uid))[0]["sequence"]
        return replace(one, sequence=NOTHING_SEEN if found is None else found)

    def acknowledged(self, study_instance_uid: str) -> list[Acknowledgement]:
        columns = (A.study_instance_uid, A.by, A.at, A.sequence)
        wanted = sa.select(*columns).where(A.study_instance_uid == study_instance_uid).order_by(A.number)
        return [Acknowledgement(**row) for row in self._read(wanted)]

    def calls(self, study_instance_uid: str, destinations: Sequence[str]) -> list[Call]:
        if not destinations:
            return []
        given_up_before = sa.and_(D.state == DISCARDED, D.done_at < A.at)
        seen = sa.exists().where(OF_DECISION, COVERED, D.escalates, sa.not_(given_up_before)).correlate(deliveries)
        wanted = sa.select(deliveries, seen.label("seen")).where(
            D.study_instance_uid == study_instance_uid,
            D.destination.in_(destinations),
            D.output.not_in(STANDING_OUTPUTS),
        )
        with self._reading() as connection:
            return [Call(delivery_of(row), bool(row.seen)) for row in connection.execute(wanted)]

    def studies_meant(
        self, study_instance_uid: str, accession_numbers: Sequence[str], patients: Sequence[PatientKey]
    ) -> list[str]:
        c = studies.c
        columns = (c.study_instance_uid, c.patient_id, c.issuer, c.stated_patient_id, c.stated_issuer)
        wanted = sa.select(*columns).where(
            sa.or_(
                c.study_instance_uid == study_instance_uid,
                sa.and_(c.accession_number.in_(accession_numbers), c.accession_number != ""),
            )
        )
        with self._reading() as connection:
            found = connection.execute(wanted.order_by(c.study_instance_uid)).all()
            who = persons(connection, {one.patient_id for one in patients}) if found else None
        if any(row.study_instance_uid == study_instance_uid for row in found):
            return [study_instance_uid]
        known = {*patients, *(who.in_force(one) for one in patients)} if who is not None else set()
        return [
            row.study_instance_uid
            for row in found
            if _same(PatientKey(row.patient_id, row.issuer), known)
            or _same(PatientKey(row.stated_patient_id or "", row.stated_issuer or ""), known)
        ]


def _same(key: PatientKey, known: set[PatientKey]) -> bool:
    """Whether a patient is among those of the message. An issuer that one side does not state contradicts nothing."""
    return any(
        key.patient_id and key.patient_id == one.patient_id and (not (key.issuer and one.issuer) or key == one)
        for one in known
    )
