"""Rejection notes of an archive: objects set aside, decisions made again, and nothing lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.fakes import NOTHING, SUSPECTED, an_instance, some_images
from tests.workers.studies.test_reconsider import DAY_7, History
from tests.workers.studies.test_restore import IMAGES, SEEN, STUDY, an_index, document
from triage.errors import NotAssessable, Transient
from workers.files.facts import FactFolder
from workers.identities import GivenAnswer, ObjectAnswer
from workers.output_kinds import KOS
from workers.ports import InstanceRow, StudyState
from workers.rejection_notes import TOO_SLOW, RejectionNote
from workers.studies.reconsider import reconsider
from workers.studies.rejections import KnownNotes, rejected_words
from workers.studies.set_aside import answer_aside, aside_facts, aside_in, list_aside
from workers.studies.slow_notes import MOST_SLOW_READS, SlowNotes

UID = "1.7"
OWN = [an_instance(UID, n, study_date=DAY_7, patient_id="P1") for n in range(1, 5)]
SR = "1.2.840.10008.5.1.4.1.1.88.34"


class Noted(History):
    """A node to which an archive sends notes."""

    def settle(self) -> int:
        again = 0
        for _ in range(20):
            for row in self.index.due(now=self.clock.now()):
                self.ring(row.study_instance_uid)
            woken = reconsider(
                self.index, self.bell, self.clock, read=lambda one: self.reader.rejection_note(Path(one.path))
            )
            again += woken
            if not woken and not self.index.due(now=self.clock.now()):
                return again
        raise AssertionError("it never settles")

    def note(self, code: str, named: list[InstanceRow], name: str = "note", patient_id: str = "P1") -> InstanceRow:
        self.clock.advance(1)
        self.reader.notes[f"{name}.dcm"] = RejectionNote(code, {UID: frozenset(r.sop_instance_uid for r in named)})
        row = an_instance(
            UID,
            sop_instance_uid=f"{UID}.{name}",
            sop_class_uid=KOS,
            path=f"{name}.dcm",
            received_at=self.clock.now(),
            calling_ae="PACS1",
            patient_id=patient_id,
            study_date=DAY_7,
        )
        self.index.record_instances([row])
        return row

    @property
    def first_line(self) -> str:
        return str(self.document(UID)["decision"]["reasons"][0])

    @property
    def versions(self) -> int:
        return len(self.index.assessments(UID))


@pytest.fixture
def node(tmp_path: Path) -> Noted:
    found = Noted(tmp_path)
    found.engine.first = found.engine.whole = SUSPECTED
    found.reader.images[UID] = some_images(UID, day=DAY_7)
    found.index.record_instances(OWN)
    found.index.mark_ready(UID, now=found.clock.now(), reason="test")
    found.settle()
    return found


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("113001", "4 of its objects are rejected (PACS1: Rejected for Quality Reasons)"),
        ("113037", "4 of its objects are rejected, since their patient or order is another one"),
        ("113038", "(PACS1: Incorrect Modality Worklist Entry)"),
    ],
)
def test_a_positive_that_is_rejected_says_both_values_and_stays_urgent(node: Noted, code: str, words: str) -> None:
    node.reader.faults = [NotAssessable("no_images", "there is no image")]
    node.note(code, OWN)
    assert node.settle() == 1
    decision = node.document(UID)["decision"]
    assert (decision["category"], decision["priority"]) == ("not_assessable", "P1")
    assert node.first_line.startswith(
        "the category falls: neurotoxicity_suspected in the version of this study before, not"
    )
    assert words in node.first_line
    listed = list_aside(node.index)[0]
    assert [one.answer.by.partition(":")[0] for one in listed.open if one.answer] == ["PACS1"] * 4
    assert {one["why"] for one in aside_facts(listed)["objects"]} == {listed.objects[0].why}


def test_a_part_is_rejected_and_the_rest_looks_quiet(node: Noted) -> None:
    node.engine.first = node.engine.whole = NOTHING
    node.note("113001", OWN[:2])
    node.settle()
    decision = node.document(UID)["decision"]
    assert decision["priority"] == "P1", "it is never lowered"
    assert node.first_line.startswith(
        "the category falls: neurotoxicity_suspected in the version of this study before, no"
    )
    words = rejected_words(node.index.object_answers(UID))
    assert words == ("2 objects are rejected (PACS1: Rejected for Quality Reasons)",), "for the decision's reasons"


@pytest.mark.parametrize(
    ("code", "named", "patient_id"),
    [
        pytest.param("113039", OWN, "P1", id="noop: the PACS deletes what is old"),
        pytest.param("113001", [an_instance(UID, 99)], "P1", id="objects that are not here"),
        pytest.param("113001", [replace(OWN[0], sop_class_uid=SR, sop_instance_uid="1.7.99")], "P1", id="our results"),
        pytest.param("113001", OWN, "P9", id="it states another patient"),
    ],
)
def test_what_changes_no_decision(node: Noted, code: str, named: list[InstanceRow], patient_id: str) -> None:
    before = node.versions
    node.note(code, named, patient_id=patient_id)
    assert node.settle() == 0
    row = node.index.study(UID)
    assert row is not None
    assert (node.versions, row.state, row.instance_count) == (before, StudyState.ASSESSED, 5)
    assert node.index.object_answers(UID) == {}


def test_results_that_come_back_and_their_retraction_are_not_decided_on(node: Noted) -> None:
    """Else each version would be sent, come back, and make the next one."""
    before = node.versions
    result = replace(OWN[0], sop_class_uid=SR, sop_instance_uid="1.7.50", calling_ae="PACS1")
    node.index.record_instances([result])
    node.note("113001", [result])
    assert node.settle() == 0
    assert (node.versions, node.index.object_answers(UID)) == (before, {})


def test_a_study_whose_images_were_deleted_here_keeps_its_decision(node: Noted) -> None:
    row = node.index.study(UID)
    assert row is not None
    assert node.index.begin_removal(UID, revision=row.revision)
    node.index.finish_removal(UID, [one.sop_instance_uid for one in OWN], now=node.clock.now())
    before = node.document(UID)
    node.note("113039", OWN)
    node.note("113001", OWN, "second")
    assert node.settle() == 0
    assert node.document(UID) == before
    now = node.index.study(UID)
    assert now is not None
    assert now.state is StudyState.REMOVED


@pytest.mark.parametrize(
    ("leap_s", "code"),
    [
        pytest.param(0, "113001", id="no-op: an honest clock"),
        pytest.param(-3600, "113001", id="the clock was set back"),
        pytest.param(0, "113038", id="for another reason, which weighs less"),
    ],
)
def test_a_human_restores_and_a_later_note_rejects_again(node: Noted, leap_s: float, code: str) -> None:
    node.note("113001", OWN[:2])
    node.settle()
    node.clock.advance(1)
    assert answer_aside(node.index, UID, ObjectAnswer.RESTORED, by="me", now=node.clock.now()) == 2
    node.settle()
    assert "2 of its objects belong to the study, a human said" in node.first_line
    assert "none of its objects are rejected" in node.first_line
    assert list_aside(node.index) == []
    restored = max(one.at for one in node.index.object_answers(UID).values())
    node.clock.leap(leap_s)
    node.note(code, OWN[:2], "second")
    node.settle()
    answers = node.index.object_answers(UID)
    assert {one.answer for one in answers.values()} == {ObjectAnswer.REJECTED}
    assert min(one.at for one in answers.values()) > restored, "it stands behind the word of the human"
    assert answer_aside(node.index, UID, ObjectAnswer.RESTORED, by="me", now=node.clock.now()) == 2
    node.settle()
    assert {one.answer for one in node.index.object_answers(UID).values()} == {ObjectAnswer.RESTORED}


def test_a_human_agrees_that_the_whole_study_is_rejected(node: Noted) -> None:
    node.note("113001", OWN)
    node.settle()
    assert answer_aside(node.index, UID, ObjectAnswer.DISCARDED, by="me", now=node.clock.now()) == 4
    node.settle()
    assert aside_in(UID, node.index).open == ()


@pytest.mark.parametrize(
    ("applied", "minutes"),
    [
        pytest.param(True, 10, id="noop: an honest clock"),
        pytest.param(True, -50, id="the clock was set back"),
        pytest.param(False, -50, id="the clock was set back, and nobody read the note so far"),
        pytest.param(True, 0, id="in the same moment"),
    ],
)
def test_a_human_restores_what_a_note_rejected(node: Noted, applied: bool, minutes: float) -> None:
    note = node.note("113001", OWN)
    if applied:
        node.settle()
    now = note.received_at + timedelta(minutes=minutes)
    named = {row.sop_instance_uid for row in OWN}
    assert answer_aside(node.index, UID, ObjectAnswer.RESTORED, by="dr", now=now, objects=named) == 4
    for _ in range(2):
        node.index.mark_patient("P1", now=node.clock.now())
        node.settle()
    answers = node.index.object_answers(UID)
    assert {one.answer for one in answers.values()} == {ObjectAnswer.RESTORED}
    assert (min(one.at for one in answers.values()) == now) is (minutes > 0), "an honest clock is kept"


def test_a_human_says_something_else_after_the_clock_was_set_back(node: Noted) -> None:
    now = node.clock.now()
    named = {OWN[0].sop_instance_uid}
    for answer, minutes in ((ObjectAnswer.RESTORED, 0), (ObjectAnswer.DISCARDED, -60)):
        before = node.index.object_answers(UID)
        answer_aside(node.index, UID, answer, by="dr", now=now + timedelta(minutes=minutes), objects=named)
        given = node.index.object_answers(UID)[OWN[0].sop_instance_uid]
        assert given.answer is answer
        assert all(given.at > one.at for one in before.values()), "not measured: nothing was said before the first"


def test_a_note_that_cannot_be_read_now_is_read_later(node: Noted) -> None:
    node.note("113001", OWN)

    def away(_: InstanceRow) -> RejectionNote | None:
        raise OSError("stale")

    assert reconsider(node.index, node.bell, node.clock, read=away) == 0
    assert node.settle() == 1, "the patient is still marked"


def test_each_note_is_read_once(tmp_path: Path) -> None:
    asked, left = [], list[str]()

    def read(row: InstanceRow) -> RejectionNote | None:
        asked.append(row.sop_instance_uid.rpartition(".")[2])
        if row.sop_instance_uid.endswith("broken"):
            raise NotAssessable("not_dicom", "it is none")
        if row.sop_instance_uid.endswith("slow"):
            raise NotAssessable(TOO_SLOW, "too many objects")
        if row.sop_instance_uid.endswith("note"):
            return RejectionNote("113001", {})
        return None

    rows = [replace(OWN[0], sop_instance_uid=f"1.7.{name}") for name in ("broken", "slow", "note", "noop")]
    found = [None, None, RejectionNote("113001", {}), None]
    for start in range(4):  # of the beat
        known = KnownNotes(read, SlowNotes(FactFolder(tmp_path), left.append))
        assert [known(row) for row in rows * 2] == found * 2
        again = ["slow"] if start < MOST_SLOW_READS else []
        assert asked == ["broken", *again, "note", "noop"], "each once, and a slow one no more after it was slow twice"
        asked.clear()
    assert left == [UID], "a worker reads it, once"
    with pytest.raises(Transient):
        KnownNotes(node_away, SlowNotes(FactFolder(tmp_path), left.append))(OWN[0])


def node_away(_: InstanceRow) -> RejectionNote | None:
    raise Transient("away")


def test_a_note_that_came_after_the_decision_is_no_news_to_a_rebuilt_index(tmp_path: Path) -> None:
    index = an_index(tmp_path)
    written_at = IMAGES[0].received_at + timedelta(seconds=1)
    late = replace(
        IMAGES[0],
        sop_instance_uid="1.2.3.9",
        path="9.dcm",
        sop_class_uid=KOS,
        received_at=written_at + timedelta(seconds=1),
    )
    index.record_instances([*IMAGES, late])
    found = [(1, "full", document(images=SEEN), written_at)]
    assert index.restore_decisions(STUDY, found, newest_revision=1, now=written_at)
    row = index.study(STUDY)
    assert row is not None
    assert row.state is StudyState.ASSESSED
    rejected = GivenAnswer(ObjectAnswer.REJECTED, "PACS1: Rejected for Quality Reasons", late.received_at)
    index.answer_objects(STUDY, {IMAGES[0].sop_instance_uid: rejected}, now=written_at, again=False)
    assert index.restore_facts(now=written_at) == 0
    assert list((tmp_path / "facts").glob("object-*")) == [], "the note itself is the record"
