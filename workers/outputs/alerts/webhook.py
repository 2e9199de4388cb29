"""A stored decision in, the JSON body of a webhook out (docs/integration.md). The sender signs it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workers.outputs.alerts.keys import previous_of, uuid_of
from workers.outputs.alerts.text import alert_text
from workers.outputs.output import EvidenceFiles, Output
from workers.outputs.sources import sources_of
from workers.plain_text import json_text

KIND = "webhook"
VERSION = "1"


def render(document: Mapping[str, Any], evidence: EvidenceFiles) -> bytes:
    """id: of the decision and the same in every repeat. document: as ``GET /api/studies/{uid}`` gives it."""
    sources, alert = sources_of(document, evidence), alert_text(document)
    before = previous_of(document, sources)
    body = {
        "version": VERSION,
        "id": uuid_of(document, sources, KIND),
        "replaces": None if before is None else uuid_of(*before, KIND),
        "event": "decision",
        "revision": sources.revision,
        "title": alert.title,
        "text": list(alert.lines),
        "accession_number": sources.followup.header.get("AccessionNumber", ""),
        "document": document,
    }
    return json_text(body, sort_keys=True).encode()


WEBHOOK = Output(KIND, "alert.json", "application/json", render)
