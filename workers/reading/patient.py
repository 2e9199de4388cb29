"""A header in, the patient and the study that it names out."""

from __future__ import annotations

from typing import Any

from triage.model import Patient, Study
from workers.reading.values import parse_date, parse_time, text


def patient_of(ds: Any) -> Patient:
    """Identity as the header states it."""
    return Patient(
        patient_id=text(ds, "PatientID"),
        issuer=text(ds, "IssuerOfPatientID"),
        birth_date=parse_date(text(ds, "PatientBirthDate")),
        sex=text(ds, "PatientSex").upper(),
    )


def study_without_series(ds: Any) -> Study:
    """The study that a header belongs to."""
    return Study(
        study_instance_uid=text(ds, "StudyInstanceUID"),
        patient=patient_of(ds),
        study_date=parse_date(text(ds, "StudyDate")),
        study_time=parse_time(text(ds, "StudyTime")),
        accession_number=text(ds, "AccessionNumber"),
        study_description=text(ds, "StudyDescription"),
    )
