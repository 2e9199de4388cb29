"""One patient ID that two people have, told apart by birth date or sex: whose is a study that states neither."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from tests.workers.studies.test_reconsider import BEFORE, DAY_5, DAY_7, INFUSION, History
from tests.workers.studies.test_spellings import BORN, OTHER, notices, study
from triage.infusions import Infusion
from triage.model import Basis
from workers.ports import PatientKey
from workers.studies.person import infusions_of_person, studies_of_person

ID = "P1"


@pytest.fixture
def node(tmp_path: Path) -> History:
    return History(tmp_path)


WHOSE = [
    pytest.param(None, None, None, True, id="noop: nobody states a birth date"),
    pytest.param(BORN, None, None, True, id="noop: one person"),
    pytest.param(BORN, BORN, OTHER, True, id="both state it"),
    pytest.param(None, BORN, OTHER, False, id="not stated in the prior"),
    pytest.param(BORN, None, OTHER, False, id="not stated in the follow-up"),
    pytest.param(None, None, OTHER, True, id="somebody else, and neither contradicts"),
]


@pytest.mark.parametrize(("prior", "follow_up", "somebody", "matched"), WHOSE)
def test_whose_a_study_is(
    node: History, prior: date | None, follow_up: date | None, somebody: date | None, matched: bool
) -> None:
    first, second = study("1.1", BEFORE, ID, prior), study("1.7", DAY_7, ID, follow_up)
    third = study("1.5", DAY_5, ID, somebody)
    for one in (second, first, third):
        node.come(one)
        node.settle()
    row = node.index.study("1.7")
    assert row is not None
    assert ("1.1" in {one.study_instance_uid for one in studies_of_person(row, node.index)}) is matched


def test_the_result_says_why_it_is_not_used(node: History) -> None:
    node.come(study("1.1", BEFORE, ID, BORN), study("1.7", DAY_7, ID, None))
    node.settle()
    assert node.compared("1.7")[1] == BEFORE
    node.come(study("1.5", DAY_5, ID, OTHER))
    assert node.settle()
    assert node.compared("1.7") == (Basis.NONE, None)
    rejected = {one.study_instance_uid: one.reason for one in node.engine.contexts[-1].baseline_choice.rejected}
    assert "two_people: birth dates or sexes under this patient ID differ" in rejected["1.1"]
    assert "is not the patient's any more" in node.document("1.7")["decision"]["reasons"][0]


def test_an_infusion_of_an_id_that_two_people_have_is_used_and_said(node: History) -> None:
    node.index.add_infusion(PatientKey(ID), Infusion(INFUSION), now=node.clock.now())
    node.come(study("1.1", BEFORE, ID, BORN), study("1.5", DAY_5, ID, OTHER), study("1.7", DAY_7, ID, BORN))
    node.settle()
    assert node.compared("1.7") == (Basis.BEFORE_INFUSION, BEFORE)
    assert "an infusion date may be somebody else's" in notices(node)


@pytest.mark.parametrize("patient_id", ["ANON", "000"])
def test_an_infusion_of_a_placeholder_is_nobodys(node: History, patient_id: str) -> None:
    node.index.add_infusion(PatientKey(patient_id), Infusion(INFUSION), now=node.clock.now())
    node.come(study("1.7", DAY_7, patient_id, BORN))
    node.settle()
    row = node.index.study("1.7")
    assert row is not None
    assert infusions_of_person(row, node.index)[0] == ()
    assert "the patient ID is a placeholder" in notices(node)
