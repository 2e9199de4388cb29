"""A study in, whether it goes ahead of others in the queue out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workers.studies.person import infusions_of_person

if TYPE_CHECKING:
    from workers.ports import StudyIndex, StudyRow


def is_urgent(row: StudyRow, index: StudyIndex) -> bool:
    """Whether the study goes ahead of baselines and strangers: it was taken on or after a known infusion of the person,
    as its decision sees them."""
    if row.study_date is None:
        return False
    return any(one.day <= row.study_date for one in infusions_of_person(row, index)[0])
