"""Who has acknowledged which study, and which study a clinical system means. A part of ports.Deliveries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import sqlalchemy as sa

from workers.delivery_ports import Acknowledgement
from workers.identities import PatientKey
from workers.index.connected import Connected
from workers.index.persons import persons
from workers.index.schema import acknowledgements, studies

A = acknowledgements.c


class Acknowledgements(Connected):
    """See ports.Deliveries."""

    def acknowledge(self, one: Acknowledgement) -> None:
        with self._write() as connection:
            connection.execute(acknowledgements.insert().values(**asdict(one)))

    def acknowledged(self, study_instance_uid: str) -> list[Acknowledgement]:
        columns = (A.study_instance_uid, A.by, A.at)
        wanted = sa.select(*columns).where(A.study_instance_uid == study_instance_uid).order_by(A.number)
        return [Acknowledgement(**row) for row in self._read(wanted)]

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
