"""Identifiers of messages and resources, derived from the decision: a repeat bears the same ones. Pure."""

from __future__ import annotations

import base64
import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from workers.outputs.sources import Sources

NAMESPACE = uuid.UUID(
    "5b0c8a4e-2f0e-5d0b-9a55-1c8e0f6c7a11"
)  # of this program's derived UUIDs; its value has no meaning
CONTROL_ID_CHARACTERS = 20  # HL7 v2.5.1, MSH-10
MOST_REVISIONS = 20  # that are called back one by one; a study with more was decided again for weeks


def control_id(document: Mapping[str, Any], sources: Sources, kind: str) -> str:
    """Message control ID, 20 characters of A to Z and 2 to 7."""
    return _control_id(_key(document, sources, kind))


def uuid_of(document: Mapping[str, Any], sources: Sources, kind: str) -> str:
    """UUID (version 5) of one thing that is made from a decision."""
    return _uuid(_key(document, sources, kind))


def former_control_ids(document: Mapping[str, Any], sources: Sources, kind: str) -> list[str]:
    """Other control IDs under which the same thing may have gone out: see ``_former_keys``."""
    return [_control_id(key) for key in _former_keys(document, sources, kind)]


def former_uuids(document: Mapping[str, Any], sources: Sources, kind: str) -> list[str]:
    """Other UUIDs under which the same thing may have gone out: see ``_former_keys``."""
    return [_uuid(key) for key in _former_keys(document, sources, kind)]


def order_id(document: Mapping[str, Any]) -> str:
    """Number of our own for a study without one, 20 characters: every decision of the study has the same, so that a
    receiver puts the newer in the place of the older."""
    return _control_id(f"order\n{document['study']['study_instance_uid']}".encode())


def earlier_of(
    document: Mapping[str, Any], sources: Sources, revision: int, stage: str
) -> tuple[Mapping[str, Any], Sources]:
    """What identifiers of another decision of the study are derived from."""
    return {**document, "stage": stage}, replace(sources, revision=revision)


def previous_of(document: Mapping[str, Any], sources: Sources) -> tuple[Mapping[str, Any], Sources] | None:
    """The same for the decision that this one replaces; None: it is the first."""
    return None if sources.previous is None else earlier_of(document, sources, *sources.previous)


def earlier_revisions(sources: Sources) -> range:
    """Revisions whose decisions this one may replace; the newest of them when there are very many."""
    return range(max(1, sources.revision - MOST_REVISIONS), sources.revision) if sources.previous else range(0)


def decided_at(document: Mapping[str, Any]) -> datetime:
    """When the decision was stored, UTC; without that the day of the study, so that the same input gives the same text.

    A document has ``decided_at`` since results are delivered.
    """
    text = document.get("decided_at") or document["study"]["study_date"] or "1970-01-01"
    when = datetime.fromisoformat(text)
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)


def _control_id(key: bytes) -> str:
    return base64.b32encode(hashlib.sha256(key).digest())[:CONTROL_ID_CHARACTERS].decode()


def _uuid(key: bytes) -> str:
    return str(uuid.uuid5(NAMESPACE, key.decode()))


def _key(document: Mapping[str, Any], sources: Sources, kind: str) -> bytes:
    # the time tells revisions apart where the sources could not be stored, which hold the revision
    return _joined(document, sources.revision, kind, with_time=not sources.revision)


def _former_keys(document: Mapping[str, Any], sources: Sources, kind: str) -> list[bytes]:
    """What a retraction must look for, too: the version before had the time in every key, and a decision whose sources
    were read again later went out without its revision."""
    some = (_joined(document, revision, kind, with_time=True) for revision in (sources.revision, 0))
    return [key for key in dict.fromkeys(some) if key != _key(document, sources, kind)]


def _joined(document: Mapping[str, Any], revision: int, kind: str, *, with_time: bool) -> bytes:
    decided = (document.get("decided_at") or "") if with_time else ""
    return "\n".join(
        (document["study"]["study_instance_uid"], str(revision), document["stage"], kind, decided)
    ).encode()
