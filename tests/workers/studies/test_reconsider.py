"""Facts that change after a decision: the decisions concerned are made again by themselves, in any order of events."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import SUSPECTED, an_instance, some_images
from tests.workers.studies.deciding import Node
from triage.baseline import Candidate
from triage.errors import NotAssessable
from triage.infusions import Infusion
from triage.model import Basis, StudyImages
from workers.ports import PatientKey, StudyState
from workers.studies import assess as assess_module
from workers.studies import reconsider as reconsider_module
from workers.studies.identity import study_of
from workers.studies.inputs import changed, is_before
from workers.studies.prepare_ahead import prepare_ahead
from workers.studies.reconsider import Due, due_studies, reconsider
from workers.studies.whole_files import FilesDamaged

INFUSION, BEFORE, DAY_5, DAY_7 = date(2024, 3, 4), date(2024, 2, 23), date(2024, 3, 9), date(2024, 3, 11)
ME = PatientKey("P1")


class History(Node):
    """A node on which the beat's pass and the workers go on until nothing is left to do."""

    def settle(self) -> int:
        """Rings until quiet; how many times a study was assessed again."""
        again = 0
        for _ in range(20):
            for row in self.index.due(now=self.clock.now()):
                self.ring(row.study_instance_uid)
            woken = reconsider(self.index, self.bell, self.clock)
            again += woken
            if not woken and not self.index.due(now=self.clock.now()):
                return again
        raise AssertionError("it never settles")

    def come(self, *images: StudyImages) -> None:
        for one in images:
            self.reader.images[one.study.study_instance_uid] = one
            self.arrive(one)

    def infusion(self, day: date) -> None:
        self.index.add_infusion(ME, Infusion(day), now=self.clock.now())

    def document(self, uid: str) -> dict[str, Any]:
        found = self.index.assessment(uid)
        assert found is not None
        return found

    def compared(self, uid: str) -> tuple[Basis, date | None]:
        """What the last assessment of the study rested on."""
        choice = next(
            context.baseline_choice
            for call, context in zip(
                reversed([call for call in self.engine.calls if call[0] in ("full", "first_look")]),
                reversed(self.engine.contexts),
                strict=True,
            )
            if call[1] == uid and call[0] == "full"
        )
        return choice.basis, choice.since[1] if choice.since else choice.study_date


@pytest.fixture
def node(tmp_path: Path) -> History:
    return History(tmp_path)


PRE, EARLY, LATE = (some_images(uid, day=day) for uid, day in (("1.1", BEFORE), ("1.5", DAY_5), ("1.7", DAY_7)))


def test_a_prior_that_arrives_late(node: History) -> None:
    node.infusion(INFUSION)
    node.come(LATE)
    node.settle()
    assert node.compared("1.7") == (Basis.NONE, None)
    node.come(PRE)
    assert node.settle() == 1
    assert node.compared("1.7") == (Basis.BEFORE_INFUSION, BEFORE)
    assert node.document("1.7")["decision"]["reasons"][0] == "assessed again: the study of 2024-02-23 arrived"


def test_a_prior_that_arrives_in_two_parts(node: History) -> None:
    node.come(PRE, LATE)
    node.settle()
    node.index.record_instances([an_instance("1.1", 2, study_date=BEFORE, patient_id="P1")])
    assert node.settle() == 0, "it is still arriving"
    node.index.mark_ready("1.1", now=node.clock.now(), reason="test")
    assert node.settle() == 1
    assert "images of the study of 2024-02-23" in node.document("1.7")["decision"]["reasons"][0]


def test_an_infusion_date_that_is_set_changed_and_removed(node: History) -> None:
    node.engine.first = node.engine.whole = SUSPECTED
    node.come(EARLY, LATE)
    node.settle()
    assert node.compared("1.7") == (Basis.COURSE_ONLY, DAY_5), "an acute study is no baseline"
    node.infusion(date(2024, 3, 10))
    assert node.settle() >= 1
    assert node.compared("1.7") == (Basis.BEFORE_INFUSION, DAY_5), "it lies before the infusion"
    assert "infusion of 2024-03-10 became known" in node.document("1.7")["decision"]["reasons"][0]
    node.index.remove_infusion(ME, date(2024, 3, 10), now=node.clock.now())
    assert node.settle() >= 1
    assert node.compared("1.7") == (Basis.COURSE_ONLY, DAY_5)
    assert "removed" in node.document("1.7")["decision"]["reasons"][0]


