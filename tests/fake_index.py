"""The index in memory. It passes the same contract as the SQL one (tests/workers/index_contract.py)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

from tests.fake_patients import InMemoryPatients, InMemoryStudy, after_humans
from triage.decision import urgency
from triage.model import Priority
from triage.report.headline import is_before_treatment
from workers.announcements import Announcement, Source, StudyCount, count
from workers.identities import GivenAnswer, StudyFacts, merge_facts
from workers.index.patient_name import name_among
from workers.index.persons import STATED, row_votes
from workers.measured_classes import is_measured
from workers.output_kinds import KOS
from workers.ports import Claim, ConflictRow, InstanceRow, StudyRow, StudyState

STAGE_RANK = {"first_look": 0, "full": 1}


class InMemoryIndex(InMemoryPatients):
    """ports.StudyIndex in dictionaries. away: every call raises Transient."""

    def __init__(self) -> None:
        super().__init__()
        self._instances: dict[str, InstanceRow] = {}
        self._assessments: dict[tuple[str, int, str], dict[str, Any]] = {}
        self._announcements: dict[tuple[Source, str], Announcement] = {}
        self._conflicts: dict[str, ConflictRow] = {}
        self._answers: dict[str, tuple[str, GivenAnswer]] = {}

    def close(self) -> None:
        pass

    def one_look(self) -> AbstractContextManager[None]:
        return nullcontext()

    def record_instances(self, rows: Sequence[InstanceRow]) -> None:
        self._here()
        for row in rows:
            old = self._instances.get(row.sop_instance_uid)
            if old is None:
                self._instances[row.sop_instance_uid] = after_humans(
                    row, [given for _, given in self._answers.values()]
                )
                self._add(row)
            elif replace(row, received_at=old.received_at, path=old.path) != old:  # the file was replaced
                self._instances[row.sop_instance_uid] = row
                sent_by = {"calling_ae": old.calling_ae, "patient_name": old.patient_name}
                if replace(row, received_at=old.received_at, path=old.path, **sent_by) != old:
                    for uid in {row.study_instance_uid, old.study_instance_uid} & self._studies.keys():
                        self._reopen(uid, row)
                    if row.study_instance_uid not in self._studies:
                        self._add(row)

    def _add(self, row: InstanceRow) -> None:
        uid = row.study_instance_uid
        if uid not in self._studies:
            self._studies[uid] = InMemoryStudy(_new_study(row))
            self._put_in_force(row.received_at)
            return
        old = self._studies[uid].row
        if row.sop_class_uid == KOS:
            self.mark_patient(old.patient_id, now=row.received_at)
        if not is_measured(row.sop_class_uid) and old.state is not StudyState.RECEIVING and old.patient_id:
            self._studies[uid].row = replace(old, **self._counts(uid))
            self._merge_facts_of(uid, old, row)
            return
        self._reopen(uid, row)

    def _counts(self, uid: str) -> dict[str, Any]:
        series = [i.series_instance_uid for i in self._instances.values() if i.study_instance_uid == uid]
        return {"instance_count": len(series), "series_count": len(set(series))}

    def _reopen(self, uid: str, row: InstanceRow) -> None:
        old = self._studies[uid].row
        changed: dict[str, Any] = {
            **self._counts(uid),
            "first_received_at": min(old.first_received_at, row.received_at),
            "last_received_at": max(old.last_received_at, row.received_at),
        }
        if old.state is not StudyState.RECEIVING:
            changed |= {"revision": old.revision + 1, "attempts": 0, "ready_at": None, "due_at": None, "failure": None}
        self._studies[uid].row = replace(old, state=StudyState.RECEIVING, **changed)
        self._merge_facts_of(uid, old, row)

    def _merge_facts_of(self, uid: str, old: StudyRow, row: InstanceRow) -> None:
        now = self._studies[uid].row
        found = self._facts_of(uid)
        if now.instance_count:
            name = name_among([one for one in self._instances.values() if one.study_instance_uid == uid], found)
            now = self._studies[uid].row = replace(now, patient_name=name)
        if now.instance_count and found != self._facts_of(uid, but=row.sop_instance_uid):
            self._studies[uid].row = replace(now, **vars(found), **dict.fromkeys(STATED))
            self._put_in_force(row.received_at)
            for patient_id in sorted({old.patient_id, self._studies[uid].row.patient_id} - {""}):
                self.mark_patient(patient_id, now=row.received_at)

    def _facts_of(self, uid: str, but: str = "") -> StudyFacts:
        of_study = [one for one in self._instances.values() if one.study_instance_uid == uid]
        rows = [one for one in of_study if one.sop_instance_uid != but]
        voting = [one for one in rows if one.sop_instance_uid not in self._answers] or rows
        return merge_facts(map(row_votes, voting))

    def object_answers(self, study_instance_uid: str) -> dict[str, GivenAnswer]:
        self._here()
        return {uid: given for uid, (study, given) in self._answers.items() if study == study_instance_uid}

    def answer_objects(
        self, study_instance_uid: str, answers: Mapping[str, GivenAnswer], *, now: datetime, again: bool = True
    ) -> None:
        self._here()
        self._answers |= {uid: (study_instance_uid, given) for uid, given in answers.items()}
        study = self._studies.get(study_instance_uid)
        if study is None or study.row.state in (StudyState.REMOVING, StudyState.REMOVED):
            return
        before = study.row.patient_id
        study.row = replace(study.row, **vars(self._facts_of(study_instance_uid)), **dict.fromkeys(STATED))
        self._put_in_force(now)
        for patient_id in {before, study.row.patient_id}:
            self.mark_patient(patient_id, now=now)
        if again and study.row.state is not StudyState.RECEIVING:
            self.requeue(study_instance_uid, now=now)

    def studies_in_question(self) -> list[str]:
        self._here()
        stated: dict[str, tuple[set[str], set[date]]] = {}
        for row in self._instances.values():
            ids, births = stated.setdefault(row.study_instance_uid, (set(), set()))
            ids |= {row.patient_id} - {""}
            births |= set() if row.birth_date is None else {row.birth_date}
        mixed = {uid for uid, (ids, births) in stated.items() if len(ids) > 1 or len(births) > 1}
        return sorted(mixed | {study for study, _ in self._answers.values()})

    def receiving(self) -> list[StudyRow]:
        self._here()
        rows = [study.row for study in self._studies.values() if study.row.state is StudyState.RECEIVING]
        return sorted(rows, key=lambda row: (self._turn(row), row.first_received_at, row.study_instance_uid))

    def _turn(self, row: StudyRow) -> int:
        """0: an infusion on or before the day of the study is known under its patient ID."""
        said = [one for key, some in self._said().items() if key.patient_id == row.patient_id for one in some]
        days = [one.infusion.day for one in said if one.withdrawn_at is None]
        return 0 if row.study_date is not None and any(day <= row.study_date for day in days) else 1

    def mark_ready(self, study_instance_uid: str, *, now: datetime, reason: str) -> bool:
        self._here()
        study = self._studies.get(study_instance_uid)
        if study is None or study.row.state is not StudyState.RECEIVING:
            return False
        study.row = replace(study.row, state=StudyState.READY, ready_at=now, due_at=None, attempts=0)
        study.ready_reason = reason
        return True

    def due(self, *, now: datetime, lease_s: float = math.inf) -> list[StudyRow]:
        self._here()
        rows = [study.row for study in self._studies.values() if _is_due(study, now, lease_s)]
        return sorted(rows, key=lambda row: (self._turn(row), row.ready_at or now, row.study_instance_uid))

    def claim(self, study_instance_uid: str, *, owner: str, now: datetime, lease_s: float) -> Claim | None:
        self._here()
        study = self._studies.get(study_instance_uid)
        if study is None or not _is_due(study, now, lease_s):
            return None
        until, attempt = now + timedelta(seconds=lease_s), study.row.attempts + 1
        study.row = replace(study.row, attempts=attempt, lease_owner=owner, lease_until=until)
        study.lease = (owner, study.row.revision, attempt)
        return Claim(study_instance_uid, study.row.revision, owner, until, attempt)

    def renew(self, claim: Claim, *, now: datetime, lease_s: float) -> Claim | None:
        self._here()
        study = self._held(claim)
        if study is None:
            return None
        until = now + timedelta(seconds=lease_s)
        study.row = replace(study.row, lease_until=until)
        return replace(claim, until=until)

    def save_assessment(self, claim: Claim, *, stage: str, document: Mapping[str, Any], now: datetime) -> bool:
        self._here()
        study = self._held(claim)
        if study is None:
            return False
        key = (claim.study_instance_uid, claim.revision, stage)
        self._assessments[key] = {
            "revision": claim.revision,
            "stage": stage,
            "created_at": now,
            "superseded": False,
            "document": dict(document),
        }
        versions = self.assessments(claim.study_instance_uid)
        for version in versions:
            version["superseded"] = version is not versions[-1]
        decision = versions[-1]["document"].get("decision") or {}
        study.row = replace(
            study.row,
            decided_revision=versions[-1]["revision"],
            category=decision.get("category"),
            priority=decision.get("priority"),
            reasons=tuple(decision.get("reasons") or ()),
            before_treatment=is_before_treatment(versions[-1]["document"]),
        )
        self.mark_patient(study.row.patient_id, now=now)
        return True

    def complete(self, claim: Claim, *, now: datetime) -> bool:
        return self._settle(claim, now, state=StudyState.ASSESSED, due_at=None, failure=None)

    def fail(self, claim: Claim, *, reason: str, retry_at: datetime | None, now: datetime) -> None:
        state = StudyState.FAILED if retry_at is None else StudyState.READY
        self._settle(claim, now, state=state, due_at=retry_at, failure=reason)

    def _settle(self, claim: Claim, now: datetime, **values: Any) -> bool:
        self._here()
        study = self._held(claim)
        if study is None:
            return False
        applies = study.row.revision == claim.revision and study.row.state is StudyState.READY
        study.lease = None
        study.settled_at = now if applies else study.settled_at
        study.row = replace(study.row, lease_owner=None, lease_until=None, **(values if applies else {}))
        if applies:
            self.mark_patient(study.row.patient_id, now=now)
        return applies

    def requeue(self, study_instance_uid: str, *, now: datetime) -> bool:
        self._here()
        study = self._studies.get(study_instance_uid)
        if study is None or study.row.state in (StudyState.REMOVING, StudyState.REMOVED):
            return False
        study.row = replace(
            study.row,
            state=StudyState.READY,
            revision=study.row.revision + 1,
            attempts=0,
            ready_at=now,
            due_at=None,
            failure=None,
        )
        return True

    def begin_removal(self, study_instance_uid: str, *, revision: int) -> bool:
        self._here()
        study = self._studies[study_instance_uid]
        row = study.row
        if row.state is not StudyState.ASSESSED or row.revision != revision or row.lease_owner is not None:
            return False
        study.row = replace(row, state=StudyState.REMOVING)
        return True

    def finish_removal(self, study_instance_uid: str, sop_instance_uids: Sequence[str], *, now: datetime) -> None:
        self._here()
        for uid in sop_instance_uids:
            self._instances.pop(uid, None)
        left = self.instances(study_instance_uid)
        study = self._studies[study_instance_uid]
        study.row = replace(
            study.row,
            instance_count=len(left),
            series_count=len({row.series_instance_uid for row in left}),
            state=StudyState.REMOVED if study.row.state is StudyState.REMOVING else study.row.state,
        )
        self.mark_patient(study.row.patient_id, now=now)

    def study(self, study_instance_uid: str) -> StudyRow | None:
        self._here()
        study = self._studies.get(study_instance_uid)
        return study.row if study else None

    def studies(self, *, limit: int = 500) -> list[StudyRow]:
        self._here()
        rows = sorted((study.row for study in self._studies.values()), key=lambda row: row.study_instance_uid)
        return sorted(rows, key=lambda row: row.last_received_at, reverse=True)[:limit]

    def most_urgent(self, *, limit: int = 500) -> list[StudyRow]:
        newest = self.studies(limit=len(self._studies))
        ranked = sorted(newest, key=lambda row: -urgency(row.priority))
        first = [row for row in ranked if row.priority == Priority.P1]
        return first + [row for row in ranked if row.priority != Priority.P1][:limit]

    def number_of_studies(self) -> int:
        self._here()
        return len(self._studies)

    def instances(self, study_instance_uid: str) -> list[InstanceRow]:
        self._here()
        rows = [row for row in self._instances.values() if row.study_instance_uid == study_instance_uid]
        return sorted(rows, key=lambda row: (row.received_at, row.sop_instance_uid))

    def key_objects(self, study_instance_uids: Sequence[str]) -> list[InstanceRow]:
        rows = [row for uid in study_instance_uids for row in self.instances(uid)]
        found = [row for row in rows if row.sop_class_uid == KOS]
        return sorted(found, key=lambda row: (row.received_at, row.sop_instance_uid))

    def assessment(self, study_instance_uid: str) -> dict[str, Any] | None:
        versions = self.assessments(study_instance_uid)
        return dict(versions[-1]["document"]) if versions else None

    def assessments(self, study_instance_uid: str) -> list[dict[str, Any]]:
        self._here()
        keys = [key for key in self._assessments if key[0] == study_instance_uid]
        return [self._assessments[key] for key in sorted(keys, key=lambda key: (key[1], STAGE_RANK.get(key[2], 1)))]

    def tried_often(self, attempts: int) -> int:
        self._here()
        rows = (study.row for study in self._studies.values())
        return sum(row.state is StudyState.READY and row.attempts - bool(row.lease_owner) >= attempts for row in rows)

    def tallies(self) -> dict[tuple[str, str, str], int]:
        self._here()
        rows = (study.row for study in self._studies.values())
        return dict(Counter((row.state.value, row.category or "", row.priority or "") for row in rows))

    def not_looked_at(self) -> int:
        self._here()
        return sum(any(r.startswith("not_in_cohort: ") for r in s.row.reasons) for s in self._studies.values())

    def put_announcement(self, announcement: Announcement, *, now: datetime) -> None:
        self._here()
        self._announcements[announcement.source, announcement.uid] = announcement

    def announcement(self, source: Source, uid: str) -> Announcement | None:
        self._here()
        return self._announcements.get((source, uid))

    def study_counts(self, study_instance_uids: Sequence[str]) -> dict[str, StudyCount]:
        self._here()
        found = {}
        for uid in study_instance_uids:
            said = [one for one in self._announcements.values() if one.study_instance_uid == uid]
            if said:
                found[uid] = count(said, Counter(row.series_instance_uid for row in self.instances(uid)))
        return found

    def record_conflicts(self, rows: Sequence[ConflictRow]) -> None:
        self._here()
        for row in rows:
            self._conflicts.setdefault(row.path, row)
            study = self._studies.get(row.study_instance_uid)
            if (row.fills_blank or row.same_images) and study is not None:
                self.mark_patient(study.row.patient_id, now=row.received_at)

    def blank_filled(self, study_instance_uid: str) -> dict[str, ConflictRow]:
        series = {row.sop_instance_uid: row.series_instance_uid for row in self.instances(study_instance_uid)}
        found = [row for row in self.conflicts() if row.fills_blank and row.study_instance_uid == study_instance_uid]
        return {
            row.sop_instance_uid: row for row in found if series.get(row.sop_instance_uid) == row.series_instance_uid
        }

    def conflicts(self) -> list[ConflictRow]:
        self._here()
        return sorted(self._conflicts.values(), key=lambda row: row.received_at)

    def _held(self, claim: Claim) -> InMemoryStudy | None:
        study = self._studies.get(claim.study_instance_uid)
        return study if study and study.lease == (claim.owner, claim.revision, claim.attempt) else None


def _is_due(study: InMemoryStudy, now: datetime, lease_s: float) -> bool:
    row, set_back = study.row, study.settled_at is not None and study.settled_at > now
    lease_s_left = 0.0 if row.lease_until is None else (row.lease_until - now).total_seconds()
    return (
        row.state is StudyState.READY
        and (row.due_at is None or row.due_at <= now or set_back)
        and not 0 < lease_s_left <= 2 * lease_s
    )


def _new_study(row: InstanceRow) -> StudyRow:
    return StudyRow(
        study_instance_uid=row.study_instance_uid,
        patient_id=row.patient_id,
        patient_name=row.patient_name,
        issuer=row.issuer,
        birth_date=row.birth_date,
        **{name: getattr(row, name) for name in ("sex", "study_date", "study_time", "accession_number")},
        state=StudyState.RECEIVING,
        revision=1,
        instance_count=1,
        series_count=1,
        first_received_at=row.received_at,
        last_received_at=row.received_at,
        ready_at=None,
        due_at=None,
        attempts=0,
        lease_owner=None,
        lease_until=None,
        failure=None,
        decided_revision=None,
        category=None,
        priority=None,
    )
