"""FHIR resources in, facts out: a table of what is read, of what is none of our business, and of what is malformed."""

from __future__ import annotations

from contextlib import suppress
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.feeds.facts import (
    Cancellation,
    Fact,
    InfusionCancelled,
    InfusionReported,
    NeedsPerson,
    NoInfusion,
    NothingToDo,
)
from workers.feeds.fhir_resources import MalformedResourceError, Reading, fact_of, patient_reference, reference_of
from workers.feeds.infusion_words import InfusionWords
from workers.ports import PatientKey

WORDS = InfusionWords(codes=("CART1",), words=("axicabtagene",))
READING = Reading(WORDS, {"urn:oid:1.2.3": "HOSP"}, "https://ehr/fhir/")
DAY = date(2024, 3, 4)
P7 = PatientKey("P7", "HOSP")
PATIENTS = {
    "Patient/7": {
        "resourceType": "Patient",
        "identifier": [{"system": "urn:other", "value": "X"}, {"system": "urn:oid:1.2.3", "value": "P7"}],
    }
}
SUBJECT = {"reference": "Patient/7"}
CODE = {"coding": [{"system": "urn:site", "code": "CART1", "display": "CAR-T"}]}


def a_procedure(**changes: Any) -> dict[str, Any]:
    found = {
        "resourceType": "Procedure",
        "id": "12",
        "status": "completed",
        "code": CODE,
        "subject": SUBJECT,
        "performedDateTime": "2024-03-04T09:30:00+01:00",
    }
    return {key: value for key, value in (found | changes).items() if value is not None}


def an_administration(**changes: Any) -> dict[str, Any]:
    found = {
        "resourceType": "MedicationAdministration",
        "id": "12",
        "status": "completed",
        "medicationCodeableConcept": {"text": "Axicabtagene ciloleucel"},
        "subject": SUBJECT,
        "effectivePeriod": {"start": "2024-03-04"},
    }
    return {key: value for key, value in (found | changes).items() if value is not None}


GIVEN = InfusionReported(P7, DAY, "CAR-T", "Procedure/12", given=True)
ADMINISTERED = InfusionReported(P7, DAY, "Axicabtagene ciloleucel", "MedicationAdministration/12", given=True)
ERROR = InfusionCancelled(P7, None, "Procedure/12", Cancellation.DELETED)
CONTAINED = {
    "medicationCodeableConcept": None,
    "medicationReference": {"reference": "#m"},
    "contained": [{"resourceType": "Medication", "id": "m", "code": {"text": "Axicabtagene ciloleucel"}}],
}
PATIENT_INSIDE = {"subject": {"reference": "#p"}, "contained": [PATIENTS["Patient/7"] | {"id": "p"}]}
OWN = {"identifier": {"system": "urn:oid:1.2.3", "value": "P7"}}


@pytest.mark.parametrize(
    ("resource", "fact"),
    [
        pytest.param(a_procedure(), GIVEN, id="by code"),
        pytest.param(a_procedure(status="in-progress"), GIVEN, id="in progress"),
        pytest.param(a_procedure(status="stopped"), GIVEN, id="stopped half-way: cells were given"),
        pytest.param(
            a_procedure(code={"text": "axicabtagene"}),
            InfusionReported(P7, DAY, "axicabtagene", "Procedure/12", given=True),
            id="by word",
        ),
        pytest.param(
            a_procedure(performedDateTime=None, performedPeriod={"start": "2024-03-04T23:59:00Z"}), GIVEN, id="a period"
        ),
        pytest.param(
            a_procedure(subject={"reference": "https://ehr/fhir/Patient/7/_history/2"}),
            GIVEN,
            id="an absolute reference",
        ),
        pytest.param(
            a_procedure(performedDateTime=None, performedPeriod={"end": "2024-03-04T11:00:00Z"}),
            GIVEN,
            id="only the end of a period",
        ),
        pytest.param(a_procedure(subject=OWN), GIVEN, id="the identifier in the reference"),
        pytest.param(a_procedure(**PATIENT_INSIDE), GIVEN, id="a contained patient"),
        pytest.param(a_procedure(subject={"reference": "urn:uuid:7"}), GIVEN, id="an entry of the same bundle"),
        pytest.param(a_procedure(status="entered-in-error"), ERROR, id="entered in error"),
        pytest.param(a_procedure(status="not-done"), ERROR, id="not done"),
        pytest.param(an_administration(), ADMINISTERED, id="a medication"),
        pytest.param(an_administration(**CONTAINED), ADMINISTERED, id="a contained medication"),
        pytest.param(
            an_administration(
                medicationCodeableConcept=None, medicationReference={"display": "Axicabtagene ciloleucel"}
            ),
            ADMINISTERED,
            id="a medication elsewhere, by its display",
        ),
    ],
)
def test_what_is_read(resource: dict[str, Any], fact: Fact) -> None:
    assert fact_of(resource, PATIENTS | {"urn:uuid:7": PATIENTS["Patient/7"]}, READING) == fact


@pytest.mark.parametrize(
    "resource",
    [
        pytest.param(a_procedure(code={"text": "appendectomy"}), id="noop: another procedure"),
        pytest.param(a_procedure(code={"text": "axicabtagene transgene PCR"}), id="a test"),
        pytest.param(a_procedure(code={"text": "Leukapheresis for axicabtagene"}), id="collection of the cells"),
        pytest.param(
            an_administration(medicationCodeableConcept={"text": "paracetamol before axicabtagene"}), id="another drug"
        ),
        pytest.param(a_procedure(code=None), id="no code"),
        pytest.param(a_procedure(code={"text": "MRI brain post axicabtagene"}), id="imaging after an infusion"),
        pytest.param(a_procedure(status="preparation"), id="not begun"),
        pytest.param(a_procedure(status="on-hold"), id="on hold"),
        pytest.param(a_procedure(status=None), id="no status"),
        pytest.param(a_procedure(code={"text": "appendectomy"}, subject=None), id="another procedure of nobody"),
    ],
)
def test_what_is_none_of_our_business(resource: dict[str, Any]) -> None:
    assert isinstance(fact_of(resource, PATIENTS, READING), NothingToDo)


