"""Acts in, a FHIR R4 (4.0.1) collection of observations out: one for each act, about the imaging study."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import UTC
from typing import Any

from workers.act_ports import Act

URN, DICOM_UID = "urn:ietf:rfc:3986", "urn:dicom:uid"
CODES = "urn:icansee:feedback"  # a code system of our own: DICOM and SNOMED CT have none for this
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, CODES)


def as_fhir(acts: Iterable[Act]) -> dict[str, Any]:
    """A Bundle. The same act has the same identifier in every export."""
    entries = []
    for one in acts:
        key = f"{one.study_instance_uid} {one.number} {one.at.astimezone(UTC).isoformat()}"
        name = f"urn:uuid:{uuid.uuid5(NAMESPACE, key)}"
        entries.append({"fullUrl": name, "resource": _observation(one, name)})
    return {"resourceType": "Bundle", "type": "collection", **({"entry": entries} if entries else {})}


def _observation(one: Act, name: str) -> dict[str, Any]:
    at = f"{one.at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    study = {"system": DICOM_UID, "value": f"urn:oid:{one.study_instance_uid}"}
    found: dict[str, Any] = {
        "resourceType": "Observation",
        "identifier": [{"system": URN, "value": name}],
        "status": "final",
        "code": {"coding": [{"system": CODES, "code": "act"}], "text": "A reader's word about a decision of ICANSee"},
        "effectiveDateTime": at,
        "issued": at,
        "performer": [{"type": "Practitioner", "display": one.by}],
        "valueCodeableConcept": _coded(one.kind.value),
        "derivedFrom": [{"type": "ImagingStudy", "identifier": study}],
        "component": [
            {"code": _coded("revision"), "valueInteger": one.revision},
            {"code": _coded("stage"), "valueString": one.stage},
            *({"code": _coded("pattern"), "valueString": pattern} for pattern in one.patterns),
        ],
    }
    return found | ({"note": [{"text": one.note}]} if one.note else {})


def _coded(code: str) -> dict[str, Any]:
    return {"coding": [{"system": CODES, "code": code}]}
