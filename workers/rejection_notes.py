"""Rejection notes (IHE Radiology, Imaging Object Change Management): what one says, as plain values. Pure.

A note is a Key Object Selection whose document title says why the objects that it names are not to be used
(PS3.16 CID 7011).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from workers.identities import ObjectAnswer

KEY_OBJECT_SELECTION = "1.2.840.10008.5.1.4.1.1.88.59"
# SOP classes that a measurement reads (triage.sequences.computed): MR, Enhanced MR, Legacy Converted Enhanced MR. An
# object of any other class changes no decision.
MEASURED_CLASSES = frozenset(f"1.2.840.10008.5.1.4.1.1.4{part}" for part in ("", ".1", ".4"))

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


def is_measured(sop_class_uid: str) -> bool:
    """Whether a decision may rest on objects of this class."""
    return sop_class_uid in MEASURED_CLASSES


def none_is_measured(sop_class_uids: Iterable[str]) -> bool:
    """Whether no decision can rest on any of these objects: documents, segmentations, results of this program."""
    return not any(map(is_measured, sop_class_uids))


def note_to_json(note: RejectionNote | None) -> dict[str, Any]:
    """JSON types only. None: the object is no rejection note."""
    if note is None:
        return {"code": None}
    return {"code": note.code, "objects": {study: sorted(uids) for study, uids in note.objects.items()}}


def note_from_json(said: Mapping[str, Any]) -> RejectionNote | None:
    if said["code"] is None:
        return None
    return RejectionNote(said["code"], {study: frozenset(uids) for study, uids in said["objects"].items()})
