"""Other registration engines beside ours on the same real scans: rigid pairs, and the atlas against SAMSEG.

    python -m venv engines && engines/bin/pip install . -r bench/engines.txt
    engines/bin/python -m bench.accuracy.engines [--only greedy,ants,elastix] [--threads 2]

Rigid: follow-up FLAIR to baseline FLAIR of the two real pairs, each engine with its usual multi-resolution settings and
mutual information, started from the identity of the headers; error against the publishers' transforms over the brain.
Regions: the template FLAIR to the scan, started for every engine from *our* affine, then the engine's usual deformation
(greedy: local correlation; ANTs: SyN and elastix: B-spline of 20 mm, both by mutual information); Dice of the carried
labels against SAMSEG on the scan's own grid. Ours is measured without the T1 here, so that all engines see the same
images. Seconds are of the registration alone.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from rich.console import Console
from rich.table import Table

import atlas
from bench.real_pairs import (
    CASES_WITH_SEGMENTATION,
    PAIRS,
    Pair,
    _agreement,
    followup_brain_points,
    missing_data,
    reference_transform,
    segmentation_of,
    segmented_case,
    volumes_of,
)
from triage.alignment.images import NEAREST, affine_transform, inverse, matrix_of, resample, to_sitk
from triage.alignment.placement import RegionLimits, place_atlas, regions_on
from triage.alignment.registration import register_followup
from triage.errors import NotAssessable
from triage.model import Affine, SequenceKind, Volume
from triage.settings import TriageSettings

# fixed image, moving image -> fixed points to moving points, (4, 4), LPS mm
Rigid = Callable[[sitk.Image, sitk.Image, int], Affine]
# scan, template FLAIR and labels already on the scan by our affine -> labels on the scan
Deform = Callable[[sitk.Image, sitk.Image, sitk.Image, int], sitk.Image]


def saved(folder: str, **images: sitk.Image) -> dict[str, str]:
    """The images as NIfTI files, by name: every engine reads its own."""
    paths = {name: str(Path(folder) / f"{name}.nii.gz") for name in images}
    for name, image in images.items():
        sitk.WriteImage(image, paths[name])
    return paths


# -- greedy (physical space RAS) -------------------------------------------------------------------

RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def greedy_rigid(fixed: sitk.Image, moving: sitk.Image, threads: int) -> Affine:
    from picsl_greedy import Greedy3D

    with tempfile.TemporaryDirectory() as folder:
        paths, matrix = saved(folder, fixed=fixed, moving=moving), str(Path(folder) / "m.mat")
        images = f"-i {paths['fixed']} {paths['moving']}"
        command = f"-threads {threads} -d 3 -a -dof 6 {images} -ia-image-centers -n 100x50x20 -m NMI -o {matrix}"
        Greedy3D().execute(command, out=io.StringIO())
        return np.asarray(RAS @ np.loadtxt(matrix) @ RAS)


def greedy_deform(scan: sitk.Image, template: sitk.Image, labels: sitk.Image, threads: int) -> sitk.Image:
    from picsl_greedy import Greedy3D

    with tempfile.TemporaryDirectory() as folder:
        paths = saved(folder, scan=scan, template=template, labels=labels)
        warp, out = (str(Path(folder) / name) for name in ("warp.nii.gz", "out.nii.gz"))
        both = f"-i {paths['scan']} {paths['template']}"
        engine = Greedy3D()
        engine.execute(
            f"-threads {threads} -d 3 {both} -m WNCC 4x4x2 -s 2.0vox 1.0vox -n 60x30x10 -o {warp}", out=io.StringIO()
        )
        engine.execute(f"-d 3 -rf {paths['scan']} -ri NN -rm {paths['labels']} {out} -r {warp}", out=io.StringIO())
        return sitk.ReadImage(out)


# -- ANTs ------------------------------------------------------------------------------------------


def ants_rigid(fixed: sitk.Image, moving: sitk.Image, threads: int) -> Affine:
    import ants

    os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = str(threads)
    with tempfile.TemporaryDirectory() as folder:
        paths = saved(folder, fixed=fixed, moving=moving)
        found = ants.registration(
            ants.image_read(paths["fixed"]), ants.image_read(paths["moving"]), "Rigid", random_seed=1
        )
        return matrix_of(sitk.ReadTransform(found["fwdtransforms"][0]))


def ants_deform(scan: sitk.Image, template: sitk.Image, labels: sitk.Image, threads: int) -> sitk.Image:
    import ants

    os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = str(threads)
    with tempfile.TemporaryDirectory() as folder:
        paths, out = saved(folder, scan=scan, template=template, labels=labels), str(Path(folder) / "out.nii.gz")
        fixed, moving = ants.image_read(paths["scan"]), ants.image_read(paths["template"])
        found = ants.registration(
            fixed, moving, "SyNOnly", initial_transform="identity", reg_iterations=(40, 20, 0), random_seed=1
        )  # fmt: skip
        carried = ants.apply_transforms(
            fixed, ants.image_read(paths["labels"]), found["fwdtransforms"], interpolator="nearestNeighbor"
        )
        ants.image_write(carried, out)
        return sitk.ReadImage(out)


# -- elastix ---------------------------------------------------------------------------------------


def _itk(image: sitk.Image, folder: str, name: str) -> Any:
    import itk

    return itk.imread(saved(folder, **{name: sitk.Cast(image, sitk.sitkFloat32)})[name], itk.F)


def elastix_rigid(fixed: sitk.Image, moving: sitk.Image, threads: int) -> Affine:
    import itk

    parameters = itk.ParameterObject.New()
    parameters.AddParameterMap(parameters.GetDefaultParameterMap("rigid", 4))
    parameters.SetParameter(0, "NumberOfSpatialSamples", "8192")
    with tempfile.TemporaryDirectory() as folder:
        images = _itk(fixed, folder, "fixed"), _itk(moving, folder, "moving")
        _, found = itk.elastix_registration_method(
            *images, parameter_object=parameters, number_of_threads=threads, log_to_console=False
        )
    rigid = sitk.Euler3DTransform()
    rigid.SetCenter([float(x) for x in found.GetParameter(0, "CenterOfRotationPoint")])
    rigid.SetParameters([float(x) for x in found.GetParameter(0, "TransformParameters")])
    return matrix_of(rigid)


def elastix_deform(scan: sitk.Image, template: sitk.Image, labels: sitk.Image, threads: int) -> sitk.Image:
    import itk

    parameters = itk.ParameterObject.New()
    parameters.AddParameterMap(parameters.GetDefaultParameterMap("bspline", 3, 20.0))
    with tempfile.TemporaryDirectory() as folder:
        images = _itk(scan, folder, "scan"), _itk(template, folder, "template")
        _, found = itk.elastix_registration_method(
            *images, parameter_object=parameters, number_of_threads=threads, log_to_console=False
        )
        found.SetParameter(0, "FinalBSplineInterpolationOrder", "0")
        carried, out = itk.transformix_filter(_itk(labels, folder, "labels"), found), str(Path(folder) / "out.nii.gz")
        itk.imwrite(carried, out)
        return sitk.ReadImage(out)


MODULES = {"greedy": "picsl_greedy", "ants": "ants", "elastix": "itk"}
ENGINES: dict[str, tuple[Rigid, Deform]] = {
    "greedy": (greedy_rigid, greedy_deform),
    "ants": (ants_rigid, ants_deform),
    "elastix": (elastix_rigid, elastix_deform),
}


# -- the two comparisons ---------------------------------------------------------------------------


def rigid_rows(pair: Pair, engines: Sequence[str], threads: int) -> Iterator[tuple[str, str, float, float]]:
    """Pair, engine, error in mm, seconds."""
    baseline, followup = (volumes_of(pair, study)[SequenceKind.FLAIR] for study in (1, 2))
    brain, fixed, moving = _brain_of(baseline), to_sitk(baseline), to_sitk(followup)
    thickest = max(*fixed.GetSpacing(), *moving.GetSpacing())
    started = time.perf_counter()
    ours = register_followup(moving, fixed, brain, TriageSettings().registration, slice_thickness_mm=thickest)
    yield pair.name, "ours", _error(pair, ours.followup_to_baseline), time.perf_counter() - started
    for name in engines:
        started = time.perf_counter()
        baseline_to_followup = ENGINES[name][0](fixed, moving, threads)
        yield pair.name, name, _error(pair, inverse(baseline_to_followup)), time.perf_counter() - started


def _brain_of(flair: Volume) -> sitk.Image:
    store = atlas.load()
    return to_sitk(regions_on(to_sitk(flair), place_atlas(flair, store, RegionLimits()), store)[1], sitk.sitkUInt8)


def _error(pair: Pair, followup_to_baseline: Affine) -> float:
    apart = (followup_to_baseline - reference_transform(pair)) @ followup_brain_points(pair)
    return float(np.linalg.norm(apart[:3], axis=0).mean())


def region_rows(case: str, engines: Sequence[str], threads: int) -> Iterator[tuple[str, str, dict[str, float], float]]:
    """Case, engine, Dice by region, seconds. ``affine`` is the start of all."""
    store = atlas.load()
    flair = segmented_case(case).volumes[SequenceKind.FLAIR]
    numbers = {region: number for number, region in store.label_names.items()}
    reference = segmentation_of(case)
    theirs = sitk.GetArrayFromImage(reference)
    scan, labels, template = to_sitk(flair), to_sitk(store.labels, sitk.sitkUInt8), to_sitk(store.template_flair)

    def agreement(carried: sitk.Image) -> dict[str, float]:
        on_reference = resample(
            sitk.Cast(sitk.Cast(carried, sitk.sitkFloat32) + 0.5, sitk.sitkUInt8), reference, how=NEAREST
        )
        return _agreement(sitk.GetArrayFromImage(on_reference), theirs, numbers)

    started = time.perf_counter()
    placement = place_atlas(flair, store, RegionLimits())
    seconds = time.perf_counter() - started
    linear = affine_transform(placement.to_template)
    on_scan = resample(labels, scan, linear, how=NEAREST)
    yield case, "affine", agreement(on_scan), 0.0
    yield case, "ours", agreement(resample(labels, scan, placement.transform(), how=NEAREST)), seconds
    brain = sitk.Cast(resample(template, scan, linear), sitk.sitkFloat32)
    near = sitk.BinaryDilate(
        resample(to_sitk(store.brain_mask, sitk.sitkUInt8), scan, linear, how=NEAREST) > 0, [3, 3, 1]
    )
    masked = sitk.Mask(sitk.Cast(scan, sitk.sitkFloat32), near)
    for name in engines:
        started = time.perf_counter()
        carried = ENGINES[name][1](masked, sitk.Mask(brain, near), on_scan, threads)
        yield case, name, agreement(carried), time.perf_counter() - started


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    out = Table(*columns, title=title)
    for row in rows:
        out.add_row(*row)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(ENGINES), help="engines, by comma")
    parser.add_argument("--threads", type=int, default=2)
    chosen = parser.parse_args()
    if absent := missing_data():
        raise SystemExit(absent)
    engines = [name for name in chosen.only.split(",") if _here(name)]
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(chosen.threads)
    console = Console(width=110)
    rigid = [row for pair in PAIRS for row in rigid_rows(pair, engines, chosen.threads)]
    console.print(
        table(
            "rigid, mean distance to the publishers' transforms",
            ("pair", "engine", "mm", "s"),
            [(pair, name, f"{mm:.2f}", f"{s:.1f}") for pair, name, mm, s in rigid],
        )
    )
    regions = [
        row for case in CASES_WITH_SEGMENTATION for row in _region_rows_or_refusal(case, engines, chosen.threads)
    ]
    console.print(
        table(
            "regions, Dice against SAMSEG, FLAIR alone",
            ("scan", "engine", "thalamus L", "thalamus R", "brain stem", "s"),
            [(case, name, *(f"{d:.3f}" for d in dice.values()), f"{s:.1f}") for case, name, dice, s in regions],
        )
    )


def _here(engine: str) -> bool:
    """Whether the engine is installed; the printed tables must not look as if it had been asked."""
    found = importlib.util.find_spec(MODULES[engine]) is not None
    if not found:
        Console().print(f"{engine}: not installed here (bench/engines.txt), not compared")
    return found


def _region_rows_or_refusal(case: str, engines: Sequence[str], threads: int) -> list[Any]:
    try:
        return list(region_rows(case, engines, threads))
    except NotAssessable as refusal:
        Console().print(f"{case}: {refusal}")
        return []


if __name__ == "__main__":
    main()
