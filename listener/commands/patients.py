"""Commands about patients: their infusions, from a roster or one by one, and what a new fact would change."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from listener.commands.common import ConfigOption, JsonFlag, iso_date, load_settings, out, print_json, quiet_logging
from triage.errors import Misconfigured
from triage.infusions import CORRECTION_DAYS, Infusion, corrected
from workers.config import Settings
from workers.ports import PatientKey, StudyIndex
from workers.studies.infusions import Reported, report_infusion

patients = typer.Typer(help="Infusion dates of the patients.", no_args_is_help=True)

ROSTER_COLUMNS = ("patient_id", "infusion_date")
ALSO = "; optional: issuer, kind"

PatientArgument = Annotated[str, typer.Argument(metavar="PATIENT_ID")]
DayOption = Annotated[str, typer.Option("--infusion-date", metavar="YYYY-MM-DD")]
IssuerOption = Annotated[str, typer.Option("--issuer", help="who gave the patient ID; empty: not stated")]
KindOption = Annotated[str, typer.Option("--kind", help="e.g. CAR-T, retreatment, bridging")]


@dataclass(frozen=True)
class RosterLine:
    """One infusion of a roster."""

    patient: PatientKey
    infusion: Infusion


@patients.command("import")
def import_roster(
    roster: Annotated[Path, typer.Argument(metavar="ROSTER.csv", help=f"columns {', '.join(ROSTER_COLUMNS)}{ALSO}")],
    config: ConfigOption = None,
) -> None:
    """Take over a roster: all of it, or nothing when a line is wrong. Each line is an infusion."""
    quiet_logging()
    lines = read_roster(roster)
    index = open_patient_index(load_settings(config))
    now = datetime.now(UTC)
    said = [report_infusion(index, line.patient, line.infusion, now=now)[0] for line in lines]
    changed = sum(one is not Reported.KNOWN for one in said)
    number = len({line.patient for line in lines})
    out().print(f"{number} patients imported, {changed} dates new or changed")


@patients.command("set")
def set_infusion_date(
    patient_id: PatientArgument,
    infusion_date: DayOption,
    issuer: IssuerOption = "",
    kind: KindOption = "CAR-T",
    config: ConfigOption = None,
) -> None:
    """Add an infusion of one patient, or correct the date of a known one. Decisions that it concerns are made again."""
    quiet_logging()
    day = iso_date(infusion_date, field="--infusion-date")
    patient, index = patient_key(patient_id, issuer), open_patient_index(load_settings(config))
    said, wrong = report_infusion(index, patient, Infusion(day, kind, "command line"), now=datetime.now(UTC))
    words = {
        Reported.FIRST: f"infusion of {day} stored",
        Reported.KNOWN: f"infusion of {day} was known",
        Reported.CORRECTED: f"infusion of {wrong} corrected to {day}",
        Reported.FURTHER: f"further infusion of {day} stored",
    }
    out().print(words[said])


@patients.command("remove")
def remove_infusion_date(
    patient_id: PatientArgument, infusion_date: DayOption, issuer: IssuerOption = "", config: ConfigOption = None
) -> None:
    """Forget an infusion that did not take place. Decisions that it concerns are made again."""
    quiet_logging()
    day = iso_date(infusion_date, field="--infusion-date")
    patient, index = patient_key(patient_id, issuer), open_patient_index(load_settings(config))
    if not index.remove_infusion(patient, day, now=datetime.now(UTC)):
        raise Misconfigured(f"--infusion-date: no infusion of {day} is known for this patient ID and issuer")
    out().print(f"infusion of {day} removed")


@patients.command("list")
def list_patients(config: ConfigOption = None, as_json: JsonFlag = False) -> None:
    """All patients with a known infusion; infusion_date is the latest."""
    quiet_logging()
    known = sorted(open_patient_index(load_settings(config)).infusions().items())
    if as_json:
        print_json([_entry(patient, infusions) for patient, infusions in known])
        return
    table = Table("patient", "issuer", "infusions")
    for patient, infusions in known:
        days = ", ".join(f"{one.day} {one.kind}" for one in infusions)
        table.add_row(escape(patient.patient_id), escape(patient.issuer), escape(days))
    out().print(table)


@patients.command("check")
def check(
    config: ConfigOption = None,
    as_json: JsonFlag = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only tell; a running node does it by itself")] = False,
) -> None:
    """Tell which decisions rest on facts that changed; without --dry-run have a running node look at all patients."""
    quiet_logging()
    from workers.studies.reconsider import due_studies

    index, now = open_patient_index(load_settings(config)), datetime.now(UTC)
    ids = sorted({row.patient_id for row in index.studies(limit=1_000_000) if row.patient_id})
    found = [
        {"study_instance_uid": due.study_instance_uid, "why": list(due.why)}
        for patient_id in ids
        for due in due_studies(patient_id, index)
    ]
    if not dry_run:
        for patient_id in ids:
            index.mark_patient(patient_id, now=now)
    if as_json:
        print_json(found)
        return
    for one in found:
        out().print(f"{one['study_instance_uid']}  {escape('; '.join(one['why']))}")
    out().print(f"{len(found)} decisions rest on facts that changed")


def _entry(patient: PatientKey, infusions: tuple[Infusion, ...]) -> dict[str, object]:
    return {
        "patient_id": patient.patient_id,
        "infusion_date": infusions[-1].day.isoformat(),
        "issuer": patient.issuer,
        "infusions": [{"date": one.day.isoformat(), "kind": one.kind, "source": one.source} for one in infusions],
    }


def read_roster(path: Path) -> list[RosterLine]:
    """The lines of a CSV file with a header; comma or semicolon.

    Raises:
        Misconfigured: the file cannot be read, or lines are wrong; the message names every wrong line (never a
        patient).
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"ROSTER.csv: {path} cannot be read as UTF-8 text ({error})") from error
    header = text.splitlines()[0] if text.strip() else ""
    reader = csv.DictReader(text.splitlines(), delimiter=";" if header.count(";") > header.count(",") else ",")
    columns = [(name or "").strip().lower() for name in reader.fieldnames or []]
    missing = [name for name in ROSTER_COLUMNS if name not in columns]
    if missing:
        raise Misconfigured(f"ROSTER.csv: column {', '.join(missing)} is missing; expected {', '.join(ROSTER_COLUMNS)}")
    reader.fieldnames = columns
    return _roster_lines((reader.line_num, line) for line in reader)


