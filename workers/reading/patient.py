"""A header in, the patient and the study that it names out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from triage.identity import repaired
from triage.model import Patient, Study
from workers.identities import StudyFacts, printable
from workers.moments import DATES_OF_A_STUDY, first_date, parse_date, parse_time, plain_time
from workers.reading.values import plain_text, text, value_of


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
    return printable(repaired(plain_text(value_of(ds, keyword)))).strip()


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


_AGE = re.compile(r"(\d{1,3})([DWMY]?)", re.IGNORECASE)
_A_YEAR = {"D": 365.25, "W": 52.18, "M": 12.0, "Y": 1.0, "": 1.0}


def age_in_years(stated: str) -> float | None:
    """PatientAge (AS, PS3.5 6.2: 018M) in years; some writers leave zeros or the unit out."""
    found = _AGE.fullmatch(stated.strip())
    return None if found is None else int(found[1]) / _A_YEAR[found[2].upper()]


def stated_ages(headers: Iterable[Any]) -> tuple[float, ...]:
    """The different ages that the objects of a study state, in years."""
    ages = (age_in_years(text(ds, "PatientAge")) for ds in headers)
    return tuple(sorted({age for age in ages if age is not None}))


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
