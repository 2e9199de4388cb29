"""Decisions in, workitems out: the elements that a creation needs, the words, and one UID for both stages."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydicom import Dataset

from tests.workers.outputs.alerts.documents import HEADER, RTL, a_document, evidence, not_assessable, quiet
from workers.outputs.alerts.ups import UPS

# PS3.4 table CC.2.5-3: type 1 in an N-CREATE of the SCU
TYPE_1 = (
    "ProcedureStepLabel", "WorklistLabel", "ScheduledProcedureStepPriority", "ScheduledProcedureStepStartDateTime",
    "InputReadinessState", "ProcedureStepState",
)  # fmt: skip
# type 2
TYPE_2 = (
    "TransactionUID", "ScheduledProcessingParametersSequence", "ScheduledStationNameCodeSequence",
    "ScheduledStationClassCodeSequence", "ScheduledStationGeographicLocationCodeSequence",
    "ScheduledHumanPerformersSequence", "ScheduledWorkitemCodeSequence", "CommentsOnTheScheduledProcedureStep",
    "InputInformationSequence", "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "AdmissionID",
    "IssuerOfAdmissionIDSequence", "AdmittingDiagnosesDescription", "AdmittingDiagnosesCodeSequence",
    "ReferencedRequestSequence", "ProcedureStepProgressInformationSequence",
    "UnifiedProcedureStepPerformedProcedureSequence",
)  # fmt: skip
OF_REQUEST = (
    "StudyInstanceUID", "AccessionNumber", "IssuerOfAccessionNumberSequence", "RequestedProcedureID",
    "RequestedProcedureDescription", "RequestedProcedureCodeSequence",
)  # fmt: skip


def made(document: dict[str, Any], **keys: Any) -> Dataset:
    return Dataset.from_json(UPS.render(document, evidence(**keys)).decode())


def test_a_creation_has_all_that_the_standard_asks_for() -> None:
    found = made(a_document())
    assert [name for name in TYPE_1 if not found.get(name)] == []
    assert [name for name in TYPE_2 if name not in found] == []
    (request,) = found.ReferencedRequestSequence
    assert [name for name in OF_REQUEST if name not in request] == []
    for element in found.iterall():
        assert element.VR != "LO" or len(str(element.value)) <= 64


@pytest.mark.parametrize(
    ("stated", "found"),
    [
        pytest.param({"PatientSex": "F", "PatientID": "4711"}, ("F", "4711"), id="no-op"),
        pytest.param({"PatientSex": "f"}, ("F", "A|1^2"), id="a small letter"),
        *(pytest.param({"PatientSex": sex}, ("", "A|1^2"), id=f"sex {sex}") for sex in ("U", "D", "Female")),
        pytest.param({"PatientID": "1\\2"}, ("F", "1"), id="several numbers"),
        pytest.param({"PatientSex": "", "PatientID": ""}, ("", ""), id="not measured: neither is stated"),
    ],
)
def test_values_that_the_standard_does_not_know_are_left_out(stated: dict[str, str], found: tuple[str, str]) -> None:
    """As in the DICOM results: a server refuses a workitem with another value."""
    made_of = made(a_document(), header={**HEADER, **stated})
    assert (made_of.PatientSex or "", made_of.PatientID or "") == found


def test_who_and_what() -> None:
    found = made(a_document())
    assert str(found.PatientName) == "Yamada^Tarou=山田^太郎=やまだ^たろう"
    assert (found.PatientID, found.IssuerOfPatientID) == ("A|1^2", "KLINIK")
    request = found.ReferencedRequestSequence[0]
    assert (request.AccessionNumber, request.PlacerOrderNumberImagingServiceRequest) == ("ACC-7", "P-1")
    assert request.StudyInstanceUID == a_document()["study"]["study_instance_uid"]
    assert found.ProcedureStepLabel.startswith("P1: Neurotoxicity suspected")
    assert "24.8" in found.CommentsOnTheScheduledProcedureStep
    assert found.ScheduledProcedureStepStartDateTime == "20240311090001+0000"
    assert found.ScheduledWorkitemCodeSequence[0].CodeValue == "110005"


def test_a_header_with_little_in_it() -> None:
    found = made(a_document(), header=RTL)
    assert "PlacerOrderNumberImagingServiceRequest" not in found.ReferencedRequestSequence[0]
    assert "IssuerOfPatientID" not in found
    assert found.ReferencedRequestSequence[0].AccessionNumber == ""


@pytest.mark.parametrize(
    ("priority", "wanted"), [("P1", "HIGH"), ("P2", "MEDIUM"), ("P3", "LOW")], ids=["P1", "P2", "P3"]
)
def test_priorities(priority: str, wanted: str) -> None:
    document = a_document()
    document["decision"] = document["decision"] | {"priority": priority}
    assert UPS.applies(document, evidence())
    assert made(document).ScheduledProcedureStepPriority == wanted


@pytest.mark.parametrize("document", [quiet(), not_assessable()], ids=["noop: nothing found", "not assessable"])
def test_no_priority_no_workitem(document: dict[str, Any]) -> None:
    assert not UPS.applies(document, evidence())


def test_a_first_look_without_a_priority_leaves_the_earlier_workitem() -> None:
    first = quiet() | {"stage": "first_look"}
    assert not UPS.applies(first, evidence(previous=(2, "full")))
    assert UPS.applies(quiet(), evidence(previous=(2, "full")))
    assert "called_back" not in json.loads(UPS.render(first, evidence(previous=(2, "full"))))


def test_both_stages_of_a_revision_are_one_workitem_and_another_revision_is_another() -> None:
    full, first = made(a_document()), made(a_document(stage="first_look"))
    assert full.SOPInstanceUID == first.SOPInstanceUID != made(a_document(), revision=4).SOPInstanceUID
    assert full.SOPInstanceUID.is_valid
    assert UPS.render(a_document(), evidence()) == UPS.render(a_document(), evidence())
    assert json.loads(UPS.render(a_document(), evidence()))["00741000"] == {"vr": "CS", "Value": ["SCHEDULED"]}
