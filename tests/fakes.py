"""One fake per port, but for the index (fake_index.py), and values with safe defaults."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from triage.baseline import Candidate, choose_baseline
from triage.errors import NotAssessable, Transient
from triage.infusions import Infusion
from triage.model import (
    BaselineChoice,
    Category,
    Decision,
    Finding,
    Identification,
    Patient,
    Presence,
    Priority,
    SequenceKind,
    Series,
    SeriesHeader,
    Stage,
    Strength,
    Study,
    StudyImages,
    Volume,
)
from triage.report.contents import Assessment
from workers.identity_events import IdentityRefusedError
from workers.ports import ConflictRow, InstanceRow, PatientKey
from workers.rejection_notes import RejectionNote

NOON = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


class FakeClock:
    def __init__(self, now: datetime = NOON) -> None:
        self._now, self._elapsed_s = now, 0.0

    def now(self) -> datetime:
        return self._now

    def elapsed_s(self) -> float:
        return self._elapsed_s

    def advance(self, seconds: float) -> None:
        self.leap(seconds)
        self._elapsed_s += seconds

    def leap(self, seconds: float) -> None:
        """Somebody sets the clock; no time passes."""
        self._now += timedelta(seconds=seconds)


class FakeBell:
    """Writes down who was rung. away: every ring raises Transient."""

    def __init__(self) -> None:
        self.rings: list[str] = []
        self.urgent: list[str] = []
        self.waited: list[str] = []
        self.small: list[str] = []
        self.away = False

    def ring(self, study_instance_uid: str, *, urgent: bool = False, waited: bool = False, small: bool = False) -> None:
        if self.away:
            raise Transient("the broker is away")
        if waited:
            self.waited.append(study_instance_uid)
            return
        self.rings.append(study_instance_uid)
        if urgent:
            self.urgent.append(study_instance_uid)
        if small:
            self.small.append(study_instance_uid)


class FakeFiles:
    """Instances as paths that are never opened. faults: study UID -> what looking at its files raises, or how many
    bytes short each of them is. root: of the paths."""

    def __init__(self) -> None:
        self.root = Path("/fake")
        self.faults: dict[str, OSError | int] = {}

    def path(self, row: InstanceRow) -> Path:
        return self.root / row.study_instance_uid / row.path

    def conflict_path(self, row: ConflictRow) -> Path | None:
        return self.root / row.study_instance_uid / row.path

    def size_now(self, row: InstanceRow) -> int:
        fault = self.faults.get(row.study_instance_uid, 0)
        if isinstance(fault, OSError):
            raise fault
        return row.size_bytes - fault

    def all_files(self) -> Iterable[Path]:
        return []


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
    issuer: str = "",
) -> StudyImages:
    """A study that has the given kinds, one series each."""
    series = tuple(
        Series(SeriesHeader(f"{study}.{number}"), Identification(kind, 1.0, ("said so",)))
        for number, kind in enumerate(kinds, start=1)
    )
    described = Study(study, Patient(patient_id, issuer, birth_date=birth_date), day, None, series)
    used = {s.identification.kind: s.header.series_instance_uid for s in series}
    return StudyImages(described, {kind: a_volume() for kind in kinds}, used)


class FakeReader:
    """Studies by UID, taken from the paths FakeFiles gives. fault: raised instead, once per entry."""

    def __init__(self, *images: StudyImages) -> None:
        self.images = {i.study.study_instance_uid: i for i in images}
        self.faults: list[Exception] = []
        self.unreadable: set[str] = set()
        self.asked: list[frozenset[SequenceKind] | None] = []
        self.notes: dict[str, RejectionNote] = {}  # by file name

    def note_reader(self) -> Callable[[Path], RejectionNote | None]:
        return self.rejection_note

    def rejection_note(self, path: Path) -> RejectionNote | None:
        return self.notes.get(path.name)

    def read(
        self,
        paths: Sequence[Path],
        *,
        kinds: frozenset[SequenceKind] | None = None,
        vouched: frozenset[Path] = frozenset(),
    ) -> StudyImages:
        self.asked.append(kinds)
        if self.faults:
            raise self.faults.pop(0)
        self._check(paths)
        whole = self.images[paths[0].parent.name]
        return (
            whole if kinds is None else replace(whole, volumes={k: v for k, v in whole.volumes.items() if k in kinds})
        )

    def _check(self, paths: Sequence[Path]) -> None:
        if paths[0].parent.name in self.unreadable:
            raise Transient("a file of the study cannot be read now (Stale file handle)")

    def describe(self, paths: Sequence[Path], *, vouched: frozenset[Path] = frozenset()) -> Study:
        self._check(paths)
        return self.images[paths[0].parent.name].study


Verdict = tuple[Category, Priority]
ACUTE = (Category.POSSIBLE, Category.NEUROTOXICITY_SUSPECTED)
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
    preparation_key: str = "key"
    versions: Mapping[str, str] = field(
        default_factory=lambda: {"icansee": "test", "config_sha256": "0" * 64, "atlas": "test"}
    )

    def warm_up(self) -> None:
        pass

    def choose_baseline(
        self, study: Study, candidates: Sequence[Candidate], infusions: Sequence[Infusion]
    ) -> BaselineChoice:
        return choose_baseline(study, candidates, infusions=infusions, latest_days_before_infusion=365)

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
        from triage.assessment import Assessed

        self.calls.append((stage.value, images.study.study_instance_uid, prepared))
        self.contexts.append(context)
        self.before(stage.value)
        return Assessed(assessment=an_assessment(images.study, stage, verdict, context.baseline_choice), evidence=None)


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
        findings=(Finding("A", Presence.PRESENT, Strength.SUSPECTED, "found"),) if verdict[0] in ACUTE else (),
        decision=Decision(*verdict, ("because",)),
        stage=stage,
        notices=(),
        timings_s={},
        versions={},
    )


class FakeStorage:
    """Prepared baselines as a line of text in their folder."""

    def save(self, folder: Path, prepared: Any, beside: Mapping[str, str] = MappingProxyType({})) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in {"kept": prepared, **beside}.items():
            (folder / name).write_text(text, encoding="utf-8")

    def load(self, folder: Path) -> Any:
        kept = folder / "kept"
        return kept.read_text(encoding="utf-8") if kept.exists() else None


class FakeResults:
    """Writes down which results were written. fault: raised instead."""

    def __init__(self) -> None:
        self.written: list[tuple[str, int, str]] = []
        self.fault: Exception | None = None

    def write(
        self,
        study_instance_uid: str,
        revision: int,
        outcome: Any,
        document: Mapping[str, Any] | None = None,
        *,
        beside: Mapping[str, bytes] | None = None,
    ) -> None:
        if self.fault is not None:
            raise self.fault
        self.written.append((study_instance_uid, revision, outcome.assessment.stage.value))


class FakePatientFacts:
    """What the feeds told the index. Raises the faults in ``faults`` first.

    of_persons: days that a person states. refused: IDs whose merge contradicts one that is in force.
    """

    def __init__(self, *faults: Exception) -> None:
        self.infusions: dict[tuple[PatientKey, date], Infusion] = {}
        self.merged: list[tuple[PatientKey, PatientKey, str]] = []
        self.corrected: list[tuple[PatientKey, date | None, str, str]] = []
        self.said_again: list[tuple[PatientKey, date]] = []
        self.heard: list[tuple[PatientKey, date]] = []  # each time that a day was reported
        self.of_persons: set[tuple[PatientKey, date]] = set()
        self.refused: set[PatientKey] = set()
        self.faults = list(faults)

    def add_infusion(self, patient: PatientKey, infusion: Infusion) -> None:
        self._maybe_fail()
        self.infusions[patient, infusion.day] = infusion
        self.heard.append((patient, infusion.day))

    def has_heard_of(self, patient: PatientKey, day: date) -> bool:
        self._maybe_fail()
        return (patient, day) in self.heard

    def say_again(self, patient: PatientKey, day: date) -> None:
        self._maybe_fail()
        self.said_again.append((patient, day))

    def remove_infusion(self, patient: PatientKey, day: date) -> bool:
        self._maybe_fail()
        if (patient, day) in self.of_persons:
            return False
        self.infusions.pop((patient, day), None)
        return True

    def merge_patients(self, *, old: PatientKey, new: PatientKey, source: str) -> None:
        self._maybe_fail()
        if old in self.refused:
            raise IdentityRefusedError(f"{old.patient_id} is merged into somebody else")
        self.merged.append((old, new, source))
        like = (old, PatientKey(old.patient_id))
        moved = {key: one for key, one in self.infusions.items() if key[0] in like}
        for (key, day), one in moved.items():
            del self.infusions[key, day]
            self.infusions[new, day] = one

    def correct_patient(self, patient: PatientKey, *, birth_date: date | None, sex: str, source: str) -> None:
        self._maybe_fail()
        self.corrected.append((patient, birth_date, sex, source))

    def _maybe_fail(self) -> None:
        if self.faults:
            raise self.faults.pop(0)
