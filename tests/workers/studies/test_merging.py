"""Patients that are merged and split after their studies were decided: the decisions concerned are made again."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import some_images
from tests.workers.outputs.evidence.evidence_builders import an_assessment
from tests.workers.studies.test_reconsider import BEFORE, DAY_7, INFUSION, History
from triage.infusions import Infusion
from triage.model import Basis, Patient, StudyImages
from triage.report.document import to_document
from workers.identity_events import Change, IdentityEvent
from workers.outputs.alerts.text import alert_text
from workers.outputs.evidence.text import footer
from workers.outputs.evidence.text import reasons as picture_reasons
from workers.ports import PatientKey
from workers.studies.identity import images_in_force
from workers.studies.inputs import changed
from workers.studies.merging import merge_patients, said_of_unused, split_patients

OLD, NEW = PatientKey("P1"), PatientKey("P2")


def of_patient(uid: str, day: date, patient_id: str) -> StudyImages:
    images = some_images(uid, day=day)
    return replace(images, study=replace(images.study, patient=Patient(patient_id)))


PRE, LATE = of_patient("1.1", BEFORE, "P1"), of_patient("1.7", DAY_7, "P2")


def merge(node: History, old: PatientKey = OLD, new: PatientKey = NEW) -> bool:
    return merge_patients(node.index, old=old, new=new, source="test", now=node.clock.now())


def first_line(node: History, uid: str = "1.7") -> str:
    reasons: list[str] = node.document(uid)["decision"]["reasons"]
    return reasons[0]


@pytest.fixture
def node(tmp_path: Path) -> History:
    return History(tmp_path)


def test_a_merge_gives_a_decided_study_its_baseline_and_says_so(node: History) -> None:
    node.index.add_infusion(OLD, Infusion(INFUSION), now=node.clock.now())
    node.come(PRE, LATE)
    node.settle()
    assert node.compared("1.7") == (Basis.NONE, None)
    day = node.clock.now().date()
    assert merge(node)
    assert node.settle() == 2, "the study that changed its patient, and the one that got an earlier study"
    assert node.compared("1.7") == (Basis.BEFORE_INFUSION, BEFORE), "the infusion came along"
    assert first_line(node).startswith(f"assessed again: the patient's identity was merged on {day}; ")
    assert "infusion of 2024-03-04 became known" in first_line(node)
    assert not merge(node), "the same message again"
    assert node.settle() == 0


def test_a_split_undoes_it_and_says_so(node: History) -> None:
    node.come(PRE, LATE)
    merge(node)
    node.settle()
    assert node.compared("1.7")[1] == BEFORE
    split_patients(node.index, old=OLD, new=NEW, source="test", now=node.clock.now())
    node.settle()
    assert node.compared("1.7") == (Basis.NONE, None)
    assert "the patient's identity was merged on 2026-03-10, which was taken back" in first_line(node)
    assert "the study of 2024-02-23 is not the patient's any more" in first_line(node)


def test_the_document_shows_the_identity_in_force_and_that_the_images_carry_another(node: History) -> None:
    node.come(PRE)
    node.settle()
    merge(node)
    node.settle()
    document: dict[str, Any] = node.document("1.1")
    assert document["study"]["patient_id"] == "P2"
    row = node.index.study("1.1")
    assert row is not None
    assert (row.patient_id, row.stated_patient_id) == ("P2", "P1")


@pytest.mark.parametrize("first", ["merge", "studies"], ids=["merge first", "noop: studies first"])
def test_the_order_of_merge_and_studies_does_not_matter(node: History, first: str) -> None:
    if first == "merge":
        merge(node)
    node.come(LATE, PRE)
    node.settle()
    if first == "studies":
        merge(node)
    node.settle()
    assert node.compared("1.7")[1] == BEFORE
    assert {row.study_instance_uid for row in node.index.studies_with_id("P2")} == {"1.1", "1.7"}


def test_a_reader_is_told_which_id_the_images_carry(node: History) -> None:
    node.come(PRE)
    before = node.index.study("1.1")
    merge(node)
    after = node.index.study("1.1")
    assert before is not None
    assert after is not None
    assert images_in_force(PRE, before) is PRE
    told = images_in_force(PRE, after)
    assert told.study.patient.patient_id == "P2"
    assert told.notices == ("the images carry another patient ID than the one that is in force",)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        pytest.param(PatientKey("P1", "O"), PatientKey("P2", "O"), False, id="noop: the issuer of the images"),
        pytest.param(PatientKey("P1"), PatientKey("P2"), False, id="not measured: the merge states none"),
        pytest.param(PatientKey("P8", "H"), PatientKey("P9", "H"), False, id="noop: of other patients"),
        pytest.param(PatientKey("P1", "H"), PatientKey("P2", "H"), True, id="another issuer"),
        pytest.param(PatientKey("P2", "H"), PatientKey("P2", "O"), True, id="the other issuer of the same ID"),
    ],
)
def test_a_merge_under_another_issuer_is_named(node: History, old: PatientKey, new: PatientKey, said: bool) -> None:
    def issued(images: StudyImages) -> StudyImages:
        patient = replace(images.study.patient, issuer="O")
        return replace(images, study=replace(images.study, patient=patient))

    merge(node, old, new)
    node.come(issued(PRE), issued(LATE))
    rows = [row for uid in ("1.1", "1.7") if (row := node.index.study(uid)) is not None]
    text = "a merge of patient IDs of the issuer H, which no image with this patient ID names, is not used"
    found = [one for row in rows for one in said_of_unused(row, node.index)]
    assert set(found) == ({text} if said else set())
    assert len(rows) == 2


MARK = "§"  # of IDs: no word of the program holds it
IDS = st.builds(
    PatientKey,
    st.text().map(lambda text: f"{MARK}{text}"),
    st.sampled_from(["", f"{MARK}HOSP", f" merged into {MARK}"]),
)
EVENTS = st.builds(
    IdentityEvent, st.sampled_from([Change.MERGE, Change.CORRECT]), IDS, IDS, st.just("test"),
    st.just(datetime(2024, 3, 9, tzinfo=UTC)),
)  # fmt: skip


@given(before=st.lists(EVENTS, max_size=3), now=st.lists(EVENTS, min_size=1, max_size=3))
def test_no_id_of_an_event_stands_in_what_leaves_the_node(
    before: list[IdentityEvent], now: list[IdentityEvent]
) -> None:
    rest: dict[str, Any] = {"study_date": None, "infusions": [], "earlier": {}}
    inputs = [rest | {"patient": [], "identity": [one.sentence for one in some]} for some in (before, now)]
    why = changed(*inputs)
    reasons = (f"assessed again: {'; '.join(why)}",)
    assessment = an_assessment()
    assessment = replace(assessment, decision=replace(assessment.decision, reasons=reasons))
    said = [*why, *alert_text(to_document(assessment)).lines, *picture_reasons(assessment), *footer(assessment)]
    assert not [line for line in said if MARK in line]
