"""Rows of the index in, those of one person and what is known of the person's infusions out.

A patient ID means a person only together with its issuer. An issuer that only one of two studies states does not tell
them apart; two different issuers do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from triage.baseline import identity_mismatch
from triage.infusions import Infusion
from workers.ports import PatientKey, StudyRow
from workers.studies.identity import study_of

if TYPE_CHECKING:
    from workers.ports import StudyIndex


def studies_of_person(row: StudyRow, index: StudyIndex) -> list[StudyRow]:
    """The other stored studies of the person, by date and time. An empty patient ID is not an identity: none."""
    if not row.patient_id:
        return []
    return same_person(row, index.studies_with_id(row.patient_id))


def same_person(row: StudyRow, of_that_id: Sequence[StudyRow]) -> list[StudyRow]:
    """Of the studies with that patient ID, those of the person of ``row``, without ``row`` itself.

    A study without an issuer belongs to nobody in particular when two issuers gave that ID to somebody.
    """
    ambiguous = len(issuers(of_that_id)) > 1
    return [
        other
        for other in of_that_id
        if other.study_instance_uid != row.study_instance_uid
        and identity_mismatch(study_of(other).patient, study_of(row).patient) is None
        and not (ambiguous and other.issuer.strip() != row.issuer.strip())
    ]


def issuers(rows: Sequence[StudyRow]) -> set[str]:
    """The issuers that are stated."""
    return {row.issuer.strip() for row in rows if row.issuer.strip()}


def shares_id(row: StudyRow, index: StudyIndex) -> bool:
    """Whether two issuers gave the patient ID of the study to somebody."""
    return bool(row.patient_id) and len(issuers(index.studies_with_id(row.patient_id))) > 1


def infusions_of_person(row: StudyRow, index: StudyIndex) -> tuple[tuple[Infusion, ...], str | None]:
    """Every known infusion of the person, and a notice when one was left out because nobody knows whose it is.

    An infusion without an issuer belongs to the ID as long as at most one issuer gave it to somebody; and the other way
    round for a study without an issuer.
    """
    if not row.patient_id:
        return (), None
    given = issuers(index.studies_with_id(row.patient_id))
    own = set(index.infusions_of(PatientKey(row.patient_id, row.issuer.strip())))
    if len(given) > 1:
        # whose a date without an issuer is, nobody knows; nor which of the dates is that of a study without one
        others = {""} if row.issuer.strip() else given
        unclear = any(index.infusions_of(PatientKey(row.patient_id, issuer)) for issuer in others)
        which = "without an issuer" if row.issuer.strip() else "of one issuer"
        said = f"an infusion date {which} is not used: two issuers gave this patient ID to somebody"
        return tuple(sorted(own)), said if unclear else None
    for issuer in {"", *given}:
        own |= set(index.infusions_of(PatientKey(row.patient_id, issuer)))
    days = {one.day: one for one in sorted(own)}  # one for each day, whoever said so
    return tuple(days[day] for day in sorted(days)), None
