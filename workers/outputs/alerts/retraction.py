"""A decision that is wrong in, what tells the receivers of its alerts out: one form for each kind of alert. Pure.

A newer decision replaces an older one by itself. A retraction says that a result should not have gone out at all, e.g.
because it is of another patient.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from workers.identities import printable
from workers.outputs.alerts.fhir import retracting_bundle
from workers.outputs.alerts.keys import control_id, decided_at, former_uuids, uuid_of
from workers.outputs.alerts.mail import KIND as MAIL_KIND
from workers.outputs.alerts.mail import mail_parts
from workers.outputs.alerts.oru import KIND as ORU_KIND
from workers.outputs.alerts.oru import retracting_message
from workers.outputs.alerts.ups import workitem_uid
from workers.outputs.alerts.webhook import KIND as WEBHOOK_KIND
from workers.outputs.alerts.webhook import VERSION
from workers.outputs.beside import site_zone
from workers.outputs.output import EvidenceFiles, Output
from workers.outputs.sources import sources_of
from workers.plain_text import json_text

REASON = "retraction.json"  # beside the decision: when it was retracted and why
RETRACTED = "Result retracted: do not use it"
LONGEST_REASON = 300


def _said(document: Mapping[str, Any], evidence: EvidenceFiles) -> tuple[str, datetime]:
    """Why, in one line, and when."""
    if REASON not in evidence:
        return "", decided_at(document)
    said = json.loads(evidence[REASON])
    why = printable(" ".join(str(said["why"]).split()))[:LONGEST_REASON]
    return why, datetime.fromisoformat(said["at"]).astimezone(UTC)


def _lines(why: str) -> list[str]:
    return [RETRACTED, *([f"Reason: {why}"] if why else [])]


def _oru(document: Mapping[str, Any], evidence: EvidenceFiles) -> bytes:
    why, at = _said(document, evidence)
    sources = sources_of(document, evidence)
    number = control_id(document, sources, f"retract_{ORU_KIND}")
    return retracting_message(document, sources, _lines(why), number, at, site_zone(evidence))


def _fhir(document: Mapping[str, Any], evidence: EvidenceFiles) -> bytes:
    return json.dumps(retracting_bundle(document, sources_of(document, evidence)), sort_keys=True).encode()


def _webhook(document: Mapping[str, Any], evidence: EvidenceFiles) -> bytes:
    sources, (why, at) = sources_of(document, evidence), _said(document, evidence)
    body = {
        "version": VERSION,
        "id": uuid_of(document, sources, f"retract_{WEBHOOK_KIND}"),
        "replaces": uuid_of(document, sources, WEBHOOK_KIND),
        "replaces_also": former_uuids(document, sources, WEBHOOK_KIND),
        "event": "retraction",
        "at": at.isoformat(),
        "revision": sources.revision,
        "title": RETRACTED,
        "text": _lines(why),
        "accession_number": sources.followup.header.get("AccessionNumber", ""),
        "study_instance_uid": document["study"]["study_instance_uid"],
    }
    return json_text(body, sort_keys=True).encode()


def _mail(document: Mapping[str, Any], evidence: EvidenceFiles) -> bytes:
    """Without the reason, which may name somebody."""
    sources, (_, at) = sources_of(document, evidence), _said(document, evidence)
    parts = mail_parts(document, sources) | {
        "id": uuid_of(document, sources, f"retract_{MAIL_KIND}"),
        "replaces": uuid_of(document, sources, MAIL_KIND),
        "replaces_also": former_uuids(document, sources, MAIL_KIND),
        "at": at.isoformat(),
        "title": RETRACTED,
        "lines": [RETRACTED],
    }
    return json_text(parts, sort_keys=True).encode()


def _ups(document: Mapping[str, Any], evidence: EvidenceFiles) -> bytes:
    """Nothing to create: the workitem is called back."""
    uid = workitem_uid(document, sources_of(document, evidence))
    return json.dumps({"00080018": {"vr": "UI", "Value": [uid]}, "called_back": [uid]}, sort_keys=True).encode()


RETRACTIONS: tuple[Output, ...] = (
    Output("retract_oru", "retraction.hl7", "application/hl7-v2+er7; charset=utf-8", _oru),
    Output("retract_fhir", "retraction.fhir.json", "application/fhir+json", _fhir),
    Output("retract_webhook", "retraction.webhook.json", "application/json", _webhook),
    Output("retract_mail", "retraction.mail.json", "application/json", _mail),
    Output("retract_ups", "retraction.workitem.json", "application/dicom+json", _ups),
)
