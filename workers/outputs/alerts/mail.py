"""A stored decision in, the parts of an e-mail out. The sender keeps of the patient's facts what the site allows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workers.outputs.alerts.keys import decided_at, previous_of, uuid_of
from workers.outputs.alerts.text import alert_text
from workers.outputs.output import EvidenceFiles, Output
from workers.outputs.sources import Sources, sources_of
from workers.plain_text import json_text

KIND = "mail"


def render(document: Mapping[str, Any], evidence: EvidenceFiles) -> bytes:
    """title and lines name no patient; facts do: each is mailed only when the settings list it. dates: the line that is
    mailed only when they allow dates."""
    parts = mail_parts(document, sources_of(document, evidence))
    return json_text(parts, sort_keys=True).encode()


def mail_parts(document: Mapping[str, Any], sources: Sources) -> dict[str, Any]:
    """What ``render`` writes."""
    alert, header, before = alert_text(document), sources.followup.header, previous_of(document, sources)
    return {
        "id": uuid_of(document, sources, KIND),
        "replaces": None if before is None else uuid_of(*before, KIND),
        "at": decided_at(document).isoformat(),
        "title": alert.title,
        "lines": list(alert.lines),
        "dates": alert.dates,
        "facts": {
            "accession_number": header.get("AccessionNumber", ""),
            "study_instance_uid": document["study"]["study_instance_uid"],
            "patient_id": header.get("PatientID", ""),
            "patient_name": header.get("PatientName", ""),
        },
    }


MAIL = Output(KIND, "alert.mail.json", "application/json", render)
