"""Commands about who a patient is: merges, splits, and what was said so far."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from listener.commands.common import ConfigOption, JsonFlag, load_settings, out, print_json, quiet_logging
from listener.commands.patients import IssuerOption, PatientArgument, open_patient_index, patient_key
from triage.errors import Misconfigured
from workers.identity_events import IdentityRefusedError, to_json
from workers.studies.merging import merge_patients, split_patients

SOURCE = "command line"

OldArgument = Annotated[str, typer.Argument(metavar="OLD", help="patient ID, or ID^^^ISSUER")]
NewArgument = Annotated[str, typer.Argument(metavar="NEW", help="patient ID, or ID^^^ISSUER")]


def merge(old: OldArgument, new: NewArgument, issuer: IssuerOption = "", config: ConfigOption = None) -> None:
    """OLD and NEW are one person, who is called NEW. Images stay as they are; decisions are made again."""
    quiet_logging()
    index = open_patient_index(load_settings(config))
    keys = {"old": patient_key(old, issuer), "new": patient_key(new, issuer)}
    try:
        done = merge_patients(index, **keys, source=SOURCE, now=datetime.now(UTC))
    except IdentityRefusedError as error:
        raise Misconfigured(f"OLD, NEW: {error}") from error
    out().print("merged" if done else "this merge is known")


def split(new: NewArgument, old: OldArgument, issuer: IssuerOption = "", config: ConfigOption = None) -> None:
    """Undo the merge of OLD into NEW. Decisions are made again."""
    quiet_logging()
    index = open_patient_index(load_settings(config))
    keys = {"old": patient_key(old, issuer), "new": patient_key(new, issuer)}
    try:
        split_patients(index, **keys, source=SOURCE, now=datetime.now(UTC))
    except IdentityRefusedError as error:
        raise Misconfigured(f"NEW, OLD: {error}") from error
    out().print("split")


def history(patient_id: PatientArgument, config: ConfigOption = None, as_json: JsonFlag = False) -> None:
    """Who said what about this patient ID and those that are connected with it, oldest first."""
    quiet_logging()
    found = open_patient_index(load_settings(config)).identity_events(patient_key(patient_id, "").patient_id)
    if as_json:
        print_json([to_json(event) for event in found])
        return
    table = Table("when", "what", "source")
    for event in found:
        table.add_row(event.at.isoformat(timespec="seconds"), escape(event.sentence), escape(event.source))
    out().print(table)