def test_a_decision_on_an_earlier_study_that_changes(node: History) -> None:
    node.come(EARLY, LATE)
    node.settle()
    assert node.compared("1.7") == (Basis.DATE_UNKNOWN, DAY_5)
    node.engine.first = node.engine.whole = SUSPECTED
    node.index.requeue("1.5", now=node.clock.now())
    assert node.settle() == 1
    assert node.compared("1.7") == (Basis.COURSE_ONLY, DAY_5)
    assert "the decision on the study of 2024-03-09 changed" in node.document("1.7")["decision"]["reasons"][0]


@pytest.mark.parametrize(
    ("where", "fault"),
    [
        pytest.param("require_cohort", NotAssessable("not_in_cohort", "not looked at"), id="not on the roster"),
        pytest.param("_read", NotAssessable("motion", "too much motion"), id="content"),
        pytest.param("_read", FilesDamaged("1.7", "a file was cut short", ("one.dcm",)), id="files"),
        pytest.param("_read", MemoryError(), id="limit"),
        pytest.param("_read", ZeroDivisionError(), id="bug"),
    ],
)
def test_what_becomes_known_while_a_study_cannot_be_decided(
    node: History, monkeypatch: pytest.MonkeyPatch, where: str, fault: Exception
) -> None:
    """It was not used, so the study is decided again."""

    def fail(*_: object, **__: object) -> None:
        node.infusion(INFUSION)
        raise fault

    node.come(LATE)
    with monkeypatch.context() as patched:
        patched.setattr(assess_module, where, fail)
        while node.index.assessment("1.7") is None:
            node.index.remove_infusion(ME, INFUSION, now=node.clock.now())
            node.clock.advance(300)
            node.ring("1.7")
    assert [one.why for one in due_studies("P1", node.index)] == [("infusion of 2024-03-04 became known",)]
    assert node.settle() == 1
    assert node.document("1.7")["decision"]["category"] == "no_pattern"


def test_a_second_infusion_leaves_the_first_course_alone(node: History) -> None:
    node.infusion(INFUSION)
    second = some_images("1.9", day=date(2024, 6, 8))
    node.come(PRE, EARLY, second)
    node.settle()
    node.infusion(date(2024, 6, 3))
    node.settle()
    assert node.compared("1.5") == (Basis.BEFORE_INFUSION, BEFORE)
    assert node.compared("1.9") == (Basis.BEFORE_INFUSION, DAY_5)


def test_noop_nothing_changed(node: History) -> None:
    node.infusion(INFUSION)
    node.come(PRE, EARLY, LATE)
    node.settle()
    versions = [len(node.index.assessments(uid)) for uid in ("1.1", "1.5", "1.7")]
    node.infusion(INFUSION)
    assert node.settle() == 0
    assert [len(node.index.assessments(uid)) for uid in ("1.1", "1.5", "1.7")] == versions
    assert list(due_studies("P1", node.index)) == []


@pytest.mark.parametrize("order", [(PRE, EARLY, LATE), (LATE, EARLY, PRE), (EARLY, LATE, PRE), (LATE, PRE, EARLY)])
@pytest.mark.parametrize("known_at", [0, 1, 2, 3])
def test_the_order_of_events_does_not_matter(node: History, order: tuple[StudyImages, ...], known_at: int) -> None:
    """Arrivals and the infusion date in any order, settled in between: the decisions rest on the same studies."""
    for number, images in enumerate(order):
        if number == known_at:
            node.infusion(INFUSION)
        node.come(images)
        node.settle()
    if known_at == len(order):
        node.infusion(INFUSION)
    node.settle()
    assert {uid: node.compared(uid) for uid in ("1.1", "1.5", "1.7")} == {
        "1.1": (Basis.NONE, None),
        "1.5": (Basis.BEFORE_INFUSION, BEFORE),
        "1.7": (Basis.BEFORE_INFUSION, BEFORE),
    }
    assert all(row.state is StudyState.ASSESSED for row in node.index.studies())


