"""Commands about objects that state another identity than their study: list them, restore them, discard them."""

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
from workers.identities import ObjectAnswer, printable
from workers.studies.set_aside import AsideObject, answer_aside, aside_facts, list_aside

SOURCE = "command line"

set_aside = typer.Typer(
    help="Objects that state another patient than their study, or that were rejected.", no_args_is_help=True
)

StudyArgument = Annotated[str, typer.Argument(metavar="STUDY_UID")]
ObjectOption = Annotated[
    list[str] | None, typer.Option("--object", metavar="SOP_UID", help="only this object; may be repeated")
]
StatedIdOption = Annotated[
    str | None, typer.Option("--patient-id", metavar="ID", help="every object of the study that states this patient ID")
]


@set_aside.command("list")
def list_objects(
    config: ConfigOption = None,
    answered: Annotated[bool, typer.Option("--all", help="also what was answered already")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Studies with objects that state another patient, or that a PACS rejected."""
    quiet_logging()
    found = list_aside(existing_index(load_settings(config)), answered=answered)
    if as_json:
        print_json([aside_facts(one) for one in found])
        return
    table = Table("study", "patient", "object", "states", "why", "answer")
    for study in found:
        whose = printable(study.patient_id) if study.clear else "nobody can say"
        for one in study.objects if answered else study.open:
            cells = (study.study_instance_uid, whose, one.sop_instance_uid, *_said(one))
            table.add_row(*map(escape, cells))
    out().print(table)


@set_aside.command("restore")
def restore_objects(
    study_uid: StudyArgument,
    objects: ObjectOption = None,
    patient_id: StatedIdOption = None,
    config: ConfigOption = None,
) -> None:
    """The objects belong to the study, whatever they state: they are measured with it. It is decided again."""
    _answer(study_uid, ObjectAnswer.RESTORED, objects, patient_id, config)


@set_aside.command("discard")
def discard_objects(
    study_uid: StudyArgument,
    objects: ObjectOption = None,
    patient_id: StatedIdOption = None,
    config: ConfigOption = None,
) -> None:
    """The objects are not of the study: they are neither measured nor mentioned. It is decided again."""
    _answer(study_uid, ObjectAnswer.DISCARDED, objects, patient_id, config)


def _answer(
    study_uid: str, answer: ObjectAnswer, objects: list[str] | None, patient_id: str | None, config: ConfigOption
) -> None:
    quiet_logging()
    settings = load_settings(config)
    index = existing_index(settings)
    count = answer_aside(
        index, study_uid, answer, by=SOURCE, now=index_time(settings), objects=objects or (), patient_id=patient_id
    )
    out().print(f"{answer.value}: {count} {'object' if count == 1 else 'objects'}")


def _said(one: AsideObject) -> tuple[str, str, str]:
    born = "" if one.birth_date is None else f" born {one.birth_date}"
    answer = "" if one.answer is None else f"{one.answer.answer.value} by {one.answer.by}"
    return printable(one.patient_id or "no patient ID") + born, one.why, printable(answer)
