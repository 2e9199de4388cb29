"""Merges and splits of patients in, the index brought up to date: what a command and a clinical system share."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from triage.identity import issuer_form, same_form
from workers.identities import PatientKey
from workers.identity_events import Change, IdentityEvent, Persons
from workers.studies.person import of_another_issuer

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


def said_of_unused(row: StudyRow, index: StudyIndex) -> list[str]:
    """What a reader is told about merges that do not apply, since they name another issuer than the images."""
    if not row.patient_id or not row.issuer.strip():
        return []
    merges = Persons(index.identity_events(row.patient_id)).merges
    if not merges:
        return []
    like = index.studies_with_id(row.patient_id)
    named = {issuer_form(issuer) for one in like for issuer in (one.issuer, one.stated_issuer or "")} - {""}
    keys = (key for one in merges for key in (one.old, one.new) if same_form(key.patient_id, row.patient_id))
    others = {key.issuer for key in keys if issuer_form(key.issuer) and issuer_form(key.issuer) not in named}
    return [f"a merge of patient IDs {of_another_issuer(issuer)} is not used" for issuer in sorted(others)]


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
