"""Commands about patients: their infusions, from a roster or one by one, and what a new fact would change."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from listener.commands.common import (
    ConfigOption,
    JsonFlag,
    as_the_node,
    existing_index,
    index_time,
    iso_date,
    load_settings,
    out,
    print_json,
    quiet_logging,
)
from triage.errors import Misconfigured
from triage.infusions import Infusion
from workers.config import Settings
from workers.ports import PatientKey, StudyIndex
from workers.studies.infusions import Reported, report_infusion

patients = typer.Typer(help="Infusion dates and identities of the patients.", no_args_is_help=True)

COLUMNS = "columns patient_id, infusion_date; optional: issuer, kind"

PatientArgument = Annotated[str, typer.Argument(metavar="PATIENT_ID")]
DayOption = Annotated[str, typer.Option("--infusion-date", metavar="YYYY-MM-DD")]
IssuerOption = Annotated[str, typer.Option("--issuer", help="who gave the patient ID; empty: not stated")]
KindOption = Annotated[str, typer.Option("--kind", help="e.g. CAR-T, retreatment, bridging")]


@patients.command("import")
def import_roster(
    roster: Annotated[Path, typer.Argument(metavar="ROSTER.csv", help=COLUMNS)],
    config: ConfigOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only tell what would change")] = False,
) -> None:
    """Take over a roster: all of it, or nothing when a line is wrong. Each line is an infusion."""
    quiet_logging()
    from workers.studies.roster import parse_roster, take_over, would_change

    lines = parse_roster(roster_text(roster))
    settings = load_settings(config)
    index = open_patient_index(settings)
    done = would_change(index, lines) if dry_run else take_over(index, lines, now=index_time(settings))
    would = "would be " if dry_run else ""
    out().print(f"{done.patients} patients {would}imported, {done.changed} dates new or changed")


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
    settings = load_settings(config)
    patient, index = patient_key(patient_id, issuer), open_patient_index(settings)
    said, wrong = report_infusion(index, patient, Infusion(day, kind, "command line"), now=index_time(settings))
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
    settings = load_settings(config)
    patient, index = patient_key(patient_id, issuer), existing_index(settings)
    before = index.infusions_of(patient)
    if not index.remove_infusion(patient, day, now=index_time(settings)):
        raise Misconfigured(f"--infusion-date: no infusion of {day} is known for this patient ID and issuer")
    out().print(f"infusion of {day} removed")
    for one in index.infusions_of(patient):
        if all(one.day != known.day for known in before):
            out().print(f"infusion of {one.day} counts again: {day} had taken its place")


@patients.command("list")
def list_patients(config: ConfigOption = None, as_json: JsonFlag = False) -> None:
    """All patients with a known infusion; infusion_date is the latest."""
    quiet_logging()
    known = sorted(existing_index(load_settings(config)).infusions().items())
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
    """List the decisions that rest on facts that changed. Without --dry-run a running node looks at all patients."""
    quiet_logging()
    from workers.studies.reconsider import due_studies

    settings = load_settings(config)
    index, now = existing_index(settings), index_time(settings)
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


def roster_text(path: Path) -> str:
    """Raises:
    Misconfigured: the file cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"ROSTER.csv: {path} cannot be read as UTF-8 text ({error})") from error


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
    """The index of the node, also of one that has not run yet: what is known of patients may be told beforehand."""
    from workers.container import node_index

    as_the_node(settings)
    return node_index(settings)
