"""Rows of the index in, those of one person and what is known of the person's infusions out.

A patient ID means a person only together with its issuer. An issuer that only one of two studies states does not tell
them apart; two different issuers do. Spellings of one ID are compared by ``triage.identity``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from triage.identity import (
    OfOneId,
    SameId,
    compare_identity,
    id_difference,
    is_placeholder,
    issuer_form,
    one_person,
)
from triage.infusions import Infusion, StatedInfusion, standing
from workers.ports import PatientKey, StudyRow

if TYPE_CHECKING:
    from workers.ports import StudyIndex


def studies_of_person(row: StudyRow, index: StudyIndex) -> list[StudyRow]:
    """The other stored studies of the person, by date and time. An empty patient ID is not an identity: none."""
    if not row.patient_id:
        return []
    return same_person(row, index.studies_with_id(row.patient_id), index.same_id)


def same_person(row: StudyRow, of_that_form: Sequence[StudyRow], same_id: SameId) -> list[StudyRow]:
    """Of the studies whose patient ID has one form, those of the person of ``row``, without ``row`` itself.

    A study without an issuer belongs to nobody in particular when two issuers use that ID; so does one
    that agrees with two people whom birth date or sex tell apart.
    """
    of_id = _of_id(row, of_that_form, same_id)
    ambiguous = len(issuers(of_id)) > 1
    others = [
        other
        for other in of_that_form
        if other.study_instance_uid != row.study_instance_uid
        and compare_identity(other, row, same_id).mismatch is None
        and not (ambiguous and issuer_form(other.issuer) != issuer_form(row.issuer))
    ]
    people = OfOneId(of_id)
    return [] if people.may_be_either(row) else [other for other in others if not people.may_be_either(other)]


def why_not_of_person(row: StudyRow, of_that_form: Sequence[StudyRow], same_id: SameId) -> str:
    """Why a study under the patient ID of ``row`` is not taken for the person's, where no identity contradicts."""
    if OfOneId(_of_id(row, of_that_form, same_id)).is_of_two:
        return "two_people: birth dates or sexes under this patient ID differ, and it may be somebody else's"
    return "another_issuer: it may be somebody else's"


def said_of_spellings(row: StudyRow, person: Sequence[StudyRow], same_id: SameId) -> list[str]:
    """What a reader is told about studies of the person whose identity is written in another way."""
    return list(dict.fromkeys(said for other in person for said in compare_identity(row, other, same_id).said))


def issuers(rows: Iterable[StudyRow]) -> set[str]:
    """The issuers that are stated, each in one spelling."""
    by_form = {issuer_form(row.issuer): row.issuer.strip() for row in rows if row.issuer.strip()}
    return set(by_form.values())


def shares_id(row: StudyRow, of_that_form: Sequence[StudyRow], same_id: SameId) -> bool:
    """Whether two issuers use the patient ID of the study."""
    return len(issuers(_of_id(row, of_that_form, same_id))) > 1


def _of_id(row: StudyRow, of_that_form: Sequence[StudyRow], same_id: SameId) -> list[StudyRow]:
    """Studies with the patient ID of ``row``: spelled as there, or taken for the same."""
    return [
        one
        for one in of_that_form
        if one.patient_id == row.patient_id or compare_identity(one, row, same_id).mismatch is None
    ]


def infusions_of_person(row: StudyRow, index: StudyIndex) -> tuple[tuple[Infusion, ...], tuple[str, ...]]:
    """Every known infusion of the person, and notices about those that were left out because nobody knows whose they
    are, or were found under another spelling of the ID.

    An infusion without an issuer belongs to the ID as long as at most one issuer gave it to somebody; and the other way
    round for a study without an issuer.
    """
    if not row.patient_id:
        return (), ()
    return infusions_among(row, index.studies_with_id(row.patient_id), index)


