"""Commands about who a patient is: merges, splits, and what was said so far."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from listener.commands.common import (
    ConfigOption,
    JsonFlag,
    existing_index,
    index_time,
    load_settings,
    out,
    print_json,
    quiet_logging,
)
from listener.commands.patients import IssuerOption, PatientArgument, patient_key
from triage.errors import Misconfigured
from workers.identity_events import Change, IdentityRefusedError, to_json
from workers.studies.corrections import Correction, answer_correction, open_corrections
from workers.studies.merging import merge_patients, split_patients

SOURCE = "command line"

corrections = typer.Typer(help="Images that came again with another identity.", no_args_is_help=True)

StudyArgument = Annotated[str, typer.Argument(metavar="STUDY_UID")]
OldArgument = Annotated[str, typer.Argument(metavar="OLD", help="patient ID, or ID^^^ISSUER")]
NewArgument = Annotated[str, typer.Argument(metavar="NEW", help="patient ID, or ID^^^ISSUER")]


def merge(old: OldArgument, new: NewArgument, issuer: IssuerOption = "", config: ConfigOption = None) -> None:
    """OLD and NEW are one person, who is called NEW. Images stay as they are; decisions are made again."""
    quiet_logging()
    settings = load_settings(config)
    index = existing_index(settings)
    keys = {"old": patient_key(old, issuer), "new": patient_key(new, issuer)}
    try:
        done = merge_patients(index, **keys, source=SOURCE, now=index_time(settings))
    except IdentityRefusedError as error:
        raise Misconfigured(f"OLD, NEW: {error}") from error
    out().print("merged" if done else "this merge is known")


def split(new: NewArgument, old: OldArgument, issuer: IssuerOption = "", config: ConfigOption = None) -> None:
    """Undo the merge of OLD into NEW. Decisions are made again."""
    quiet_logging()
    settings = load_settings(config)
    index = existing_index(settings)
    keys = {"old": patient_key(old, issuer), "new": patient_key(new, issuer)}
    try:
        split_patients(index, **keys, source=SOURCE, now=index_time(settings))
    except IdentityRefusedError as error:
        raise Misconfigured(f"NEW, OLD: {error}") from error
    out().print("split")


def history(patient_id: PatientArgument, config: ConfigOption = None, as_json: JsonFlag = False) -> None:
    """Who said what about this patient ID and those that are connected with it, oldest first."""
    quiet_logging()
    found = existing_index(load_settings(config)).identity_events(patient_key(patient_id, "").patient_id)
    if as_json:
        print_json([to_json(event) for event in found])
        return
    table = Table("when", "what", "source")
    for event in found:
        table.add_row(event.at.isoformat(timespec="seconds"), escape(event.sentence), escape(event.source))
    out().print(table)


@corrections.command("list")
def list_corrections(config: ConfigOption = None, as_json: JsonFlag = False) -> None:
    """Studies whose images came again under the same UIDs with another identity, which nobody answered yet."""
    quiet_logging()
    found = open_corrections(existing_index(load_settings(config)))
    if as_json:
        print_json([_correction_entry(one) for one in found])
        return
    table = Table("study", "patient", "corrected to", "images")
    for one in found:
        ids = (one.study_instance_uid, one.stated.patient_id, one.new.patient_id, str(one.images))
        table.add_row(*map(escape, ids))
    out().print(table)


@corrections.command("accept")
def accept(study_uid: StudyArgument, config: ConfigOption = None) -> None:
    """The study belongs to the patient that the corrected images name. Decisions are made again."""
    _answer(study_uid, Change.CORRECT, config)
    out().print("accepted")


@corrections.command("reject")
def reject(study_uid: StudyArgument, config: ConfigOption = None) -> None:
    """The study stays the patient's that its first images name."""
    _answer(study_uid, Change.REJECT, config)
    out().print("rejected")


def _answer(study_uid: str, change: Change, config: ConfigOption) -> None:
    quiet_logging()
    settings = load_settings(config)
    index = existing_index(settings)
    found = [one for one in open_corrections(index) if one.study_instance_uid == study_uid]
    if not found:
        raise Misconfigured("STUDY_UID: nobody sent corrected images of this study, or they were answered already")
    answer_correction(index, found[0], change, source=SOURCE, now=index_time(settings))


def _correction_entry(one: Correction) -> dict[str, object]:
    return {
        "study_instance_uid": one.study_instance_uid,
        "patient_id": one.stated.patient_id,
        "issuer": one.stated.issuer,
        "corrected_to": {
            "patient_id": one.new.patient_id,
            "issuer": one.new.issuer,
            "birth_date": None if one.birth_date is None else one.birth_date.isoformat(),
            "sex": one.sex,
        },
        "images": one.images,
    }
