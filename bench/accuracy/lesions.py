"""Pattern B on real scans: publishers' change masks, scans without a change, lesions of known size put in.

    python -m bench.accuracy.lesions [--repeats 2] [--split test] [--out FOLDER]

ICANSEE_SHARED names the folder of the real scans.
Only registration, common scale and the lesion steps run, not the whole engine: seconds per case. The
functions return records, for other benches.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.ndimage as ndi
import SimpleITK as sitk

from bench.accuracy import heads
from bench.accuracy.baselines import FOLLOWUP_DAY, SETTINGS, machine_of, prepared
from bench.accuracy.cases import Case, bases
from bench.accuracy.figures import LesionScore, match_lesions, rate
from bench.accuracy.heads import HEADS, Base
from bench.accuracy.real_followups import rescan_of
from bench.accuracy.run import followup
from bench.real_pairs import PAIRS, data_folder
from simulation.deformation import rng_for
from simulation.transplant import raise_regions
from triage import protocol as protocols
from triage.alignment.comparison import Pair, contrasts, on_common_grid
from triage.alignment.images import NEAREST, affine_transform, inverse, matrix_of, resample, to_sitk
from triage.alignment.normalisation import CommonScale
from triage.alignment.registration import register_followup
from triage.alignment.session import align
from triage.anatomy import WHITE, mask_of
from triage.errors import NotAssessable
from triage.lesions.candidates import candidates
from triage.lesions.enhancement import enhancing
from triage.lesions.focal import focal_changes
from triage.model import Found, Mask, SequenceKind, SeriesHeader, StudyImages, Volume
from triage.preparation import PreparedBaseline

FLAIR, T2, GD = SequenceKind.FLAIR, SequenceKind.T2, SequenceKind.T1_GD
SIZES_ML = (0.12, 0.2, 0.4, 0.8)
RISES_PERCENT = (25.0, 32.0, 40.0, 55.0)
APART_MM = 20.0
SMALLEST_ML = 0.1
VISIBLE_PERCENT = 10.0  # of the truth's own median change in our aligned pair: what the two dates show at all


@dataclass(frozen=True)
class Inserted:
    """One lesion that was put in: volume mL, rise at its plateau in percent, and whether it was found."""

    case: str
    volume_ml: float
    rise_percent: float
    found: bool


# -- the steps under test --------------------------------------------------------------------------


def compared(before: PreparedBaseline, images: StudyImages) -> tuple[Pair, bool]:
    """Both dates on the half-way grid, and whether field strength or 2D/3D differ.

    Raises:
        NotAssessable: as the engine would.
    """
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(SETTINGS.threads)
    flair = images.volumes[FLAIR]
    followup, baseline = to_sitk(flair), to_sitk(before.flair)
    thickness = max(*flair.spacing_mm, *before.flair.spacing_mm)
    brain = to_sitk(before.brain, sitk.sitkUInt8)
    registration = register_followup(followup, baseline, brain, SETTINGS.registration, slice_thickness_mm=thickness)
    if not registration.accepted:
        raise NotAssessable("registration", registration.reason or "")
    anatomy = (before.labels, before.brain, before.label_names)
    pair = on_common_grid(followup, baseline, anatomy, registration, SETTINGS.measuring_spacing_mm)
    return pair, protocols.other_field(_header(images), before.header, SETTINGS.protocol)


def _header(images: StudyImages) -> SeriesHeader:
    uid = images.used[FLAIR]
    return next(s.header for s in images.study.series if s.header.series_instance_uid == uid)


def found_in(
    before: PreparedBaseline, pair: Pair, *, other_field: bool, t2: tuple[CommonScale, Mask] | None = None
) -> Found:
    chronic = before.burden.masks.get("chronic_lesions")
    at = candidates(pair, chronic, SETTINGS.lesions, other_field=other_field, t2=t2)
    return focal_changes(pair, at, None, SETTINGS.lesions)


def labels_of(found: Found, pair: Pair) -> npt.NDArray[Any]:
    mask = found.masks.get("new_lesions")
    return np.zeros(pair.grid.labels.shape, dtype=np.uint8) if mask is None else mask.voxels


# -- publishers' change masks ----------------------------------------------------------------------


def change_mask(pair_name: str, folder: Path) -> dict[str, LesionScore]:
    """Agreement with a publisher's mask, and with those of its lesions that the aligned pair shows at all.

    Each with FLAIR alone, and with FLAIR and T2.

    The masks hold every change their raters agreed on, of both signs, and changes of a few percent of one contrast
    only. What a part of the truth leaves out may be detected or not: it counts neither way.
    """
    name = f"open_ms{pair_name.removeprefix('patient')}"
    before = prepared(Base(f"{name}a"), folder)
    images = heads.study(heads.native(f"{name}b"), heads.HERE.header(""), "1.3", FOLLOWUP_DAY)
    pair, other = compared(before, images)
    shared, _ = contrasts(pair, align(images, (FLAIR, T2)), before.session, (T2,))
    truth = truth_on(pair, pair_name)
    alone, both = (labels_of(found_in(before, pair, other_field=other, t2=t2), pair) for t2 in (None, shared.get(T2)))
    rising, falling = moved_by(truth, pair.scale.change, 1), moved_by(truth, pair.scale.change, -1)
    watery = truth & moved_by(truth, shared[T2][0].change, 1) if T2 in shared else np.zeros_like(truth)
    parts = {
        "all of the mask, FLAIR alone": (truth, alone),
        "all of the mask, FLAIR and T2": (truth, both),
        f"lesions that rise {VISIBLE_PERCENT:g} % on FLAIR": (rising, both),
        f"lesions that rise on FLAIR, and {VISIBLE_PERCENT:g} % on T2": (watery & ~falling, both),
        f"lesions that fall {VISIBLE_PERCENT:g} % on FLAIR (must not be called new)": (falling, both),
    }
    return {what: _part_score(part, truth, found, pair.grid.voxel_ml) for what, (part, found) in parts.items()}


def _part_score(part: Mask, truth: Mask, found: npt.NDArray[Any], voxel_ml: float) -> LesionScore:
    kept = ~np.isin(found, np.unique(found[truth & ~part & ~ndi.binary_dilation(part, np.ones((3, 3, 3)))]))
    return match_lesions(part, found * kept, voxel_ml, smallest_ml=SMALLEST_ML)


def truth_on(pair: Pair, pair_name: str) -> Mask:
    """The publisher's mask on the half-way grid, by way of the follow-up's transform to the common space."""
    folder = data_folder() / "open_ms" / pair_name
    mask = sitk.ReadImage(str(folder / "gt.nii.gz"), sitk.sitkUInt8)
    to_native = matrix_of(sitk.ReadTransform(str(folder / "study2_FLAIR_to_common_space.txt")))
    transform = affine_transform(inverse(to_native) @ inverse(pair.followup_to_half_way))
    return np.asarray(sitk.GetArrayFromImage(resample(mask, pair.image_grid, transform, how=NEAREST)) > 0)


def moved_by(truth: Mask, change: npt.NDArray[Any], sign: int) -> Mask:
    """The lesions of ``truth`` whose median log change is at least VISIBLE_PERCENT up (sign 1) or down (-1)."""
    labelled, count = ndi.label(truth, np.ones((3, 3, 3)))
    medians = np.asarray(ndi.median(change, labelled, np.arange(1, count + 1)))
    keep = np.concatenate([[False], sign * medians >= np.log1p(VISIBLE_PERCENT / 100)])
    return np.asarray(keep[labelled])


# -- no change -------------------------------------------------------------------------------------


def no_change(split: str, repeats: int, folder: Path) -> Iterator[tuple[Case, int | None, float]]:
    """Each base scanned again without a change.

    Yields the case, how many lesions were found (None: not assessable), and their volume.
    """
    for base in bases(split):
        for protocol in ("same", "different"):
            for number in range(repeats):
                case = Case("no_change", base, protocol, number)
                try:
                    before = prepared(base, folder)
                    pair, other = compared(before, followup(case, before).images)
                except NotAssessable:
                    yield case, None, 0.0
                    continue
                found = found_in(before, pair, other_field=other)
                yield case, len(found.lesions), sum(lesion.volume_ml for lesion in found.lesions)


# -- lesions put in --------------------------------------------------------------------------------


def inserted(
    split: str, folder: Path, *, enhance: bool = False, repeats: int = 1
) -> Iterator[tuple[list[Inserted], int]]:
    """Real scans taken again with four lesions in white matter.

    Yields for each case the lesions and the number of false detections.

    Args:
        enhance: brighter on T1 after contrast instead of FLAIR (scans that have one; both splits).
    """
    for base in bases(split) if not enhance else (Base("patient07"), Base("brats_met")):
        if HEADS[base.head].seed or (enhance and GD not in HEADS[base.head].files):
            continue
        for protocol in ("same", "different"):
            for number in range(repeats):
                case = Case("no_change", base, protocol, number)
                try:
                    yield _one_insertion(case, folder, GD if enhance else FLAIR)
                except NotAssessable:
                    continue


def _one_insertion(case: Case, folder: Path, kind: SequenceKind) -> tuple[list[Inserted], int]:
    before = prepared(case.base, folder)
    volumes, base_pose = dict(heads.native(case.base.head)), heads.real_baseline(case.base)[1]
    truth = places(before, base_pose, rng_for(case.seed, "lesions"))
    rises = dict(enumerate(rng_for(case.seed, "rises").permutation(RISES_PERCENT).tolist(), start=1))
    on_kind = _on_grid_of(truth, volumes[kind])
    masks = {str(n): on_kind == n for n in rises}
    volumes[kind] = raise_regions(volumes[kind], masks, {str(n): rise for n, rise in rises.items()}, edge_mm=1.0)
    how = rescan_of(case)
    images = heads.study(
        heads.second_scan(volumes, how), machine_of(case.base, case.protocol).header(""), "1.3", FOLLOWUP_DAY
    )
    pair, other = compared(before, images)
    # follow-up points -> first scan: the head moved by the pose
    back = affine_transform(inverse(how.pose) @ inverse(pair.followup_to_half_way))
    there = sitk.GetArrayFromImage(resample(to_sitk(truth, sitk.sitkUInt8), pair.image_grid, back, how=NEAREST))
    if kind is FLAIR:
        found = labels_of(found_in(before, pair, other_field=other), pair)
    else:
        taken_up = enhancing(pair, align(images), before.session, SETTINGS.enhancement)
        found = np.zeros_like(there) if taken_up.clusters is None else taken_up.clusters
    sizes = np.bincount(there.ravel(), minlength=len(rises) + 1) * pair.grid.voxel_ml
    lesions = [
        Inserted(case.name, float(sizes[n]), rise, bool((found[there == n] > 0).any())) for n, rise in rises.items()
    ]
    near = ndi.binary_dilation(there > 0, iterations=2)
    false = sum(1 for n in range(1, int(found.max()) + 1) if not near[found == n].any())
    return lesions, false


def places(before: PreparedBaseline, base_pose: npt.NDArray[np.float64], rng: np.random.Generator) -> Volume:
    """Ellipsoids of SIZES_ML in white matter, APART_MM from each other.

    Returns uint8 labels on a 1 mm grid of the head as first published.
    """
    labels = before.labels
    white = mask_of(labels.voxels, before.label_names, WHITE)
    candidates_at = np.argwhere(ndi.binary_erosion(white, iterations=2))
    spacing = np.array(labels.spacing_mm[::-1])
    out = np.zeros(labels.voxels.shape, dtype=np.uint8)
    index = np.indices(out.shape)
    centres: list[npt.NDArray[np.int64]] = []
    for number, size in enumerate(SIZES_ML, start=1):
        centre = next(
            c
            for c in rng.permutation(candidates_at)
            if all(np.linalg.norm((c - o) * spacing) > APART_MM for o in centres)
        )
        centres.append(centre)
        shape = rng.uniform(0.8, 1.25, 3)
        radii = (size * 750 / np.pi) ** (1 / 3) * shape / np.prod(shape) ** (1 / 3)
        away = sum(((index[a] - centre[a]) * spacing[a] / radii[a]) ** 2 for a in range(3))
        out[np.asarray(away <= 1)] = number
    # native points -> points of the baseline: the baseline's own pose
    return Volume(out, inverse(base_pose) @ labels.affine)


def _on_grid_of(truth: Volume, scan: Volume) -> npt.NDArray[Any]:
    return np.asarray(sitk.GetArrayFromImage(resample(to_sitk(truth, sitk.sitkUInt8), to_sitk(scan), how=NEAREST)))


# -- the tables ------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.accuracy.lesions", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--repeats", type=int, default=1, help="second scans per head and protocol")
    parser.add_argument("--split", default="test", choices=("test", "calibration"))
    parser.add_argument("--out", type=Path, default=None, help="folder where prepared baselines are kept")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        return tables(options.split, options.repeats, (options.out or Path(scratch)) / "prepared")


def tables(split: str, repeats: int, folder: Path) -> int:
    for pair in PAIRS:
        for what, score in change_mask(pair.name, folder).items():
            print(f"{pair.name}, {what}: {_score(score)}", flush=True)
    for protocol in ("same", "different"):
        answers = [
            (count, volume) for case, count, volume in no_change(split, repeats, folder) if case.protocol == protocol
        ]
        counts = [count for count, _ in answers if count is not None]
        per_scan = sum(counts) / max(1, len(counts))
        print(
            f"no change, {protocol} protocol: {sum(counts)} false lesions in {len(counts)} scans "
            f"({per_scan:.2f} per scan), "
            f"{len(answers) - len(counts)} not assessable",
            flush=True,
        )
    for enhance in (False, True):
        found: list[Inserted] = []
        false = scans = 0
        for lesions, wrong in inserted(split, folder, enhance=enhance, repeats=repeats):
            found, false, scans = [*found, *lesions], false + wrong, scans + 1
        print(f"put in ({'T1 after contrast' if enhance else 'FLAIR'}): {false} false in {scans} scans")
        for low, high in ((0.1, 0.15), (0.15, 0.3), (0.3, 0.6), (0.6, 2.0), (0.1, 2.0)):
            print(f"  {low:g} to {high:g} mL: {_rate([one.found for one in found if low <= one.volume_ml < high])}")
    return 0


def _rate(answers: Sequence[bool]) -> str:
    return f"found {rate(answers)} of {len(answers)}" if answers else "none put in"


def _score(score: LesionScore) -> str:
    return f"F1 {score.f1:.2f} (found {score.found}, missed {score.missed}, false {score.false}), Dice {score.dice:.2f}"


if __name__ == "__main__":
    sys.exit(main())
