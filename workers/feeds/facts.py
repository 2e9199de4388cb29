"""What a clinical system says about a patient, as values: the words that every feed (HL7, FHIR, roster) translates
into."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from workers.ports import PatientKey


class Cancellation(StrEnum):
    """How an infusion is taken back.

    CANCELLED: its order is not carried out. DISCONTINUED: its order ends, which says nothing of what was given before.
    NOT_GIVEN: on that day it was not administered. DELETED: the entry that it was administered is wrong.
    """

    CANCELLED = "cancelled"
    DISCONTINUED = "discontinued"
    NOT_GIVEN = "not given"
    DELETED = "deleted"


@dataclass(frozen=True)
class InfusionReported:
    """A cell infusion is ordered, scheduled or given on ``day``.

    order: the placer's or filler's number, when it has one; or the reference of a FHIR resource. given: it was
    administered. also: further IDs of the patient that the message has.
    """

    patient: PatientKey
    day: date
    kind: str
    order: str = ""
    given: bool = False
    also: tuple[PatientKey, ...] = ()


@dataclass(frozen=True)
class InfusionCancelled:
    """The infusion of ``order`` (or, without a number, of ``day``) does not take place.

    also: as in InfusionReported.
    """

    patient: PatientKey
    day: date | None
    order: str = ""
    why: Cancellation = Cancellation.CANCELLED
    also: tuple[PatientKey, ...] = ()


@dataclass(frozen=True)
class NeedsPerson:
    """A message that may concern an infusion or an identity and that no rule judges: a human must. why: names no
    patient."""

    why: str


@dataclass(frozen=True)
class PatientsMerged:
    """``old`` and ``new`` are one person; ``new`` is the ID that stays."""

    new: PatientKey
    old: PatientKey


@dataclass(frozen=True)
class PatientUpdated:
    """Identity as the clinical system knows it now. birth_date None, sex empty: not stated."""

    patient: PatientKey
    birth_date: date | None = None
    sex: str = ""


@dataclass(frozen=True)
class ReadingReported:
    """Somebody has read a study. The study: its UID, or its accession number together with its patient.

    numbers: what may be the accession number. patients: every ID that the message has. sign: what says so.
    """

    study_instance_uid: str
    numbers: tuple[str, ...]
    patients: tuple[PatientKey, ...]
    sign: str


@dataclass(frozen=True)
class NothingToDo:
    """A message that is well formed and none of our business, and why."""

    why: str


@dataclass(frozen=True)
class NoInfusion(NothingToDo):
    """The FHIR resource ``order`` is no infusion that was given. One that it reported before is taken back."""

    order: str


Fact = (
    InfusionReported
    | InfusionCancelled
    | NoInfusion
    | NeedsPerson
    | PatientsMerged
    | PatientUpdated
    | ReadingReported
    | NothingToDo
)
