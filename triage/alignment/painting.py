"""A scan and the atlas in; the atlas painted with the scan's intensities out, and how well the two correlate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from triage.alignment.images import on_grid, resample
from triage.alignment.normalisation import smooth_over
from triage.libraries import sitk
from triage.model import Mask

# share of the atlas brain in a voxel below which it lies around the brain
OUTSIDE = 0.2
# share of a zone that the scan must show before its fit says anything
MOSTLY = 0.7


@dataclass(frozen=True, eq=False)
class ScanOnTemplate:
    """A scan on a grid of the template.

    Args:
        values: the scan, 0 outside its field of view, shape (k, j, i).
        head: where the template has a head, shape (k, j, i).
        shown: inside the scan's field of view, shape (k, j, i).
    """

    values: npt.NDArray[Any]
    head: Mask
    shown: Mask


def fit_of(
    scan: ScanOnTemplate,
    members: Mapping[str, npt.NDArray[np.float32]],
    field: sitk.Image | None,
    grid: sitk.Image,
) -> float:
    """Correlation of the scan with the painted (and warped) atlas over what it shows of the head; 0 when one of them is
    uniform.

    Args: as ``pair_in_one_contrast``.
    """
    flat, painted = (sitk.GetArrayFromImage(i) for i in pair_in_one_contrast(scan, members, field, grid))
    if field is not None:
        painted = warp(painted, field, grid)
    return _correlation(flat, painted, scan.head & scan.shown)


def fits_near(
    scan: ScanOnTemplate,
    members: Mapping[str, npt.NDArray[np.float32]],
    field: sitk.Image,
    grid: sitk.Image,
    zones: Mapping[str, Mask],
) -> dict[str, float]:
    """The same correlation inside each zone (k, j, i), moved as the atlas is; zones of which too little is shown are
    left out.

    Args: as ``pair_in_one_contrast``.
    """
    flat, painted = (sitk.GetArrayFromImage(i) for i in pair_in_one_contrast(scan, members, field, grid))
    painted = warp(painted, field, grid)
    out = {}
    for name, zone in zones.items():
        here = warp(zone.astype(np.float32), field, grid) > 0.5
        if here.any() and scan.shown[here].mean() >= MOSTLY:
            out[name] = _correlation(flat, painted, here & scan.shown)
    return out


def _correlation(flat: npt.NDArray[Any], painted: npt.NDArray[Any], where: Mask) -> float:
    one, other = flat[where], painted[where]
    return float(np.corrcoef(one, other)[0, 1]) if one.size and one.std() > 0 and other.std() > 0 else 0.0


def pair_in_one_contrast(
    scan: ScanOnTemplate,
    members: Mapping[str, npt.NDArray[np.float32]],
    field: sitk.Image | None,
    grid: sitk.Image,
) -> tuple[sitk.Image, sitk.Image]:
    """The scan without its receive field and skull, and the atlas painted with the scan's intensities.

    Out of view the scan is as the atlas lies now, so that nothing there moves the atlas.

    Args:
        scan: on ``grid``.
        members: tissue group -> membership 0..1, shape (k, j, i), on ``grid``.
        field: displacement in mm on ``grid``, to read the intensities where the atlas lies now; None: where it started.

    Returns:
        Both on ``grid``, float32; white matter is 1.
    """
    here = members if field is None else {g: warp(m, field, grid) for g, m in members.items()}
    seen = {g: m * scan.shown for g, m in here.items()}
    flat = scan.values / np.exp(_receive_field(scan.values, seen, grid.GetSpacing()[0]))
    levels = _levels(flat, seen)
    outer = _outer_level(flat, here, scan.head & scan.shown, levels)
    white = max(levels["white"], 1e-6)
    flat = np.where(scan.head, flat, outer) / white
    painted = np.asarray(
        (sum(levels[g] * m for g, m in members.items()) + outer * np.clip(1 - sum(members.values()), 0, 1)) / white,
        dtype=np.float32,
    )
    now = painted if field is None or scan.shown.all() else warp(painted, field, grid)
    flat = np.where(scan.shown | ~scan.head, flat, now)
    return on_grid(np.clip(flat, 0, 1.8).astype(np.float32), grid), on_grid(painted, grid)


def warp(values: npt.NDArray[np.float32], field: sitk.Image, grid: sitk.Image) -> npt.NDArray[np.float32]:
    """An array (k, j, i) on ``grid``, displaced by ``field`` (mm)."""
    transform = sitk.DisplacementFieldTransform(sitk.Cast(field, sitk.sitkVectorFloat64))
    return np.asarray(sitk.GetArrayFromImage(resample(on_grid(values, grid), grid, transform)), dtype=np.float32)


def _levels(scan: npt.NDArray[Any], members: Mapping[str, npt.NDArray[np.float32]]) -> dict[str, float]:
    """Median intensity per tissue group over its nearly pure voxels (at least the 30 purest)."""
    out = {}
    for group, membership in members.items():
        inside = membership > min(0.8, float(np.partition(membership.ravel(), -30)[-30]) - 1e-6)
        out[group] = float(np.median(scan[inside]))
    return out


def _outer_level(
    scan: npt.NDArray[Any], members: Mapping[str, npt.NDArray[np.float32]], head: Mask, levels: Mapping[str, float]
) -> float:
    """Intensity around the brain: that of fluid, but where fluid is bright (T2, b = 0) that of what is really there.

    Bone is dark. Painted as bright as fluid it gave a well placed b = 0 image a fit of -0.5.
    """
    around = head & (np.asarray(sum(members.values())) < OUTSIDE)
    if levels["csf"] <= levels["white"] or not around.any():
        return levels["csf"]
    return min(levels["csf"], float(np.median(scan[around])))


def _receive_field(
    scan: npt.NDArray[Any], members: Mapping[str, npt.NDArray[np.float32]], mm: float
) -> npt.NDArray[np.float64]:
    """Smooth (sigma 20 mm) log ratio of the scan to the painted atlas, from brain tissue only; shape (k, j, i)."""
    levels = _levels(scan, members)
    painted = np.asarray(sum(levels[g] * m for g, m in members.items()))
    white = max(levels["white"], 1e-6)
    tissue = (painted > 0.6 * white) & (scan > 0.5 * white) & (scan < 2 * white)
    ratio = np.where(
        tissue, np.clip(np.log(np.where(tissue, scan, 1.0) / np.where(tissue, painted, 1.0)), -0.4, 0.4), 0.0
    )
    return smooth_over(ratio, tissue.astype(np.float64), 20.0 / mm)
