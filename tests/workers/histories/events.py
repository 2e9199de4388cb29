"""What may happen to a patient, and what is true of one in the end. A new kind of event is a class here, a line in
``World.apply``, and entries in the table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.workers.histories.scans import ME, Scan, on
from workers.feeds.facts import Fact, InfusionCancelled, InfusionReported, PatientsMerged
from workers.identities import ObjectAnswer, PatientKey


@dataclass(frozen=True)
class Arrives:
    """A part of a study is received; the same part again changes nothing."""

    uid: str
    part: int = 0


@dataclass(frozen=True)
class Reported:
    """An infusion date comes from a roster or a feed: the first, a correction or a further one."""

    day: int
    issuer: str = ""
    patient_id: str = ME
    kind: str = "CAR-T"


@dataclass(frozen=True)
class Removed:
    """An infusion date is withdrawn."""

    day: int
    issuer: str = ""
    patient_id: str = ME


@dataclass(frozen=True)
class Merged:
    """Two patient IDs are one person."""

    old: str
    new: str


@dataclass(frozen=True)
class Split:
    """They are not."""

    old: str
    new: str


@dataclass(frozen=True)
class Filled:
    """The images that were blank come again under the same UIDs, with content. The store keeps them apart."""

    uid: str


@dataclass(frozen=True)
class Answered:
    """A human says of every object of a study that states a patient ID whether it belongs to it."""

    uid: str
    patient_id: str
    answer: ObjectAnswer


@dataclass(frozen=True)
class Corrected:
    """A PACS sends the images again under the same UIDs, with another patient ID."""

    uid: str
    patient_id: str


@dataclass(frozen=True)
class Confirmed:
    """A clinical system names the patient whose images came again."""

    patient_id: str


@dataclass(frozen=True)
class Ordered:
    """An HL7 order of an infusion; the same number with another day moves it. given: it says that it was given."""

    order: str
    day: int
    patient_id: str = ME
    issuer: str = ""
    given: bool = False


@dataclass(frozen=True)
class Cancelled:
    """The order is cancelled by its number alone."""

    order: str
    patient_id: str = ME
    issuer: str = ""


@dataclass(frozen=True)
class Renamed:
    """ADT A40 or A47: the person has another ID from now on, and the orders move with it."""

    old: str
    new: str
    issuer: str = ""


@dataclass(frozen=True)
class Rejected:
    """An archive sends a rejection note. study: whose note it is; empty: of the study whose objects it names.
    part: None: all parts."""

    uid: str
    title: str = "113001"
    part: int | None = None
    study: str = ""
    patient_id: str = ""


Told = Ordered | Cancelled | Renamed
Event = Told | Rejected | Arrives | Filled | Answered | Corrected | Confirmed | Reported | Removed | Merged | Split
Known = tuple[str, int]  # issuer, day


@dataclass(frozen=True)
class History:
    """What is true of a patient, and what happens on the way beside the arrival of the scans.

    known: infusions of this ID that are known at the end. also_known: those of another ID or kind. merged: merges that
    are in force at the end. chains: further events; those of one chain happen in their order. expected: study ->
    category and the study it is compared with, ``since:`` before one that is no baseline. rejected: notes that come at
    any time.
    """

    name: str
    scans: tuple[Scan, ...]
    known: tuple[Known, ...] = ()
    chains: tuple[tuple[Event, ...], ...] = ()
    expected: Mapping[str, str] = field(default_factory=dict)
    merged: tuple[Merged | Renamed, ...] = ()
    also_known: tuple[Reported, ...] = ()
    rejected: tuple[Rejected, ...] = ()

    def all_chains(self) -> list[tuple[Event, ...]]:
        arrivals = [arrivals_of(scan) for scan in self.scans]
        said = [(Reported(day, issuer),) for issuer, day in self.known]
        return [*arrivals, *(self.chains or said), *((note,) for note in self.rejected)]


def arrivals_of(scan: Scan) -> tuple[Event, ...]:
    """How a study comes, and what happens to its objects afterwards."""
    found: list[Event] = [Arrives(scan.uid, part) for part in range(len(scan.parts))]
    if scan.blank:
        found.append(Filled(scan.uid))
    if scan.answered is not None:
        found.append(Answered(scan.uid, *scan.answered))
    if scan.corrected:
        found += [Corrected(scan.uid, scan.corrected), Confirmed(scan.corrected)]
    return (*found, *scan.afterwards)


def fact_of_event(event: Told) -> Fact:
    """By a clinical system."""
    match event:
        case Ordered(order, day, patient_id, issuer, given):
            return InfusionReported(PatientKey(patient_id, issuer), on(day), "CAR-T", order, given)
        case Cancelled(order, patient_id, issuer):
            return InfusionCancelled(PatientKey(patient_id, issuer), None, order)
        case Renamed(old, new, issuer):
            return PatientsMerged(PatientKey(new, issuer), PatientKey(old, issuer))
