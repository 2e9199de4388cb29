"""Identifiers of messages and resources, derived from the decision: a repeat bears the same ones. Pure."""

from __future__ import annotations

import base64
import hashlib
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from workers.outputs.sources import Sources

NAMESPACE = uuid.UUID(
    "5b0c8a4e-2f0e-5d0b-9a55-1c8e0f6c7a11"
)  # of this program's derived UUIDs; its value has no meaning
CONTROL_ID_CHARACTERS = 20  # HL7 v2.5.1, MSH-10


def control_id(document: Mapping[str, Any], sources: Sources, kind: str) -> str:
    """Message control ID, 20 characters of A to Z and 2 to 7."""
    return base64.b32encode(hashlib.sha256(_key(document, sources, kind)).digest())[:CONTROL_ID_CHARACTERS].decode()


def uuid_of(document: Mapping[str, Any], sources: Sources, kind: str) -> str:
    """UUID (version 5) of one thing that is made from a decision."""
    return str(uuid.uuid5(NAMESPACE, _key(document, sources, kind).decode()))


def decided_at(document: Mapping[str, Any]) -> datetime:
    """When the decision was stored, UTC; without that the day of the study, so that the same input gives the same text.

    A document has ``decided_at`` since results are delivered.
    """
    text = document.get("decided_at") or document["study"]["study_date"] or "1970-01-01"
    when = datetime.fromisoformat(text)
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)


def _key(document: Mapping[str, Any], sources: Sources, kind: str) -> bytes:
    # the time tells revisions apart where the sources could not be stored, which hold the revision
    decided = document.get("decided_at") or ""
    parts = (document["study"]["study_instance_uid"], str(sources.revision), document["stage"], kind, decided)
    return "\n".join(parts).encode()
