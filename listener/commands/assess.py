"""Commands without a node: assess (DICOM folders in, result out) and simulate (synthetic patients out)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from listener.commands.common import (
    NOT_ASSESSABLE,
    ConfigOption,
    JsonFlag,
    err,
    iso_date,
    load_settings,
    out,
    print_json,
    progress_bar,
    quiet_logging,
)
from listener.commands.studies import print_document
from triage.errors import Misconfigured
from workers.plain_text import json_text

if TYPE_CHECKING:
    from triage.assessment import Assessed

# The operator named the baseline; an age limit is for choosing automatically.
ANY_AGE_DAYS = 100 * 365


def assess(
    followup: Annotated[
        Path, typer.Option("--followup", metavar="DIR", help="folder with the DICOM files of one study")
    ],
    baseline: Annotated[
        Path | None, typer.Option("--baseline", metavar="DIR", help="folder with one or more earlier studies")
    ] = None,
    json_file: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="where the document goes; - for stdout")
    ] = None,
    evidence: Annotated[
        Path | None, typer.Option("--evidence", metavar="DIR", help="where pictures and maps go")
    ] = None,
    infusion_date: Annotated[str | None, typer.Option("--infusion-date", metavar="YYYY-MM-DD")] = None,
    config: ConfigOption = None,
) -> None:
    """Assess one study without a node. Exit code 3: not assessable (the result is written all the same)."""
    quiet_logging()
    outcome = _assess(followup, baseline, iso_date(infusion_date, field="--infusion-date"), config)
    from triage.report.document import to_document

    document = to_document(outcome.assessment)
    _write(document, json_file)
    if evidence is not None:
        _write_evidence(evidence, outcome)
    if json_file != "-":
        print_document(document)
    if document["decision"]["category"] == "not_assessable":
        raise typer.Exit(NOT_ASSESSABLE)


def _assess(followup: Path, baseline: Path | None, infusion_date: Any, config: Path | None) -> Assessed:
    from workers.reading.folder import read_folder
    from workers.reading.reader import DicomReader
    from workers.studies.engine import TriageEngine
    from workers.studies.folders import STEPS, assess_folders

    settings = load_settings(config)
    relaxed = settings.baseline.model_copy(update={"latest_days_before_infusion": ANY_AGE_DAYS})
    settings = settings.model_copy(update={"baseline": relaxed})
    with progress_bar() as bar:
        task = bar.add_task(STEPS[0], total=len(STEPS))

        def on_step(step: str) -> None:
            bar.update(task, description=step, completed=STEPS.index(step))

        return assess_folders(
            followup,
            baseline,
            infusion_date=infusion_date,
            read_folder=read_folder,
            reader=DicomReader(),
            engine=TriageEngine(settings),
            on_step=on_step,
        )


def _write(document: dict[str, Any], target: str | None) -> None:
    if target is None:
        return
    if target == "-":
        print_json(document)
        return
    try:
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        Path(target).write_text(json_text(document, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise Misconfigured(f"--json: {target} cannot be written ({error.strerror})") from error


def _write_evidence(folder: Path, outcome: Assessed) -> None:
    from workers.outputs.evidence.files import maps_of, write_evidence

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Misconfigured(f"--evidence: {folder} cannot be written ({error.strerror})") from error
    for path in write_evidence(folder, outcome, maps_of(outcome)):
        err().print(f"wrote {path}", soft_wrap=True)


def simulate(
    out_dir: Annotated[Path, typer.Option("--out", metavar="DIR", help="the patient gets a folder of its own in it")],
    pattern: Annotated[str, typer.Option("--pattern", help="none, A, B, C, D or several as in A+D")] = "none",
    strength: Annotated[
        float | None, typer.Option("--strength", help="FLAIR change of the main regions; 0.25 is +25 %")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="anatomy and noise, 0 to 999999")] = 0,
    protocol: Annotated[str, typer.Option("--protocol", help="2d or 3d")] = "2d",
    followup_protocol: Annotated[str | None, typer.Option("--followup-protocol", help="if it differs")] = None,
    vendor: Annotated[str, typer.Option("--vendor", help="siemens, ge or philips")] = "siemens",
    followup_vendor: Annotated[str | None, typer.Option("--followup-vendor", help="if it differs")] = None,
    followup_days: Annotated[int, typer.Option("--followup-days", help="days from the infusion to the follow-up")] = 7,
    sequences: Annotated[str | None, typer.Option("--sequences", help="e.g. flair,t1; default: all")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Write a synthetic patient: a baseline and a follow-up study as DICOM files."""
    quiet_logging()
    from simulation.patient import simulate as write_patient

    options: dict[str, Any] = {} if sequences is None else {"sequences": tuple(sequences.lower().split(","))}
    with progress_bar(percent=True) as bar:
        task = bar.add_task("simulating", total=1.0)
        patient = write_patient(
            out_dir,
            pattern=pattern,
            strength=strength,
            seed=seed,
            protocol=protocol,
            followup_protocol=followup_protocol,
            vendor=vendor,
            followup_vendor=followup_vendor,
            followup_days=followup_days,
            on_progress=lambda share, what: bar.update(task, completed=share, description=what),
            **options,
        )
    facts = {
        "patient_id": patient.patient_id,
        "infusion_date": patient.infusion_date.isoformat(),
        "baseline_dir": str(patient.baseline_dir),
        "followup_dir": str(patient.followup_dir),
        "baseline_study_uid": patient.baseline_study_uid,
        "followup_study_uid": patient.followup_study_uid,
    }
    if as_json:
        print_json(facts)
    else:
        out().print("\n".join(f"{name.replace('_', ' '):20}{value}" for name, value in facts.items()), markup=False)
