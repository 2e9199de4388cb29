"""Rejection notes (IHE Radiology, Imaging Object Change Management): what one says, as plain values. Pure.

A note is a Key Object Selection whose document title says why the objects that it names are not to be used
(PS3.16 CID 7011).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workers.identities import ObjectAnswer

TITLES = {
    "113001": "Rejected for Quality Reasons",
    "113037": "Rejected for Patient Safety Reasons",
    "113038": "Incorrect Modality Worklist Entry",
    "113039": "Data Retention Policy Expired",
}
"""Code value (DCM) of the document title -> its meaning."""
SETS_ASIDE = {
    "113001": ObjectAnswer.REJECTED,
    "113037": ObjectAnswer.MISIDENTIFIED,
    "113038": ObjectAnswer.MISIDENTIFIED,
}
"""What a title makes of an object. That an archive deletes what is old (113039) says nothing about the images."""


TOO_SLOW = "too_slow"  # reason code of a note that could not be read in the time of a glance


@dataclass(frozen=True)
class RejectionNote:
    """code: of its title, one of TITLES. objects: Study Instance UID -> SOP Instance UIDs that it names there."""

    code: str
    objects: Mapping[str, frozenset[str]]


def note_to_json(note: RejectionNote | None) -> dict[str, Any]:
    """JSON types only. None: the object is no rejection note."""
    if note is None:
        return {"code": None}
    return {"code": note.code, "objects": {study: sorted(uids) for study, uids in note.objects.items()}}


def note_from_json(said: Mapping[str, Any]) -> RejectionNote | None:
    if said["code"] is None:
        return None
    return RejectionNote(said["code"], {study: frozenset(uids) for study, uids in said["objects"].items()})
