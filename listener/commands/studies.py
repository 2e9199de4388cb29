"""Commands about stored studies and patients: studies, show, replay, patients import | set | list."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from listener.commands.common import (
    ConfigOption,
    JsonFlag,
    err,
    existing_index,
    iso_date,
    load_settings,
    out,
    print_json,
    quiet_logging,
)
from listener.web import trend
from listener.web.worklist import cut, open_worklist, remarks, worklist
from triage.errors import Misconfigured, Transient
from workers.config import Settings
from workers.ports import StudyIndex

patients = typer.Typer(help="Infusion dates of the patients.", no_args_is_help=True)

UidArgument = Annotated[str, typer.Argument(metavar="STUDY_UID", help="Study Instance UID")]

ROSTER_COLUMNS = ("patient_id", "infusion_date")


def studies(config: ConfigOption = None, as_json: JsonFlag = False) -> None:
    """The worklist: most urgent first, then longest waiting."""
    quiet_logging()
    index = existing_index(load_settings(config))
    entries = open_worklist(index, now=datetime.now(UTC))
    missing = cut(index, len(entries))
    if missing is not None:
        err().print(missing)
    if as_json:
        print_json(entries)
        return
    table = Table("date", "patient", "state", "category", "priority", "waiting min", "images")
    table.add_column("study", overflow="fold")
    for entry in entries:
        values = (entry[key] for key in ("study_date", "patient_id", "state", "category", "priority"))
        cells = [escape(str(value)) if value is not None else "-" for value in values]
        images = "; ".join([str(entry["images"]), *remarks(entry)])
        table.add_row(*cells, f"{entry['waiting_minutes']:.0f}", images, escape(entry["study_instance_uid"]))
    out().print(table)


def show(study_uid: UidArgument, config: ConfigOption = None, as_json: JsonFlag = False) -> None:
    """The newest decision about one study."""
    quiet_logging()
    index = existing_index(load_settings(config))
    row = index.study(study_uid)
    if row is None:
        raise Misconfigured(f"STUDY_UID: {study_uid} is not stored here")
    document = index.assessment(study_uid)
    if document is None:
        raise Misconfigured(f"STUDY_UID: {study_uid} has no decision yet (state {row.state.value})")
    if as_json:
        print_json(document)
    else:
        print_document(document)
        counts = index.study_counts([study_uid])
        aside = Counter(one.study_instance_uid for one in index.conflicts())
        for remark in remarks(worklist([row], now=datetime.now(UTC), counts=counts, conflicts=aside)[0]):
            out().print(f"arrival   {remark}")


def replay(study_uid: UidArgument, config: ConfigOption = None) -> None:
    """Assess a stored study again, with the settings and dates of now."""
    quiet_logging()
    settings = load_settings(config)
    if not existing_index(settings).requeue(study_uid, now=datetime.now(UTC)):
        raise Misconfigured(f"STUDY_UID: {study_uid} is not stored here")
    try:
        _ring(settings, study_uid)
    except (Transient, Misconfigured) as error:
        err().print(f"queued; a running node will find it within seconds ({escape(str(error))})")
    else:
        err().print("queued")


def print_document(document: Mapping[str, Any]) -> None:
    """A decision for a reader at the terminal."""
    console = out()
    decision = document["decision"]
    console.print(f"{decision['category']}  priority {decision['priority']}", style="bold")
    for reason in decision["reasons"]:
        console.print(f"  - {escape(str(reason))}")
    study, baseline = document["study"], document["baseline"]
    days = study["days_after_infusion"]
    console.print(f"study     {study['study_date']}  days after infusion: {'unknown' if days is None else days}")
    if baseline and baseline.get("study_instance_uid"):
        console.print(f"baseline  {baseline['study_date']}  {escape(str(baseline['reason']))}")
    else:
        console.print("baseline  none")
    for notice in document.get("notices", ()):
        console.print(f"note      {escape(str(notice))}")
    for finding in document["findings"]:
        strength = f" ({finding['strength']})" if finding["strength"] else ""
        console.print(f"pattern {finding['pattern']}: {finding['presence']}{strength} {escape(finding['explanation'])}")
    _print_course(console, document.get("evolution"))
    for sentence in document.get("look_alikes", ()):
        console.print(f"consider  {escape(str(sentence))}")
    for statement in (document.get("baseline_report") or {}).get("statements", ()):
        console.print(f"before    {escape(str(statement))}")


def _print_course(console: Console, evolution: Mapping[str, Any] | None) -> None:
    for one in (evolution or {}).get("patterns", ()):
        since = f" since {one['since']}" if one["since"] else ""
        console.print(
            f"course    {one['pattern']}: {one['state'].replace('_', ' ')}{since}; {escape(str(one['reason']))}"
        )
    later = (evolution or {}).get("later_loss")
    if later:
        console.print(f"course    C: {escape(str(later['explanation']))}")
    for series in (evolution or {}).get("trend", ()):
        name = f"{series['region']} {series['quantity']}"
        console.print(f"trend     {escape(name)}  {escape(trend.line(series))}")


@patients.command("import")
def import_roster(
    roster: Annotated[Path, typer.Argument(metavar="ROSTER.csv", help="columns patient_id, infusion_date")],
    config: ConfigOption = None,
) -> None:
    """Take over a roster: all of it, or nothing when a line is wrong."""
    quiet_logging()
    dates = read_roster(roster)
    index = _index(load_settings(config))
    known = index.infusions()
    for patient_id, infusion_date in dates.items():
        index.set_infusion_date(patient_id, infusion_date)
    changed = {patient_id for patient_id, infusion_date in dates.items() if known.get(patient_id) != infusion_date}
    out().print(f"{len(dates)} patients imported, {len(changed)} dates new or changed")
    _remark_decided(index, changed)


@patients.command("set")
def set_infusion_date(
    patient_id: Annotated[str, typer.Argument(metavar="PATIENT_ID")],
    infusion_date: Annotated[str, typer.Option("--infusion-date", metavar="YYYY-MM-DD")],
    config: ConfigOption = None,
) -> None:
    """Set or change the infusion date of one patient."""
    quiet_logging()
    day: date = iso_date(infusion_date, field="--infusion-date")
    if not patient_id.strip():
        raise Misconfigured("PATIENT_ID: empty")
    index = _index(load_settings(config))
    index.set_infusion_date(patient_id.strip(), day)
    _remark_decided(index, {patient_id.strip()})


@patients.command("list")
def list_patients(config: ConfigOption = None, as_json: JsonFlag = False) -> None:
    """All patients with a known infusion date."""
    quiet_logging()
    infusions = sorted(_index(load_settings(config)).infusions().items())
    if as_json:
        print_json([{"patient_id": key, "infusion_date": day.isoformat()} for key, day in infusions])
        return
    table = Table("patient", "infusion date")
    for patient_id, day in infusions:
        table.add_row(escape(patient_id), day.isoformat())
    out().print(table)


def read_roster(path: Path) -> dict[str, date]:
    """patient_id -> infusion date of a CSV file with a header line; comma or semicolon.

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


