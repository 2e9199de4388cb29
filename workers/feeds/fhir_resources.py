"""Resources of a FHIR R4 server in, the facts that they state out. Pure.

Read are Procedure (R4, 9.3) and MedicationAdministration (11.2) that name a cell infusion, with their Patient.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from workers.feeds.facts import (
    Cancellation,
    Fact,
    InfusionCancelled,
    InfusionReported,
    NeedsPerson,
    NoInfusion,
    NothingToDo,
)
from workers.feeds.infusion_words import InfusionWords, NamedService, Naming
from workers.moments import parse_date
from workers.ports import PatientKey

KINDS = ("Procedure", "MedicationAdministration")
# An infusion that was stopped half-way was given: cells are in the patient.
GIVEN = frozenset({"completed", "in-progress", "stopped"})
NEVER_GIVEN = frozenset({"entered-in-error", "not-done"})
NOT_YET = "preparation"
MEDICAL_RECORD = "MR"  # HL7 table 0203

Resource = Mapping[str, Any]


class MalformedResourceError(Exception):
    """The resource is not what it says it is. The text names the element and quotes no patient."""


@dataclass(frozen=True)
class Reading:
    """How a site's server says what and who.

    issuers: system of an identifier -> issuer of the patient ID; empty: the medical record number, without an issuer.
    base: address of the server, with a slash at its end.
    """

    words: InfusionWords
    issuers: Mapping[str, str] = field(default_factory=dict)
    base: str = ""


def reference_of(resource: Resource) -> str:
    """``Procedure/12``.

    Raises:
        MalformedResourceError: it has no type or no id.
    """
    kind, name = resource.get("resourceType"), resource.get("id")
    if not isinstance(kind, str) or not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9\-.]{1,64}", name):
        raise MalformedResourceError("resourceType or id is missing")
    return f"{kind}/{name}"


def subject_of(resource: Resource) -> str | None:
    """The reference to its Patient, as it is written; None: it has none."""
    reference = _mapping(resource.get("subject"), "subject").get("reference")
    return reference if isinstance(reference, str) else None


def fact_of(resource: Resource, patients: Mapping[str, Resource], reading: Reading) -> Fact:
    """What one resource states.

    Args:
        patients: by reference as ``patient_reference`` gives it.

    Raises:
        MalformedResourceError: an element that it needs is missing or wrong.
    """
    order = reference_of(resource)
    named, status = _named(resource, reading.words), _text(resource, "status")
    if named is None or status == NOT_YET:
        return NoInfusion("it is no cell infusion", order)
    if status in NEVER_GIVEN:
        try:
            return InfusionCancelled(_patient(resource, patients, reading), None, order, Cancellation.DELETED)
        except MalformedResourceError:  # whoever the patient is
            return NoInfusion("it was not given", order)
    if status not in GIVEN:
        return NothingToDo("its status does not say that it was given")
    if named.naming is Naming.UNCLEAR:
        return NeedsPerson("it names a product of cells and does not say whether these are given")
    day = _day(resource)
    return InfusionReported(_patient(resource, patients, reading), day, named.text, order, given=True)


def names_infusion(resource: Resource, words: InfusionWords) -> bool:
    """Whether it matters whose it is."""
    return _named(resource, words) is not None


def _named(resource: Resource, words: InfusionWords) -> NamedService | None:
    drug = resource.get("resourceType") == "MedicationAdministration"
    found = []
    for concept in _concepts(resource):
        texts = [(_text(coding, "code"), _text(coding, "display")) for coding in _items(concept, "coding")]
        for coded in (*texts, ("", _text(concept, "text"))):
            named = words.named_in(coded, drug=drug)
            if named is not None and named.naming is not Naming.OTHER:
                found.append(named)
    return min(found, key=lambda one: one.naming is not Naming.INFUSION, default=None)


def _concepts(resource: Resource) -> Iterator[Resource]:
    """Each CodeableConcept that says what was given."""
    for key in ("code", "medicationCodeableConcept"):
        if key in resource:
            yield _mapping(resource[key], key)
    if "medicationReference" in resource:
        medication = _mapping(resource["medicationReference"], "medicationReference")
        yield {"text": _text(medication, "display")}
        wanted = _text(medication, "reference").removeprefix("#")
        for contained in _items(resource, "contained"):
            if contained.get("id") == wanted and "code" in contained:
                yield _mapping(contained["code"], "contained.code")


def _day(resource: Resource) -> date:
    """The day as it is written, in the time zone of whoever wrote it. A period without a start ends on the day: an
    infusion takes minutes."""
    kind = "performed" if resource.get("resourceType") == "Procedure" else "effective"
    written = resource.get(f"{kind}DateTime")
    if written is None:
        period = _mapping(resource.get(f"{kind}Period"), f"{kind}Period")
        written = period.get("start", period.get("end"))
    if not isinstance(written, str) or not re.fullmatch(r"\d{4}-\d{2}-\d{2}(T.*)?", written):
        raise MalformedResourceError(f"{kind}DateTime and {kind}Period name no day")
    day = parse_date(written[:10])
    if day is None:
        raise MalformedResourceError(f"{kind}[x] is no date of the calendar")
    return day


def _patient(resource: Resource, patients: Mapping[str, Resource], reading: Reading) -> PatientKey:
    """The identifier in the reference itself, or one of the Patient it refers to."""
    subject = _mapping(resource.get("subject"), "subject")
    own = [_mapping(subject["identifier"], "subject.identifier")] if "identifier" in subject else []
    reference = subject_of(resource) or ""
    contained = (one for one in _items(resource, "contained") if f"#{one.get('id')}" == reference)
    patient = patients.get(patient_reference(reference, reading.base)) or next(contained, None)
    found = own + ([] if patient is None else list(_items(patient, "identifier")))
    key = _key(found, reading.issuers)
    if key is None:
        raise MalformedResourceError("its patient has no identifier of a system in feeds.fhir.issuers")
    return key


def patient_reference(reference: str, base: str) -> str:
    """``Patient/7`` of ``https://server/fhir/Patient/7/_history/2`` when that is the server at ``base``. A Patient of
    another server, which may have the same number, keeps its whole address."""
    written = reference.split("/_history", maxsplit=1)[0]
    is_here = bool(base) and written.startswith(base)
    return written.removeprefix(base) if is_here else written


def _key(identifiers: list[Resource], issuers: Mapping[str, str]) -> PatientKey | None:
    usable = [one for one in identifiers if _text(one, "value") and one.get("use") != "old"]
    if issuers:
        known = [one for one in usable if _text(one, "system") in issuers]
        return PatientKey(_text(known[0], "value"), issuers[_text(known[0], "system")]) if known else None
    numbers = [one for one in usable if _is_record_number(one)] or (usable if len(usable) == 1 else [])
    return PatientKey(_text(numbers[0], "value")) if numbers else None


def _is_record_number(identifier: Resource) -> bool:
    kind = _mapping(identifier.get("type"), "identifier.type")
    return any(coding.get("code") == MEDICAL_RECORD for coding in _items(kind, "coding"))


def _mapping(value: Any, where: str) -> Resource:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise MalformedResourceError(f"{where} is no object")
    return value


def _items(parent: Resource, key: str) -> list[Resource]:
    found = parent.get(key, [])
    if not isinstance(found, list) or not all(isinstance(one, Mapping) for one in found):
        raise MalformedResourceError(f"{key} is no list of objects")
    return found


def _text(parent: Resource, key: str) -> str:
    found = parent.get(key, "")
    if not isinstance(found, str):
        raise MalformedResourceError(f"{key} is no text")
    return found.strip()
