"""The index as the feeds see it: infusions and identities that clinical systems report."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime

from triage.infusions import Infusion, corrected
from workers.feeds.facts import PatientKey
from workers.log import get_logger, study_hash
from workers.ports import StudyIndex, StudyRow, StudyState

log = get_logger(__name__)

MOST_STUDIES = 100_000


class CannotApplyError(Exception):
    """The index has no such operation: the message is set aside, and a human does what it says."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} is not possible: do it by hand")


class ReportedFacts:
    """See workers.feeds.apply.PatientFacts."""

    def __init__(self, index: StudyIndex, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._index, self._now = index, now

    def add_infusion(self, patient: PatientKey, infusion: Infusion) -> None:
        """Set the date, and have the patient's studies decided again that were decided with another one.

        Raises:
            CannotApplyError: another infusion is known, too long before or after this one to be the same.
        """
        known = self._index.infusion_date(patient.patient_id)
        if known is not None and corrected(infusion.day, [Infusion(known)]) is None:
            raise CannotApplyError("keeping a further infusion of a patient")
        if known != infusion.day:
            self._index.set_infusion_date(patient.patient_id, infusion.day)
        # also when the date is known: the process may have ended between the date and the studies
        for row in self._index.studies(limit=MOST_STUDIES):
            if row.patient_id == patient.patient_id and self._decided_otherwise(row, infusion.day):
                self._index.requeue(row.study_instance_uid, now=self._now())
                log.info("study.infusion_changed", study=study_hash(row.study_instance_uid))

    def _decided_otherwise(self, row: StudyRow, day: date) -> bool:
        if row.state is not StudyState.ASSESSED or row.study_date is None:
            return False
        document = self._index.assessment(row.study_instance_uid)
        return document is not None and document["study"]["days_after_infusion"] != (row.study_date - day).days

    def remove_infusion(self, patient: PatientKey, day: date) -> None:  # noqa: ARG002 - a port
        raise CannotApplyError("removing an infusion")

    def merge_patients(self, *, old: PatientKey, new: PatientKey, source: str) -> None:  # noqa: ARG002 - a port
        raise CannotApplyError("merging patients")

    def correct_patient(self, patient: PatientKey, *, birth_date: date | None, sex: str, source: str) -> None:
        """The index takes identities from images; an update without a merge changes nothing."""
