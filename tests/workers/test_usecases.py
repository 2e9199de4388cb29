"""One ring in, what the index holds afterwards out; everything around the use case is a fake."""

from __future__ import annotations

import errno
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from tests.fakes import (
    NOTHING,
    SUSPECTED,
    FakeBell,
    FakeClock,
    FakeEngine,
    FakeFiles,
    FakeReader,
    FakeResults,
    FakeStorage,
    InMemoryIndex,
    Verdict,
    an_assessment,
    an_instance,
    some_images,
)
from triage.errors import NotAssessable, Transient
from triage.model import Category, Priority, SequenceKind, StudyImages
from workers.announcements import Announcement, Source, Step
from workers.baselines import BaselineShelf, earlier_documents
from workers.config import Settings
from workers.ports import StudyState
from workers.usecases import Deps, Result, assess_study, attempts_used_up, keep_priority, prepare_ahead, task_lost

STUDY = "1.2.3"


class Node:
    """The fakes of one node, wired."""

    def __init__(self, tmp_path: Path, *images: StudyImages, engine: FakeEngine | None = None) -> None:
        self.settings = Settings()
        self.index = InMemoryIndex()
        self.clock = FakeClock()
        self.bell = FakeBell()
        self.reader = FakeReader(*images)
        self.engine = engine or FakeEngine()
        self.results = FakeResults()
        self.storage = FakeStorage()
        self.deps = Deps(
            settings=self.settings,
            index=self.index,
            files=FakeFiles(),
            clock=self.clock,
            bell=self.bell,
            reader=self.reader,
            engine=self.engine,
            shelf=BaselineShelf(tmp_path, lambda: "key", self.storage),
            results=self.results,
        )
        for image in images:
            self.arrive(image)

    def arrive(self, images: StudyImages, *, ready: bool = True, number: int = 1) -> None:
        study = images.study
        row = an_instance(
            study.study_instance_uid,
            number,
            study_date=study.study_date,
            patient_id=study.patient.patient_id,
            received_at=self.clock.now(),
        )
        self.index.record_instances([row])
        if ready:
            self.index.mark_ready(study.study_instance_uid, now=self.clock.now(), reason="test")

    def ring(self, study: str = STUDY, owner: str = "worker") -> Result:
        return assess_study(study, self.deps, owner=owner)

    def stages(self, study: str = STUDY) -> list[tuple[int, str]]:
        return [(version["revision"], version["stage"]) for version in self.index.assessments(study)]

    def done(self, what: str) -> list[str]:
        return [study for call, study, _ in self.engine.calls if call == what]


def test_a_due_study_gets_its_first_look_its_full_assessment_and_its_files(tmp_path: Path) -> None:
    node = Node(tmp_path, some_images(STUDY))

    assert node.ring() is Result.DECIDED

    row = node.index.study(STUDY)
    assert row is not None
    assert (row.state, row.decided_revision, row.category) == (StudyState.ASSESSED, 1, "no_pattern")
    assert node.stages() == [(1, "first_look"), (1, "full")]
    assert node.results.written == [(STUDY, 1, "first_look"), (STUDY, 1, "full")]
    assert node.reader.asked[0] == frozenset({SequenceKind.FLAIR})


@pytest.mark.parametrize(
    ("announced", "notices"),
    [
        pytest.param(1, [], id="noop: all of them came"),
        pytest.param(4, ["processed on 1 of 4 images that were announced"], id="three are missing"),
    ],
)
def test_missing_images_are_said_in_the_document(tmp_path: Path, announced: int, notices: list[str]) -> None:
    node = Node(tmp_path, some_images(STUDY))
    step = Announcement(Source.MPPS, "1.9", STUDY, Step.COMPLETED, {f"{STUDY}.1": announced})
    node.index.put_announcement(step, now=node.clock.now())
    assert node.ring() is Result.DECIDED
    document = node.index.assessment(STUDY)
    assert document is not None
    assert document["notices"] == notices


