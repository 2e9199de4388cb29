"""A stored decision in, a FHIR R4 (4.0.1) transaction bundle out: report, observations, and a task for a human.

Every entry is created under a condition on its identifier, which is derived from the decision: a repeat creates no
second one. Patient, order and imaging study are referred to by their identifiers, since the server's own IDs of them
are not known here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC
from typing import Any

from workers.outputs.alerts.keys import (
    decided_at,
    earlier_of,
    earlier_revisions,
    former_uuids,
    previous_of,
    uuid_of,
)
from workers.outputs.alerts.oru import PROCEDURE, SCHEME
from workers.outputs.alerts.text import TITLES, alert_text
from workers.outputs.evidence.text import CATEGORY_WORDS, region_name
from workers.outputs.output import EvidenceFiles, Output
from workers.outputs.sources import Sources, sources_of
from workers.plain_text import json_text

KIND = "fhir"
URN, DICOM_UID, LOINC = "urn:ietf:rfc:3986", "urn:dicom:uid", "http://loinc.org"
UCUM, OWN = "http://unitsofmeasure.org", f"urn:icansee:{SCHEME}"
CATEGORIES = "http://terminology.hl7.org/CodeSystem/observation-category"
SECTIONS = "http://terminology.hl7.org/CodeSystem/v2-0074"
IDENTIFIERS = "http://terminology.hl7.org/CodeSystem/v2-0203"
INTERPRETATIONS = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
ABSENT = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
# extensions of R4 for a resource that stands in the place of another one
REPLACES = {
    "DiagnosticReport": "http://hl7.org/fhir/StructureDefinition/diagnosticReport-replaces",
    "Task": "http://hl7.org/fhir/StructureDefinition/task-replaces",
}
CALLED_BACK = f"{OWN}:called-back"  # tag of a bundle: a task of an earlier decision, which the sender cancels
IN_ERROR = f"{OWN}:in-error"  # tag: a resource of a retracted decision; display: its type
STAGES = ("first_look", "full")
# Task.priority; a P3 asks for a look without haste
PRIORITIES = {"P1": "stat", "P2": "asap", "P3": "routine"}
FLAGS = {"possible": ("A", "Abnormal"), "suspected": ("AA", "Critical abnormal"), "strong": ("AA", "Critical abnormal")}
Resource = dict[str, Any]


def render(document: Mapping[str, Any], evidence: EvidenceFiles) -> bytes:
    return json_text(bundle(document, sources_of(document, evidence)), indent=1).encode()


def bundle(document: Mapping[str, Any], sources: Sources) -> Resource:
    """DiagnosticReport, Observations and, with a priority of its own, a Task."""
    observations = [one for _, one in _observations(document, sources)]
    report = _report(document, sources, [one["identifier"][0]["value"] for one in observations])
    tasks = _task(document, sources, report) if document["decision"]["priority"] in PRIORITIES else []
    called_back = _earlier_tasks(document, sources)
    return {
        "resourceType": "Bundle",
        **({"meta": {"tag": [{"system": CALLED_BACK, "code": name} for name in called_back]}} if called_back else {}),
        "type": "transaction",
        "entry": [_entry(one) for one in (*observations, report, *tasks)],
    }


def retracting_bundle(document: Mapping[str, Any], sources: Sources) -> Resource:
    """What takes a decision back: nothing is created; the sender marks report and observations as entered in error, and
    cancels the task."""
    wrong = [("Observation", name) for name, _ in _observations(document, sources)]
    wrong.append(("DiagnosticReport", "report"))
    tags = [
        {"system": IN_ERROR, "code": value, "display": kind}
        for kind, name in wrong
        for value in _every_name(document, sources, name)
    ]
    tags += [{"system": CALLED_BACK, "code": value} for value in _every_name(document, sources, "task")]
    return {"resourceType": "Bundle", "type": "transaction", "meta": {"tag": tags}}


def _earlier_tasks(document: Mapping[str, Any], sources: Sources) -> list[str]:
    """Names of the tasks that a full decision makes needless; a first look calls nobody back."""
    if document["stage"] == "first_look":
        return []
    keys = [(revision, stage) for revision in earlier_revisions(sources) for stage in STAGES]
    keys += [(sources.revision, "first_look")] if sources.previous else []
    return [_name(*earlier_of(document, sources, *key), "task") for key in keys]


def _replaces(kind: str, document: Mapping[str, Any], sources: Sources, name: str) -> Resource:
    """The extension that names the resource of the decision before; nothing for the first."""
    before = previous_of(document, sources)
    if before is None:
        return {}
    reference = {"type": kind, "identifier": {"system": URN, "value": _name(*before, name)}}
    return {"extension": [{"url": REPLACES[kind], "valueReference": reference}]}


def _entry(resource: Resource) -> Resource:
    name = resource["identifier"][0]["value"]
    condition = f"identifier={URN}|{name}"
    request = {"method": "POST", "url": resource["resourceType"], "ifNoneExist": condition}
    return {"fullUrl": name, "resource": resource, "request": request}


def _named(kind: str, document: Mapping[str, Any], sources: Sources, name: str) -> Resource:
    return {"resourceType": kind, "identifier": [{"system": URN, "value": _name(document, sources, name)}]}


def _name(document: Mapping[str, Any], sources: Sources, name: str) -> str:
    return f"urn:uuid:{uuid_of(document, sources, f'{KIND}/{name}')}"


def _every_name(document: Mapping[str, Any], sources: Sources, name: str) -> list[str]:
    """Also those under which an earlier version may have sent it."""
    former = former_uuids(document, sources, f"{KIND}/{name}")
    return [_name(document, sources, name), *(f"urn:uuid:{one}" for one in former)]


def _common(document: Mapping[str, Any], sources: Sources) -> Resource:
    """What report and observations share: patient, time of the images, time of the decision."""
    day = document["study"]["study_date"]
    issued = f"{decided_at(document).astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    subject = {"subject": _patient(sources)} if sources.followup.header.get("PatientID") else {}
    return {**subject, **({"effectiveDateTime": day} if day else {}), "issued": issued}


def _patient(sources: Sources) -> Resource:
    header = sources.followup.header
    issuer = header.get("IssuerOfPatientID", "")
    kind = {"coding": [{"system": IDENTIFIERS, "code": "MR"}]}
    identifier: Resource = {"type": kind, "value": header["PatientID"]}
    if issuer:
        identifier["assigner"] = {"display": issuer}
    return {"type": "Patient", "identifier": identifier}


def _imaging_study(document: Mapping[str, Any]) -> Resource:
    value = f"urn:oid:{document['study']['study_instance_uid']}"
    return {"type": "ImagingStudy", "identifier": {"system": DICOM_UID, "value": value}}


def _report(document: Mapping[str, Any], sources: Sources, observations: list[str]) -> Resource:
    accession = sources.followup.header.get("AccessionNumber", "")
    number = {"type": {"coding": [{"system": IDENTIFIERS, "code": "ACSN"}]}, "value": accession}
    order = {"basedOn": [{"type": "ServiceRequest", "identifier": number}]} if accession else {}
    alert = alert_text(document)
    return {
        **_named("DiagnosticReport", document, sources, "report"),
        **_replaces("DiagnosticReport", document, sources, "report"),
        **order,
        "status": "preliminary",
        "category": [{"coding": [{"system": SECTIONS, "code": "RAD", "display": "Radiology"}]}],
        "code": {"coding": [{"system": LOINC, "code": PROCEDURE[0]}], "text": PROCEDURE[1]},
        **_common(document, sources),
        "result": [{"reference": name} for name in observations],
        "imagingStudy": [_imaging_study(document)],
        "conclusion": "\n".join(alert.lines),
    }


def _task(document: Mapping[str, Any], sources: Sources, report: Resource) -> list[Resource]:
    alert = alert_text(document)
    subject = {"for": _patient(sources)} if sources.followup.header.get("PatientID") else {}
    when = f"{decided_at(document):%Y-%m-%dT%H:%M:%SZ}"
    task = {
        **_named("Task", document, sources, "task"),
        **_replaces("Task", document, sources, "task"),
        "status": "requested",
        "intent": "proposal",
        "priority": PRIORITIES[alert.priority],
        "code": {"coding": [_own("review", "Review of an unverified result")]},
        "description": alert.title,
        "focus": {"reference": report["identifier"][0]["value"]},
        **subject,
        "authoredOn": when,
    }
    return [task]


def _observations(document: Mapping[str, Any], sources: Sources) -> Iterator[tuple[str, Resource]]:
    """Each with the name that its identifier is derived from."""
    common = _common(document, sources)

    def made(name: str, code: str, words: str, more: Resource) -> tuple[str, Resource]:
        category = [{"coding": [{"system": CATEGORIES, "code": "imaging"}]}]
        head = {**_named("Observation", document, sources, name), "status": "preliminary", "category": category}
        return name, {**head, "code": {"coding": [_own(code, words)]}, **common, **more}

    category = document["decision"]["category"]
    yield made("category", "category", "Category", _coded(category, CATEGORY_WORDS[category]))
    days = document["study"]["days_after_infusion"]
    if days is not None:
        yield made("days", "days_after_infusion", "Days after infusion", _quantity(days, "d"))
    for finding in document["findings"]:
        name, value = f"pattern_{finding['pattern']}", finding["strength"] or finding["presence"]
        more = _coded(value, value) | {"note": [{"text": finding["explanation"]}]}
        if value in FLAGS:
            code, words = FLAGS[value]
            more["interpretation"] = [{"coding": [{"system": INTERPRETATIONS, "code": code, "display": words}]}]
        yield made(name, name, TITLES.get(finding["pattern"], name), more)
    for row in document["measurements"]:
        yield made(f"{row['region']}/{row['quantity']}", row["quantity"], row["quantity"], _measurement(row))


def _measurement(row: Mapping[str, Any]) -> Resource:
    site = {"bodySite": {"coding": [_own(row["region"], region_name(row["region"]))]}}
    if row["value"] is None:
        reason = {"coding": [{"system": ABSENT, "code": "unknown"}], "text": row["reason"] or "not measured"}
        return {"dataAbsentReason": reason, **site}
    spread = row["uncertainty"]
    note = {} if spread is None else {"note": [{"text": f"uncertainty (1 sd) {spread:g} {row['unit']}"}]}
    return {**_quantity(row["value"], row["unit"]), **site, **note}


def _quantity(value: float, unit: str) -> Resource:
    return {"valueQuantity": {"value": value, "unit": unit, "system": UCUM, "code": unit}}


def _coded(code: str, words: str) -> Resource:
    return {"valueCodeableConcept": {"coding": [_own(code, words)]}}


def _own(code: str, words: str) -> Resource:
    return {"system": OWN, "code": code, "display": words}


FHIR = Output(KIND, "alert.fhir.json", "application/fhir+json", render)
