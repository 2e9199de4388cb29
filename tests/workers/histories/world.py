"""One patient's world: the real use cases over the real index on SQLite, and everything that may happen to it.

A history is what is true at the end: scans, and infusions that are known. What happens on the way are events.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import structlog

from tests.fakes import FakeBell, FakeClock, FakeFiles, FakeResults, FakeStorage, an_instance
from tests.workers.histories.events import (
    Answered,
    Arrives,
    Cancelled,
    Confirmed,
    Corrected,
    Event,
    Filled,
    History,
    Merged,
    Ordered,
    Rejected,
    Removed,
    Renamed,
    Reported,
    Split,
    arrivals_of,
    fact_of_event,
)
from tests.workers.histories.remembering import RememberingIndex
from tests.workers.histories.scans import BLANK, FILLED, FLAIR, ME, Scan, ScanEngine, ScanReader, on
from triage.infusions import Infusion
from triage.unjudged import left_open
from workers.config import Settings
from workers.feeds.apply import Applier, NotJudgedError
from workers.feeds.orders import KnownOrders
from workers.files.facts import FactFolder
from workers.identity_events import IdentityRefusedError
from workers.index.node_index import NodeIndex
from workers.index.schema import metadata
from workers.index.sql import SqlIndex, open_index
from workers.operations.needed import Fitness, possible_baselines
from workers.output_kinds import KOS
from workers.ports import ConflictRow, InstanceRow, PatientKey, StudyRow, StudyState
from workers.rejection_notes import RejectionNote
from workers.studies.assess import assess_study
from workers.studies.deps import Deps
from workers.studies.infusions import report_infusion
from workers.studies.merging import merge_patients, split_patients
from workers.studies.prepared_baselines import PreparedBaselines
from workers.studies.reconsider import reconsider
from workers.studies.reported import ReportedFacts
from workers.studies.set_aside import answer_aside

LONG_S = 10_000.0  # longer than every lease and every pause between two attempts
MOST_ROUNDS = 60


class Died(BaseException):
    """The worker process ended here, without a word."""


@dataclass(frozen=True)
class End:
    """What a decision says at the end, without what depends on its past."""

    category: str
    compared: str | None
    present: tuple[str, ...]
    infusions: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join((self.category, *([] if self.compared is None else [self.compared])))


@cache
def _index() -> tuple[SqlIndex, TemporaryDirectory[str]]:
    """One for all worlds of a process: a new engine compiles every statement anew."""
    folder = TemporaryDirectory()
    return open_index(f"sqlite:///{folder.name}/index.db"), folder


def _opened(facts: Path) -> NodeIndex:
    index, _ = _index()
    return NodeIndex(index._engine, FactFolder(facts), None)


def _empty_index(facts: Path) -> Any:
    _, folder = _index()
    tables = [table for table in metadata.sorted_tables if table.name != "schema_version"]
    with closing(sqlite3.connect(f"{folder.name}/index.db")) as connection, connection:
        for table in tables:
            connection.execute(f"DELETE FROM {table.name}")  # noqa: S608 - names of our own tables
    return RememberingIndex(_opened(facts))


class World:
    """A node with one worker and one beat, each of which does a step when told."""

    def __init__(self, scans: Sequence[Scan], folder: Path) -> None:
        self.scans = {scan.uid: scan for scan in scans}
        self.index, self._folder = _empty_index(folder), folder
        self.clock, self.reader, self.engine = FakeClock(), ScanReader(self.index, self.scans), ScanEngine(self.scans)
        self.bell, self.files = FakeBell(), FakeFiles()
        baselines = PreparedBaselines(
            folder / "prepared",
            FakeStorage(),
            reader=self.reader,
            engine=self.engine,
            index=self.index,
            files=self.files,
        )
        self.results = FakeResults()
        facts = ReportedFacts(self.index, now=self.clock.now)
        self.applier = Applier(facts, KnownOrders(folder / "orders.json"))
        self.deps = Deps(
            settings=Settings(),
            index=self.index,
            files=self.files,
            clock=self.clock,
            bell=self.bell,
            reader=self.reader,
            engine=self.engine,
            baselines=baselines,
            results=self.results,
        )

    # --- what happens

    def apply(self, event: Event) -> None:
        self.clock.advance(1)
        match event:
            case Arrives(uid, part):
                self._arrives(self.scans[uid], part)
            case Rejected():
                self._rejected(event)
            case Filled(uid):
                self._filled(self.scans[uid])
            case Answered(uid, patient_id, answer):
                now = self.clock.now()
                answer_aside(self.index, uid, answer, by="somebody", now=now, patient_id=patient_id)
            case Corrected(uid, patient_id):
                self._corrected(self.scans[uid], patient_id)
            case Confirmed(patient_id):
                facts = ReportedFacts(self.index, now=self.clock.now)
                facts.correct_patient(PatientKey(patient_id), birth_date=None, sex="", source="ADT")
            case Reported(day, issuer, patient_id, kind):
                said = Infusion(on(day), kind, "roster")
                report_infusion(self.index, PatientKey(patient_id, issuer), said, now=self.clock.now())
            case Merged(old, new):
                keys = {"old": PatientKey(old), "new": PatientKey(new)}
                with suppress(IdentityRefusedError):  # a feed sets it aside for a human
                    merge_patients(self.index, **keys, source="roster", now=self.clock.now())
            case Ordered() | Cancelled() | Renamed():
                with suppress(NotJudgedError):  # the same
                    self.applier((fact_of_event(event),), "HL7")
            case Split(old, new):
                keys = {"old": PatientKey(old), "new": PatientKey(new)}
                split_patients(self.index, **keys, source="roster", now=self.clock.now())
            case Removed(day, issuer, patient_id):
                self.index.remove_infusion(PatientKey(patient_id, issuer), on(day), now=self.clock.now())

    def _arrives(self, scan: Scan, part: int) -> None:
        """Later parts hold more objects, so that what they say wins, unless the scan says how many there are."""
        count = scan.counts[part] if scan.counts else 2 + 2 * part
        objects = [
            (kind, n, self._identity(scan, part))
            for kind in scan.parts[part]
            for n in range(part * 10, part * 10 + count)
        ]
        day = scan.part_days[part] if scan.part_days else scan.day
        if part == 0 and scan.nameless:
            objects = [*((scan.parts[0][0], 90 + n, "") for n in range(scan.nameless)), *objects]
        self.index.record_instances(
            [
                an_instance(
                    scan.uid,
                    number,
                    sop_instance_uid=f"{scan.uid}.{kind}.{number}",
                    series_instance_uid=f"{scan.uid}.{kind}",
                    series_description=kind,
                    path=f"{BLANK if kind in FLAIR and number < scan.blank else ''}{kind}-{number}.dcm",
                    received_at=self.clock.now(),
                    patient_id=patient_id,
                    issuer=scan.issuer if patient_id else "",
                    birth_date=scan.birth_date,
                    study_date=None if day is None else on(day),
                    study_time=scan.at,
                )
                for kind, number, patient_id in objects
            ]
        )

    def _rejected(self, event: Rejected) -> None:
        scan, home = self.scans[event.uid], self.scans[event.study or event.uid]
        parts = range(len(scan.parts)) if event.part is None else [event.part]
        named = frozenset(
            f"{scan.uid}.{kind}.{n}"
            for part in parts
            for kind in scan.parts[part]
            for n in range(part * 10, part * 10 + 9)
        )
        name = f"{event.uid}-{event.title}-{event.part}-{event.patient_id}.dcm"
        self.reader.notes[name] = RejectionNote(event.title, {scan.uid: named})
        note = an_instance(
            home.uid,
            sop_class_uid=KOS,
            sop_instance_uid=f"{home.uid}.{name}",
            series_instance_uid=f"{home.uid}.note",
            series_description="not_image",
            path=name,
            received_at=self.clock.now(),
            calling_ae="PACS1",
            patient_id=event.patient_id or home.patient_id,
            issuer=home.issuer,
            birth_date=home.birth_date,
            study_date=home.date,
            study_time=home.at,
        )
        self.index.record_instances([note])

    def _filled(self, scan: Scan) -> None:
        rows = [row for row in self.index.instances(scan.uid) if row.path.startswith(BLANK)]
        again = [replace(_again(row, self.clock.now()), fills_blank=True) for row in rows]
        self.index.record_conflicts([replace(one, path=one.path.replace(BLANK, FILLED)) for one in again])

    def _corrected(self, scan: Scan, patient_id: str) -> None:
        again = [_again(row, self.clock.now()) for row in self.index.instances(scan.uid)]
        said = {"patient_id": patient_id, "birth_date": scan.birth_date, "same_images": True}
        copies = [replace(one, path=f"{patient_id}-{one.path}", **said) for one in again]  # type: ignore[arg-type]
        self.index.record_conflicts(copies)

    @staticmethod
    def _identity(scan: Scan, part: int) -> str:
        return scan.wrong_id if scan.wrong_id and part == 0 else scan.patient_id

    def quiet(self, uid: str) -> None:
        """Nothing more came for a while."""
        self.index.mark_ready(uid, now=self.clock.now(), reason="quiet_period")

    def work(self, uid: str) -> None:
        self.clock.advance(1)
        assess_study(uid, self.deps, owner="worker")

    def dies(self, uid: str, stage: str) -> None:
        """A worker takes the study and dies before ``stage`` is measured, or when a decision is saved."""

        def die(now: str) -> None:
            if now == stage:
                raise Died

        self.engine.before = die
        if stage == "saved":
            self.results.fault = Died()  # type: ignore[assignment]
        try:
            assess_study(uid, self.deps, owner="mortal")
        except Died:
            pass
        finally:
            self.engine.before, self.results.fault = (lambda _stage: None), None

    def beat(self) -> int:
        self.clock.advance(1)
        read = self.reader.rejection_note
        return reconsider(self.index, self.bell, self.clock, read=lambda one: read(self.files.path(one)))

    def restarts(self) -> None:
        self.index.becomes(_opened(self._folder))
        self.index.restore_facts(now=self.clock.now())

    def wait(self) -> None:
        """Until every lease has ended and every attempt is due."""
        self.clock.advance(LONG_S)

    def cleans(self) -> list[str]:
        """Retention deletes the images of every study that it may; which."""
        rows = self.index.studies()
        kept = possible_baselines(rows, self.index.infusions(), self._fitness)
        for row in rows:
            document = self.index.assessment(row.study_instance_uid) or {}
            kept |= {(document.get(key) or {}).get("study_instance_uid") for key in ("baseline", "since")}
        gone = [row for row in rows if row.study_instance_uid not in kept]
        for row in gone:
            uid = row.study_instance_uid
            assert self.index.begin_removal(uid, revision=row.revision)
            objects = [one.sop_instance_uid for one in self.index.instances(uid)]
            self.index.finish_removal(uid, objects, now=self.clock.now())
        return [row.study_instance_uid for row in gone]

    def _fitness(self, row: StudyRow) -> Fitness:
        scan = self.scans[row.study_instance_uid]
        if scan.unfit or not any("flair" in part for part in scan.parts):
            return Fitness.UNFIT
        return Fitness.LEFT_OPEN if left_open(self.index.assessment(scan.uid)) else Fitness.FIT

    # --- the end

    def settle(self) -> None:
        """Everything is there and readable; the beat and the worker go on until nothing is left to do."""
        self.reader.away.clear()
        self.reader.notes_away.clear()
        self.files.faults.clear()
        for _ in range(MOST_ROUNDS):
            self.wait()
            for row in self.index.receiving():
                self.quiet(row.study_instance_uid)
            due = self.index.due(now=self.clock.now())
            for row in due:
                self.work(row.study_instance_uid)
            if not self.beat() and not due:
                return
        raise AssertionError("it never settles")

    def end(self, uid: str) -> End:
        row, document = self.index.study(uid), self.index.assessment(uid)
        assert row is not None
        assert document is not None
        assert row.state in (StudyState.ASSESSED, StudyState.REMOVED), f"{uid} is {row.state}: {row.failure}"
        since = document["since"]
        baseline = (document["baseline"] or {}).get("study_instance_uid")
        compared = f"since:{since['study_instance_uid']}" if since is not None else baseline
        present = tuple(f["pattern"] for f in document["findings"] if f["presence"] == "present")
        return End(document["decision"]["category"], compared, present, tuple(document["inputs"]["infusions"]))

    def ends(self) -> dict[str, End]:
        return {uid: self.end(uid) for uid in self.scans}

    def document(self, uid: str) -> dict[str, Any]:
        found = self.index.assessment(uid)
        assert found is not None
        return found


def _again(row: InstanceRow, now: datetime) -> ConflictRow:
    """Other content under the UID of a stored object."""
    return ConflictRow(
        row.path, row.sop_instance_uid, row.series_instance_uid, row.study_instance_uid, now, "MR1", issuer=row.issuer
    )


@contextmanager
def world(scans: Sequence[Scan]) -> Iterator[World]:
    """An empty one. Nothing is logged meanwhile."""
    before = structlog.get_config()
    structlog.configure(processors=[_drop])
    with TemporaryDirectory() as folder:
        one = World(scans, Path(folder))
        try:
            yield one
        finally:
            structlog.configure(**before)


def _drop(*_: object) -> Any:
    raise structlog.DropEvent


def known_from_the_start(history: History) -> dict[str, End]:
    """The decisions of a node to which every fact was told first, and whose studies came whole and in their order."""
    with world(history.scans) as one:
        for merge in history.merged:
            one.apply(merge)
        for issuer, day in history.known:
            one.index.add_infusion(PatientKey(ME, issuer), Infusion(on(day)), now=one.clock.now())
        for said in history.also_known:
            one.apply(said)
        for note in history.rejected:
            one.apply(note)
        for scan in sorted(history.scans, key=lambda scan: (scan.date or date.max, scan.at)):
            for event in arrivals_of(scan):
                one.apply(event)
            one.settle()
        return one.ends()


def check_versions(one: World) -> None:
    """What must hold of every study, whatever happened."""
    rank = {"possible": 1, "neurotoxicity_suspected": 2}
    priorities = ("unchanged", "P3", "P2", "P1")
    for uid in one.scans:
        highest, most_urgent = 0, 0
        for version in one.index.assessments(uid):
            decision = version["document"]["decision"]
            category, urgency = rank.get(decision["category"], 0), priorities.index(decision["priority"])
            assert urgency >= most_urgent, f"{uid}: the priority was lowered"
            if category < highest:
                assert "the category falls" in decision["reasons"][0], f"{uid}: {decision['reasons']}"
            highest, most_urgent = max(highest, category), max(most_urgent, urgency)
