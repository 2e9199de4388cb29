"""Everything that can go wrong in an attempt, and how often a study is tried."""

from __future__ import annotations

import errno
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from tests.fakes import NOTHING, SUSPECTED, FakeEngine, Verdict, some_images
from tests.workers.studies.deciding import STUDY, Node
from triage.assessment import Assessed
from triage.errors import NotAssessable, Transient
from triage.infusions import Infusion
from triage.model import Category, Priority
from workers.identities import PatientKey
from workers.ports import StudyState
from workers.studies.assess import Result, task_lost
from workers.studies.attempts import attempts_counted, blamed


def abandon(node: Node, times: int) -> None:
    """As many workers take the study and die without a word."""
    for _ in range(times):
        assert node.index.claim(STUDY, owner="dead", now=node.clock.now(), lease_s=30) is not None
        node.clock.advance(31)


class TestFaults:
    def test_a_refusal_is_a_stored_decision_with_its_code(self, tmp_path: Path) -> None:
        node = Node(tmp_path, some_images(STUDY))
        node.reader.faults = [NotAssessable("no_images", "nothing is readable")]

        assert node.ring() is Result.DECIDED
        document = node.index.assessment(STUDY)
        assert document is not None
        assert document["decision"]["category"] == "not_assessable"
        assert document["decision"]["priority"] == "unchanged"
        assert document["decision"]["reasons"] == ["no_images: nothing is readable"]
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
        abandon(node, node.settings.queue.max_killed_attempts)

        assert node.ring() is Result.FAILED
        assert node.engine.calls == []
        document = node.index.assessment(STUDY)
        assert document is not None
        assert "processing_failed" in document["decision"]["reasons"][0]
        assert "8 attempts" in document["decision"]["reasons"][0]

    def test_a_study_whose_worker_is_killed_more_often_than_a_bug_may_show_is_still_decided(
        self, tmp_path: Path
    ) -> None:
        node = Node(tmp_path, some_images(STUDY))
        abandon(node, node.settings.queue.max_killed_attempts - 1)
        assert node.ring() is Result.DECIDED

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
        assert (row.state, row.lease_until, row.failure) == (
            StudyState.READY,
            None,
            "limit exceeded (1 of 2): time limit",
        )
        node.clock.advance(10)
        assert node.ring() is Result.DECIDED

    def test_after_the_second_time_the_study_is_quarantined(self, tmp_path: Path) -> None:
        node = Node(tmp_path, some_images(STUDY))
        for _ in range(2):
            node.index.claim(STUDY, owner="w1", now=node.clock.now(), lease_s=30)
            task_lost(STUDY, node.deps, owner="w1", reason="no result within 600 s")
            node.clock.advance(300)
        row, document = node.index.study(STUDY), node.index.assessment(STUDY)
        assert row is not None
        assert document is not None
        assert (row.state, row.category) == (StudyState.FAILED, "not_assessable")
        assert row.failure == "quarantined: no result within 600 s"
        assert document["decision"]["reasons"][0].startswith("quarantined: ")
        assert node.ring() is Result.NOTHING_TO_DO, "not tried again by itself"

    def test_a_replay_ends_the_quarantine(self, tmp_path: Path) -> None:
        node = Node(tmp_path, some_images(STUDY))
        for _ in range(2):
            node.index.claim(STUDY, owner="w1", now=node.clock.now(), lease_s=30)
            task_lost(STUDY, node.deps, owner="w1", reason="no result within 600 s")
            node.clock.advance(300)
        assert node.index.requeue(STUDY, now=node.clock.now())
        assert node.ring() is Result.DECIDED

    def test_memory_is_a_limit_as_well(self, tmp_path: Path) -> None:
        node = Node(tmp_path, some_images(STUDY))
        node.reader.faults = [MemoryError(), MemoryError()]
        assert node.ring() is Result.RETRY
        node.clock.advance(300)
        assert node.ring() is Result.FAILED
        document = node.index.assessment(STUDY)
        assert document is not None
        assert document["decision"]["reasons"] == [
            "quarantined: the program could not process this study in 2 attempts: "
            "more memory than an assessment may take"
        ]

    def test_a_worker_killed_from_outside_between_two_limits_does_not_count(self, tmp_path: Path) -> None:
        node = Node(tmp_path, some_images(STUDY))
        node.index.claim(STUDY, owner="w1", now=node.clock.now(), lease_s=30)
        task_lost(STUDY, node.deps, owner="w1", reason="no result within 600 s")
        node.clock.advance(300)
        abandon(node, 3)
        assert node.ring() is Result.DECIDED

    def test_noop_when_another_worker_has_the_study(self, tmp_path: Path) -> None:
        node = Node(tmp_path, some_images(STUDY))
        node.index.claim(STUDY, owner="w2", now=node.clock.now(), lease_s=30)
        before = node.index.study(STUDY)
        task_lost(STUDY, node.deps, owner="w1", reason="time limit")
        assert node.index.study(STUDY) == before


class Died(BaseException):
    """The worker is gone, whatever it was doing."""


def nothing(_node: Node) -> None:
    """The same again."""


def infusion_known(node: Node) -> None:
    infusion = Infusion(date(2026, 3, 5))
    node.index.add_infusion(PatientKey("P1", ""), infusion, now=node.clock.now())
    node.engine.whole = SUSPECTED


