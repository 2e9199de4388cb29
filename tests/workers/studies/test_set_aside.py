"""Objects of somebody else in a study: listed, restored, discarded; a finding is neither silenced nor lowered."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.fakes import SUSPECTED, an_instance, some_images
from tests.workers.studies.test_reconsider import DAY_7, History
from tests.workers.studies.test_restore import an_index
from triage.errors import Misconfigured, NotAssessable
from workers.identities import ObjectAnswer
from workers.ports import InstanceRow
from workers.studies.set_aside import answer_aside, aside_in, list_aside, objects_of_study

UID = "1.7"
OWN = [an_instance(UID, n, study_date=DAY_7, patient_id="P1") for n in range(1, 5)]
STRAYS = [replace(an_instance(UID, n, study_date=DAY_7, patient_id="P2"), series_description="T1") for n in (11, 12)]


@pytest.fixture
def node(tmp_path: Path) -> History:
    found = History(tmp_path)
    found.engine.first = found.engine.whole = SUSPECTED
    found.reader.images[UID] = some_images(UID, day=DAY_7)
    return found


def come(node: History, *rows: InstanceRow) -> None:
    node.index.record_instances(list(rows))
    node.index.mark_ready(UID, now=node.clock.now(), reason="test")
    node.settle()


def say(node: History, answer: ObjectAnswer, **which: object) -> int:
    return answer_aside(node.index, UID, answer, by="somebody", now=node.clock.now(), **which)  # type: ignore[arg-type]


def first_line(node: History) -> str:
    return str(node.document(UID)["decision"]["reasons"][0])


@pytest.mark.parametrize(
    ("rows", "aside", "clear"),
    [
        pytest.param(OWN, [], True, id="noop: all agree"),
        pytest.param([], [], True, id="not measured: no such study"),
        pytest.param([*STRAYS, *OWN], STRAYS, True, id="strays first"),
        pytest.param([*OWN, *STRAYS], STRAYS, True, id="strays last"),
        pytest.param(
            [*OWN, STRAYS[0], replace(STRAYS[1], patient_id="P3")], STRAYS, True, id="two strays of two people"
        ),
        pytest.param([*OWN[:2], *STRAYS], STRAYS, False, id="half and half"),
        pytest.param([replace(OWN[0], frame_count=150), *STRAYS], STRAYS, True, id="one enhanced object"),
        pytest.param([*OWN, replace(STRAYS[0], patient_id="p1 ")], [], True, id="another spelling is nobody else"),
    ],
)
def test_what_is_set_aside(node: History, rows: list[InstanceRow], aside: list[InstanceRow], *, clear: bool) -> None:
    node.index.record_instances(rows)
    found = aside_in(UID, node.index)
    assert {one.sop_instance_uid for one in found.objects} == {row.sop_instance_uid for row in aside}
    assert found.clear is clear
    assert [one.study_instance_uid for one in list_aside(node.index)] == ([UID] if aside else [])


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        (ObjectAnswer.RESTORED, "assessed again: 2 of its objects belong to the study, a human said"),
        (ObjectAnswer.DISCARDED, "assessed again: 2 of its objects are not of this study, a human said"),
    ],
)
def test_an_answer_decides_the_study_again_and_says_so(node: History, answer: ObjectAnswer, line: str) -> None:
    come(node, *OWN, *STRAYS)
    versions = len(node.index.assessments(UID))
    assert say(node, answer) == 2
    node.settle()
    assert len(node.index.assessments(UID)) > versions
    assert first_line(node) == line
    assert list_aside(node.index) == []
    assert len(list_aside(node.index, answered=True)) == 1
    kept = objects_of_study(node.index.instances(UID), node.index.object_answers(UID))
    assert len(kept) == (6 if answer is ObjectAnswer.RESTORED else 4)


def test_an_answer_is_taken_back(node: History) -> None:
    come(node, *OWN, *STRAYS)
    say(node, ObjectAnswer.DISCARDED)
    node.settle()
    say(node, ObjectAnswer.RESTORED, patient_id="P2")
    node.settle()
    assert "2 of its objects belong to the study, a human said" in first_line(node)
    assert "none of its objects are not of this study" in first_line(node)


def test_noop_the_same_answer_twice_is_no_change(node: History) -> None:
    come(node, *OWN, *STRAYS)
    say(node, ObjectAnswer.DISCARDED)
    node.settle()
    say(node, ObjectAnswer.DISCARDED, patient_id="P2")
    node.settle()
    assert not first_line(node).startswith("assessed again")


def test_nobody_can_say_whose_it_is_until_somebody_does(node: History) -> None:
    node.reader.faults = [NotAssessable("mixed_patients", "one study carries 2 patient IDs")]
    come(node, *OWN[:2], *STRAYS)
    decision = node.document(UID)["decision"]
    assert (decision["category"], decision["priority"]) == ("not_assessable", "P2"), "a finding may be among them"
    with pytest.raises(Misconfigured, match="name with --patient-id"):
        say(node, ObjectAnswer.DISCARDED)
    assert say(node, ObjectAnswer.DISCARDED, patient_id="P1") == 2
    node.settle()
    row = node.index.study(UID)
    assert row is not None
    assert (row.patient_id, node.document(UID)["decision"]["category"]) == ("P2", "neurotoxicity_suspected")


@pytest.mark.parametrize(
    ("which", "words"),
    [
        pytest.param({}, "no object of this study is set aside", id="noop: nothing is"),
        pytest.param({"objects": ["1.9.9"]}, "is no object of this study", id="another object"),
        pytest.param({"patient_id": "P9"}, "no object of this study states it", id="an ID that nobody states"),
        pytest.param({"patient_id": "P1"}, "nothing would be left", id="all of it"),
    ],
)
def test_what_is_refused(node: History, which: dict[str, object], words: str) -> None:
    come(node, *OWN)
    with pytest.raises(Misconfigured, match=words):
        say(node, ObjectAnswer.DISCARDED, **which)
    assert node.index.object_answers(UID) == {}


def test_a_study_that_is_not_here(node: History) -> None:
    with pytest.raises(Misconfigured, match="no such study here"):
        say(node, ObjectAnswer.RESTORED)


def test_what_a_human_said_survives_the_index(tmp_path: Path) -> None:
    index = an_index(tmp_path)
    index.record_instances([OWN[0], *STRAYS])
    now = OWN[0].received_at
    answer_aside(index, UID, ObjectAnswer.DISCARDED, by="me", now=now, patient_id="P2")
    said = index.object_answers(UID)
    assert len(said) == 2
    index.close()
    (tmp_path / "index.db").unlink()
    again = an_index(tmp_path)
    again.record_instances([OWN[0], *STRAYS])
    assert again.restore_facts(now=now) == 2
    row = again.study(UID)
    assert row is not None
    assert (again.object_answers(UID), row.patient_id) == (said, "P1")
    assert again.restore_facts(now=now) == 0, "noop: rows and files agree"
