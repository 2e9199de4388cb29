"""What readers said as FHIR, read by a validator that shares no code with the export."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import fhirkit
import pytest

from workers.act_ports import Act, ActKind
from workers.feedback.fhir import as_fhir

AT = datetime(2026, 3, 10, 13, 5, tzinfo=timezone(timedelta(hours=1)))
ACT = Act("1.2.3", 2, "full", ActKind.DISAGREED, "mina", AT, ("bithalamic", "global_oedema"), "a <note> & \u05d0", 7)


@pytest.mark.parametrize("kind", ActKind)
def test_every_act_is_a_valid_observation(kind: ActKind) -> None:
    bundle = as_fhir([replace(ACT, kind=kind), replace(ACT, number=8, note="", patterns=())])
    assert [str(issue) for issue in fhirkit.validate(bundle)] == []
    bundle["entry"][0]["resource"]["colour"] = "red"
    assert fhirkit.validate(bundle), "the check can fail"


def test_noop_nobody_said_anything() -> None:
    assert as_fhir([]) == {"resourceType": "Bundle", "type": "collection"}
    assert [str(issue) for issue in fhirkit.validate(as_fhir([]))] == []


def test_what_an_observation_says() -> None:
    (entry,) = as_fhir([ACT])["entry"]
    said = entry["resource"]
    assert said["issued"] == "2026-03-10T12:05:00Z"
    assert said["valueCodeableConcept"]["coding"][0]["code"] == "disagree"
    assert said["derivedFrom"][0]["identifier"]["value"] == "urn:oid:1.2.3"
    assert said["note"] == [{"text": "a <note> & \u05d0"}]
    assert [one.get("valueString") for one in said["component"]][2:] == ["bithalamic", "global_oedema"]


def test_the_same_act_has_the_same_name_in_every_export() -> None:
    names = [as_fhir([one])["entry"][0]["fullUrl"] for one in (ACT, replace(ACT, at=AT.astimezone(UTC)))]
    assert names[0] == names[1]
    assert as_fhir([replace(ACT, number=8)])["entry"][0]["fullUrl"] != names[0]
