"""What feeds report in, dates and studies to be decided again out."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from tests.fakes import some_images
from tests.workers.studies.deciding import STUDY, Node
from triage.infusions import CORRECTION_DAYS, Infusion
from workers.feeds.facts import PatientKey
from workers.index.reported import CannotApplyError, ReportedFacts
from workers.ports import StudyState

DAY = date(2024, 3, 4)


@pytest.fixture
def node(tmp_path: Path) -> Node:
    """One decided study of a patient without a known infusion."""
    node = Node(tmp_path, some_images(STUDY))
    node.ring()
    return node


def patient_of(node: Node) -> PatientKey:
    row = node.index.study(STUDY)
    assert row is not None
    return PatientKey(row.patient_id)


def state_of(node: Node) -> StudyState:
    row = node.index.study(STUDY)
    assert row is not None
    return row.state


def decide_with(node: Node, infusion: date) -> None:
    """What a worker stores that knows the date."""
    row, document = node.index.study(STUDY), node.index.assessment(STUDY)
    claim = node.index.claim(STUDY, owner="worker", now=node.clock.now(), lease_s=30.0)
    assert row is not None
    assert row.study_date is not None
    assert document is not None
    assert claim is not None
    document["study"] = {**document["study"], "days_after_infusion": (row.study_date - infusion).days}
    node.index.save_assessment(claim, stage="full", document=document, now=node.clock.now())
    assert node.index.complete(claim, now=node.clock.now())


def test_an_infusion_has_the_studies_of_the_patient_decided_again_once(node: Node) -> None:
    facts, patient = ReportedFacts(node.index, now=node.clock.now), patient_of(node)
    facts.add_infusion(patient, Infusion(DAY))
    assert (state_of(node), node.index.infusion_date(patient.patient_id)) == (StudyState.READY, DAY)
    decide_with(node, DAY)
    facts.add_infusion(patient, Infusion(DAY))
    assert state_of(node) is StudyState.ASSESSED, "decided with this date already"


def test_an_infusion_of_somebody_else_changes_nothing(node: Node) -> None:
    ReportedFacts(node.index).add_infusion(PatientKey("somebody else"), Infusion(DAY))
    assert state_of(node) is StudyState.ASSESSED


def test_a_process_that_ended_after_the_date_goes_on_with_the_studies(node: Node) -> None:
    node.index.set_infusion_date(patient_of(node).patient_id, DAY)
    ReportedFacts(node.index).add_infusion(patient_of(node), Infusion(DAY))
    assert state_of(node) is StudyState.READY


@pytest.mark.parametrize(
    ("days", "kept"),
    [
        pytest.param(CORRECTION_DAYS, False, id="a correction"),
        pytest.param(CORRECTION_DAYS + 1, True, id="a further infusion would hide the first one"),
    ],
)
def test_the_first_infusion_is_never_replaced_by_a_further_one(node: Node, days: int, kept: bool) -> None:
    facts, patient = ReportedFacts(node.index), patient_of(node)
    facts.add_infusion(patient, Infusion(DAY))
    later = DAY + timedelta(days=days)
    if kept:
        with pytest.raises(CannotApplyError):
            facts.add_infusion(patient, Infusion(later))
    else:
        facts.add_infusion(patient, Infusion(later))
    assert node.index.infusion_date(patient.patient_id) == (DAY if kept else later)


def test_what_the_index_cannot_do_is_said(node: Node) -> None:
    facts = ReportedFacts(node.index)
    for call in (
        lambda: facts.remove_infusion(PatientKey("P"), DAY),
        lambda: facts.merge_patients(old=PatientKey("P"), new=PatientKey("Q"), source="HL7"),
    ):
        with pytest.raises(CannotApplyError, match="by hand"):
            call()