def another_word(node: Node) -> None:
    node.engine.first = node.engine.whole = SUSPECTED


def not_readable(node: Node) -> None:
    node.reader.faults = [NotAssessable("no_images", "nothing is readable")]


UNKNOWN = (Category.NOT_ASSESSABLE, Priority.UNCHANGED)
FIRST, FULL, AGAIN = (1, "first_look"), (1, "full"), (2, "full")
REPEATED = [
    pytest.param("full", NOTHING, nothing, [FIRST, FULL], "unchanged", id="no-op: the same, its files are written"),
    pytest.param("full", NOTHING, infusion_known, [FIRST, FULL, AGAIN], "P1", id="a fact became known"),
    pytest.param("full", NOTHING, another_word, [FIRST, FULL, AGAIN], "P1", id="it is measured otherwise"),
    pytest.param("full", SUSPECTED, not_readable, [FIRST, FULL, AGAIN], "P1", id="it cannot be read any more"),
    pytest.param("first_look", UNKNOWN, nothing, [FIRST, FULL], "unchanged", id="first look: the same"),
    pytest.param(
        "first_look", UNKNOWN, another_word, [FIRST, (2, "first_look"), AGAIN], "P1", id="first look: another word"
    ),
]


@pytest.mark.parametrize(("dies_in", "verdict", "changes", "stages", "priority"), REPEATED)
def test_what_an_attempt_stored_that_died_is_not_replaced(
    tmp_path: Path,
    dies_in: str,
    verdict: Verdict,
    changes: Callable[[Node], None],
    stages: list[tuple[int, str]],
    priority: str,
) -> None:
    """Under its key it may have gone out. What is else to be said is a new revision, which goes out by itself."""
    node = Node(tmp_path, some_images(STUDY), engine=FakeEngine(first=verdict, whole=verdict))

    def dies(_uid: str, _revision: int, outcome: Assessed, *_: object, **__: object) -> None:
        if outcome.assessment.stage.value == dies_in:
            raise Died

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(node.results, "write", dies)
        with pytest.raises(Died):
            node.ring()
    before = node.index.assessments(STUDY)
    node.clock.advance(120)
    changes(node)
    while node.ring() is not Result.NOTHING_TO_DO:
        pass
    found = node.index.assessments(STUDY)
    assert [(one["revision"], one["stage"]) for one in found] == stages
    kept = [(one["created_at"], one["document"]) for one in found[: len(before)]]
    assert kept == [(one["created_at"], one["document"]) for one in before]
    row = node.index.study(STUDY)
    assert row is not None
    assert (row.state, row.priority) == (StudyState.ASSESSED, priority)
    assert (STUDY, *stages[-1]) in node.results.written


DISK = "transient (attempt 6): Transient: disk"


@pytest.mark.parametrize(
    ("attempt", "last_failure", "counts"),
    [
        pytest.param(1, None, 1, id="no-op: first attempt"),
        pytest.param(4, "bug (attempt 3): KeyError", 4, id="bugs count"),
        pytest.param(5, None, 5, id="workers that died without a word count"),
        pytest.param(7, DISK, 1, id="what ended in a transient fault does not"),
        pytest.param(8, DISK, 2, id="died once after transient faults"),
        pytest.param(9, blamed("bug (attempt 8): KeyError", DISK), 3, id="died after a bug after transient faults"),
        pytest.param(8, blamed("limit exceeded (1 of 2): slow", DISK), 2, id="a limit after transient faults"),
    ],
)
def test_which_attempts_count(attempt: int, last_failure: str | None, counts: int) -> None:
    assert attempts_counted(attempt, last_failure) == counts


def after_a_disk_was_away(folder: Path) -> Node:
    node = Node(folder, some_images(STUDY))
    node.reader.faults = [Transient("disk") for _ in range(12)]
    for _ in range(12):
        assert node.ring() is Result.RETRY
        node.clock.advance(300)
    return node


@pytest.mark.parametrize(
    "happens",
    [
        pytest.param([], id="no-op: nothing else"),
        pytest.param([None], id="the machine is started again"),
        pytest.param([ZeroDivisionError()], id="a bug, once"),
        pytest.param([MemoryError()], id="a limit, once"),
        pytest.param([ZeroDivisionError(), None, ZeroDivisionError()], id="bugs and a machine that is started again"),
        pytest.param([MemoryError(), ZeroDivisionError()], id="a limit and a bug"),
    ],
)
def test_a_disk_that_was_away_for_long_does_not_count(tmp_path: Path, happens: list[Exception | None]) -> None:
    """None: the worker dies without a word."""
    node = after_a_disk_was_away(tmp_path)
    for fault in happens:
        if fault is None:
            abandon(node, 1)
            continue
        node.reader.faults = [fault]
        assert node.ring() is Result.RETRY
        node.clock.advance(300)
    assert node.ring() is Result.DECIDED


def test_after_a_disk_was_away_a_study_is_not_tried_without_end(tmp_path: Path) -> None:
    node = after_a_disk_was_away(tmp_path)
    node.reader.faults = [ZeroDivisionError() for _ in range(4)]
    results = []
    for _ in range(4):
        results.append(node.ring())
        node.clock.advance(300)
    assert results == [Result.RETRY, Result.RETRY, Result.RETRY, Result.FAILED]
