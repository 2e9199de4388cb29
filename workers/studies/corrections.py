"""Images that came again with another identity in: what is to be accepted or rejected out.

A PACS that corrects a patient sends the same images, under the same UIDs, with other headers. The first copy stays what
it was; the new identity is in force when a clinical system or a human says so.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from triage.identity import issuer_form, same_form, stated_sex
from workers.identities import PatientKey, StudyFacts
from workers.identity_events import Change, IdentityEvent, Persons

if TYPE_CHECKING:
    from workers.ports import ConflictRow, StudyIndex, StudyRow


@dataclass(frozen=True)
class Correction:
    """The same images under another identity, which nobody accepted or rejected. images: how many came again."""

    study_instance_uid: str
    stated: PatientKey
    new: PatientKey
    birth_date: date | None
    sex: str
    images: int


def open_corrections(index: StudyIndex) -> list[Correction]:
    """Of every study."""
    conflicts = index.conflicts()
    uids = sorted({one.study_instance_uid for one in conflicts if one.same_images})
    rows = [row for uid in uids if (row := index.study(uid)) is not None]
    return corrections_among(rows, conflicts, index)


def corrections_among(
    rows: Sequence[StudyRow], conflicts: Sequence[ConflictRow], index: StudyIndex
) -> list[Correction]:
    """Of these studies."""
    by_study: defaultdict[str, list[ConflictRow]] = defaultdict(list)
    for one in conflicts:
        if one.same_images:
            by_study[one.study_instance_uid].append(one)
    found = (_correction(row, by_study[row.study_instance_uid]) for row in rows if row.study_instance_uid in by_study)
    return [one for one in found if one is not None and not _is_answered(one, index)]


def answer_correction(index: StudyIndex, correction: Correction, change: Change, *, source: str, now: datetime) -> None:
    """Accept (``Change.CORRECT``) or reject (``Change.REJECT``) it. The decisions that it concerns are made again."""
    index.record_identity(
        IdentityEvent(
            change,
            correction.stated,
            correction.new,
            source,
            now,
            correction.study_instance_uid,
            correction.birth_date,
            correction.sex,
        )
    )


def accept_confirmed(
    index: StudyIndex, patient: PatientKey, *, birth_date: date | None, sex: str, source: str, now: datetime
) -> int:
    """Accept the corrections to an identity that a clinical system names; how many."""
    confirmed = [
        one
        for one in open_corrections(index)
        if same_form(one.new.patient_id, patient.patient_id)
        and (not one.new.issuer or not patient.issuer or issuer_form(one.new.issuer) == issuer_form(patient.issuer))
        and (not one.birth_date or not birth_date or one.birth_date == birth_date)
        and len({_sex(one.sex), _sex(sex)} - {""}) < 2
    ]
    for one in confirmed:
        answer_correction(index, one, Change.CORRECT, source=source, now=now)
    return len(confirmed)


def _sex(stated: str) -> str:
    return stated_sex(StudyFacts(sex=stated))


def _correction(row: StudyRow, conflicts: Sequence[ConflictRow]) -> Correction | None:
    """What the latest of the images states; None: it is the identity in force, or no identity."""
    last = max(conflicts, key=lambda one: (one.received_at, one.path))
    new = (last.patient_id, last.issuer, last.birth_date, last.sex)
    if not last.patient_id or new == (row.patient_id, row.issuer, row.birth_date, row.sex):
        return None
    stated_id = row.patient_id if row.stated_patient_id is None else row.stated_patient_id
    stated_issuer = row.issuer if row.stated_issuer is None else row.stated_issuer
    same = [one for one in conflicts if (one.patient_id, one.issuer, one.birth_date, one.sex) == new]
    images = len({one.sop_instance_uid for one in same})
    key = PatientKey(last.patient_id, last.issuer)
    return Correction(
        row.study_instance_uid, PatientKey(stated_id, stated_issuer), key, last.birth_date, last.sex, images
    )


def _is_answered(correction: Correction, index: StudyIndex) -> bool:
    """Whether somebody answered about this very identity. An accepted one may have been merged on since."""
    who = Persons(index.identity_events(correction.new.patient_id))
    said = who.answer_about(correction.study_instance_uid)
    return said is not None and (said.new, said.birth_date, said.sex) == (
        correction.new,
        correction.birth_date,
        correction.sex,
    )