def _roster_lines(lines: Iterable[tuple[int, Mapping[str, str | None]]]) -> dict[str, date]:
    dates: dict[str, date] = {}
    wrong: list[str] = []
    for number, line in lines:
        patient_id = (line["patient_id"] or "").strip()
        written = (line["infusion_date"] or "").strip()
        try:
            day = date.fromisoformat(written)
        except ValueError:
            wrong.append(f"line {number}: infusion_date {written!r} is not a date written YYYY-MM-DD")
            continue
        if not patient_id:
            wrong.append(f"line {number}: patient_id is empty")
        elif dates.setdefault(patient_id, day) != day:
            wrong.append(f"line {number}: the same patient_id stands above with another date")
    if wrong:
        raise Misconfigured("ROSTER.csv: nothing was imported\n" + "\n".join(wrong))
    return dates


def _remark_decided(index: StudyIndex, changed: set[str]) -> None:
    """A date that changed after a decision does not change that decision by itself: say so."""
    rows = [
        row for row in index.studies(limit=100_000) if row.patient_id in changed and row.decided_revision is not None
    ]
    for row in rows:
        err().print(f"decided before this date was known: icansee replay {row.study_instance_uid}")


def _index(settings: Settings) -> StudyIndex:
    from workers.container import node_index

    return node_index(settings)


def _ring(settings: Settings, study_uid: str) -> None:
    from workers.queue.app import CeleryBell, make_app
    from workers.queue.broker import broker_url

    CeleryBell(make_app(broker_url(settings), settings)).ring(study_uid, urgent=True)
