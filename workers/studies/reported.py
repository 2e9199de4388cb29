"""The index as the feeds see it: infusions and identities that clinical systems report."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime

from triage.infusions import Infusion
from workers.ports import PatientKey, StudyIndex
from workers.studies.corrections import accept_confirmed
from workers.studies.infusions import report_infusion
from workers.studies.merging import merge_patients


class ReportedFacts:
    """See workers.feeds.apply.PatientFacts."""

    def __init__(self, index: StudyIndex, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._index, self._now = index, now

    def add_infusion(self, patient: PatientKey, infusion: Infusion) -> None:
        """A date close to a known one corrects it. The decisions that it concerns are made again."""
        report_infusion(self._index, patient, infusion, now=self._now())

    def remove_infusion(self, patient: PatientKey, day: date) -> None:
        self._index.remove_infusion(patient, day, now=self._now())

    def merge_patients(self, *, old: PatientKey, new: PatientKey, source: str) -> None:
        """The decisions that it concerns are made again.

        Raises:
            IdentityRefusedError: it contradicts what is in force; a human must say what holds.
        """
        merge_patients(self._index, old=old, new=new, source=source, now=self._now())
        self.correct_patient(new, birth_date=None, sex="", source=source)

    def correct_patient(self, patient: PatientKey, *, birth_date: date | None, sex: str, source: str) -> None:
        """Images that came again with this identity are this patient's; the decisions concerned are made again. Of
        other studies the images say who the patient is."""
        accept_confirmed(self._index, patient, birth_date=birth_date, sex=sex, source=source, now=self._now())
