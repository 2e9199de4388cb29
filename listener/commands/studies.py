"""Commands about stored studies and patients: studies, show, replay, patients import | set | list."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
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
    index_time,
    load_settings,
    out,
    print_json,
    quiet_logging,
)
from listener.web import trend
from listener.web.worklist import cut, open_worklist, remarks, worklist
from triage.errors import Misconfigured, Transient
from triage.report.headline import BEFORE_TREATMENT, is_before_treatment
from workers.config import Settings
from workers.studies.prior_notes import noted
from workers.studies.tag_notes import tagged

UidArgument = Annotated[str, typer.Argument(metavar="STUDY_UID", help="Study Instance UID")]


def studies(config: ConfigOption = None, as_json: JsonFlag = False) -> None:
    """The worklist: most urgent first, then longest waiting."""
    quiet_logging()
    settings = load_settings(config)
    index = existing_index(settings)
    from workers.container import open_images

    entries = open_worklist(index, now=datetime.now(UTC), images=open_images(settings))
    missing = cut(index, len(entries))
    if missing is not None:
        err().print(missing)
    if as_json:
        print_json(entries)
        return
    table = Table("date", "patient", "state", "category", "priority", "waiting min", "images")
    table.add_column("study", overflow="fold")
    for entry in entries:
        called = BEFORE_TREATMENT if entry["before_treatment"] else entry["category"]
        values = (entry["study_date"], entry["patient_id"], entry["state"], called, entry["priority"])
        cells = [escape(str(value)) if value is not None else "-" for value in values]
        images = "; ".join([str(entry["images"]), *remarks(entry)])
        table.add_row(*cells, f"{entry['waiting_minutes']:.0f}", images, escape(entry["study_instance_uid"]))
    out().print(table)


def show(study_uid: UidArgument, config: ConfigOption = None, as_json: JsonFlag = False) -> None:
    """The newest decision about one study."""
    quiet_logging()
    settings = load_settings(config)
    index = existing_index(settings)
    row = index.study(study_uid)
    if row is None:
        raise Misconfigured(f"STUDY_UID: {study_uid} is not stored here")
    document = index.assessment(study_uid)
    if document is None:
        raise Misconfigured(f"STUDY_UID: {study_uid} has no decision yet (state {row.state.value})")
    from workers.container import open_images, open_searches

    images = open_images(settings)
    document = tagged(noted(document, open_searches(settings), study_uid), images, study_uid)
    if as_json:
        print_json(document)
    else:
        print_document(document)
        counts = index.study_counts([study_uid])
        aside = Counter(one.study_instance_uid for one in index.conflicts())
        for tag in document.get("tags", ()):
            out().print(escape(f"tag       {tag['tag']} (rule {tag['rule']})"))
        for remark in remarks(worklist([row], now=datetime.now(UTC), counts=counts, conflicts=aside)[0]):
            out().print(f"arrival   {remark}")


def replay(study_uid: UidArgument, config: ConfigOption = None) -> None:
    """Assess a stored study again, with the settings and dates of now."""
    quiet_logging()
    settings = load_settings(config)
    if not existing_index(settings).requeue(study_uid, now=index_time(settings)):
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
    called = f"  ({BEFORE_TREATMENT.lower()})" if is_before_treatment(document) else ""
    console.print(f"{decision['category']}  priority {decision['priority']}{called}", style="bold")
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


def _ring(settings: Settings, study_uid: str) -> None:
    from workers.queue.bell import CeleryBell, make_app
    from workers.queue.broker import broker_url

    CeleryBell(make_app(broker_url(settings), settings)).ring(study_uid, urgent=True)
