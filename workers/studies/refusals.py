"""A reason why a study could not be measured in, the Assessed that says so out: a visible ``not_assessable`` like any
other result."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from triage.decision import days_after
from triage.model import Category, Decision, Priority, Stage, Study
from triage.report.contents import Assessment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from triage.assessment import Assessed


MIXED_PATIENTS = "mixed_patients"  # of one study: no patient ID has a clear majority


def outcome(
    study: Study, *, code: str, message: str, infusion_date: date | None, versions: Mapping[str, str]
) -> Assessed:
    """Nothing measured, nothing compared. The priority is left as it was, unless nobody can say whose study it is: then
    a human has to look, since a finding may be among the images.

    Args:
        code: stable reason code of the contract, e.g. ``processing_failed``.
        message: a sentence for the reader.
    """
    from triage.assessment import Assessed

    priority = Priority.P2 if code == MIXED_PATIENTS else Priority.UNCHANGED
    assessment = Assessment(
        study=study,
        days_after_infusion=days_after(study.study_date, infusion_date),
        baseline=None,
        used_as={},
        skipped=(),
        registration=None,
        measurements=(),
        findings=(),
        decision=Decision(Category.NOT_ASSESSABLE, priority, (f"{code}: {message}",)),
        stage=Stage.FULL,
        notices=(),
        timings_s={},
        versions=versions,
    )
    return Assessed(assessment=assessment, evidence=None)
