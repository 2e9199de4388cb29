"""Merges and splits of patients in, the index brought up to date: what a command and a clinical system share."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from workers.identities import PatientKey
from workers.identity_events import Change, IdentityEvent, Persons

if TYPE_CHECKING:
    from workers.ports import StudyIndex, StudyRow


def merge_patients(index: StudyIndex, *, old: PatientKey, new: PatientKey, source: str, now: datetime) -> bool:
    """``old`` and ``new`` are one person from now on, called ``new``. False: that was known.

    Raises:
        IdentityRefusedError: a circle, or ``old`` is merged into somebody else.
    """
    return index.record_identity(IdentityEvent(Change.MERGE, old, new, source, now))


def split_patients(index: StudyIndex, *, old: PatientKey, new: PatientKey, source: str, now: datetime) -> None:
    """Undo the merge of ``old`` into ``new``.

    Raises:
        IdentityRefusedError: there is no such merge.
    """
    index.record_identity(IdentityEvent(Change.SPLIT, old, new, source, now))


def said_of(row: StudyRow, index: StudyIndex) -> list[str]:
    """What holds now about the identity of the study's patient, in sentences; empty when nothing was ever said."""
    if not row.patient_id:
        return []
    events = index.identity_events(row.patient_id)
    if not events:
        return []
    who = Persons(events)
    correction = who.correction_of(row.study_instance_uid)
    said = [one.sentence for one in who.merges_of(PatientKey(row.patient_id, row.issuer.strip()))]
    return said if correction is None else [*said, correction.sentence]
