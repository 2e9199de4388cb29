"""What a clinical system says about a patient, as values: the words that every feed (HL7, FHIR, roster) translates
into."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from workers.ports import PatientKey


@dataclass(frozen=True)
class InfusionReported:
    """A cell infusion is ordered, scheduled or given on ``day``.

    order: the placer's or filler's number, when it has one.
    """

    patient: PatientKey
    day: date
    kind: str
    order: str = ""


@dataclass(frozen=True)
class InfusionCancelled:
    """The infusion of ``order`` (or, without a number, of ``day``) does not take place."""

    patient: PatientKey
    day: date | None
    order: str = ""


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


Fact = InfusionReported | InfusionCancelled | PatientsMerged | PatientUpdated | ReadingReported | NothingToDo
