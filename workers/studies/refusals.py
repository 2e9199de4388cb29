"""A reason why a study could not be measured in, the Assessed that says so out: a visible ``not_assessable`` like any
other result."""

from __future__ import annotations

from datetime import date, time
from typing import TYPE_CHECKING

from triage.decision import days_after
from triage.model import Category, Decision, Patient, Priority, Stage, Study
from triage.report.contents import Assessment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from triage.assessment import Assessed
    from workers.ports import StudyRow


def outcome(
    study: Study, *, code: str, message: str, infusion_date: date | None, versions: Mapping[str, str]
) -> Assessed:
    """Nothing measured, nothing compared, priority left as it was.

    Args:
        code: stable reason code of the contract, e.g. ``processing_failed``.
        message: a sentence for the reader.
    """
    from triage.assessment import Assessed

    assessment = Assessment(
        study=study,
        days_after_infusion=days_after(study.study_date, infusion_date),
        baseline=None,
        used_as={},
        skipped=(),
        registration=None,
        measurements=(),
        findings=(),
        decision=Decision(Category.NOT_ASSESSABLE, Priority.UNCHANGED, (f"{code}: {message}",)),
        stage=Stage.FULL,
        notices=(),
        timings_s={},
        versions=versions,
    )
    return Assessed(assessment=assessment, evidence=None)


def dicom_time(text: str) -> time | None:
    """A DICOM TM value, e.g. ``093015.25``; None when empty or malformed."""
    digits = text.replace(":", "").split(".")[0]
    try:
        return time(int(digits[0:2]), int(digits[2:4] or 0), int(digits[4:6] or 0))
    except ValueError:
        return None


def study_of(row: StudyRow) -> Study:
    """The study as the index knows it, for when its files cannot be read."""
    return Study(
        study_instance_uid=row.study_instance_uid,
        patient=Patient(row.patient_id, row.issuer, row.birth_date, row.sex),
        study_date=row.study_date,
        study_time=dicom_time(row.study_time),
        accession_number=row.accession_number,
    )
