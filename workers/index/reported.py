"""The index as the feeds see it: infusions and identities that clinical systems report."""

from __future__ import annotations

from datetime import date

from triage.infusions import Infusion
from workers.feeds.facts import PatientKey
from workers.ports import StudyIndex


class CannotApplyError(Exception):
    """The index has no such operation: the message is set aside, and a human does what it says."""


class ReportedFacts:
    """See workers.feeds.apply.PatientFacts."""

    def __init__(self, index: StudyIndex) -> None:
        self._index = index

    def add_infusion(self, patient: PatientKey, infusion: Infusion) -> None:
        self._index.set_infusion_date(patient.patient_id, infusion.day)

    def remove_infusion(self, patient: PatientKey, day: date) -> None:  # noqa: ARG002 - a port
        raise CannotApplyError("removing an infusion")

    def merge_patients(self, *, old: PatientKey, new: PatientKey, source: str) -> None:  # noqa: ARG002 - a port
        raise CannotApplyError("merging patients")

    def correct_patient(self, patient: PatientKey, *, birth_date: date | None, sex: str, source: str) -> None:
        """The index takes identities from images; an update without a merge changes nothing."""
