"""A roster of infusions as CSV text in, infusions in the index out; or only what they would change."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from triage.errors import Misconfigured
from triage.infusions import CORRECTION_DAYS, Infusion, corrected
from workers.identities import PatientKey
from workers.studies.infusions import Reported, report_infusion, what_it_is

if TYPE_CHECKING:
    from workers.ports import StudyIndex

ROSTER_COLUMNS = ("patient_id", "infusion_date")


@dataclass(frozen=True)
class RosterLine:
    """One infusion of a roster."""

    patient: PatientKey
    infusion: Infusion


@dataclass(frozen=True)
class RosterSummary:
    """What a roster changes. patients: how many it names. known: dates that are stored already."""

    patients: int
    first: int
    further: int
    corrected: int
    known: int

    @property
    def changed(self) -> int:
        return self.first + self.further + self.corrected


def parse_roster(text: str) -> list[RosterLine]:
    """The lines of CSV text with a header; comma or semicolon.

    Raises:
        Misconfigured: lines are wrong; the message names every wrong line (never a patient).
    """
    header = text.splitlines()[0] if text.strip() else ""
    reader = csv.DictReader(text.splitlines(), delimiter=";" if header.count(";") > header.count(",") else ",")
    try:
        columns = [(name or "").strip().lower() for name in reader.fieldnames or []]
        missing = [name for name in ROSTER_COLUMNS if name not in columns]
        if missing:
            wanted = ", ".join(ROSTER_COLUMNS)
            raise Misconfigured(f"ROSTER.csv: column {', '.join(missing)} is missing; expected {wanted}")
        reader.fieldnames = columns
        return _roster_lines((reader.line_num, line) for line in reader)
    except csv.Error as error:
        raise Misconfigured(f"ROSTER.csv: line {reader.line_num} cannot be read ({error})") from error


def _roster_lines(lines: Iterable[tuple[int, Mapping[str, str | None]]]) -> list[RosterLine]:
    found: dict[PatientKey, list[Infusion]] = {}
    wrong: list[str] = []
    for number, line in lines:
        if not any(isinstance(cell, str) and cell.strip() for cell in line.values()):
            continue  # a spreadsheet writes empty rows as well
        patient = PatientKey((line["patient_id"] or "").strip(), (line.get("issuer") or "").strip())
        written = (line["infusion_date"] or "").strip()
        try:
            infusion = Infusion(date.fromisoformat(written), (line.get("kind") or "").strip() or "CAR-T", "roster")
        except ValueError:
            wrong.append(f"line {number}: infusion_date {written!r} is not a date written YYYY-MM-DD")
            continue
        above = found.setdefault(patient, [])
        near = corrected(infusion, above)
        if not patient.patient_id:
            wrong.append(f"line {number}: patient_id is empty")
        elif near is not None and near.day != infusion.day:
            within = f"within {CORRECTION_DAYS} days"
            wrong.append(f"line {number}: the same patient_id stands above with another date {within}")
        elif near is None:
            above.append(infusion)
    if wrong:
        raise Misconfigured("ROSTER.csv: nothing was imported\n" + "\n".join(wrong))
    return [RosterLine(patient, infusion) for patient, infusions in found.items() for infusion in infusions]


def would_change(index: StudyIndex, lines: Sequence[RosterLine]) -> RosterSummary:
    """What ``take_over`` would do. Nothing is stored.

    Raises:
        Transient: the index is away.
    """
    known: dict[PatientKey, list[Infusion]] = {}
    said = []
    for line in lines:
        above = known.setdefault(line.patient, list(index.infusions_of(line.patient)))
        what, wrong = what_it_is(line.infusion, above)
        said.append(what)
        known[line.patient] = [*(one for one in above if one.day not in (wrong, line.infusion.day)), line.infusion]
    return _summary(lines, said)


def take_over(index: StudyIndex, lines: Sequence[RosterLine], *, now: datetime) -> RosterSummary:
    """Store every infusion of a roster. Decisions that they concern are made again.

    Raises:
        Transient: the index is away; what was stored before stays, and the same roster can be taken over again.
    """
    return _summary(lines, [report_infusion(index, line.patient, line.infusion, now=now)[0] for line in lines])


def _summary(lines: Sequence[RosterLine], said: Sequence[Reported]) -> RosterSummary:
    counted, patients = Counter(said), len({line.patient for line in lines})
    kinds = (Reported.FIRST, Reported.FURTHER, Reported.CORRECTED, Reported.KNOWN)
    return RosterSummary(patients, *(counted[kind] for kind in kinds))