def infusions_among(
    row: StudyRow, of_that_form: Sequence[StudyRow], index: StudyIndex
) -> tuple[tuple[Infusion, ...], tuple[str, ...]]:
    """The same, when the studies whose patient ID has that form are at hand."""
    if not row.patient_id:
        return (), ()
    known = index.infusions_like(row.patient_id)
    if is_placeholder(row.patient_id) and index.same_id is not SameId.FORM:
        stated = any(standing(some) for some in known.values())
        return (), (
            "an infusion date is not used: the patient ID is a placeholder, which means nobody",
        ) if stated else ()
    found, notices = _under_the_id(row, of_that_form, known, index)
    for key, some in known.items():
        if key.patient_id == row.patient_id:
            continue
        used, said = _under_another_spelling(row, key, of_that_form, index.same_id)
        found += some if used else ()
        notices += [said] if said and standing(some) else []
    if found and OfOneId(_of_id(row, of_that_form, index.same_id)).is_of_two:
        notices.append("birth dates or sexes under this patient ID differ: an infusion date may be somebody else's")
    return standing(found), tuple(dict.fromkeys(notices))


def _under_the_id(
    row: StudyRow,
    of_that_form: Sequence[StudyRow],
    known: Mapping[PatientKey, Sequence[StatedInfusion]],
    index: StudyIndex,
) -> tuple[list[StatedInfusion], list[str]]:
    """What was said about infusions under the very ID of the study."""
    mine = {issuer_form(key.issuer): key for key in known if key.patient_id == row.patient_id}
    given = {issuer_form(one) for one in issuers(_of_id(row, of_that_form, index.same_id))}
    given = given or {issuer for issuer, key in mine.items() if issuer and standing(known[key])}
    own_issuer = issuer_form(row.issuer)
    used = {own_issuer} if len(given) > 1 else {"", own_issuer, *given}
    own = [one for issuer in sorted(used & set(mine)) for one in known[mine[issuer]]]
    said = [
        f"an infusion date {of_another_issuer(key.issuer)} is not used"
        for issuer, key in sorted(mine.items())
        if issuer not in {"", own_issuer, *given} and standing(known[key])
    ]
    if len(given) < 2:
        return own, said
    # whose a date without an issuer is, nobody knows; nor which of the dates is that of a study without one
    others = {""} if own_issuer else given
    if not any(standing(known[mine[issuer]]) for issuer in others & set(mine)):
        return own, said
    which = "without an issuer" if own_issuer else "of one issuer"
    return own, [*said, f"an infusion date {which} is not used: two issuers use this patient ID"]


def of_another_issuer(issuer: str) -> str:
    """For a notice about what was said under an issuer that no image names."""
    return f"of the issuer {issuer}, which no image with this patient ID names,"


def _under_another_spelling(
    row: StudyRow, key: PatientKey, of_that_form: Sequence[StudyRow], same_id: SameId
) -> tuple[bool, str | None]:
    """Whether infusions under an ID that has the form of the study's are the patient's, and what a reader is told.

    What reports an infusion states no birth date. They are the patient's when every study under that spelling is, or
    when nobody else is stored whose ID has that form.
    """
    if issuer_form(key.issuer) and issuer_form(row.issuer) and issuer_form(key.issuer) != issuer_form(row.issuer):
        if any(issuer_form(one.issuer) == issuer_form(key.issuer) for one in of_that_form):
            return False, None  # it is somebody else's
        return False, f"an infusion date {of_another_issuer(key.issuer)} is not used"
    how = id_difference(row.patient_id, key.patient_id)
    begin = f"an infusion date under another spelling of the patient ID ({how})"
    theirs = [one for one in of_that_form if one.patient_id == key.patient_id]
    if same_id is SameId.EXACT:
        return False, f"{begin} is not used: patients.same_id is exact"
    if theirs and all(compare_identity(one, row, same_id).mismatch is None for one in theirs):
        return True, f"{begin} is used: the birth dates agree"
    if not theirs and one_person([row, *of_that_form]):
        return True, f"{begin} is used: nobody else with such an ID is stored here"
    return False, f"{begin} is not used: it may be somebody else's"
