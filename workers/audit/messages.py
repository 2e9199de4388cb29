"""What happened in, a DICOM audit message (PS3.15 section A.5) as XML text out. Pure.

Audit messages name patients, studies and peers on purpose; they go to the audit repository and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from xml.etree import ElementTree as Xml

SUCCESS, MINOR_FAILURE, SERIOUS_FAILURE = 0, 4, 8  # EventOutcomeIndicator


@dataclass(frozen=True)
class Code:
    """A coded value: code, coding scheme, meaning."""

    value: str
    meaning: str
    scheme: str = "DCM"


# PS3.16 Annex D and context groups 400 to 405
APPLICATION_ACTIVITY = Code("110100", "Application Activity")
INSTANCES_ACCESSED = Code("110103", "DICOM Instances Accessed")
INSTANCES_TRANSFERRED = Code("110104", "DICOM Instances Transferred")
QUERY = Code("110112", "Query")
SECURITY_ALERT = Code("110113", "Security Alert")
USER_AUTHENTICATION = Code("110114", "User Authentication")
LOGIN, LOGOUT = Code("110122", "Login"), Code("110123", "Logout")
START, STOP = Code("110120", "Application Start"), Code("110121", "Application Stop")
NODE_AUTHENTICATION = Code("110126", "Node Authentication")
SOFTWARE_CONFIGURATION = Code("110131", "Software Configuration")
APPLICATION, DESTINATION, SOURCE = (
    Code("110150", "Application"),
    Code("110152", "Destination Role ID"),
    Code("110153", "Source Role ID"),
)
STUDY_UID, NODE_ID = Code("110180", "Study Instance UID"), Code("110182", "Node ID")
SOP_CLASS_UID = Code("110181", "SOP Class UID")
PATIENT_NUMBER = Code("2", "Patient Number", "RFC-3881")


@dataclass(frozen=True)
class AuditSource:
    """Who reports: AE title, process id and the name of the audit source."""

    ae_title: str
    process_id: int
    source_id: str


@dataclass(frozen=True)
class RemoteNode:
    """The other side of an association: AE title (empty when it sent none) and IP address."""

    ae_title: str
    address: str


@dataclass(frozen=True)
class Viewing:
    """Somebody saw a study in the web application. user: the account. address: of the browser, "" when it is not known.
    what: the page or the call, as the table of routes names it."""

    user: str
    address: str
    what: str
    study_instance_uid: str
    patient_id: str
    accession_number: str


@dataclass(frozen=True)
class UserSign:
    """Somebody signed in or out, or tried to. user: the name that was given. address: of the browser, "" when it is not
    known."""

    user: str
    address: str
    signs_in: bool = True
    succeeded: bool = True


@dataclass(frozen=True)
class Configured:
    """A person changed what the node does. user: as the person says. login: account of the machine. what: the change.
    why: the reason that was given."""

    user: str
    login: str
    what: str
    why: str


@dataclass(frozen=True)
class Transfer:
    """Objects of one study that came in one association. classes: SOP class UID -> number of objects."""

    study_instance_uid: str
    patient_id: str
    accession_number: str
    classes: Mapping[str, int]


def application_activity(source: AuditSource, at: datetime, *, started: bool) -> str:
    """The application began or ended its work."""
    message = _message(APPLICATION_ACTIVITY, at, SUCCESS, START if started else STOP, action="E")
    _participant(message, source.ae_title, APPLICATION, is_requestor=False, alternative=str(source.process_id))
    return _finished(message, source)


def instances_transferred(
    source: AuditSource, peer: RemoteNode, transfer: Transfer, at: datetime, *, complete: bool
) -> str:
    """Objects of one study came from a peer. complete: the association ended in good order."""
    message = _message(INSTANCES_TRANSFERRED, at, SUCCESS if complete else MINOR_FAILURE, action="C")
    _participant(message, peer.ae_title, SOURCE, is_requestor=True, address=peer.address)
    _participant(message, source.ae_title, DESTINATION, is_requestor=False, alternative=str(source.process_id))
    _audit_source(message, source)
    study = _object(message, transfer.study_instance_uid, STUDY_UID, kind="2", role="3")
    description = Xml.SubElement(study, "ParticipantObjectDescription")
    if transfer.accession_number:
        Xml.SubElement(description, "Accession", Number=transfer.accession_number)
    for uid, number in sorted(transfer.classes.items()):
        Xml.SubElement(description, "SOPClass", UID=uid, NumberOfInstances=str(number))
    _object(message, transfer.patient_id or "unknown", PATIENT_NUMBER, kind="1", role="1")
    return _text(message)


def instances_accessed(source: AuditSource, viewing: Viewing, at: datetime) -> str:
    """A person saw a study of a patient (PS3.15 section A.5.3.3)."""
    message = _message(INSTANCES_ACCESSED, at, SUCCESS, action="R", outcome=viewing.what)
    _participant(message, viewing.user, None, is_requestor=True, address=viewing.address or None)
    _participant(message, source.ae_title, APPLICATION, is_requestor=False, alternative=str(source.process_id))
    _audit_source(message, source)
    study = _object(message, viewing.study_instance_uid, STUDY_UID, kind="2", role="3")
    if viewing.accession_number:
        description = Xml.SubElement(study, "ParticipantObjectDescription")
        Xml.SubElement(description, "Accession", Number=viewing.accession_number)
    _object(message, viewing.patient_id or "unknown", PATIENT_NUMBER, kind="1", role="1")
    return _text(message)


def security_alert(source: AuditSource, peer: RemoteNode, reason: str, at: datetime) -> str:
    """A node was not let in: it is not listed, or did not prove who it is."""
    message = _message(SECURITY_ALERT, at, SERIOUS_FAILURE, NODE_AUTHENTICATION, action="E", outcome=reason)
    _participant(message, source.ae_title, APPLICATION, is_requestor=False, alternative=str(source.process_id))
    _participant(message, peer.ae_title or peer.address, None, is_requestor=True, address=peer.address)
    _audit_source(message, source)
    _object(message, peer.ae_title or peer.address, NODE_ID, kind="2", role="13")  # 13: security resource
    return _text(message)


def user_authentication(source: AuditSource, sign: UserSign, at: datetime) -> str:
    """A person signed in or out, or could not (PS3.15 section A.5.3.12)."""
    outcome = SUCCESS if sign.succeeded else MINOR_FAILURE
    message = _message(USER_AUTHENTICATION, at, outcome, LOGIN if sign.signs_in else LOGOUT, action="E")
    _participant(message, sign.user, None, is_requestor=True, address=sign.address or None)
    _participant(message, source.ae_title, APPLICATION, is_requestor=False, alternative=str(source.process_id))
    _audit_source(message, source)
    return _text(message)


def configuration_changed(source: AuditSource, change: Configured, at: datetime) -> str:
    """A person changed what the node does (PS3.15 section A.5.3.11: a security alert about the configuration)."""
    said = f"{change.what}: {change.why}"
    message = _message(SECURITY_ALERT, at, SUCCESS, SOFTWARE_CONFIGURATION, action="E", outcome=said)
    _participant(message, change.user, None, is_requestor=True, alternative=change.login or None)
    _participant(message, source.ae_title, APPLICATION, is_requestor=False, alternative=str(source.process_id))
    _audit_source(message, source)
    _object(message, source.ae_title, NODE_ID, kind="2", role="13")
    return _text(message)


def query(
    source: AuditSource, peer: RemoteNode, sop_class_uid: str, keys: bytes, at: datetime, *, answered: bool
) -> str:
    """We asked a peer by C-FIND. keys: the encoded identifier."""
    import base64

    message = _message(QUERY, at, SUCCESS if answered else MINOR_FAILURE, action="E")
    _participant(message, source.ae_title, SOURCE, is_requestor=True, alternative=str(source.process_id))
    _participant(message, peer.ae_title, DESTINATION, is_requestor=False, address=peer.address)
    _audit_source(message, source)
    asked = _object(message, sop_class_uid, SOP_CLASS_UID, kind="2", role="3")
    Xml.SubElement(asked, "ParticipantObjectQuery").text = base64.b64encode(keys).decode()
    return _text(message)


def _message(
    event: Code, at: datetime, outcome_indicator: int, kind: Code | None = None, *, action: str, outcome: str = ""
) -> Xml.Element:
    message = Xml.Element("AuditMessage")
    identification = Xml.SubElement(
        message,
        "EventIdentification",
        EventActionCode=action,
        EventDateTime=at.isoformat(timespec="milliseconds"),
        EventOutcomeIndicator=str(outcome_indicator),
    )
    _coded(identification, "EventID", event)
    if kind is not None:
        _coded(identification, "EventTypeCode", kind)
    if outcome:
        Xml.SubElement(identification, "EventOutcomeDescription").text = outcome
    return message


def _participant(
    message: Xml.Element,
    user_id: str,
    role: Code | None,
    *,
    is_requestor: bool,
    alternative: str | None = None,
    address: str | None = None,
) -> None:
    facts = {"UserID": user_id or "unknown", "UserIsRequestor": str(is_requestor).lower()}
    if alternative is not None:
        facts["AlternativeUserID"] = alternative
    if address is not None:
        facts |= {"NetworkAccessPointID": address, "NetworkAccessPointTypeCode": "2"}  # 2: an IP address
    element = Xml.SubElement(message, "ActiveParticipant", facts)
    if role is not None:
        _coded(element, "RoleIDCode", role)


def _audit_source(message: Xml.Element, source: AuditSource) -> None:
    element = Xml.SubElement(message, "AuditSourceIdentification", AuditSourceID=source.source_id)
    # 4: application server process (PS3.15 section A.5.1, audit source types of RFC 3881)
    Xml.SubElement(element, "AuditSourceTypeCode", {"csd-code": "4"})


def _finished(message: Xml.Element, source: AuditSource) -> str:
    _audit_source(message, source)
    return _text(message)


def _object(message: Xml.Element, object_id: str, id_type: Code, *, kind: str, role: str) -> Xml.Element:
    element = Xml.SubElement(
        message,
        "ParticipantObjectIdentification",
        ParticipantObjectID=object_id,
        ParticipantObjectTypeCode=kind,
        ParticipantObjectTypeCodeRole=role,
    )
    _coded(element, "ParticipantObjectIDTypeCode", id_type)
    return element


def _coded(parent: Xml.Element, name: str, code: Code) -> None:
    Xml.SubElement(parent, name, {"csd-code": code.value, "codeSystemName": code.scheme, "originalText": code.meaning})


def _text(message: Xml.Element) -> str:
    return '<?xml version="1.0" encoding="UTF-8"?>' + Xml.tostring(message, encoding="unicode")
