"""What the objects of a study say about its patient in, one identity out; what does not belong is named.

Pure, and the same for every order of arrival: the index and the reader of the images both use it.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TypeVar

from triage.identity import id_form

T = TypeVar("T", str, date)

# Of the objects that state a value, the share that must agree before the others count as strays: two thirds, so that
# two objects of three decide. Below it nobody can say whose study it is.
CLEAR_SHARE = 2 / 3
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


def merge_facts(objects: Iterable[tuple[StudyFacts, int]]) -> StudyFacts:
    """What most objects say, field by field; what is not stated has no vote.

    Only objects that do not contradict the patient ID and the birth date found vote about the other fields.

    Args:
        objects: facts, and how many objects state them.
    """
    said = list(objects)
    form = _majority((id_form(one.patient_id), count) for one, count in said) or ""
    said = [(one, count) for one, count in said if not one.patient_id or id_form(one.patient_id) == form]
    patient_id = _majority((one.patient_id, count) for one, count in said) or ""
    birth_date = _majority((one.birth_date, count) for one, count in said)
    said = [(one, count) for one, count in said if one.birth_date in (None, birth_date)]
    study_date = _majority((one.study_date, count) for one, count in said)
    of_day = [(one, count) for one, count in said if one.study_date == study_date]
    return StudyFacts(
        patient_id=patient_id,
        issuer=_majority((one.issuer, count) for one, count in said) or "",
        birth_date=birth_date,
        sex=_majority((one.sex, count) for one, count in said) or "",
        study_date=study_date,
        study_time=_majority((one.study_time, count) for one, count in of_day) or "",
        accession_number=_majority((one.accession_number, count) for one, count in said) or "",
    )


def _majority(votes: Iterable[tuple[T | None, int]]) -> T | None:
    """The value with most votes; of two with equally many the smaller one, so that no order of arrival matters."""
    counts: Counter[T] = Counter()
    for value, count in votes:
        if value:
            counts[value] += count
    return min(counts, key=lambda value: (-counts[value], value), default=None)


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


def sort_out(objects: Sequence[StudyFacts]) -> Sorted:
    """Find the study's patient and the objects that are not theirs."""
    facts = merge_facts((one, 1) for one in objects)
    strays = {number: why for number, one in enumerate(objects) if (why := stray(one, facts)) is not None}
    stating = sum(1 for one in objects if one.patient_id or one.birth_date)
    rest = [one for number, one in enumerate(objects) if number not in strays]
    named = tuple(name for field, name in NAMED.items() if len({getattr(one, field) for one in rest} - {"", None}) > 1)
    return Sorted(facts, stating - len(strays) >= CLEAR_SHARE * stating, strays, named)