@pytest.mark.parametrize(
    "state",
    [
        pytest.param("unknown", id="unknown study"),
        pytest.param("receiving", id="still arriving for the first time"),
        pytest.param("done", id="assessed already"),
        pytest.param("leased", id="another worker has it"),
        pytest.param("later", id="a retry that is not due yet"),
    ],
)
def test_nothing_to_do_changes_nothing(tmp_path: Path, state: str) -> None:
    node = Node(tmp_path, *([] if state in ("unknown", "receiving") else [some_images(STUDY)]))
    if state == "receiving":
        node.arrive(some_images(STUDY), ready=False)
    elif state == "done":
        node.ring()
    elif state == "leased":
        node.index.claim(STUDY, owner="other", now=node.clock.now(), lease_s=30)
    elif state == "later":
        claim = node.index.claim(STUDY, owner="other", now=node.clock.now(), lease_s=30)
        assert claim is not None
        node.index.fail(claim, reason="x", retry_at=node.clock.now() + timedelta(seconds=10), now=node.clock.now())
    before = (node.index.study(STUDY), node.stages(), len(node.engine.calls))

    assert node.ring() is Result.NOTHING_TO_DO
    assert (node.index.study(STUDY), node.stages(), len(node.engine.calls)) == before


def test_a_study_reopened_before_any_worker_came_is_taken_as_it_is(tmp_path: Path) -> None:
    """Otherwise a steady stream of T1 images would keep the first look away."""
    node = Node(tmp_path, some_images(STUDY))
    node.arrive(some_images(STUDY), ready=False, number=2)
    row = node.index.study(STUDY)
    assert row is not None
    assert row.state is StudyState.RECEIVING

    assert node.ring() is Result.DECIDED
    assert node.stages() == [(2, "first_look"), (2, "full")]


def test_images_that_arrive_during_the_first_look_stop_the_full_assessment(tmp_path: Path) -> None:
    images = some_images(STUDY)
    node = Node(tmp_path, images)
    node.engine.before = lambda stage: node.arrive(images, ready=False, number=2) if stage == "first_look" else None

    assert node.ring() is Result.REOPENED
    assert node.stages() == [(1, "first_look")]
    row = node.index.study(STUDY)
    assert row is not None
    assert (row.state, row.lease_until, row.decided_revision) == (StudyState.RECEIVING, None, 1)

    node.engine.before = lambda _stage: None
    node.index.mark_ready(STUDY, now=node.clock.now(), reason="quiet_period")
    assert node.ring() is Result.DECIDED
    assert node.stages() == [(1, "first_look"), (2, "full")], "no second first look: a decision stands already"


def test_newer_images_that_are_ready_are_rung_for_at_once(tmp_path: Path) -> None:
    images = some_images(STUDY)
    node = Node(tmp_path, images)
    node.engine.before = lambda stage: node.arrive(images, number=2) if stage == "full" else None

    assert node.ring() is Result.REOPENED
    assert node.bell.rings == [STUDY]


