"""Patients in the index in memory: infusions, who is who, and marks of what changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

from triage.errors import Transient
from triage.identity import SameId, same_form
from triage.infusions import Infusion, StatedInfusion, said_again, standing
from workers.identities import BY_NOTE, GivenAnswer, StudyFacts
from workers.identity_events import IdentityEvent, Persons, connected_ids, persons_among
from workers.index.patients import is_known_by, of_everybody, said_of_person
from workers.index.persons import STUDY_FACTS, WHO
from workers.output_kinds import KOS
from workers.ports import InstanceRow, PatientKey, StudyRow


def after_humans(row: InstanceRow, answers: Sequence[GivenAnswer]) -> InstanceRow:
    """A note is later than every answer of a human, who did not know of it."""
    said = [given.at + timedelta(microseconds=1) for given in answers if given.answer not in BY_NOTE]
    return replace(row, received_at=max([row.received_at, *said])) if row.sop_class_uid == KOS else row


@dataclass
class InMemoryStudy:
    row: StudyRow
    lease: tuple[str, int, int] | None = None  # owner, revision, attempt
    ready_reason: str | None = None
    settled_at: datetime | None = None


class InMemoryPatients:
    """A part of ports.StudyIndex. away: every call raises Transient."""

    def __init__(self) -> None:
        self._studies: dict[str, InMemoryStudy] = {}
        self._infusions: dict[PatientKey, dict[date, StatedInfusion]] = {}
        self._last = datetime.min.replace(tzinfo=UTC)
        self._events: list[IdentityEvent] = []
        self.same_id = SameId.CONFIRMED
        self._marked: dict[str, datetime] = {}
        self.away = False

    def put_visit(self, study_instance_uid: str, day: date, at: str, *, now: datetime) -> None:
        self._here()
        study = self._studies[study_instance_uid]
        study.row = replace(study.row, study_date=day, study_time=at)
        self._mark_both(PatientKey(study.row.patient_id), now)

    def infusions_of(self, patient: PatientKey) -> tuple[Infusion, ...]:
        self._here()
        return standing(said_of_person(self._said(), self._persons(), self._persons().in_force(patient)))

    def infusions_like(self, patient_id: str) -> dict[PatientKey, tuple[StatedInfusion, ...]]:
        said, who = self._said(), self._persons()
        like = sorted(key for key in {who.in_force(key) for key in said} if same_form(key.patient_id, patient_id))
        return {key: said_of_person(said, who, key) for key in like}

    def add_infusion(self, patient: PatientKey, infusion: Infusion, *, now: datetime) -> None:
        self._here()
        own = self._infusions.setdefault(patient, {})
        own[infusion.day] = said_again(own.get(infusion.day), infusion, self._after_all(now))
        self._mark_both(patient, now)

    def remove_infusion(self, patient: PatientKey, day: date, *, now: datetime) -> bool:
        self._here()
        found = is_known_by(self._said(), self._persons(), patient, day)
        own = self._infusions.setdefault(patient, {})
        if found or day not in own:
            own[day] = replace(own.get(day, StatedInfusion(Infusion(day))), withdrawn_at=self._after_all(now))
            self._mark_both(patient, now)
        return found

    def _after_all(self, now: datetime) -> datetime:
        self._last = max(now, self._last + timedelta(microseconds=1))
        return self._last

    def _said(self) -> dict[PatientKey, tuple[StatedInfusion, ...]]:
        return {key: tuple(days.values()) for key, days in self._infusions.items()}

    def _mark_both(self, patient: PatientKey, now: datetime) -> None:
        for patient_id in {patient.patient_id, self._persons().in_force(patient).patient_id}:
            self.mark_patient(patient_id, now=now)

    def infusions(self) -> dict[PatientKey, tuple[Infusion, ...]]:
        self._here()
        return of_everybody(self._said(), self._persons())

    def record_identity(self, event: IdentityEvent) -> bool:
        self._here()
        if self._persons().known_as(event) is not None:
            return False
        latest = max((one.at for one in self._events), default=datetime.min.replace(tzinfo=UTC))
        self._events.append(replace(event, at=max(event.at, latest + timedelta(microseconds=1))))
        for patient_id in (event.old.patient_id, event.new.patient_id):
            self.mark_patient(patient_id, now=event.at)
        self._put_in_force(event.at)
        return True

    def identity_events(self, patient_id: str) -> list[IdentityEvent]:
        self._here()
        named = {one for event in self._events for one in (event.old.patient_id, event.new.patient_id)}
        ids = connected_ids(self._events, {patient_id, *(one for one in named if same_form(one, patient_id))})
        return [event for event in self._events if event.old.patient_id in ids]

    def _persons(self) -> Persons:
        stated = [_stated(study.row) for study in self._studies.values()]
        return persons_among(self._events, stated, self.same_id)

    def _put_in_force(self, now: datetime) -> None:
        who = self._persons()
        for study in self._studies.values():
            stated, before = _stated(study.row), study.row
            facts = who.facts_in_force(before.study_instance_uid, stated)
            values = {name: getattr(facts, name) for name in WHO}
            values |= {f"stated_{name}": None if facts == stated else getattr(stated, name) for name in WHO}
            study.row = replace(before, **values)
            if study.row != before:
                self.mark_patient(before.patient_id, now=now)
                self.mark_patient(study.row.patient_id, now=now)

    def studies_with_id(self, patient_id: str) -> list[StudyRow]:
        self._here()
        rows = [study.row for study in self._studies.values() if same_form(study.row.patient_id, patient_id)]
        return sorted(rows, key=lambda row: (row.study_date or date.min, row.study_time, row.study_instance_uid))

    def marked_patients(self) -> dict[str, datetime]:
        self._here()
        return dict(sorted(self._marked.items(), key=lambda one: (one[1], one[0])))

    def mark_patient(self, patient_id: str, *, now: datetime) -> None:
        self._here()
        if patient_id:
            self._marked[patient_id] = now

    def forget_mark(self, patient_id: str, marked_at: datetime) -> None:
        self._here()
        if self._marked.get(patient_id) == marked_at:
            del self._marked[patient_id]

    def _here(self) -> None:
        if self.away:
            raise Transient("the index is away")


def _stated(row: StudyRow) -> StudyFacts:
    facts = {name: getattr(row, name) for name in STUDY_FACTS}
    if row.stated_patient_id is not None:
        facts |= {name: getattr(row, f"stated_{name}") for name in WHO}
    return StudyFacts(**facts)