def _roster_lines(lines: Iterable[tuple[int, Mapping[str, str | None]]]) -> list[RosterLine]:
    found: dict[PatientKey, list[Infusion]] = {}
    wrong: list[str] = []
    for number, line in lines:
        patient = PatientKey((line["patient_id"] or "").strip(), (line.get("issuer") or "").strip())
        written = (line["infusion_date"] or "").strip()
        try:
            infusion = Infusion(date.fromisoformat(written), (line.get("kind") or "").strip() or "CAR-T", "roster")
        except ValueError:
            wrong.append(f"line {number}: infusion_date {written!r} is not a date written YYYY-MM-DD")
            continue
        above = found.setdefault(patient, [])
        near = corrected(infusion.day, above)
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


def patient_key(written: str, issuer: str) -> PatientKey:
    """The patient of an argument: an ID, or an ID with its issuer as HL7 writes it (``ID^^^ISSUER``).

    Raises:
        Misconfigured: it is empty, or two issuers are stated.
    """
    patient_id, _, stated = (part.strip() for part in written.partition("^^^"))
    if not patient_id:
        raise Misconfigured("PATIENT_ID: empty")
    if stated and issuer.strip() and stated != issuer.strip():
        raise Misconfigured("--issuer: the ID names another issuer")
    return PatientKey(patient_id, stated or issuer.strip())


def open_patient_index(settings: Settings) -> StudyIndex:
    """The index of the node."""
    from workers.container import node_index

    return node_index(settings)
