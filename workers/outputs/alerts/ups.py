"""A stored decision in, a unified procedure step out: a workitem that asks a person to review the study (PS3.4 CC.2.5).

DICOM JSON (PS3.18 F). One workitem for each revision of a study: the full decision updates that of the first look, and
calls back those of earlier revisions. A full decision without a priority of its own only calls back.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from workers.outputs.alerts.keys import NAMESPACE, decided_at, earlier_of, earlier_revisions
from workers.outputs.alerts.text import alert_text
from workers.outputs.output import EvidenceFiles, Output
from workers.outputs.sources import Sources, first_value, plain_sex, sources_of
from workers.plain_text import json_text

KIND = "ups"
PUSH = "1.2.840.10008.5.1.4.34.6.1"  # SOP class of every workitem
PRIORITIES = {"P1": "HIGH", "P2": "MEDIUM", "P3": "LOW"}
INTERPRETATION = ("110005", "DCM", "Interpretation")  # CID 9231
WORKLIST = "ICANSee triage (unverified)"
LONGEST_LO = 64  # characters, PS3.5 6.2
NAME_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
# Present without a value: type 2 for a creation (PS3.4 table CC.2.5-3).
EMPTY = {
    "00081195": "UI",  # TransactionUID: nobody has claimed it
    "00081080": "LO", "00081084": "SQ",  # admitting diagnoses
    "00380010": "LO", "00380014": "SQ",  # admission
    "00404021": "SQ",  # InputInformationSequence: the study is named with the request
    "00404025": "SQ", "00404026": "SQ", "00404027": "SQ", "00404034": "SQ",  # station and person
    "00741002": "SQ", "00741210": "SQ", "00741216": "SQ",  # progress, parameters, what was performed
}  # fmt: skip
Element = dict[str, Any]


def render(document: Mapping[str, Any], evidence: EvidenceFiles) -> bytes:
    """called_back: UIDs of earlier workitems; a sender takes it out. An item without a state is not created."""
    sources = sources_of(document, evidence)
    found: dict[str, Any] = (
        workitem(document, sources)
        if asks_for_review(document)
        else {"00080018": _element("UI", workitem_uid(document, sources))}
    )
    if document["stage"] != "first_look":
        earlier = [earlier_of(document, sources, revision, "full") for revision in earlier_revisions(sources)]
        found |= {"called_back": [workitem_uid(*one) for one in earlier]} if earlier else {}
    return json_text(found, sort_keys=True).encode()


def asks_for_review(document: Mapping[str, Any]) -> bool:
    """Only a priority of its own puts something on a worklist."""
    return document["decision"]["priority"] in PRIORITIES


def _applies(document: Mapping[str, Any], evidence: EvidenceFiles) -> bool:
    if asks_for_review(document):
        return True
    return document["stage"] != "first_look" and len(earlier_revisions(sources_of(document, evidence))) > 0


def workitem(document: Mapping[str, Any], sources: Sources) -> dict[str, Element]:
    """Tag -> element. The first two name the workitem; a service takes them from the request instead."""
    header, alert = sources.followup.header, alert_text(document)
    when = f"{decided_at(document):%Y%m%d%H%M%S}+0000"
    code, scheme, meaning = INTERPRETATION
    work = {"00080100": _element("SH", code), "00080102": _element("SH", scheme), "00080104": _element("LO", meaning)}
    return {
        "00080016": _element("UI", PUSH),
        "00080018": _element("UI", workitem_uid(document, sources)),
        "00080005": _element("CS", "ISO_IR 192"),
        **{tag: _element(vr) for tag, vr in EMPTY.items()},
        "00100010": _name(header.get("PatientName", "")),
        "00100020": _element("LO", first_value(header.get("PatientID", ""))),
        **({"00100021": _element("LO", issuer)} if (issuer := header.get("IssuerOfPatientID", "")) else {}),
        "00100030": _element("DA", header.get("PatientBirthDate", "")),
        "00100040": _element("CS", plain_sex(header.get("PatientSex", ""))),
        "0040A370": {"vr": "SQ", "Value": [_request(document, header)]},
        "00400400": _element("LT", "\r\n".join(alert.lines)),
        "00404005": _element("DT", when),
        "00404018": {"vr": "SQ", "Value": [work]},
        "00404041": _element("CS", "READY"),
        "00741000": _element("CS", "SCHEDULED"),
        "00741200": _element("CS", PRIORITIES[alert.priority]),
        "00741202": _element("LO", WORKLIST),
        "00741204": _element("LO", _short(alert.short)),
    }


def workitem_uid(document: Mapping[str, Any], sources: Sources) -> str:
    """The same for both decisions of a revision."""
    key = "\n".join((document["study"]["study_instance_uid"], str(sources.revision), KIND))
    return f"2.25.{uuid.uuid5(NAMESPACE, key).int}"


def _request(document: Mapping[str, Any], header: Mapping[str, str]) -> dict[str, Element]:
    """The order behind the study."""
    found = {
        "0020000D": _element("UI", document["study"]["study_instance_uid"]),
        "00080050": _element("SH", header.get("AccessionNumber", "")),
        **{tag: _element("SQ") for tag in ("00080051", "00321064")},
        **{tag: _element(vr) for tag, vr in (("00321060", "LO"), ("00401001", "SH"))},
    }
    numbers = {
        "00402016": header.get("PlacerOrderNumberImagingServiceRequest", ""),
        "00402017": header.get("FillerOrderNumberImagingServiceRequest", ""),
    }
    return found | {tag: _element("LO", text) for tag, text in numbers.items() if text}


def _name(text: str) -> Element:
    groups = {group: part for group, part in zip(NAME_GROUPS, text.split("="), strict=False) if part}
    return {"vr": "PN", "Value": [groups]} if groups else {"vr": "PN"}


def _element(vr: str, *values: str) -> Element:
    some: Sequence[str] = [value for value in values if value]
    return {"vr": vr, "Value": list(some)} if some else {"vr": vr}


def _short(text: str) -> str:
    cleaned = text.replace("\\", "/")
    return cleaned if len(cleaned) <= LONGEST_LO else cleaned[: LONGEST_LO - 1] + "…"


UPS = Output(KIND, "workitem.json", "application/dicom+json", render, _applies)