@pytest.mark.parametrize(
    ("resource", "fact"),
    [
        pytest.param(a_procedure(code={"text": "appendectomy"}), NoInfusion, id="another procedure"),
        pytest.param(a_procedure(status="preparation"), NoInfusion, id="not begun"),
        pytest.param(a_procedure(status="not-done", subject=None), NoInfusion, id="not done, of nobody"),
        pytest.param(a_procedure(status="on-hold"), NothingToDo, id="on hold: perhaps part of it was given"),
        pytest.param(a_procedure(code={"text": "axicabtagene programme"}), NeedsPerson, id="it does not say what"),
        pytest.param(
            an_administration(medicationCodeableConcept={"text": "axicabtagene, 30 min after premedication"}),
            InfusionReported, id="a drug, when it is given",
        ),
    ],
)  # fmt: skip
def test_what_takes_back_what_was_reported(resource: dict[str, Any], fact: type[Fact]) -> None:
    assert type(fact_of(resource, PATIENTS, READING)) is fact


@pytest.mark.parametrize(
    ("resource", "where"),
    [
        pytest.param(a_procedure(id=None), "id", id="no id"),
        pytest.param(a_procedure(id="../x"), "id", id="an id that is none"),
        pytest.param(a_procedure(subject=None), "identifier", id="no patient"),
        pytest.param(a_procedure(subject={"reference": "Patient/8"}), "identifier", id="a patient that is not there"),
        pytest.param(
            a_procedure(subject={"reference": "https://other/fhir/Patient/7"}), "identifier", id="of another server"
        ),
        pytest.param(a_procedure(subject="Patient/7"), "subject", id="a patient that is no reference"),
        pytest.param(
            a_procedure(subject={"identifier": {"system": "urn:other", "value": "P7"}}), "issuers", id="another system"
        ),
        pytest.param(a_procedure(performedDateTime=None), "performed", id="no date"),
        pytest.param(a_procedure(performedDateTime="2024-03"), "performed", id="a month"),
        pytest.param(
            a_procedure(performedDateTime=None, performedPeriod={"start": "2024-03", "end": "2024-03-09"}),
            "performed",
            id="a period that begins in a month",
        ),
        pytest.param(a_procedure(performedDateTime="2024-02-30"), "calendar", id="a day that does not exist"),
        pytest.param(a_procedure(performedDateTime=20240304), "performed", id="a number"),
        pytest.param(a_procedure(code="CART1"), "code", id="a code that is text"),
        pytest.param(a_procedure(code={"coding": [1]}), "coding", id="a coding that is a number"),
        pytest.param(a_procedure(code={"coding": [{"code": 1}]}), "code", id="a code that is a number"),
        pytest.param(an_administration(effectivePeriod=[]), "effectivePeriod", id="a period that is a list"),
    ],
)
def test_what_is_malformed(resource: dict[str, Any], where: str) -> None:
    with pytest.raises(MalformedResourceError, match=where) as error:
        fact_of(resource, PATIENTS, READING)
    assert "P7" not in str(error.value)


MR_TYPE = {"coding": [{"code": "MR"}]}


@pytest.mark.parametrize(
    ("identifiers", "key"),
    [
        pytest.param([{"value": "P7"}], PatientKey("P7"), id="the only one"),
        pytest.param([{"value": "A"}, {"value": "P7", "type": MR_TYPE}], PatientKey("P7"), id="the record number"),
        pytest.param([{"value": "A", "use": "old"}, {"value": "P7"}], PatientKey("P7"), id="not an old one"),
        pytest.param([{"value": "A"}, {"value": "B"}], None, id="two of no known kind"),
        pytest.param([], None, id="none"),
    ],
)
def test_without_a_mapping_the_record_number_is_the_patient(
    identifiers: list[dict[str, Any]], key: PatientKey | None
) -> None:
    patients = {"Patient/7": {"identifier": identifiers}}
    if key is None:
        with pytest.raises(MalformedResourceError):
            fact_of(a_procedure(), patients, Reading(WORDS))
    else:
        found = fact_of(a_procedure(), patients, Reading(WORDS))
        assert isinstance(found, InfusionReported)
        assert found.patient == key


def test_references() -> None:
    assert reference_of(a_procedure()) == "Procedure/12"
    here, there = "https://ehr/fhir/", "https://other/fhir/Patient/7"
    assert patient_reference(f"{here}Patient/7", here) == patient_reference("Patient/7/_history/3", here) == "Patient/7"
    assert patient_reference(there, here) == there


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda one: (
        st.lists(one)
        | st.dictionaries(
            st.sampled_from(["coding", "code", "text", "reference", "identifier", "value", "start", "id"]), one
        )
    ),
)


@given(
    st.dictionaries(
        st.sampled_from(
            sorted({*a_procedure(), *an_administration(), "contained", "medicationReference", "performedPeriod"})
        ),
        JSON,
    )
)
def test_nothing_else_comes_out_of_any_json(changes: dict[str, Any]) -> None:
    for whole in (a_procedure, an_administration):
        with suppress(MalformedResourceError):
            fact_of(whole() | changes, PATIENTS, READING)
