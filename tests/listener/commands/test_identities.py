"""patients merge, split, history: what they do, and what they refuse by name."""

from __future__ import annotations

import json

import pytest

from listener.commands.patients import patient_key
from tests.listener.commands.cli_runner import Icansee
from tests.listener.commands.test_studies import NOW, UID, receive
from triage.errors import Misconfigured
from workers.ports import ConflictRow, PatientKey


def test_a_merge_and_a_split(icansee: Icansee) -> None:
    index = receive(icansee)
    assert icansee("patients", "merge", "P1", "P2^^^CLINIC").out.strip() == "merged"
    assert icansee("patients", "merge", "P1", "P2^^^CLINIC").out.strip() == "this merge is known"
    row = index.study(UID)
    assert row is not None
    assert (row.patient_id, row.issuer, row.stated_patient_id) == ("P2", "CLINIC", "P1")
    (listed,) = json.loads(icansee("studies", "--json").out)
    assert (listed["patient_id"], listed["patient_id_of_images"]) == ("P2", "P1")
    refused = icansee("patients", "merge", "P1", "P3")
    assert (refused.code, "split that first" in refused.err) == (2, True)
    assert icansee("patients", "split", "P2^^^CLINIC", "P1").out.strip() == "split"
    said = json.loads(icansee("patients", "history", "P1", "--json").out)
    assert [(one["change"], one["source"]) for one in said] == [("merge", "command line"), ("split", "command line")]
    assert "split from P2 (CLINIC)" in " ".join(icansee("patients", "history", "P2").out.split())
    assert icansee("patients", "split", "P2", "P1").code == 2


@pytest.mark.parametrize(
    ("written", "issuer", "key"),
    [
        pytest.param("P1", "", PatientKey("P1"), id="noop: no issuer"),
        pytest.param(" P1 ", " X ", PatientKey("P1", "X"), id="by option"),
        pytest.param("P1^^^X", "", PatientKey("P1", "X"), id="as HL7 writes it"),
        pytest.param("P1^^^X", "X", PatientKey("P1", "X"), id="both"),
        pytest.param("P^1", "", PatientKey("P^1"), id="a caret in the ID"),
        pytest.param("P1^^^X", "Y", None, id="two issuers"),
        pytest.param("^^^X", "", None, id="not measured: empty"),
    ],
)
def test_the_patient_of_an_argument(written: str, issuer: str, key: PatientKey | None) -> None:
    if key is None:
        with pytest.raises(Misconfigured):
            patient_key(written, issuer)
        return
    assert patient_key(written, issuer) == key


def test_corrections_are_listed_and_answered_once(icansee: Icansee) -> None:
    index = receive(icansee)
    assert json.loads(icansee("patients", "corrections", "list", "--json").out) == []
    index.record_conflicts(
        [ConflictRow("1.a.dcm", "1", "1.2", UID, NOW, "PACS", patient_id="P2", sex="F", same_images=True)]
    )
    (listed,) = json.loads(icansee("patients", "corrections", "list", "--json").out)
    assert listed["corrected_to"] == {"patient_id": "P2", "issuer": "", "birth_date": None, "sex": "F"}
    assert (listed["study_instance_uid"], listed["patient_id"], listed["images"]) == (UID, "P1", 1)
    assert "P2" in icansee("patients", "corrections", "list").out
    assert icansee("patients", "corrections", "accept", UID).out.strip() == "accepted"
    row = index.study(UID)
    assert row is not None
    assert (row.patient_id, row.stated_patient_id) == ("P2", "P1")
    assert icansee("patients", "corrections", "reject", UID).code == 2, "it was answered"
