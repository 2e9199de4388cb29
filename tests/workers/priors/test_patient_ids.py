"""Patients whose ID an archive writes in another way: what it is asked for, and whose the images are then."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.fakes_priors import FakeArchive
from tests.workers.priors.nodes import BASELINE, FLAIR_IMAGES, FOLLOW_UP, PATIENT, Node, study_files
from triage.identity import SameId
from workers.ports import PatientKey, StudyRow
from workers.prior_settings import PriorSource
from workers.priors.patient_ids import asked_as, other_spellings

REST = PATIENT.removeprefix("SECRET-")
RULE = {"strip": "SECRET-", "prefix": "00"}
ASKED = [
    pytest.param([], PatientKey("H-12"), id="no-op"),
    pytest.param([{"strip": "H-"}], PatientKey("12"), id="stripped"),
    pytest.param([{"prefix": "X"}], PatientKey("XH-12"), id="prefixed"),
    pytest.param([{"strip": "H-", "prefix": "00", "archive_issuer": "R"}], PatientKey("0012", "R"), id="all"),
    pytest.param([{"strip": "K-"}], PatientKey("H-12"), id="another beginning"),
    pytest.param([{"strip": "H-12"}], PatientKey("H-12"), id="nothing would be left"),
    pytest.param([{"issuer": "ELSE", "strip": "H-"}], PatientKey("H-12"), id="another issuer"),
    pytest.param([{"issuer": "HOSP", "strip": "H-"}, {"prefix": "X"}], PatientKey("12"), id="the first that fits"),
]


@pytest.fixture
def row(tmp_path: Path) -> StudyRow:
    node = Node(tmp_path / "one", {})
    node.put(study_files(tmp_path / "in", FOLLOW_UP, "20240125"))
    found = node.index.study(FOLLOW_UP)
    node.close()
    assert found is not None
    return replace(found, patient_id="H-12", issuer="HOSP")


@pytest.mark.parametrize(("rules", "there"), ASKED)
def test_what_an_archive_is_asked_for(row: StudyRow, rules: list[dict[str, Any]], there: PatientKey) -> None:
    source = PriorSource.model_validate({"name": "PACS", "ae_title": "P", "host": "h", "patient_ids": rules})
    asked = asked_as(source, row)
    assert asked.there == there
    assert asked.is_there(there.patient_id, there.issuer) == (there != PatientKey("H-12"))
    assert not asked.is_there("H-13", "")
    assert not (there.issuer and asked.is_there(there.patient_id, "ELSE"))


@pytest.mark.parametrize("mapped", [True, False])
def test_images_under_the_id_of_the_archive_are_the_baseline(tmp_path: Path, mapped: bool) -> None:
    source = {"name": "PACS", "ae_title": "PACS", "host": "127.0.0.1", "patient_ids": [RULE] if mapped else []}
    node = Node(tmp_path / "state", {"sources": [source]})
    node.put(study_files(tmp_path / "in", FOLLOW_UP, "20240125"))
    node.infusion()
    node.assess(FOLLOW_UP)
    archive = FakeArchive(study_files(tmp_path / "archive", BASELINE, "20240105", PatientID=f"00{REST}"))
    node.find(node.finder(archive))
    (search,) = node.searches.of_study(FOLLOW_UP)
    if not mapped:
        assert (search.state.value, search.answer["studies"]) == ("nothing", 0)
        return
    assert (search.state.value, search.answer["patient_id"]) == ("found", f"00{REST}")
    assert node.images(BASELINE)[f"{BASELINE}.1"] == FLAIR_IMAGES
    (event,) = node.index.identity_events(PATIENT)
    assert (event.source, event.study_instance_uid) == ("patient_ids of archive PACS", BASELINE)
    node.settle()
    document = node.index.assessment(FOLLOW_UP)
    assert document is not None
    assert document["baseline"]["study_instance_uid"] == BASELINE
    node.close()


@pytest.mark.parametrize(
    ("patient_id", "queries"),
    [
        pytest.param("", (), id="not measured: no ID"),
        pytest.param("4711", ("*4711",), id="leading zeros there"),
        pytest.param("0004711", ("*4711",), id="leading zeros here"),
        pytest.param("p-0012", ("P-*12", "p-*12"), id="zeros inside, and case"),
        pytest.param("AB", ("ab",), id="case"),
        pytest.param("0012", ("12",), id="too short for a wildcard: it would name everybody"),
        pytest.param("47*11", (), id="a wildcard in the ID"),
        pytest.param("\uff14\uff17\uff11\uff11", ("*4711",), id="full-width digits"),
    ],
)
def test_spellings_that_are_asked_for(patient_id: str, queries: tuple[str, ...]) -> None:
    assert other_spellings(patient_id, SameId.CONFIRMED) == queries
    assert other_spellings(patient_id, SameId.EXACT) == (), "noop: the site compares exactly"


@pytest.mark.parametrize(
    ("written", "state", "asked"),
    [
        pytest.param(PATIENT, "found", 1, id="noop: as here"),
        pytest.param(PATIENT.lower(), "found", 2, id="small letters"),
        pytest.param(f"{PATIENT}X", "nothing", 2, id="another patient"),
    ],
)
def test_a_baseline_under_another_spelling(tmp_path: Path, written: str, state: str, asked: int) -> None:
    node = Node(tmp_path / "state", {"sources": [{"name": "PACS", "ae_title": "PACS", "host": "127.0.0.1"}]})
    node.put(study_files(tmp_path / "in", FOLLOW_UP, "20240125"))
    node.infusion()
    archive = FakeArchive(study_files(tmp_path / "archive", BASELINE, "20240105", PatientID=written))
    node.assess(FOLLOW_UP)
    node.find(node.finder(archive))
    (found,) = node.searches.of_study(FOLLOW_UP)
    assert (found.state.value, archive.asked) == (state, asked)
    node.settle()
    baseline = node.assess(FOLLOW_UP)["baseline"] or {}
    assert (baseline.get("study_instance_uid") == BASELINE) is (state == "found")
    node.close()
