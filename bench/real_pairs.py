"""Real pairs of FLAIR studies (open_ms) through the real command; registration, change and region figures as tables.

    python -m bench.real_pairs      # ICANSEE_SHARED: folder of the real scans (default: ../shared beside the project)

Each pair is written as DICOM (study 1 the baseline, study 2 the follow-up; FLAIR, and T1 where there is one) and
assessed by ``icansee assess``; then once more with both thalami and the pons of the follow-up raised by a known
percent. The functions are also what ``tests/acceptance/test_real_pairs.py`` stands on.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from simulation.dicom import PatientIdentity, StudyIdentity, uid, write_volume
from simulation.transplant import raise_regions
from triage.alignment.images import NEAREST, affine_of, from_sitk, matrix_of, resample, to_sitk
from triage.anatomy import BRAIN_STEM
from triage.model import (
    Affine,
    Identification,
    Mask,
    Patient,
    SequenceKind,
    Series,
    SeriesHeader,
    Study,
    StudyImages,
    Volume,
)
from triage.preparation import prepare_baseline
from triage.settings import TriageSettings

ROOT = Path(__file__).resolve().parents[1]
FIRST_STUDY = datetime(2020, 1, 6, 9, 30)  # noqa: DTZ001 - DICOM times have no zone
FILES = {SequenceKind.FLAIR: "FLAIR", SequenceKind.T1: "T1W"}
SAMSEG_THALAMI = {"thalamus_left": 10, "thalamus_right": 49}  # FreeSurfer label numbers
SAMSEG_BRAIN_STEM = 16
SAMSEG_OTHER_BORDERS = (28, 60, 7, 46)  # ventral diencephalon, cerebellar white matter: see region_dice
SAMSEG_OUTSIDE = (0, 24, 165, 258, 259)  # background, extra-cerebral CSF, skull, other tissue, eyes
CASES_WITH_SEGMENTATION = ("flair_3d", "open_ms_patient01_study2_FLAIR", "open_ms_patient03_study2_FLAIR")


@dataclass(frozen=True)
class Pair:
    """One real pair and what must hold for it.

    registration_mm: mean distance to the publishers' transforms over the brain. change_percent: largest thalamic median
    change. raise_percent: by how much thalami and pons are raised for the positive.
    """

    name: str
    registration_mm: float
    change_percent: float
    raise_percent: float


PAIRS = (Pair("patient01", 0.6, 4.0, 15.0), Pair("patient03", 1.2, 8.0, 25.0))


def data_folder() -> Path:
    return Path(os.environ.get("ICANSEE_SHARED", ROOT.parent / "shared")) / "data"


def missing_data() -> str | None:
    """Why the pairs cannot be read here, or None."""
    folder = data_folder()
    needed = [folder / "open_ms" / pair.name for pair in PAIRS] + [folder / "samseg_reference"]
    absent = [path for path in needed if not path.is_dir()]
    return f"{absent[0]} is missing: set ICANSEE_SHARED" if absent else None


def read_nifti(path: Path) -> Volume:
    return from_sitk(sitk.ReadImage(str(path), sitk.sitkFloat32))


def volumes_of(pair: Pair, study: int) -> dict[SequenceKind, Volume]:
    """FLAIR, and T1 where there is one."""
    folder = data_folder() / "open_ms" / pair.name
    paths = {kind: folder / f"study{study}_{name}.nii.gz" for kind, name in FILES.items()}
    return {kind: read_nifti(path) for kind, path in paths.items() if path.exists()}


def write_study(pair: Pair, study: int, volumes: Mapping[SequenceKind, Volume], out: Path) -> Path:
    """The volumes as one DICOM study below ``out``; study 2 is 60 days after study 1."""
    started = FIRST_STUDY + timedelta(days=60 * (study - 1))
    identity = StudyIdentity(uid("real pair", pair.name, study), uid("real pair", pair.name, study, "frame"), started)
    for number, (kind, volume) in enumerate(volumes.items(), start=1):
        write_volume(
            volume,
            out / kind.value,
            kind=kind,
            patient=PatientIdentity(f"OPENMS-{pair.name}", "Open^Ms", date(1980, 1, 1), "F"),
            study=identity,
            series_number=number,
        )
    return out


def assess_by_process(followup: Path, baseline: Path, results: Path, *, config: Path | None = None) -> dict[str, Any]:
    """``icansee assess`` as a person would run it; the document. The evidence lies in ``results``."""
    results.mkdir(parents=True, exist_ok=True)
    subprocess.run(command(followup, baseline, results, config=config), cwd=ROOT, check=True, capture_output=True)
    return read_document(results)


def command(followup: Path, baseline: Path, results: Path, *, config: Path | None = None) -> list[str]:
    """The arguments of one assessment of two folders."""
    options: dict[str, Path] = {} if config is None else {"--config": config}
    options |= {
        "--followup": followup,
        "--baseline": baseline,
        "--json": results / "result.json",
        "--evidence": results,
    }
    return [
        sys.executable,
        "-m",
        "listener.commands.main",
        "assess",
        *(str(part) for pair in options.items() for part in pair),
    ]


def read_document(results: Path) -> dict[str, Any]:
    return dict(json.loads((results / "result.json").read_text(encoding="utf-8")))


# -- references ------------------------------------------------------------------------------------


def segmentation_of(name: str) -> sitk.Image:
    """SAMSEG labels (FreeSurfer numbers) on the scan's own grid."""
    return sitk.ReadImage(str(data_folder() / "samseg_reference" / f"{name}.nii.gz"), sitk.sitkInt32)


