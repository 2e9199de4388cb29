"""A header in, the patient and the study that it names out."""

from __future__ import annotations

from typing import Any

from triage.identity import repaired
from triage.model import Patient, Study
from workers.identities import StudyFacts, printable
from workers.moments import DATES_OF_A_STUDY, first_date, parse_date, parse_time, plain_time
from workers.reading.values import text, value_of


def patient_of(ds: Any) -> Patient:
    """Identity as the header states it."""
    return Patient(
        patient_id=_identity_text(ds, "PatientID"),
        issuer=_identity_text(ds, "IssuerOfPatientID"),
        birth_date=parse_date(text(ds, "PatientBirthDate")),
        sex=text(ds, "PatientSex").upper(),
    )


def _identity_text(ds: Any, keyword: str) -> str:
    """A wrong or missing character set must not make another patient of the ID."""
    value = value_of(ds, keyword)
    return "" if value is None else printable(repaired(str(value).strip("\0 "))).strip()


def stated_facts(ds: Any) -> StudyFacts:
    """What the header says about its patient and study."""
    patient = patient_of(ds)
    return StudyFacts(
        patient_id=patient.patient_id,
        issuer=patient.issuer,
        birth_date=patient.birth_date,
        sex=patient.sex,
        study_date=first_date(text(ds, keyword) for keyword in DATES_OF_A_STUDY),
        study_time=plain_time(text(ds, "StudyTime")),
        accession_number=text(ds, "AccessionNumber"),
    )


def study_without_series(ds: Any, facts: StudyFacts | None = None) -> Study:
    """The study that a header belongs to; facts: what all its objects say together."""
    said = facts if facts is not None else stated_facts(ds)
    return Study(
        study_instance_uid=text(ds, "StudyInstanceUID"),
        patient=Patient(said.patient_id, said.issuer, said.birth_date, said.sex),
        study_date=said.study_date,
        study_time=parse_time(said.study_time),
        accession_number=said.accession_number,
        study_description=text(ds, "StudyDescription"),
    )