class TestFaults:
    def test_a_refusal_is_a_stored_decision_with_its_code(self, tmp_path: Path) -> None:
        node = Node(tmp_path, some_images(STUDY))
        node.reader.faults = [NotAssessable("mixed_patients", "one study carries 2 patient IDs")]

        assert node.ring() is Result.DECIDED
        document = node.index.assessment(STUDY)
        assert document is not None
        assert document["decision"]["category"] == "not_assessable"
        assert document["decision"]["priority"] == "unchanged"
        assert document["decision"]["reasons"] == ["mixed_patients: one study carries 2 patient IDs"]
        row = node.index.study(STUDY)
        assert row is not None
        assert row.state is StudyState.ASSESSED

    def test_a_transient_fault_is_tried_again_later_without_end(self, tmp_path: Path) -> None:
        node = Node(tmp_path, some_images(STUDY))
        node.reader.faults = [Transient("disk busy") for _ in range(12)]

        for _ in range(12):
            assert node.ring() is Result.RETRY
            assert node.ring() is Result.NOTHING_TO_DO, "not before its time"
            node.clock.advance(300)
        assert node.ring() is Result.DECIDED

    def test_a_file_that_cannot_be_read_is_not_named(self, tmp_path: Path) -> None:
        node = Node(tmp_path, some_images(STUDY))
        node.reader.faults = [OSError(errno.EIO, "Input/output error", f"/store/{STUDY}.dcm")]

        assert node.ring() is Result.RETRY
        row = node.index.study(STUDY)
        assert row is not None
        assert row.failure == "transient (attempt 1): OSError: [Errno 5] Input/output error"

    def test_a_bug_is_tried_again_and_then_fails_visibly(self, tmp_path: Path) -> None:
        node = Node(tmp_path, some_images(STUDY))
        node.reader.faults = [ZeroDivisionError("PatientName^Secret") for _ in range(4)]
        results = []
        for _ in range(4):
            results.append(node.ring())
            node.clock.advance(300)

        assert results == [Result.RETRY, Result.RETRY, Result.RETRY, Result.FAILED]
        row, document = node.index.study(STUDY), node.index.assessment(STUDY)
        assert row is not None
        assert document is not None
        assert row.state is StudyState.FAILED
        assert document["decision"]["category"] == "not_assessable"
        assert document["decision"]["reasons"][0].startswith("processing_failed: ")
        assert "Secret" not in f"{row.failure} {document}", "the text of an unexpected error may quote a header"

    def test_a_study_that_kills_its_worker_every_time_fails_visibly(self, tmp_path: Path) -> None:
        node = Node(tmp_path, some_images(STUDY))
        for _ in range(4):  # four workers take it and die without a word
            assert node.index.claim(STUDY, owner="dead", now=node.clock.now(), lease_s=30) is not None
            node.clock.advance(31)

        assert node.ring() is Result.FAILED
        assert node.engine.calls == []
        document = node.index.assessment(STUDY)
        assert document is not None
        assert "processing_failed" in document["decision"]["reasons"][0]

    def test_a_first_look_of_this_revision_survives_a_failed_full_assessment(self, tmp_path: Path) -> None:
        def fail(stage: str) -> None:
            if stage == "full":
                raise ZeroDivisionError

        node = Node(tmp_path, some_images(STUDY), engine=FakeEngine(first=SUSPECTED, before=fail))
        for _ in range(4):
            result = node.ring()
            node.clock.advance(300)
        assert result is Result.FAILED
        row = node.index.study(STUDY)
        assert row is not None
        assert (row.state, row.category, row.priority) == (StudyState.FAILED, "neurotoxicity_suspected", "P1")

    def test_a_lost_lease_stores_nothing(self, tmp_path: Path) -> None:
        node = Node(tmp_path, some_images(STUDY))

        def taken_over(_stage: str) -> None:
            node.clock.advance(31)
            assert node.index.claim(STUDY, owner="other", now=node.clock.now(), lease_s=30) is not None

        node.engine.before = taken_over
        assert node.ring() is Result.LEASE_LOST
        assert node.stages() == []
        assert node.results.written == []
        row = node.index.study(STUDY)
        assert row is not None
        assert row.lease_owner == "other"

    def test_files_that_cannot_be_written_do_not_undo_the_decision(self, tmp_path: Path) -> None:
        node = Node(tmp_path, some_images(STUDY))
        node.results.fault = OSError("disk full")

        assert node.ring() is Result.DECIDED
        assert node.stages() == [(1, "first_look"), (1, "full")]

    def test_an_index_that_is_away_is_the_callers_to_wait_for(self, tmp_path: Path) -> None:
        node = Node(tmp_path, some_images(STUDY))
        node.index.away = True
        with pytest.raises(Transient):
            node.ring()


class TestTaskLost:
    """The pool child was ended at the time limit; its parent records it."""

    def test_tried_again_after_the_delay(self, tmp_path: Path) -> None:
        node = Node(tmp_path, some_images(STUDY))
        node.index.claim(STUDY, owner="w1", now=node.clock.now(), lease_s=30)
        task_lost(STUDY, node.deps, owner="w1", reason="time limit")
        row = node.index.study(STUDY)
        assert row is not None
        assert (row.state, row.lease_until, row.failure) == (StudyState.READY, None, "time limit")
        node.clock.advance(10)
        assert node.ring() is Result.DECIDED

    def test_last_attempt_fails_visibly(self, tmp_path: Path) -> None:
        node = Node(tmp_path, some_images(STUDY))
        for _ in range(4):
            node.index.claim(STUDY, owner="w1", now=node.clock.now(), lease_s=30)
            task_lost(STUDY, node.deps, owner="w1", reason="time limit")
            node.clock.advance(300)
        row = node.index.study(STUDY)
        assert row is not None
        assert (row.state, row.category) == (StudyState.FAILED, "not_assessable")

    def test_noop_when_another_worker_has_the_study(self, tmp_path: Path) -> None:
        node = Node(tmp_path, some_images(STUDY))
        node.index.claim(STUDY, owner="w2", now=node.clock.now(), lease_s=30)
        before = node.index.study(STUDY)
        task_lost(STUDY, node.deps, owner="w1", reason="time limit")
        assert node.index.study(STUDY) == before


