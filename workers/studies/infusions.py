"""A reported infusion date in, the patient's list of infusions brought up to date."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from triage.infusions import Infusion, corrected

if TYPE_CHECKING:
    from workers.ports import PatientKey, StudyIndex


class Reported(StrEnum):
    """What a reported date was."""

    KNOWN = "known"
    CORRECTED = "corrected"
    FURTHER = "further"
    FIRST = "first"


def report_infusion(
    index: StudyIndex, patient: PatientKey, infusion: Infusion, *, now: datetime
) -> tuple[Reported, date | None]:
    """Store an infusion. A date close to a known one takes its place (``triage.infusions.standing``); any other date is
    a further infusion.

    Returns:
        What it was, and the date that it replaced.
    """
    found = what_it_is(infusion, index.infusions_of(patient))
    index.add_infusion(patient, infusion, now=now)
    return found


def what_it_is(infusion: Infusion, known: Sequence[Infusion]) -> tuple[Reported, date | None]:
    """What a date is beside the known ones, and which of them it replaces."""
    if any(one.day == infusion.day for one in known):
        return Reported.KNOWN, None
    wrong = corrected(infusion, known)
    if wrong is not None:
        return Reported.CORRECTED, wrong.day
    return (Reported.FURTHER if known else Reported.FIRST), None
