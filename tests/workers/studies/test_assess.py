"""One ring in, what the index holds afterwards out; everything around the use case is a fake."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.fakes import SUSPECTED, FakeEngine, some_images
from tests.workers.studies.deciding import STUDY, Node
from triage.model import SequenceKind
from workers.announcements import Announcement, Source, Step
from workers.ports import StudyState
from workers.studies.assess import Result


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
    ("said", "notices"),
    [pytest.param("the order says so", ["the order says so"], id="a hint"), pytest.param(None, [], id="noop: no hint")],
)
def test_what_the_order_says_is_a_notice_and_no_date(tmp_path: Path, said: str | None, notices: list[str]) -> None:
    node = Node(tmp_path, some_images(STUDY))
    node.deps = replace(node.deps, order_hint=lambda _row, _infusion: said)
    assert node.ring() is Result.DECIDED
    document = node.index.assessment(STUDY)
    assert document is not None
    assert (document["notices"], document["study"]["days_after_infusion"]) == (notices, None)


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


def test_the_full_assessment_keeps_the_priority_of_the_first_look(tmp_path: Path) -> None:
    node = Node(tmp_path, some_images(STUDY), engine=FakeEngine(first=SUSPECTED))
    assert node.ring() is Result.DECIDED
    decision = node.index.assessments(STUDY)[-1]["document"]["decision"]
    assert (decision["category"], decision["priority"]) == ("no_pattern", "P1")
    assert "never lowers" in decision["reasons"][-1]
