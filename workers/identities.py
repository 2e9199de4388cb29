"""What the objects of a study say about its patient in, one identity out; what does not belong is named.

Pure, and the same for every order of arrival: the index and the reader of the images both use it.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import NamedTuple, TypeVar

from triage.identity import id_form

T = TypeVar("T", str, date)

# So many times the others must those that agree be before the others count as strays: two objects of three decide.
# Below it nobody can say whose study it is.
CLEAR_TIMES = 2
# So many images make a visit. Fewer with a later date are reports or maps that were made afterwards.
VISIT_IMAGES = 5
# Bidirectional controls (Unicode UAX 9) reorder what a reader sees: "\u202egpj.exe" reads "exe.jpg".
BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@dataclass(frozen=True, order=True)
class PatientKey:
    """A patient ID and who issued it. issuer empty: not stated."""

    patient_id: str
    issuer: str = ""


@dataclass(frozen=True)
class StudyFacts:
    """What one object says about its patient and study, or what all say together. Empty or None: not stated."""

    patient_id: str = ""
    issuer: str = ""
    birth_date: date | None = None
    sex: str = ""
    study_date: date | None = None
    study_time: str = ""
    accession_number: str = ""


class Votes(NamedTuple):
    """Facts, how many objects state them, and how many images these objects hold (an object without images: 1).

    Both counts decide, by their product. An enhanced object of 150 frames is one object, and one slice of a stranger
    must not outweigh it; an enhanced object of a stranger must not outweigh 60 slices either.
    """

    facts: StudyFacts
    objects: int = 1
    images: int = 1


class ObjectAnswer(StrEnum):
    """What a human, or a rejection note of an archive, said about an object that was set aside, or could be."""

    RESTORED = "restored"  # it belongs to the study, whatever its header states
    DISCARDED = "discarded"  # it is not of this study
    REJECTED = "rejected"  # a note says that it is not to be used
    MISIDENTIFIED = "misidentified"  # a note says that its patient or order is another one
    CORRECTED = "corrected"  # the same, and it came again with the identity that is in force now


LEFT_OUT = (ObjectAnswer.DISCARDED, ObjectAnswer.REJECTED, ObjectAnswer.MISIDENTIFIED)
"""Objects that nothing is measured in."""
BY_NOTE = (ObjectAnswer.REJECTED, ObjectAnswer.MISIDENTIFIED, ObjectAnswer.CORRECTED)
"""What a rejection note makes of an object; every other answer is a human's."""


@dataclass(frozen=True)
class GivenAnswer:
    """The last word about one object, and whose it is."""

    answer: ObjectAnswer
    by: str
    at: datetime


# fields whose disagreement is named; times differ by rounding
NAMED = {
    "patient_id": "spelling of the patient ID",
    "issuer": "issuer of the patient ID",
    "sex": "sex",
    "study_date": "study date",
    "accession_number": "accession number",
}


def printable(text: str) -> str:
    """The text without control, bidirectional and other invisible characters that change how it is shown or parsed."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c for c in text if c not in BIDI and unicodedata.category(c) not in ("Cc", "Cs"))


def merge_facts(votes: Iterable[Votes]) -> StudyFacts:
    """What most objects say, field by field; what is not stated has no vote.

    Only objects that do not contradict the patient ID and the birth date found vote about the other fields. Of several
    study dates that of the latest visit counts (VISIT_IMAGES): it is what is assessed.
    """
    said = list(votes)
    form = _majority((id_form(one.facts.patient_id), one) for one in said) or ""
    said = [one for one in said if not one.facts.patient_id or id_form(one.facts.patient_id) == form]
    patient_id = _majority((one.facts.patient_id, one) for one in said) or ""
    birth_date = _majority((one.facts.birth_date, one) for one in said)
    said = [one for one in said if one.facts.birth_date in (None, birth_date)]
    study_date = _latest_visit(said)
    of_day = [one for one in said if one.facts.study_date == study_date]
    return StudyFacts(
        patient_id=patient_id,
        issuer=_majority((one.facts.issuer, one) for one in said) or "",
        birth_date=birth_date,
        sex=_majority((one.facts.sex, one) for one in said) or "",
        study_date=study_date,
        study_time=_majority((one.facts.study_time, one) for one in of_day) or "",
        accession_number=_majority((one.facts.accession_number, one) for one in of_day) or "",
    )


def _latest_visit(votes: Sequence[Votes]) -> date | None:
    images: Counter[date] = Counter()
    for one in votes:
        if one.facts.study_date is not None:
            images[one.facts.study_date] += one.images
    latest = max((day for day, count in images.items() if count >= VISIT_IMAGES), default=None)
    return latest or _majority((one.facts.study_date, one) for one in votes)


def _majority(votes: Iterable[tuple[T | None, Votes]]) -> T | None:
    """The value with most votes; of two with equally many the smaller one, so that no order of arrival matters."""
    counts: dict[T, tuple[int, int]] = {}
    for value, one in votes:
        if value:
            objects, images = counts.get(value, (0, 0))
            counts[value] = (objects + one.objects, images + one.images)
    return min(counts, key=lambda value: (-counts[value][0] * counts[value][1], value), default=None)


def may_change(facts: StudyFacts, known: StudyFacts) -> bool:
    """Whether another object with these facts can change what was found: more votes for the same values cannot."""
    return any(value and value != getattr(known, name) for name, value in vars(facts).items())


def stray(facts: StudyFacts, study: StudyFacts) -> str | None:
    """Why an object is not of the study's patient; None: nothing contradicts."""
    if facts.patient_id and id_form(facts.patient_id) != id_form(study.patient_id):
        return "another patient ID"
    if facts.birth_date and facts.birth_date != study.birth_date:
        return "another birth date"
    return None


@dataclass(frozen=True)
class Sorted:
    """The objects of a study by whom they belong to.

    clear: enough of those that state an identity agree. strays: reason per position in the objects given.
    """

    facts: StudyFacts
    clear: bool
    strays: dict[int, str]
    disagreements: tuple[str, ...]


def sort_out(objects: Sequence[Votes], vouched: Collection[int] = ()) -> Sorted:
    """Find the study's patient and the objects that are not theirs.

    Args:
        vouched: positions of objects that a human restored. They belong to the study, and have no vote unless all have
            been restored.
    """
    voting = [number for number in range(len(objects)) if number not in vouched] or range(len(objects))
    facts = merge_facts(objects[number] for number in voting)
    why = {number: stray(objects[number].facts, facts) for number in voting if number not in vouched}
    strays = {number: reason for number, reason in why.items() if reason is not None}
    own = [objects[number] for number in voting if number not in strays]
    stating = [one for one in own if one.facts.patient_id or one.facts.birth_date]
    others = [objects[number] for number in strays]
    clear = _weight(stating) >= CLEAR_TIMES**2 * _weight(others)
    named = tuple(
        name for field, name in NAMED.items() if len({getattr(one.facts, field) for one in own} - {"", None}) > 1
    )
    return Sorted(facts, clear, strays, named)


def _weight(objects: Sequence[Votes]) -> int:
    return sum(one.objects for one in objects) * sum(one.images for one in objects)