def reference_transform(pair: Pair) -> Affine:
    """Follow-up points -> baseline points by way of the publishers' common space, LPS mm."""
    folder = data_folder() / "open_ms" / pair.name
    to_native = [matrix_of(sitk.ReadTransform(str(folder / f"study{n}_FLAIR_to_common_space.txt"))) for n in (1, 2)]
    return np.asarray(to_native[0] @ np.linalg.inv(to_native[1]))


def followup_brain_points(pair: Pair) -> Affine:
    """Voxel centres of the follow-up's brain by SAMSEG, LPS mm, shape (4, n)."""
    labels = segmentation_of(f"open_ms_{pair.name}_study2_FLAIR")
    k, j, i = np.nonzero(~np.isin(sitk.GetArrayViewFromImage(labels), SAMSEG_OUTSIDE))
    index = np.stack([i, j, k, np.ones_like(i)]).astype(np.float64)[:, ::97]
    return np.asarray(affine_of(labels) @ index)


def registration_error_mm(pair: Pair, transform_file: Path) -> float:
    """Mean distance of a followup_to_baseline.tfm to the reference over the brain."""
    found = matrix_of(sitk.ReadTransform(str(transform_file)))
    apart = (found - reference_transform(pair)) @ followup_brain_points(pair)
    return float(np.linalg.norm(apart[:3], axis=0).mean())


# -- positives -------------------------------------------------------------------------------------


def raised_followup(pair: Pair, evidence: Path) -> dict[SequenceKind, Volume]:
    """The follow-up with both thalami (SAMSEG's) and the pons (ours, within SAMSEG's brain stem) raised."""
    volumes = volumes_of(pair, 2)
    flair = volumes[SequenceKind.FLAIR]
    samseg = sitk.GetArrayFromImage(segmentation_of(f"open_ms_{pair.name}_study2_FLAIR"))
    pons = region_on(to_sitk(flair), evidence, "pons") & (samseg == SAMSEG_BRAIN_STEM)
    masks = {region: samseg == label for region, label in SAMSEG_THALAMI.items()} | {"pons": pons}
    return {**volumes, SequenceKind.FLAIR: raise_regions(flair, masks, pair.raise_percent)}


def region_on(grid: sitk.Image, evidence: Path, region: str) -> Mask:
    """One region of the regions.nii.gz of an assessment, (k, j, i) of ``grid``: DICOM may order slices otherwise."""
    names = json.loads((evidence / "regions.json").read_text(encoding="utf-8"))
    label = next(int(number) for number, name in names.items() if name == region)
    regions = resample(sitk.ReadImage(str(evidence / "regions.nii.gz")), grid, how=NEAREST)
    return np.asarray(sitk.GetArrayFromImage(regions) == label)


# -- regions ---------------------------------------------------------------------------------------


def segmented_case(name: str) -> StudyImages:
    """A scan that has a SAMSEG segmentation, with the T1 of its session where there is one."""
    if name == "flair_3d":
        volumes = {SequenceKind.FLAIR: read_nifti(data_folder() / "flair_3d" / "flair.nii.gz")}
    else:
        volumes = volumes_of(next(pair for pair in PAIRS if pair.name in name), 2)
    series = tuple(Series(SeriesHeader(f"1.{n}"), Identification(kind, 1.0, ())) for n, kind in enumerate(volumes, 1))
    used = {s.identification.kind: s.header.series_instance_uid for s in series}
    return StudyImages(Study("1.2", Patient("case"), date(2020, 1, 6), None, series), volumes, used)


def region_dice(name: str, *, with_t1: bool = True) -> dict[str, float]:
    """Dice of thalami and brain stem against SAMSEG, on the scan's own grid; raw, and (``... common``) on the common
    extent.

    SAMSEG follows FreeSurfer, whose borders differ from the anatomical ones of our atlas: cerebral crura, substantia
    nigra and red nucleus (midbrain in ours and in the Allen reference), and what lies below the thalamus, are its
    "ventral DC" (28, 60); its cerebellar white matter (7, 46) reaches medially into the pons. The common extent leaves
    out the voxels of those four labels. It flatters a little: a region of ours that was placed into them by mistake is
    not counted either.
    """
    import atlas

    images = segmented_case(name)
    if not with_t1:
        images = replace(images, volumes={SequenceKind.FLAIR: images.volumes[SequenceKind.FLAIR]})
    prepared = prepare_baseline(images, atlas.load(), TriageSettings().preparation)
    reference = segmentation_of(name)
    ours = sitk.GetArrayFromImage(resample(to_sitk(prepared.labels, sitk.sitkUInt8), reference, how=NEAREST))
    theirs = sitk.GetArrayFromImage(reference)
    numbers = {region: number for number, region in prepared.label_names.items()}
    common = np.where(np.isin(theirs, SAMSEG_OTHER_BORDERS), 0, ours)
    return _agreement(ours, theirs, numbers) | {
        f"{region} common": value for region, value in _agreement(common, theirs, numbers).items()
    }


