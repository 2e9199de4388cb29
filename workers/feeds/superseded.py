"""What a message that is applied late still says: a word that came after it and was applied holds. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from triage.infusions import Infusion, corrected
from workers.feeds.facts import (
    Cancellation,
    Fact,
    InfusionCancelled,
    InfusionReported,
    NothingToDo,
    PatientsMerged,
    PatientUpdated,
)
from workers.feeds.orders import is_same_patient
from workers.ports import PatientKey

SUPERSEDED = NothingToDo("a later message that was applied says otherwise")


def still_said(facts: Sequence[Fact], later: Sequence[Fact]) -> tuple[Fact, ...]:
    """The facts of a late message without what the later facts have replaced. later: in the order of their arrival.

    A merge stays: applied late it says the same. So does what no later word concerns.
    """
    return tuple(_left_of(fact, later) for fact in facts)


def _left_of(fact: Fact, later: Sequence[Fact]) -> Fact:
    match fact:
        case InfusionReported() | InfusionCancelled():
            patients = _known_as((fact.patient, *fact.also), later)
            of_infusions = (one for one in later if isinstance(one, InfusionReported | InfusionCancelled))
            same = [one for one in of_infusions if is_same_patient(one.patient, patients) or _any(one.also, patients)]
            return SUPERSEDED if any(_replaces(one, fact) for one in same) else fact
        case PatientUpdated(patient=patient):
            return _without_stated(fact, later, _known_as((patient,), later))
        case _:
            return fact


def _known_as(patients: Sequence[PatientKey], later: Sequence[Fact]) -> tuple[PatientKey, ...]:
    """With the IDs that later merges gave the patient."""
    known = tuple(patients)
    for one in later:
        if isinstance(one, PatientsMerged) and is_same_patient(one.old, known):
            known += (one.new,)
    return known


def _any(keys: Sequence[PatientKey], patients: Sequence[PatientKey]) -> bool:
    return any(is_same_patient(key, patients) for key in keys)


def _replaces(later: InfusionReported | InfusionCancelled, late: InfusionReported | InfusionCancelled) -> bool:
    """A plan does not replace what was given, and only a deletion takes it back."""
    if isinstance(late, InfusionCancelled):
        return _same_order(later, late)
    if isinstance(later, InfusionCancelled):
        return _same_order(later, late) and (not late.given or later.why is Cancellation.DELETED)
    if late.given and not later.given:
        return False
    return _same_order(later, late) or (later.day != late.day and _corrects(later, late))


def _corrects(later: InfusionReported, late: InfusionReported) -> bool:
    """Whether the index takes both for one infusion."""
    return corrected(Infusion(later.day, kind=later.kind), [Infusion(late.day, kind=late.kind)]) is not None


def _same_order(one: InfusionReported | InfusionCancelled, other: InfusionReported | InfusionCancelled) -> bool:
    """By its number; an order without one is that of its day."""
    return one.order == other.order and (bool(one.order) or one.day == other.day)


def _without_stated(fact: PatientUpdated, later: Sequence[Fact], patients: Sequence[PatientKey]) -> Fact:
    stated = [one for one in later if isinstance(one, PatientUpdated) and is_same_patient(one.patient, patients)]
    birth_date = None if any(one.birth_date for one in stated) else fact.birth_date
    sex = "" if any(one.sex for one in stated) else fact.sex
    return SUPERSEDED if birth_date is None and not sex else replace(fact, birth_date=birth_date, sex=sex)
