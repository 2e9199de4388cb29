"""Whose studies are looked at (``triage.cohort``): everybody's, or those of patients with a known infusion."""

from __future__ import annotations

from typing import TYPE_CHECKING

from triage.decision import NOT_IN_COHORT
from triage.errors import NotAssessable
from workers.studies.person import infusions_of_person

if TYPE_CHECKING:
    from workers.ports import StudyIndex, StudyRow

MESSAGE = "not looked at: no infusion of this patient is known here, and triage.cohort is roster"


def require_cohort(row: StudyRow, index: StudyIndex, cohort: str) -> None:
    """Does nothing for a study that is to be looked at. An infusion that becomes known marks the patient, and the study
    is decided again.

    Raises:
        NotAssessable: the patient is not on the roster.
    """
    if cohort != "roster":
        return
    infusions, notices = infusions_of_person(row, index)
    if not infusions:
        raise NotAssessable(NOT_IN_COHORT, "; ".join((MESSAGE, *notices)))


def was_not_looked_at(row: StudyRow) -> bool:
    """Whether the newest decision says so."""
    return any(reason.startswith(f"{NOT_IN_COHORT}: ") for reason in row.reasons)