def _agreement(ours: Any, theirs: Any, numbers: Mapping[str, int]) -> dict[str, float]:
    """Dice of the three regions; ours by ``numbers`` (region -> label), theirs in FreeSurfer numbers, both (k, j,
    i)."""
    out = {region: dice(ours == numbers[region], theirs == label) for region, label in SAMSEG_THALAMI.items()}
    stem = np.isin(ours, [numbers[region] for region in BRAIN_STEM])
    return out | {"brain_stem": dice(stem, theirs == SAMSEG_BRAIN_STEM)}


def dice(one: Mask, other: Mask) -> float:
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


# -- the tables ------------------------------------------------------------------------------------


def value_of(document: Mapping[str, Any], region: str, quantity: str = "flair_change_percent") -> float | None:
    """One measured figure of a document; None when it was not measured."""
    for m in document["measurements"]:
        if m["region"] == region and m["quantity"] == quantity:
            return None if m["value"] is None else float(m["value"])
    return None


def finding_of(document: Mapping[str, Any], pattern: str = "A") -> dict[str, Any]:
    return next(dict(f) for f in document["findings"] if f["pattern"] == pattern)


def _timed(work: Callable[[], dict[str, Any]]) -> tuple[dict[str, Any], float]:
    started = time.perf_counter()
    return work(), time.perf_counter() - started


def _pair_rows(pair: Pair, folder: Path) -> list[tuple[str, ...]]:
    baseline = write_study(pair, 1, volumes_of(pair, 1), folder / "baseline")
    followup = write_study(pair, 2, volumes_of(pair, 2), folder / "followup")
    rows = []
    results = folder / "as acquired"
    document, seconds = _timed(lambda: assess_by_process(followup, baseline, results))
    rows.append(_row(pair, "as acquired", document, results, seconds))
    raised = write_study(pair, 2, raised_followup(pair, results), folder / "raised")
    results = folder / "with change"
    document, seconds = _timed(lambda: assess_by_process(raised, baseline, results))
    rows.append(_row(pair, f"+{pair.raise_percent:g} %", document, results, seconds))
    return rows


def _row(pair: Pair, what: str, document: Mapping[str, Any], results: Path, seconds: float) -> tuple[str, ...]:
    finding = finding_of(document)
    figures = [_signed(value_of(document, region)) for region in ("thalamus_left", "thalamus_right", "pons", "medulla")]
    swelling = [_signed(value_of(document, region, "volume_change_percent")) for region in SAMSEG_THALAMI]
    similarity = document["registration"]["quality"]["similarity"]
    error = registration_error_mm(pair, results / "followup_to_baseline.tfm")
    called = f"{finding['presence']} {finding['strength'] or ''}".strip()
    parts = " ".join(f"{key} {value:.1f}" for key, value in document["timings_s"].items())
    return (pair.name, what, f"{error:.2f}", f"{similarity:.2f}", *figures, *swelling, called, f"{seconds:.0f}", parts)


def _signed(value: float | None) -> str:
    return "not measured" if value is None else f"{value:+.1f}"


def main() -> int:
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.table import Table

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    problem = missing_data()
    if problem:
        print(problem, file=sys.stderr)
        return 2
    pairs = Table(title="Real pairs by `icansee assess` (the baseline is prepared in the same run)")
    changes = ("thalamus L %", "thalamus R %", "pons %", "medulla %", "swelling L %", "swelling R %")
    for heading in ("pair", "follow-up", "error mm", "similarity", *changes, "pattern A", "s", "parts, s"):
        pairs.add_column(heading)
    regions = Table(title="Dice of our regions with SAMSEG's")
    parts = ("thalamus L", "thalamus R", "brain stem")
    for heading in ("scan", "from", *parts, *(f"{part}, common extent" for part in parts), "s"):
        regions.add_column(heading)
    with (
        tempfile.TemporaryDirectory() as folder,
        Progress(SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), transient=True) as bar,
    ):
        task = bar.add_task("")
        for pair in PAIRS:
            bar.update(task, description=pair.name)
            for row in _pair_rows(pair, Path(folder) / pair.name):
                pairs.add_row(*row)
        for name in CASES_WITH_SEGMENTATION:
            for with_t1 in (False, True) if name != "flair_3d" else (False,):
                bar.update(task, description=f"regions of {name}")
                found, seconds = _timed(lambda n=name, t=with_t1: region_dice(n, with_t1=t))  # type: ignore[misc]
                source = "FLAIR + T1" if with_t1 else "FLAIR"
                regions.add_row(name, source, *(f"{value:.3f}" for value in found.values()), f"{seconds:.0f}")
    console = Console(width=None if sys.stdout.isatty() else 240)
    console.print(pairs)
    console.print(regions)
    console.print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    return 0


if __name__ == "__main__":
    sys.exit(main())