ISSUERS = [
    pytest.param("", "HOSPITAL", True, id="only the follow-up states it"),
    pytest.param("HOSPITAL", "", True, id="only the baseline states it"),
    pytest.param("HOSPITAL", "HOSPITAL", True, id="both the same"),
    pytest.param("HOSPITAL", "OTHER", False, id="two people"),
]


@pytest.mark.parametrize(("baseline", "followup", "matched"), ISSUERS)
def test_issuers(node: History, baseline: str, followup: str, matched: bool) -> None:
    for uid, day, issuer in (("1.1", BEFORE, baseline), ("1.7", DAY_7, followup)):
        images = some_images(uid, day=day, issuer=issuer)
        node.reader.images[uid] = images
        node.index.record_instances([an_instance(uid, study_date=day, patient_id="P1", issuer=issuer)])
        node.index.mark_ready(uid, now=node.clock.now(), reason="test")
    node.infusion(INFUSION)
    node.settle()
    assert node.compared("1.7")[1] == (BEFORE if matched else None)
    days = node.engine.contexts[-1].infusion_date
    assert days == (INFUSION if matched else None), "whose date it is, is not known when two issuers gave the ID"


def test_a_second_issuer_for_the_same_id_is_said_and_no_removal(node: History) -> None:
    node.infusion(INFUSION)
    for uid, day, issuer in (("1.1", BEFORE, ""), ("1.7", DAY_7, "HOSPITAL"), ("1.8", DAY_7, "OTHER")):
        node.reader.images[uid] = some_images(uid, day=day, issuer=issuer)
        node.index.record_instances([an_instance(uid, study_date=day, patient_id="P1", issuer=issuer)])
        node.index.mark_ready(uid, now=node.clock.now(), reason="test")
        node.settle()
    first = node.document("1.7")["decision"]["reasons"][0]
    why = "is not used any more: two issuers use this patient ID"
    assert f"infusion of 2024-03-04 {why}" in first
    assert f"the study of 2024-02-23 {why}" in first
    assert "removed" not in first


ORDERS = [
    pytest.param("100000", "110000", True, id="by time"),
    pytest.param("110000", "100000", False, id="the other way round"),
    pytest.param("", "100000", False, id="the first without a time"),
    pytest.param("100000", "", False, id="the second without a time"),
    pytest.param("100000", "100000", False, id="the same time"),
    pytest.param("none", "100000", False, id="no time at all"),
]


@pytest.mark.parametrize(("one", "other", "before"), ORDERS)
def test_two_studies_of_a_day(node: History, one: str, other: str, before: bool) -> None:
    """What counts as earlier is the same for the choice of the baseline and for what a decision rests on."""
    rows = []
    for uid, time in (("1.1", one), ("1.2", other)):
        node.index.record_instances([an_instance(uid, study_time=time)])
        row = node.index.study(uid)
        assert row is not None
        rows.append(row)
    assert is_before(*rows) is before
    studies = [study_of(row) for row in rows]
    choice = node.engine.choose_baseline(studies[1], [Candidate(studies[0], assessable=True)], ())
    assert (choice.study_instance_uid is not None) is before


def version(now: dict[str, Any], **earlier: object) -> dict[str, Any]:
    values = {"day": "2024-02-23", "time": "", "images": 5, "category": "no_pattern", "findings": [], "own": None}
    values |= {"judged": True} | earlier
    return now | {"earlier": {"1.1": list(values.values())}}


CHANGES = [
    pytest.param({}, {}, (), id="noop"),
    pytest.param({}, {"images": None}, (), id="noop: its images were deleted, the decision was made with them"),
    pytest.param({"images": None}, {"images": 4}, ("images of the study of 2024-02-23 came or went",), id="sent again"),
    pytest.param({}, {"images": 4}, ("images of the study of 2024-02-23 came or went",), id="images"),
    pytest.param({"category": None}, {}, ("the study of 2024-02-23 was assessed",), id="it was decided"),
    pytest.param({}, {"findings": ["A"]}, ("the decision on the study of 2024-02-23 changed",), id="findings"),
    pytest.param({}, {"judged": False}, ("the decision on the study of 2024-02-23 changed",), id="judged no more"),
]


