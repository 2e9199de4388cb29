"""Images that came again under the same UIDs with another identity: both are shown until somebody says which holds."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from listener.web.worklist import open_worklist, remarks
from tests.workers.studies.test_merging import LATE, PRE
from tests.workers.studies.test_reconsider import BEFORE, History
from triage.model import Basis
from workers.identity_events import Change
from workers.ports import ConflictRow, PatientKey
from workers.studies.corrections import accept_confirmed, answer_correction, open_corrections
from workers.studies.reported import ReportedFacts

CORRECTED = PatientKey("P2")


@pytest.fixture
def node(tmp_path: Path) -> History:
    """A baseline filed under P1, which is P2's: the follow-up of P2 has no baseline."""
    found = History(tmp_path)
    found.come(PRE, LATE)
    found.settle()
    return found


def again(node: History, *, number: int = 1, **changes: object) -> None:
    row = ConflictRow(
        f"{number}.a.dcm", f"1.1.{number}", "1.1.0", "1.1", node.clock.now(), "PACS", patient_id="P2", same_images=True
    )
    node.index.record_conflicts([replace(row, **changes)])  # type: ignore[arg-type]


def remarks_of(node: History) -> list[str]:
    return next(
        remarks(one) for one in open_worklist(node.index, now=node.clock.now()) if one["study_instance_uid"] == "1.1"
    )


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        pytest.param({}, 1, id="corrected"),
        pytest.param({"same_images": False}, 0, id="other images: a conflict, no correction"),
        pytest.param({"patient_id": ""}, 0, id="not measured: it states no ID"),
        pytest.param({"patient_id": "P1"}, 0, id="noop: the same identity"),
        pytest.param({"study_instance_uid": "1.99"}, 0, id="of a study that is not here"),
        pytest.param({"patient_id": "P1", "birth_date": date(1980, 2, 29)}, 1, id="the birth date only"),
    ],
)
def test_what_counts_as_a_correction(node: History, changes: dict[str, object], found: int) -> None:
    again(node, **changes)
    assert len(open_corrections(node.index)) == found


def test_until_it_is_accepted_both_are_shown_and_nothing_changes(node: History) -> None:
    again(node)
    again(node, number=2)
    assert node.settle() == 0
    assert remarks_of(node) == [
        "2 images came again with corrected headers, patient ID P2: accept or reject it (icansee patients corrections)"
    ]
    (found,) = open_corrections(node.index)
    answer_correction(node.index, found, Change.CORRECT, source="test", now=node.clock.now())
    node.settle()
    assert node.compared("1.7")[1] == BEFORE, "the baseline is found"
    assert "the patient's identity was corrected on" in node.document("1.1")["decision"]["reasons"][0]
    assert "the study of 2024-02-23 arrived" in node.document("1.7")["decision"]["reasons"][0]
    assert open_corrections(node.index) == []


def test_a_rejected_one_is_not_asked_again_and_another_one_is(node: History) -> None:
    again(node)
    (found,) = open_corrections(node.index)
    answer_correction(node.index, found, Change.REJECT, source="test", now=node.clock.now())
    node.settle()
    assert node.compared("1.7") == (Basis.NONE, None)
    assert open_corrections(node.index) == []
    node.clock.advance(60)
    again(node, number=3, patient_id="P3", received_at=node.clock.now())
    assert [one.new.patient_id for one in open_corrections(node.index)] == ["P3"], "the later identity"


@pytest.mark.parametrize(
    ("patient", "birth_date", "sex", "accepted"),
    [
        pytest.param(PatientKey("P2"), None, "", 1, id="the ID alone"),
        pytest.param(PatientKey("P2", "CLINIC"), date(1980, 2, 29), "F", 1, id="all of it"),
        pytest.param(PatientKey("P2"), date(1981, 2, 28), "F", 0, id="another birth date"),
        pytest.param(PatientKey("P2"), None, "M", 0, id="another sex"),
        pytest.param(PatientKey("P2"), None, "U", 1, id="not measured: the sex is not known"),
        pytest.param(PatientKey("P9"), None, "", 0, id="noop: somebody else"),
    ],
)
def test_a_clinical_system_confirms(
    node: History, patient: PatientKey, birth_date: date | None, sex: str, accepted: int
) -> None:
    again(node, birth_date=date(1980, 2, 29), sex="F")
    now = node.clock.now()
    found = accept_confirmed(node.index, patient, birth_date=birth_date, sex=sex, source="HL7 ADT^A08", now=now)
    assert found == accepted
    assert len(open_corrections(node.index)) == 1 - accepted


def test_an_update_or_a_merge_that_names_the_new_identity_accepts(node: History) -> None:
    again(node, birth_date=date(1980, 2, 29), sex="F")
    facts = ReportedFacts(node.index, now=node.clock.now)
    facts.merge_patients(old=PatientKey("OTHER"), new=CORRECTED, source="HL7 ADT^A40")
    assert open_corrections(node.index) == []
    node.settle()
    assert node.compared("1.7")[1] == BEFORE