@pytest.mark.parametrize(
    ("attempt", "last_failure", "used_up"),
    [
        pytest.param(1, None, False, id="first attempt"),
        pytest.param(4, "bug (attempt 3): KeyError", False, id="last allowed attempt"),
        pytest.param(5, None, True, id="four workers died without a word"),
        pytest.param(5, "transient (attempt 4): Transient: disk", False, id="the last one ended in a transient fault"),
        pytest.param(6, "transient (attempt 4): Transient: disk", True, id="died after a transient fault"),
    ],
)
def test_attempts_used_up(tmp_path: Path, attempt: int, last_failure: str | None, used_up: bool) -> None:
    node = Node(tmp_path, some_images(STUDY))
    claim = node.index.claim(STUDY, owner="w", now=node.clock.now(), lease_s=30)
    assert claim is not None
    assert attempts_used_up(replace(claim, attempt=attempt), last_failure, 4) is used_up


@pytest.mark.parametrize(
    ("earlier", "now", "kept"),
    [
        pytest.param([], NOTHING, Priority.UNCHANGED, id="noop: first version"),
        pytest.param([NOTHING], SUSPECTED, Priority.P1, id="raised: nothing to keep"),
        pytest.param([SUSPECTED], NOTHING, Priority.P1, id="would fall: kept"),
        pytest.param(
            [SUSPECTED, (Category.POSSIBLE, Priority.P3)],
            (Category.POSSIBLE, Priority.P2),
            Priority.P1,
            id="highest of all",
        ),
        pytest.param(
            [(Category.POSSIBLE, Priority.P2)],
            (Category.NOT_ASSESSABLE, Priority.UNCHANGED),
            Priority.P2,
            id="not measured: kept",
        ),
        pytest.param([SUSPECTED], SUSPECTED, Priority.P1, id="noop: the same again"),
    ],
)
def test_priority_is_never_lowered(earlier: list[Verdict], now: Verdict, kept: Priority) -> None:
    from triage.document import to_document

    study = some_images(STUDY).study
    stored = [{"document": to_document(an_assessment(study, verdict=verdict))} for verdict in earlier]
    result = keep_priority(an_assessment(study, verdict=now), stored).decision
    assert (result.category, result.priority) == (now[0], kept)
    assert any("never lowers" in reason for reason in result.reasons) is (kept != now[1])


