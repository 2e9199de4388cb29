"""A row of the index in, the study and patient that it names out."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from triage.model import Patient, Study, StudyImages
from workers.moments import parse_time

if TYPE_CHECKING:
    from workers.ports import StudyIndex, StudyRow


def study_of(row: StudyRow) -> Study:
    """The study as the index knows it, for when its files cannot be read."""
    return Study(
        study_instance_uid=row.study_instance_uid,
        patient=Patient(row.patient_id, row.issuer, row.birth_date, row.sex),
        study_date=row.study_date,
        study_time=parse_time(row.study_time),
        accession_number=row.accession_number,
    )


def with_visit(study: Study, row: StudyRow, index: StudyIndex, *, now: datetime) -> StudyRow:
    """The row with the day of the visit that is assessed, which is written into the index: of two visits under one UID
    the headers may state one day for both. The same row when its day is that one.

    Every rule takes the day of a study from its row: the order of studies, infusion, urgency, prior.
    """
    if study.study_date is None or study.study_date == row.study_date:
        return row
    at = "" if study.study_time is None else study.study_time.strftime("%H%M%S")
    index.put_visit(row.study_instance_uid, study.study_date, at, now=now)
    return replace(row, study_date=study.study_date, study_time=at)


def in_force(study: Study, row: StudyRow) -> Study:
    """The study as its images describe it, with the patient whose it is now: a merge or a correction is not in the
    images."""
    return study if row.stated_patient_id is None else replace(study, patient=study_of(row).patient)


def images_in_force(images: StudyImages, row: StudyRow) -> StudyImages:
    """See in_force; a notice says that the images carry another identity. It names no ID: notices stand in the
    picture."""
    if row.stated_patient_id is None:
        return images
    said = "the images carry another identity than the one that is in force"
    if row.stated_patient_id != row.patient_id:
        said = "the images carry another patient ID than the one that is in force"
        born, sex = row.stated_birth_date, row.stated_sex
        if (born and born != row.birth_date) or (sex and sex != row.sex):
            said = f"{said}, and another birth date or sex"
    return replace(images, study=in_force(images.study, row), notices=(*images.notices, said))
