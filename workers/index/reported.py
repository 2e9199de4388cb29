"""The index as the feeds see it: infusions and identities that clinical systems report."""

from __future__ import annotations

from datetime import date

from triage.errors import Transient
from triage.infusions import Infusion
from workers.feeds.facts import PatientKey
from workers.ports import StudyIndex


class ReportedFacts:
    """See workers.feeds.apply.PatientFacts."""

    def __init__(self, index: StudyIndex) -> None:
        self._index = index

    def add_infusion(self, patient: PatientKey, infusion: Infusion) -> None:
        self._index.set_infusion_date(patient.patient_id, infusion.day)

    def remove_infusion(self, patient: PatientKey, day: date) -> None:  # noqa: ARG002 - a port
        raise Transient("the index cannot remove an infusion yet; the message waits")

    def merge_patients(self, *, old: PatientKey, new: PatientKey, source: str) -> None:  # noqa: ARG002 - a port
        raise Transient("the index cannot merge patients yet; the message waits")

    def correct_patient(self, patient: PatientKey, *, birth_date: date | None, sex: str, source: str) -> None:
        """The index takes identities from images; an update without a merge changes nothing."""