@pytest.mark.parametrize(("before", "after", "said"), CHANGES)
def test_what_changed_of_an_earlier_study(before: dict[str, Any], after: dict[str, Any], said: tuple[str, ...]) -> None:
    rest = {"patient": ["P1"], "study_date": "2024-03-11", "infusions": []}
    assert changed(version(rest, **before), version(rest, **after)) == said


def test_what_changed_in_sentences() -> None:
    now = {"patient": ["P1"], "study_date": "2024-03-11", "infusions": ["2024-03-04"], "earlier": {}}
    assert changed(now, now) == ()
    assert changed(None, now) == ("the facts behind the earlier version were not recorded",)
    assert changed(now | {"infusions": []}, now) == ("infusion of 2024-03-04 became known",)
    assert changed(now | {"patient": ["P2"], "study_date": None}, now) == (
        "the patient's identity was corrected",
        "the study date was corrected to 2024-03-11",
    )


def test_a_later_study_waits_until_the_earlier_one_is_decided_again(node: History) -> None:
    """Decided beside it, it would be decided without it, told to everybody, and decided once more."""
    node.come(PRE, LATE)
    node.settle()
    node.infusion(INFUSION)
    assert reconsider(node.index, node.bell, node.clock) == 1
    assert [row.study_instance_uid for row in node.index.due(now=node.clock.now())] == ["1.1"]
    before = len(node.index.assessments("1.7"))
    assert node.settle() == 1, "the later one, once"
    assert node.compared("1.7") == (Basis.BEFORE_INFUSION, BEFORE)
    later = node.index.assessments("1.7")[before:]
    assert {version["document"]["baseline"]["study_instance_uid"] for version in later} == {"1.1"}


@pytest.mark.parametrize(
    ("infusion", "found", "prepared"),
    [
        pytest.param(None, None, True, id="noop: nothing acute"),
        pytest.param(None, SUSPECTED, False, id="acute: no baseline as far as is known"),
        pytest.param(DAY_5, SUSPECTED, True, id="acute before a known infusion: before treatment"),
    ],
)
def test_what_is_prepared_ahead(node: History, infusion: date | None, found: Any, prepared: bool) -> None:
    node.engine.first = node.engine.whole = found or node.engine.whole
    if infusion is not None:
        node.infusion(infusion)
    later: list[str] = []
    node.deps = replace(node.deps, prepare_later=later.append)
    node.come(PRE)
    node.settle()
    for uid in later:
        prepare_ahead(uid, node.deps)
    assert bool(node.done("prepare")) is prepared


def test_a_patient_who_cannot_be_looked_at_keeps_nobody_waiting(node: History, monkeypatch: pytest.MonkeyPatch) -> None:
    node.come(PRE)
    node.settle()
    looked: list[str] = []

    def due(patient_id: str, _index: object) -> list[Due]:
        looked.append(patient_id)
        if patient_id == "bad":
            raise KeyError("a bug of ours")
        return []

    monkeypatch.setattr(reconsider_module, "due_studies", due)
    for second, patient_id in enumerate(("bad", "P2", "P3")):
        node.index.mark_patient(patient_id, now=node.clock.now() + timedelta(seconds=second))
    node.clock.advance(10)
    for _ in range(2):
        with pytest.raises(KeyError):
            reconsider(node.index, node.bell, node.clock)
    assert looked == ["bad", "P2", "P3", "bad"]
    assert set(node.index.marked_patients()) == {"bad"}


def test_a_pass_over_many_patients_is_short(node: History, monkeypatch: pytest.MonkeyPatch) -> None:
    def due(*_: object) -> list[Due]:
        node.clock.advance(1.0)
        return []

    monkeypatch.setattr(reconsider_module, "due_studies", due)
    for number in range(5):
        node.index.mark_patient(f"P{number}", now=node.clock.now() + timedelta(seconds=number))
    left = []
    for _ in range(3):
        reconsider(node.index, node.bell, node.clock)
        left.append(sorted(node.index.marked_patients()))
    assert left == [["P2", "P3", "P4"], ["P4"], []]
