"""Commands about what readers say: feedback export | agreement."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from listener.commands.common import (
    ConfigOption,
    JsonFlag,
    err,
    load_settings,
    out,
    print_json,
    quiet_logging,
    require_index,
)
from triage.errors import Misconfigured
from workers.act_ports import Acts
from workers.plain_text import json_text

feedback = typer.Typer(help="What readers say about decisions.", no_args_is_help=True)


class FeedbackFormat(StrEnum):
    """As what the export is written."""

    CSV = "csv"
    FHIR = "fhir"
    AIRA = "aira"


@feedback.command("export")
def export_feedback(
    path: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="the file; default: stdout")] = None,
    kind: Annotated[
        FeedbackFormat, typer.Option("--format", help="csv, a FHIR R4 bundle, or findings as AIRA has it")
    ] = FeedbackFormat.CSV,
    config: ConfigOption = None,
) -> None:
    """Everything that readers said, oldest first: one line, or one FHIR Observation, for each act. It names readers and
    studies. aira: one entry for each finding that was accepted or rejected."""
    from workers.feedback.assessments import as_assessments
    from workers.feedback.export import as_csv
    from workers.feedback.fhir import as_fhir

    found = _open(config).all_acts()
    makers = {FeedbackFormat.FHIR: as_fhir, FeedbackFormat.AIRA: as_assessments}
    text = as_csv(found) if kind is FeedbackFormat.CSV else json_text(makers[kind](found), indent=1) + "\n"
    if path is None:
        typer.echo(text, nl=False)
        return
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Misconfigured(f"--out: {path} cannot be written ({error.strerror})") from error
    err().print(f"wrote {len(found)} acts to {path}", soft_wrap=True)


@feedback.command("agreement")
def agreement(config: ConfigOption = None, as_json: JsonFlag = False) -> None:
    """How often readers agree with each pattern, with intervals of 95 %."""
    from workers.feedback.agreement import agreements

    acts = _open(config)
    found = agreements(acts.all_acts(), acts.not_assessed())
    if as_json:
        print_json([asdict(one) for one in found])
        return
    for one in found:
        judged = one.agreed + one.disagreed + one.other_cause
        share = "not judged"
        if one.fraction is not None and one.low is not None and one.high is not None:
            share = f"{one.agreed} of {judged} agreed, {100 * one.low:.0f} to {100 * one.high:.0f} %"
        out().print(f"{one.pattern:24} {share}; not assessable {one.not_assessable}")
    if not found:
        out().print("no reader has judged a decision yet")


def _open(config: Path | None) -> Acts:
    quiet_logging()
    settings = load_settings(config)
    require_index(settings)
    from workers.container import open_acts

    return open_acts(settings)
