"""Which baseline a study is compared with, and when it is prepared."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from tests.fakes import (
    an_instance,
    some_images,
)
from tests.workers.studies.deciding import Node
from triage.errors import Transient
from triage.infusions import Infusion
from triage.model import SequenceKind
from workers.ports import PatientKey, StudyState
from workers.studies.assess import Result
from workers.studies.baselines import earlier_documents
from workers.studies.prepare_ahead import prepare_ahead
from workers.studies.reconsider import reconsider


class TestBaseline:
    BASE, FOLLOWUP = "1.1", "1.9"

    def both(self, tmp_path: Path, **base: object) -> Node:
        """A baseline of 2026-02-20 and a follow-up of 2026-03-10, infusion on 2026-03-01."""
        baseline = some_images(self.BASE, day=date(2026, 2, 20), **base)  # type: ignore[arg-type]
        node = Node(tmp_path, baseline, some_images(self.FOLLOWUP, day=date(2026, 3, 10)))
        node.index.add_infusion(PatientKey("P1"), Infusion(date(2026, 3, 1)), now=datetime.now(UTC))
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
            "taken from the folder, and a study after the infusion is no baseline"
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

    def test_noop_a_later_study_wakes_nobody(self, tmp_path: Path) -> None:
        node = self.both(tmp_path)
        node.ring(self.BASE)
        node.ring(self.FOLLOWUP)
        assert node.bell.rings == []


@pytest.mark.parametrize("attempts", [1, 2, 3])
def test_a_prior_that_cannot_be_read_now_is_waited_for_a_while(tmp_path: Path, attempts: int) -> None:
    """A fault of the store is no refusal: nothing is remembered, and the follow-up does not wait without end."""
    prior, followup = some_images("1.1", day=date(2026, 2, 20)), some_images("1.9", day=date(2026, 3, 10))
    node = Node(tmp_path, prior, followup)
    node.index.mark_ready("1.1", now=node.clock.now(), reason="test")
    node.ring("1.1")
    node.reader.unreadable.add("1.1")
    for _ in range(attempts):
        result = node.ring("1.9")
        node.clock.advance(400)
    document = node.index.assessment("1.9")
    if attempts < 3:
        assert (result, document) == (Result.RETRY, None)
        return
    assert result is Result.DECIDED
    assert document is not None
    assert [one["reason"] for one in document["baseline"]["rejected"]] == ["store_fault: its files cannot be read now"]
    row = node.index.study("1.9")
    assert row is not None
    assert (row.state, row.category) == (StudyState.READY, "no_pattern"), "decided, and it waits for the prior"


class Away:
    """A follow-up that was decided without its prior, which cannot be read, and a later study."""

    def __init__(self, tmp_path: Path) -> None:
        days = {"1.1": date(2026, 2, 20), "1.9": date(2026, 3, 10), "1.95": date(2026, 3, 12)}
        self.node = Node(tmp_path, *(some_images(uid, day=day) for uid, day in days.items()))
        self.node.reader.unreadable.add("1.1")
        self.tries("1.1", "1.9", "1.9", "1.9")

    def tries(self, *studies: str) -> list[Result]:
        found = []
        for study in studies:
            self.node.clock.advance(400)
            found.append(self.node.ring(study))
        return found

    def compared(self) -> str | None:
        document = self.node.index.assessment("1.9")
        assert document is not None
        uid: str | None = document["baseline"]["study_instance_uid"]
        return uid


def test_noop_a_prior_that_stays_unreadable_costs_one_look_each_time(tmp_path: Path) -> None:
    away = Away(tmp_path)
    measured = len(away.node.engine.calls)
    assert away.tries(*["1.9"] * 5) == [Result.RETRY] * 5
    assert len(away.node.engine.calls) == measured
    assert away.compared() is None


def test_a_prior_that_can_be_read_again_is_used_by_itself_and_said(tmp_path: Path) -> None:
    away = Away(tmp_path)
    away.node.reader.unreadable.clear()
    assert away.tries("1.1", "1.9", "1.9") == [Result.DECIDED, Result.REOPENED, Result.DECIDED]
    assert away.compared() == "1.1"
    versions = away.node.index.assessments("1.9")
    assert versions[-1]["revision"] == versions[-2]["revision"] + 1, "outputs tell revisions apart"
    first = versions[-1]["document"]["decision"]["reasons"][0]
    assert "the study of 2026-02-20 can be read again" in first


def test_a_prior_whose_content_is_refused_when_it_can_be_read_again_is_not_waited_for(tmp_path: Path) -> None:
    away = Away(tmp_path)
    away.node.reader.unreadable.clear()
    away.node.engine.unfit_baselines = {"1.1"}
    assert away.tries("1.9", "1.9") == [Result.REOPENED, Result.DECIDED]
    row = away.node.index.study("1.9")
    assert row is not None
    assert (away.compared(), row.state) == (None, StudyState.ASSESSED)


def test_later_studies_do_not_wait_for_one_that_fails_again_and_again(tmp_path: Path) -> None:
    """Neither for the prior itself nor for the study that waits for it; and no mark is lost."""
    away = Away(tmp_path)
    away.tries("1.1", "1.1", "1.95", "1.95", "1.95")
    reconsider(away.node.index, away.node.bell, away.node.clock)
    away.node.index.add_infusion(PatientKey("P1"), Infusion(date(2026, 3, 1)), now=away.node.clock.now())
    reconsider(away.node.index, away.node.bell, away.node.clock)
    for study in ("1.9", "1.95"):
        away.tries(study, study, study)
        reconsider(away.node.index, away.node.bell, away.node.clock)
        document = away.node.index.assessment(study)
        assert document is not None
        assert "infusion of 2026-03-01 became known" in document["decision"]["reasons"][0]


@pytest.mark.parametrize("copied", [False, True], ids=["noop", "copy"])
def test_the_same_images_on_an_earlier_day_are_no_baseline(tmp_path: Path, *, copied: bool) -> None:
    """In either order of arrival the follow-up ends alike, and names the other study."""
    prior, followup = (
        replace(images, study=replace(images.study, acquisition=frozenset({"same" if copied else uid})))
        for images, uid in (
            (some_images("1.1", day=date(2026, 2, 20)), "1.1"),
            (some_images("1.9", day=date(2026, 3, 10)), "1.9"),
        )
    )
    ends = []
    for folder, order in (("a", ("1.1", "1.9")), ("b", ("1.9", "1.1", "1.9"))):
        node = Node(tmp_path / folder, prior, followup)
        for uid in order:
            node.index.requeue(uid, now=node.clock.now())
            node.ring(uid)
        document = node.index.assessment("1.9")
        assert document is not None
        ends.append(document["baseline"])
    assert ends[0] == ends[1]
    assert ends[0]["study_instance_uid"] == (None if copied else "1.1")
    assert ends[0].get("same_acquisition", {}).get("study_instance_uid") == ("1.1" if copied else None)
