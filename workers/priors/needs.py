"""The index in, the follow-ups that need an earlier study from an archive out. Pure but for reading the index."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from triage.infusions import infusion_of
from workers.ports import StudyIndex, StudyRow, StudyState
from workers.prior_settings import PriorsSettings
from workers.studies.cohort import was_not_looked_at
from workers.studies.inputs import changed, is_before, is_under_way
from workers.studies.person import infusions_of_person, studies_of_person
from workers.studies.reconsider import inputs_now, stored_inputs

RECENT = timedelta(days=14)  # of an older arrival nobody waits for a better decision
GONE = (StudyState.REMOVING, StudyState.REMOVED)


@dataclass(frozen=True)
class Window:
    """The days of studies that can be the baseline, both included. infusion_date None: not known."""

    first: date
    last: date
    infusion_date: date | None

    def __str__(self) -> str:
        return f"{self.first.isoformat()}/{self.last.isoformat()}"


def window_of(row: StudyRow, index: StudyIndex, *, latest_days: int) -> Window | None:
    """Which days a baseline of the study can have; None: the study has no date, or is before the infusion itself.

    Args:
        latest_days: an earlier study that is older than this many days before the infusion is no baseline.
    """
    if row.study_date is None:
        return None
    infusion = infusion_of(row.study_date, infusions_of_person(row, index)[0])
    if infusion is not None and row.study_date <= infusion.day:
        return None
    last = row.study_date if infusion is None else infusion.day
    return Window(last - timedelta(days=latest_days), last, None if infusion is None else infusion.day)


def needs_prior(
    row: StudyRow, index: StudyIndex, settings: PriorsSettings, *, latest_days: int, now: datetime
) -> Window | None:
    """The days to search, when the study has no baseline in the store; None: nothing is to be searched."""
    if not row.patient_id or row.state in GONE or now - row.last_received_at > RECENT:
        return None
    window = window_of(row, index, latest_days=latest_days)
    if was_not_looked_at(row):
        return None
    if window is None or (window.infusion_date is None and not settings.without_infusion):
        return None
    stored = [
        other
        for other in studies_of_person(row, index)
        if other.state not in GONE
        and is_before(other, row)
        and other.study_date is not None
        and window.first <= other.study_date <= window.last
    ]
    return window if not stored or _decided_without(row, index) else None


def _decided_without(row: StudyRow, index: StudyIndex) -> bool:
    """Whether the full decision found no baseline among what is stored now, and will not be made again by itself."""
    if row.decided_revision is None or row.decided_revision != row.revision:
        return False
    document = index.assessment(row.study_instance_uid) or {}
    if document.get("stage", "full") != "full" or (document.get("baseline") or {}).get("study_instance_uid"):
        return False
    if any(is_before(other, row) and is_under_way(other) for other in studies_of_person(row, index)):
        return False
    return not changed(stored_inputs(document), inputs_now(row, index))


def cannot_be_baseline(row: StudyRow, index: StudyIndex) -> dict[str, str]:
    """Study UID -> why the decision in force cannot compare with it; empty when that decision is to be made again."""
    if not _decided_without(row, index):
        return {}
    document = index.assessment(row.study_instance_uid) or {}
    refused = (document.get("baseline") or {}).get("rejected") or ()
    return {one["study_instance_uid"]: one["reason"] for one in refused}
