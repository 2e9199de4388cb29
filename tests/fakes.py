"""One fake per port. The in-memory index passes the same contract as the SQL one (tests/workers/index_contract.py)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from triage.baseline import Candidate, choose_baseline
from triage.errors import NotAssessable, Transient
from triage.model import (
    Assessment,
    BaselineChoice,
    Category,
    Decision,
    Identification,
    Patient,
    Priority,
    SequenceKind,
    Series,
    SeriesHeader,
    Stage,
    Study,
    StudyImages,
    Volume,
)
from workers.announcements import Announcement, Source, StudyCount, count
from workers.ports import Claim, ConflictRow, InstanceRow, StudyRow, StudyState

NOON = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
STAGE_RANK = {"first_look": 0, "full": 1}


class FakeClock:
    def __init__(self, now: datetime = NOON) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)


class FakeBell:
    """Writes down who was rung. away: every ring raises Transient."""

    def __init__(self) -> None:
        self.rings: list[str] = []
        self.urgent: list[str] = []
        self.away = False

    def ring(self, study_instance_uid: str, *, urgent: bool = False) -> None:
        if self.away:
            raise Transient("the broker is away")
        self.rings.append(study_instance_uid)
        if urgent:
            self.urgent.append(study_instance_uid)


class FakeFiles:
    """Instances as paths that are never opened."""

    def path(self, row: InstanceRow) -> Path:
        return Path("/fake") / row.study_instance_uid / row.path

    def all_files(self) -> Iterable[Path]:
        return []


@dataclass
class _Study:
    row: StudyRow
    lease: tuple[str, int, int] | None = None  # owner, revision, attempt
    ready_reason: str | None = None


class InMemoryIndex:
    """ports.StudyIndex in dictionaries. away: every call raises Transient."""

    def __init__(self) -> None:
        self._studies: dict[str, _Study] = {}
        self._instances: dict[str, InstanceRow] = {}
        self._assessments: dict[tuple[str, int, str], dict[str, Any]] = {}
        self._infusions: dict[str, date] = {}
        self._announcements: dict[tuple[Source, str], Announcement] = {}
        self._conflicts: dict[str, ConflictRow] = {}
        self.away = False

    def close(self) -> None:
        pass

    def record_instances(self, rows: Sequence[InstanceRow]) -> None:
        self._here()
        for row in rows:
            if row.sop_instance_uid not in self._instances:
                self._instances[row.sop_instance_uid] = row
                self._add(row)

    def _add(self, row: InstanceRow) -> None:
        uid = row.study_instance_uid
        if uid not in self._studies:
            self._studies[uid] = _Study(_new_study(row))
            return
        old = self._studies[uid].row
        series = {i.series_instance_uid for i in self._instances.values() if i.study_instance_uid == uid}
        changed: dict[str, Any] = {
            "instance_count": old.instance_count + 1,
            "series_count": len(series),
            "first_received_at": min(old.first_received_at, row.received_at),
            "last_received_at": max(old.last_received_at, row.received_at),
        }
        if old.state is not StudyState.RECEIVING:
            changed |= {"revision": old.revision + 1, "attempts": 0, "ready_at": None, "due_at": None, "failure": None}
        self._studies[uid].row = replace(old, state=StudyState.RECEIVING, **changed)

    def receiving(self) -> list[StudyRow]:
        self._here()
        return [study.row for study in self._studies.values() if study.row.state is StudyState.RECEIVING]

    def mark_ready(self, study_instance_uid: str, *, now: datetime, reason: str) -> bool:
        self._here()
        study = self._studies.get(study_instance_uid)
        if study is None or study.row.state is not StudyState.RECEIVING:
            return False
        study.row = replace(study.row, state=StudyState.READY, ready_at=now, due_at=None, attempts=0)
        study.ready_reason = reason
        return True

    def due(self, *, now: datetime) -> list[StudyRow]:
        self._here()
        rows = [study.row for study in self._studies.values() if _is_due(study.row, now)]
        return sorted(rows, key=lambda row: (row.ready_at or now, row.study_instance_uid))

    def claim(self, study_instance_uid: str, *, owner: str, now: datetime, lease_s: float) -> Claim | None:
        self._here()
        study = self._studies.get(study_instance_uid)
        if study is None or not _is_due(study.row, now):
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
        )
        return True

    def complete(self, claim: Claim, *, now: datetime) -> bool:
        return self._settle(claim, state=StudyState.ASSESSED, due_at=None, failure=None)

    def fail(self, claim: Claim, *, reason: str, retry_at: datetime | None, now: datetime) -> None:
        state = StudyState.FAILED if retry_at is None else StudyState.READY
        self._settle(claim, state=state, due_at=retry_at, failure=reason)

    def _settle(self, claim: Claim, **values: Any) -> bool:
        self._here()
        study = self._held(claim)
        if study is None:
            return False
        applies = study.row.revision == claim.revision and study.row.state is StudyState.READY
        study.lease = None
        study.row = replace(study.row, lease_owner=None, lease_until=None, **(values if applies else {}))
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

    def finish_removal(self, study_instance_uid: str, sop_instance_uids: Sequence[str]) -> None:
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

    def study(self, study_instance_uid: str) -> StudyRow | None:
        self._here()
        study = self._studies.get(study_instance_uid)
        return study.row if study else None

    def studies(self, *, limit: int = 500) -> list[StudyRow]:
        self._here()
        rows = sorted((study.row for study in self._studies.values()), key=lambda row: row.study_instance_uid)
        return sorted(rows, key=lambda row: row.last_received_at, reverse=True)[:limit]

    def instances(self, study_instance_uid: str) -> list[InstanceRow]:
        self._here()
        rows = [row for row in self._instances.values() if row.study_instance_uid == study_instance_uid]
        return sorted(rows, key=lambda row: (row.received_at, row.sop_instance_uid))

    def studies_of_patient(self, patient_id: str, issuer: str) -> list[StudyRow]:
        self._here()
        rows = [s.row for s in self._studies.values() if (s.row.patient_id, s.row.issuer) == (patient_id, issuer)]
        return sorted(rows, key=lambda row: (row.study_date or date.min, row.study_time, row.study_instance_uid))

    def assessment(self, study_instance_uid: str) -> dict[str, Any] | None:
        versions = self.assessments(study_instance_uid)
        return dict(versions[-1]["document"]) if versions else None

    def assessments(self, study_instance_uid: str) -> list[dict[str, Any]]:
        self._here()
        keys = [key for key in self._assessments if key[0] == study_instance_uid]
        return [self._assessments[key] for key in sorted(keys, key=lambda key: (key[1], STAGE_RANK.get(key[2], 1)))]

    def tallies(self) -> dict[tuple[str, str, str], int]:
        self._here()
        rows = (study.row for study in self._studies.values())
        return dict(Counter((row.state.value, row.category or "", row.priority or "") for row in rows))

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

    def conflicts(self) -> list[ConflictRow]:
        self._here()
        return sorted(self._conflicts.values(), key=lambda row: row.received_at)

    def infusion_date(self, patient_id: str) -> date | None:
        self._here()
        return self._infusions.get(patient_id)

    def set_infusion_date(self, patient_id: str, infusion_date: date) -> None:
        self._here()
        self._infusions[patient_id] = infusion_date

    def infusions(self) -> dict[str, date]:
        self._here()
        return dict(sorted(self._infusions.items()))

    def _here(self) -> None:
        if self.away:
            raise Transient("the index is away")

    def _held(self, claim: Claim) -> _Study | None:
        study = self._studies.get(claim.study_instance_uid)
        return study if study and study.lease == (claim.owner, claim.revision, claim.attempt) else None


def _is_due(row: StudyRow, now: datetime) -> bool:
    return (
        row.state is StudyState.READY
        and (row.due_at is None or row.due_at <= now)
        and (row.lease_until is None or row.lease_until <= now)
    )


def _new_study(row: InstanceRow) -> StudyRow:
    return StudyRow(
        study_instance_uid=row.study_instance_uid,
        patient_id=row.patient_id,
        issuer=row.issuer,
        birth_date=row.birth_date,
        sex=row.sex,
        study_date=row.study_date,
        study_time=row.study_time,
        accession_number=row.accession_number,
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


# --- values with safe defaults


def an_instance(study: str = "1.2.3", number: int = 1, **changes: Any) -> InstanceRow:
    """One stored slice of a FLAIR series of a patient P1 on 2026-03-10."""
    values: dict[str, Any] = {
        "sop_instance_uid": f"{study}.1.{number}",
        "sop_class_uid": "1.2.840.10008.5.1.4.1.1.4",
        "transfer_syntax_uid": "1.2.840.10008.1.2.1",
        "series_instance_uid": f"{study}.1",
        "study_instance_uid": study,
        "path": f"{study}.1.{number}.dcm",
        "size_bytes": 1000,
        "received_at": NOON,
        "patient_id": "P1",
        "study_date": date(2026, 3, 10),
        "study_time": "120000",
        "modality": "MR",
    }
    return InstanceRow(**{**values, **changes})


def a_volume() -> Volume:
    return Volume(np.zeros((2, 2, 2), dtype=np.float32), np.eye(4))


def some_images(
    study: str = "1.2.3",
    *,
    day: date | None = date(2026, 3, 10),
    kinds: Sequence[SequenceKind] = (SequenceKind.FLAIR,),
    patient_id: str = "P1",
    birth_date: date | None = None,
) -> StudyImages:
    """A study that has the given kinds, one series each."""
    series = tuple(
        Series(SeriesHeader(f"{study}.{number}"), Identification(kind, 1.0, ("said so",)))
        for number, kind in enumerate(kinds, start=1)
    )
    described = Study(study, Patient(patient_id, birth_date=birth_date), day, None, series)
    used = {s.identification.kind: s.header.series_instance_uid for s in series}
    return StudyImages(described, {kind: a_volume() for kind in kinds}, used)


class FakeReader:
    """Studies by UID, taken from the paths FakeFiles gives. fault: raised instead, once per entry."""

    def __init__(self, *images: StudyImages) -> None:
        self.images = {i.study.study_instance_uid: i for i in images}
        self.faults: list[Exception] = []
        self.asked: list[frozenset[SequenceKind] | None] = []

    def read(self, paths: Sequence[Path], *, kinds: frozenset[SequenceKind] | None = None) -> StudyImages:
        self.asked.append(kinds)
        if self.faults:
            raise self.faults.pop(0)
        whole = self.images[paths[0].parent.name]
        return (
            whole if kinds is None else replace(whole, volumes={k: v for k, v in whole.volumes.items() if k in kinds})
        )

    def describe(self, paths: Sequence[Path]) -> Study:
        return self.images[paths[0].parent.name].study


Verdict = tuple[Category, Priority]
NOTHING: Verdict = (Category.NO_PATTERN, Priority.UNCHANGED)
SUSPECTED: Verdict = (Category.NEUROTOXICITY_SUSPECTED, Priority.P1)


@dataclass
class FakeEngine:
    """Decides what it is told to. before: called at the start of first_look and full, e.g. to let images arrive or to
    fail."""

    first: Verdict = NOTHING
    whole: Verdict = NOTHING
    unfit_baselines: set[str] = field(default_factory=set)
    before: Callable[[str], None] = lambda _stage: None
    calls: list[tuple[str, str, str | None]] = field(default_factory=list)  # (what, study, baseline)
    contexts: list[Any] = field(default_factory=list)
    versions: Mapping[str, str] = field(
        default_factory=lambda: {"icansee": "test", "config_sha256": "0" * 64, "atlas": "test"}
    )

    def warm_up(self) -> None:
        pass

    def choose_baseline(
        self, study: Study, candidates: Sequence[Candidate], infusion_date: date | None
    ) -> BaselineChoice:
        return choose_baseline(study, candidates, infusion_date=infusion_date, latest_days_before_infusion=365)

    def prepare_baseline(self, images: StudyImages) -> Any:
        uid = images.study.study_instance_uid
        self.calls.append(("prepare", uid, None))
        if uid in self.unfit_baselines:
            raise NotAssessable("motion", "too much motion")
        return f"prepared {uid}"

    def first_look(self, images: StudyImages, prepared: Any, context: Any) -> Any:
        return self._decide(Stage.FIRST_LOOK, self.first, images, prepared, context)

    def full(self, images: StudyImages, prepared: Any, context: Any) -> Any:
        return self._decide(Stage.FULL, self.whole, images, prepared, context)

    def _decide(self, stage: Stage, verdict: Verdict, images: StudyImages, prepared: Any, context: Any) -> Any:
        from triage.assessment import Outcome

        self.calls.append((stage.value, images.study.study_instance_uid, prepared))
        self.contexts.append(context)
        self.before(stage.value)
        return Outcome(assessment=an_assessment(images.study, stage, verdict, context.baseline_choice), evidence=None)


def an_assessment(
    study: Study, stage: Stage = Stage.FULL, verdict: Verdict = NOTHING, baseline: BaselineChoice | None = None
) -> Assessment:
    return Assessment(
        study=study,
        days_after_infusion=None,
        baseline=baseline,
        used_as={},
        skipped=(),
        registration=None,
        measurements=(),
        findings=(),
        decision=Decision(*verdict, ("because",)),
        stage=stage,
        notices=(),
        timings_s={},
        versions={},
    )


class FakeStorage:
    """Prepared baselines in memory."""

    def __init__(self) -> None:
        self.kept: dict[Path, Any] = {}

    def save(self, folder: Path, prepared: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.kept[folder] = prepared

    def load(self, folder: Path) -> Any:
        return self.kept.get(folder)


class FakeResults:
    """Writes down which results were written. fault: raised instead."""

    def __init__(self) -> None:
        self.written: list[tuple[str, int, str]] = []
        self.fault: Exception | None = None

    def write(self, study_instance_uid: str, revision: int, outcome: Any) -> None:
        if self.fault is not None:
            raise self.fault
        self.written.append((study_instance_uid, revision, outcome.assessment.stage.value))
