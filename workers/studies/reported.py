"""The index as the feeds see it: infusions and identities that clinical systems report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime

from triage.identity import issuer_form
from triage.infusions import Infusion, StatedInfusion
from workers.identity_events import Persons
from workers.ports import PatientKey, StudyIndex
from workers.studies.corrections import accept_confirmed
from workers.studies.infusions import report_infusion
from workers.studies.merging import merge_patients

FEEDS = ("HL7", "FHIR")
"""How a source begins that is a feed. Every other one is a person: a command, a roster, the site's archive."""


class ReportedFacts:
    """See workers.feeds.apply.PatientFacts."""

    def __init__(self, index: StudyIndex, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._index, self._now = index, now

    def add_infusion(self, patient: PatientKey, infusion: Infusion) -> None:
        """A date close to a known one corrects it. The decisions that it concerns are made again. A day that a person
        or a roster states stays theirs."""
        theirs = self._of_persons(patient, infusion.day)
        said = replace(infusion, source=theirs[0].source) if theirs else infusion
        report_infusion(self._index, patient, said, now=self._now())

    def has_heard_of(self, patient: PatientKey, day: date) -> bool:
        """Whether anything was ever said of that day, also when it was withdrawn or corrected since."""
        return bool(self._statements(patient, day))

    def say_again(self, patient: PatientKey, day: date) -> None:
        """Nothing when no infusion of that day holds, or held before a later word replaced it."""
        for key, said in self._said(patient, day):
            self._index.add_infusion(key, said.infusion, now=self._now())

    def remove_infusion(self, patient: PatientKey, day: date) -> bool:
        """False: a person or a roster states that day, so it stays."""
        if self._of_persons(patient, day):
            return False
        self._index.remove_infusion(patient, day, now=self._now())
        return True

    def _of_persons(self, patient: PatientKey, day: date) -> list[Infusion]:
        found = [said.infusion for _, said in self._said(patient, day)]
        return [one for one in found if one.source and not one.source.startswith(FEEDS)]

    def _said(self, patient: PatientKey, day: date) -> list[tuple[PatientKey, StatedInfusion]]:
        """What was said of that day and not withdrawn since."""
        found = self._statements(patient, day)
        gone = max((one.withdrawn_at for _, one in found if one.withdrawn_at is not None), default=None)
        return [(key, one) for key, one in found if gone is None or (one.said_at is not None and one.said_at > gone)]

    def _statements(self, patient: PatientKey, day: date) -> list[tuple[PatientKey, StatedInfusion]]:
        """Under every spelling of the ID that no issuer tells apart, and of every ID that is merged with it."""
        person = Persons(self._index.identity_events(patient.patient_id)).in_force(patient)
        return [
            (key, one)
            for key, some in self._index.infusions_like(person.patient_id).items()
            if len({issuer_form(key.issuer), issuer_form(person.issuer)} - {""}) < 2
            for one in some
            if one.infusion.day == day
        ]

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
