"""`icansee inspect`: what the program makes of the series in a folder, before anything is assessed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from listener.commands.common import (
    ConfigOption,
    JsonFlag,
    load_settings,
    out,
    print_json,
    progress_bar,
    quiet_logging,
)
from triage.errors import Misconfigured, NotAssessable

if TYPE_CHECKING:
    from triage.model import StudyImages
    from workers.config import Settings

FIGURES = {
    "coverage_mm": "{} mm covered",
    "empty_slices": "{} empty slices",
    "noise_percent": "noise {} %",
    "slice_jump_percent": "slices jump by {} %",
    "slice_shift_mm": "and shift by up to {} mm",
    "usual_shift_mm": "by {} mm as a rule",
    "ghost_percent": "ghosts {} %",
}


def inspect(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="DICOM files of one study or several")],
    as_json: JsonFlag = False,
    pictures: Annotated[
        Path | None,
        typer.Option("--pictures", metavar="DIR", help="where a picture of the regions on each FLAIR goes (slow)"),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Say of each series what it is and why, whether it is used, how good it is, and what it serves for."""
    quiet_logging()
    settings = load_settings(config)
    found = _inspected(folder, pictures, settings)
    if as_json:
        print_json(found)
        return
    for study in found:
        _print(study)
    for said in found[0]["not_read"]:
        out().print(f"not read  {said}", markup=False)


def _inspected(folder: Path, pictures: Path | None, settings: Settings) -> list[dict[str, Any]]:
    from workers.reading.folder import not_read, read_folder
    from workers.reading.reader import DicomReader
    from workers.reading.study import series_uid_of
    from workers.studies.inspection import inspect_study, with_fit

    studies = read_folder(folder)
    others = list(not_read(folder))
    if not studies:
        raise Misconfigured("; ".join([f"{folder}: no DICOM files in it", *others]))
    reader = DicomReader()
    found: list[dict[str, Any]] = []
    with progress_bar() as bar:
        task = bar.add_task("reading", total=len(studies))
        for uid, paths in sorted(studies.items()):
            try:
                report, images = inspect_study(paths, reader, series_uid_of)
            except NotAssessable as refusal:
                found.append({"study_instance_uid": uid, "refused": str(refusal), "not_read": others})
            else:
                if pictures is not None:
                    report = with_fit(report, _fit(images, pictures, settings))
                found.append({**report, "not_read": others})
            bar.advance(task)
    return found


def _fit(images: StudyImages, folder: Path, settings: Settings) -> dict[str, Any]:
    """Whether the atlas lies on the FLAIR, and the file of the picture."""
    from triage.inspection import fit_flair
    from workers.outputs.evidence.fit import fit_picture
    from workers.studies.engine import TriageEngine

    try:
        fit = fit_flair(images, TriageEngine(settings).atlas, settings.triage.preparation)
    except NotAssessable as refusal:
        return {"placed": False, "reason": str(refusal), "picture": None}
    path = folder / f"{images.study.study_instance_uid}.png"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_bytes(fit_picture(fit.flair, fit.labels, fit.names))
    except OSError as error:
        raise Misconfigured(f"--pictures: {path} cannot be written ({error.strerror})") from error
    return {"placed": True, "reason": None, "picture": str(path)}


def _print(study: dict[str, Any]) -> None:
    say = out().print
    say(f"study {study['study_instance_uid']}", markup=False)
    if "refused" in study:
        say(f"  refused  {study['refused']}", markup=False)
        return
    say(f"  serves as  {study['serves_as']}", markup=False)
    for pattern, how in study["patterns"].items():
        say(f"  pattern {pattern}  {how}", markup=False)
    if "fit" in study:
        fit = study["fit"]
        say(f"  atlas      {'placed, ' + fit['picture'] if fit['placed'] else fit['reason']}", markup=False)
    for key in ("set_aside", "ignored", "notices"):
        for said in study[key]:
            say(f"  {key.replace('_', ' ')}  {said}", markup=False)
    for series in study["series"]:
        _print_series(series)


def _print_series(series: dict[str, Any]) -> None:
    say = out().print
    used = f"used as {series['used_as']}" if series["used_as"] else f"not used: {series['why_not']}"
    say(f"[bold]{series['number']}  {escape(series['description'] or '(no description)')}[/bold]  {series['kind']}")
    say(f"    {used}", markup=False)
    for reason in series["reasons"]:
        say(f"    because {reason}", markup=False)
    if series["quality"] is not None:
        say(f"    {_in_words(series['quality'])}", markup=False)
    for fault in series["faults"]:
        say(f"    but {fault}", markup=False)
    say(f"    serves for {series['serves']}", markup=False)


def _in_words(quality: dict[str, Any]) -> str:
    spacing = " x ".join(f"{v:g}" for v in quality["spacing_mm"])
    known = (said.format(quality[name]) for name, said in FIGURES.items() if quality[name] is not None)
    return ", ".join((f"{quality['slices']} slices of {spacing} mm", *known))
