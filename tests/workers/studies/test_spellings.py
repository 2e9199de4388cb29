"""One patient whose ID is written in several ways: baseline, infusion, urgency and merge, whichever comes first."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from tests.fakes import an_instance, some_images
from tests.workers.studies.test_reconsider import BEFORE, DAY_7, INFUSION, History
from triage.identity import SameId
from triage.infusions import Infusion
from triage.model import Basis, Patient, StudyImages
from workers.ports import PatientKey, StudyRow
from workers.studies.merging import merge_patients
from workers.studies.person import infusions_of_person, studies_of_person
from workers.studies.urgency import is_urgent

BORN, OTHER = date(1961, 2, 3), date(1970, 1, 1)


def study(uid: str, day: date, patient_id: str, birth_date: date | None = BORN, issuer: str = "") -> StudyImages:
    images = some_images(uid, day=day)
    return replace(images, study=replace(images.study, patient=Patient(patient_id, issuer, birth_date)))


@pytest.fixture
def node(tmp_path: Path) -> History:
    return History(tmp_path)


def notices(node: History) -> str:
    return " | ".join(node.engine.contexts[-1].notices)


PRIOR = [
    pytest.param("123", BORN, SameId.CONFIRMED, True, "", id="noop: the same spelling"),
    pytest.param("00123", BORN, SameId.CONFIRMED, True, "leading zeros", id="leading zeros, birth dates agree"),
    pytest.param("１２３", BORN, SameId.CONFIRMED, True, "character set", id="full-width, birth dates agree"),
    pytest.param("00123", BORN, SameId.EXACT, False, "", id="an exact site"),
    pytest.param("00123", OTHER, SameId.FORM, False, "", id="another birth date"),
    pytest.param("00123", None, SameId.CONFIRMED, False, "", id="not measured: no birth date in the prior"),
    pytest.param("00123", None, SameId.FORM, True, "leading zeros", id="a tolerant site needs none"),
    pytest.param("1230", BORN, SameId.FORM, False, "", id="another number"),
]


@pytest.mark.parametrize(("patient_id", "born", "tolerance", "matched", "said"), PRIOR)
@pytest.mark.parametrize("order", ["prior first", "prior late"])
def test_a_prior_under_another_spelling(
    node: History, patient_id: str, born: date | None, tolerance: SameId, matched: bool, said: str, order: str
) -> None:
    node.index.same_id = tolerance
    node.index.add_infusion(PatientKey("123"), Infusion(INFUSION), now=node.clock.now())
    prior, late = study("1.1", BEFORE, patient_id, born), study("1.7", DAY_7, "123")
    for one in (prior, late) if order == "prior first" else (late, prior):
        node.come(one)
        node.settle()
    # which studies are offered as baseline is the index's part; the engine of the tests compares as a careful site
    person = [row.study_instance_uid for row in _person(node)]
    assert person == (["1.1"] if matched else [])
    if matched:
        assert said in notices(node)
    if tolerance is SameId.CONFIRMED:
        assert node.compared("1.7") == ((Basis.BEFORE_INFUSION, BEFORE) if matched else (Basis.NONE, None))
    if not matched and patient_id != "1230" and tolerance is SameId.CONFIRMED:
        (rejected,) = node.engine.contexts[-1].baseline_choice.rejected
        assert "no birth date confirms it" in rejected.reason, "kept apart, and named"


def _person(node: History) -> list[StudyRow]:
    row = node.index.study("1.7")
    assert row is not None
    return studies_of_person(row, node.index)


ROSTER = [
    pytest.param("00123", (), True, "", id="noop: the same spelling"),
    pytest.param("123", (), True, "nobody else with such an ID", id="a spreadsheet dropped the zeros"),
    pytest.param("123", (study("1.2", BEFORE, "123"),), True, "birth dates agree", id="the person has a study so"),
    pytest.param("123", (study("1.2", BEFORE, "123", OTHER),), False, "somebody else's", id="somebody has that ID"),
    pytest.param("123", (study("1.2", BEFORE, "0123", OTHER),), False, "somebody else's", id="somebody's third form"),
    pytest.param("124", (), False, "", id="another number"),
]


@pytest.mark.parametrize(("reported", "others", "used", "said"), ROSTER)
@pytest.mark.parametrize("order", ["roster first", "roster late"])
def test_an_infusion_under_another_spelling(
    node: History, reported: str, others: tuple[StudyImages, ...], used: bool, said: str, order: str
) -> None:
    if order == "roster first":
        node.index.add_infusion(PatientKey(reported), Infusion(INFUSION), now=node.clock.now())
    node.come(study("1.7", DAY_7, "00123"), *others)
    node.settle()
    if order == "roster late":
        node.index.add_infusion(PatientKey(reported), Infusion(INFUSION), now=node.clock.now())
        node.settle()
    row = node.index.study("1.7")
    assert row is not None
    assert is_urgent(row, node.index) is used
    known, told = infusions_of_person(row, node.index)
    assert [one.day for one in known] == ([INFUSION] if used else [])
    assert said in " ".join(told)


def test_somebody_else_with_that_form_takes_the_infusion_back(node: History) -> None:
    node.index.add_infusion(PatientKey("123"), Infusion(INFUSION), now=node.clock.now())
    node.come(study("1.1", BEFORE, "00123"), study("1.7", DAY_7, "00123"))
    node.settle()
    assert node.compared("1.7") == (Basis.BEFORE_INFUSION, BEFORE)
    node.come(study("1.3", BEFORE, "123", OTHER))
    node.settle()
    assert node.compared("1.7") == (Basis.DATE_UNKNOWN, BEFORE)
    assert "infusion of 2024-03-04 was removed" in node.document("1.7")["decision"]["reasons"][0]


def test_a_merge_names_another_spelling(node: History) -> None:
    node.come(study("1.1", BEFORE, "00123"), study("1.7", DAY_7, "456"))
    node.settle()
    merge_patients(node.index, old=PatientKey("123"), new=PatientKey("0456"), source="ADT", now=node.clock.now())
    node.settle()
    assert node.compared("1.7")[1] == BEFORE


def test_objects_of_one_study_may_spell_the_id_in_two_ways(node: History) -> None:
    shared = {"study_date": BEFORE, "birth_date": BORN}
    node.index.record_instances(
        [an_instance("1.1", n, patient_id=spelled, **shared) for n, spelled in enumerate(["00123", "123", "123"])]
    )
    row = node.index.study("1.1")
    assert row is not None
    assert row.patient_id == "123"