class TestBaseline:
    BASE, FOLLOWUP = "1.1", "1.9"

    def both(self, tmp_path: Path, **base: object) -> Node:
        """A baseline of 2026-02-20 and a follow-up of 2026-03-10, infusion on 2026-03-01."""
        baseline = some_images(self.BASE, day=date(2026, 2, 20), **base)  # type: ignore[arg-type]
        node = Node(tmp_path, baseline, some_images(self.FOLLOWUP, day=date(2026, 3, 10)))
        node.index.set_infusion_date("P1", date(2026, 3, 1))
        return node

    def test_the_course_is_read_from_earlier_documents_of_the_same_person(self, tmp_path: Path) -> None:
        node = self.both(tmp_path)
        later = some_images("1.95", day=date(2026, 3, 20))
        stranger = some_images("1.5", day=date(2026, 3, 5), birth_date=date(1950, 1, 1))
        node.reader.images |= {i.study.study_instance_uid: i for i in (later, stranger)}
        node.arrive(later)
        node.index.record_instances(
            [an_instance("1.5", study_date=date(2026, 3, 5), patient_id="P1", birth_date=date(1950, 1, 1))]
        )
        node.index.mark_ready("1.5", now=node.clock.now(), reason="test")
        node.ring(self.BASE)
        assert node.engine.contexts[-1].earlier == [], "the first study has nothing before it"
        for study in ("1.5", self.FOLLOWUP):
            node.ring(study)
        claim = node.index.claim("1.95", owner="w", now=node.clock.now(), lease_s=30)
        assert claim is not None
        row = node.index.study("1.95")
        assert row is not None
        found = earlier_documents(replace(row, birth_date=date(1980, 1, 1)), node.deps)
        assert {d["study"]["study_instance_uid"] for d in found} == {self.BASE, self.FOLLOWUP}
        assert found == earlier_documents(replace(row, birth_date=date(1980, 1, 1)), node.deps)
        assert earlier_documents(replace(row, patient_id=""), node.deps) == [], "an empty id is nobody"

    def test_prepared_ahead_and_used(self, tmp_path: Path) -> None:
        node = self.both(tmp_path)
        node.ring(self.BASE)
        assert node.done("prepare") == [self.BASE]
        node.ring(self.FOLLOWUP)
        assert node.done("prepare") == [self.BASE], (
            "taken from the shelf, and a study after the infusion is no baseline"
        )
        assert ("first_look", self.FOLLOWUP, f"prepared {self.BASE}") in node.engine.calls
        assert ("full", self.FOLLOWUP, f"prepared {self.BASE}") in node.engine.calls
        document = node.index.assessment(self.FOLLOWUP)
        assert document is not None
        assert document["baseline"]["study_instance_uid"] == self.BASE

    def test_prepared_later_when_somebody_offers_to(self, tmp_path: Path) -> None:
        node = self.both(tmp_path)
        later: list[str] = []
        node.deps = replace(node.deps, prepare_later=later.append)
        node.ring(self.BASE)
        assert (later, node.done("prepare")) == ([self.BASE], [])
        prepare_ahead(self.BASE, node.deps)
        prepare_ahead(self.BASE, node.deps)
        assert node.done("prepare") == [self.BASE], "once"

    def test_noop_nothing_to_prepare_before_the_decision(self, tmp_path: Path) -> None:
        node = self.both(tmp_path)
        prepare_ahead(self.BASE, node.deps)
        prepare_ahead("9.9", node.deps)
        assert node.done("prepare") == []

    def test_a_broker_that_does_not_take_the_preparation_costs_no_decision(self, tmp_path: Path) -> None:
        def away(_study: str) -> None:
            raise Transient("away")

        node = self.both(tmp_path)
        node.deps = replace(node.deps, prepare_later=away)
        assert node.ring(self.BASE) is Result.DECIDED

    def test_prepared_when_needed_if_it_was_not_before(self, tmp_path: Path) -> None:
        node = self.both(tmp_path)
        node.ring(self.FOLLOWUP)
        assert ("full", self.FOLLOWUP, f"prepared {self.BASE}") in node.engine.calls

    def test_an_unfit_baseline_is_a_rejected_candidate_and_found_out_once(self, tmp_path: Path) -> None:
        node = self.both(tmp_path)
        node.engine.unfit_baselines = {self.BASE}
        node.ring(self.FOLLOWUP)
        assert ("full", self.FOLLOWUP, None) in node.engine.calls
        node.index.requeue(self.FOLLOWUP, now=node.clock.now())
        node.ring(self.FOLLOWUP)
        assert node.done("prepare") == [self.BASE]

    @pytest.mark.parametrize(
        "base",
        [
            pytest.param({"kinds": (SequenceKind.T1,)}, id="no FLAIR"),
            pytest.param({"birth_date": date(1970, 1, 1)}, id="another birth date"),
        ],
    )
    def test_not_compared(self, tmp_path: Path, base: dict[str, object]) -> None:
        node = self.both(tmp_path, **base)
        followup = some_images(self.FOLLOWUP, day=date(2026, 3, 10), birth_date=date(1980, 1, 1))
        node.reader.images[self.FOLLOWUP] = followup
        node.ring(self.FOLLOWUP)
        assert ("full", self.FOLLOWUP, None) in node.engine.calls
        assert node.done("prepare") == []

    def test_an_empty_patient_id_is_no_identity(self, tmp_path: Path) -> None:
        node = Node(
            tmp_path,
            some_images(self.BASE, day=date(2026, 2, 20), patient_id=""),
            some_images(self.FOLLOWUP, day=date(2026, 3, 10), patient_id=""),
        )
        node.ring(self.FOLLOWUP)
        assert ("full", self.FOLLOWUP, None) in node.engine.calls

    def test_a_baseline_that_arrives_after_its_followup_wakes_it_once(self, tmp_path: Path) -> None:
        node = Node(tmp_path, some_images(self.FOLLOWUP, day=date(2026, 3, 10)))
        node.ring(self.FOLLOWUP)
        baseline = some_images(self.BASE, day=date(2026, 2, 20))
        node.reader.images[self.BASE] = baseline
        node.arrive(baseline)

        node.ring(self.BASE)
        assert node.bell.rings == [self.FOLLOWUP]
        node.ring(self.FOLLOWUP)
        assert ("full", self.FOLLOWUP, f"prepared {self.BASE}") in node.engine.calls
        assert node.bell.rings == [self.FOLLOWUP], "the follow-up wakes nobody in turn"

        node.index.requeue(self.BASE, now=node.clock.now())
        node.ring(self.BASE)
        assert node.bell.rings == [self.FOLLOWUP], "only the first decision of a baseline wakes"

    def test_noop_a_later_study_wakes_nobody(self, tmp_path: Path) -> None:
        node = self.both(tmp_path)
        node.ring(self.BASE)
        node.ring(self.FOLLOWUP)
        assert node.bell.rings == []
