"""Headers of the stored images in, headers with the identity in force out.

A merge or an accepted correction changes no stored image. Results state the identity in force.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from triage.errors import NotAssessable, Transient
from triage.identity import issuer_form
from workers.identities import PatientKey
from workers.identity_events import Persons
from workers.outputs.source_headers import source_study
from workers.outputs.sources import ORDER_KEYWORDS, PATIENT_KEYWORDS, Header
from workers.studies.refusals import MIXED_PATIENTS

if TYPE_CHECKING:
    from workers.ports import ConflictRow, InstanceFiles, StudyIndex, StudyRow

Identity = tuple[str, str, str, str]  # patient ID, issuer, birth date (YYYYMMDD or empty), sex


def header_in_force(
    header: Header, document: Mapping[str, Any], index: StudyIndex, files: InstanceFiles
) -> dict[str, str]:
    """The header that results of a decision carry.

    A copy of the images that states the identity in force says name and order, too. After a correction without such a
    copy they are empty: those of the images are of somebody else. Of a study that may be of two patients the ID is that
    of the document, and nothing else is said about patient and order.

    Args:
        header: of the stored images; empty when none could be read.
        document: of the decision.
    """
    if not header:
        return {}
    if any(reason.startswith(f"{MIXED_PATIENTS}:") for reason in document["decision"]["reasons"]):
        return _without(header, *PATIENT_KEYWORDS, *ORDER_KEYWORDS) | {
            "PatientID": document["study"]["patient_id"] or ""
        }
    uid = document["study"]["study_instance_uid"]
    row = index.study(uid)
    if row is None:
        return dict(header)
    who = _decided_for(document) or _identity(row.patient_id, row.issuer, row.birth_date, row.sex)
    if who == _stated(row):
        return dict(header)
    return dict(header) | _said_of(who, header, uid, index, files)


def _said_of(who: Identity, header: Header, uid: str, index: StudyIndex, files: InstanceFiles) -> dict[str, str]:
    patient_id, issuer, birth_date, sex = who
    ids = {"PatientID": patient_id, "IssuerOfPatientID": issuer}
    persons = Persons(index.identity_events(patient_id))
    for copy in _copies(who, persons, uid, index):
        found = _read(copy, files)
        if found:
            return {name: found.get(name, "") for name in (*PATIENT_KEYWORDS, *ORDER_KEYWORDS)} | ids
    correction = persons.correction_of(uid)
    if correction is not None and correction.old != correction.new:
        nothing = dict.fromkeys((*PATIENT_KEYWORDS, *ORDER_KEYWORDS), "")
        birth_date = "" if correction.birth_date is None else f"{correction.birth_date:%Y%m%d}"
        return nothing | ids | {"PatientBirthDate": birth_date, "PatientSex": correction.sex}
    stated = {"PatientBirthDate": birth_date, "PatientSex": sex}
    return ids | {name: value or header.get(name, "") for name, value in stated.items()}


def _copies(who: Identity, persons: Persons, uid: str, index: StudyIndex) -> Iterator[ConflictRow]:
    """Copies of the same images that state the identity, latest first."""
    key = PatientKey(who[0], who[1])
    for one in sorted(index.conflicts(), key=lambda one: (one.received_at, one.path), reverse=True):
        if one.study_instance_uid != uid or not (one.same_images and one.patient_id):
            continue
        _, _, birth_date, sex = _identity(one.patient_id, one.issuer, one.birth_date, one.sex)
        person = persons.in_force(PatientKey(one.patient_id, one.issuer.strip()))
        issuers = {issuer_form(person.issuer), issuer_form(key.issuer)} - {""}
        same = person.patient_id == key.patient_id and len(issuers) <= 1
        if same and birth_date in ("", who[2]) and sex in ("", who[3]):
            yield one


def _read(copy: ConflictRow, files: InstanceFiles) -> Header:
    """Empty: it is not there any more, or cannot be read."""
    path = files.conflict_path(copy)
    try:
        return {} if path is None else source_study([path], {}, vouched=[path]).header
    except (NotAssessable, Transient, OSError):
        return {}


def _decided_for(document: Mapping[str, Any]) -> Identity | None:
    """The identity that was in force at the decision; None: its document does not record it."""
    said = (document.get("inputs") or {}).get("patient")
    return None if said is None else (said[0], said[1], (said[2] or "").replace("-", ""), said[3])


def _stated(row: StudyRow) -> Identity:
    if row.stated_patient_id is None:
        return _identity(row.patient_id, row.issuer, row.birth_date, row.sex)
    return _identity(row.stated_patient_id, row.stated_issuer or "", row.stated_birth_date, row.stated_sex or "")


def _identity(patient_id: str, issuer: str, birth_date: Any, sex: str) -> Identity:
    return patient_id, issuer, "" if birth_date is None else f"{birth_date:%Y%m%d}", sex


def _without(header: Header, *names: str) -> dict[str, str]:
    return {name: value for name, value in header.items() if name not in names}
