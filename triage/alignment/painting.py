"""A scan and the atlas in; the atlas painted with the scan's intensities out, and how well the two correlate."""

from __future__ import annotations

from collections.abc import Mapping
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


def fit_of(
    scan: npt.NDArray[Any],
    head: Mask,
    members: Mapping[str, npt.NDArray[np.float32]],
    field: sitk.Image | None,
    grid: sitk.Image,
) -> float:
    """Correlation of the scan with the painted (and warped) atlas over the head; 0 when one of them is uniform.

    Args: as ``pair_in_one_contrast``.
    """
    flat, painted = (sitk.GetArrayFromImage(i) for i in pair_in_one_contrast(scan, head, members, field, grid))
    if field is not None:
        painted = warp(painted, field, grid)
    one, other = flat[head], painted[head]
    return float(np.corrcoef(one, other)[0, 1]) if one.std() > 0 and other.std() > 0 else 0.0


def fits_near(
    scan: npt.NDArray[Any],
    head: Mask,
    members: Mapping[str, npt.NDArray[np.float32]],
    field: sitk.Image,
    grid: sitk.Image,
    zones: Mapping[str, Mask],
    shown: Mask,
) -> dict[str, float]:
    """The same correlation inside each zone (k, j, i), moved as the atlas is; zones of which too little is shown are
    left out.

    Args:
        shown: voxels of ``grid`` inside the scan's field of view. The others as ``pair_in_one_contrast``.
    """
    flat, painted = (sitk.GetArrayFromImage(i) for i in pair_in_one_contrast(scan, head, members, field, grid))
    painted = warp(painted, field, grid)
    out = {}
    for name, zone in zones.items():
        here = warp(zone.astype(np.float32), field, grid) > 0.5
        if not here.any() or shown[here].mean() < MOSTLY:
            continue
        one, other = flat[here & shown], painted[here & shown]
        out[name] = float(np.corrcoef(one, other)[0, 1]) if one.std() > 0 and other.std() > 0 else 0.0
    return out


def pair_in_one_contrast(
    scan: npt.NDArray[Any],
    head: Mask,
    members: Mapping[str, npt.NDArray[np.float32]],
    field: sitk.Image | None,
    grid: sitk.Image,
) -> tuple[sitk.Image, sitk.Image]:
    """The scan without its receive field and skull, and the atlas painted with the scan's intensities.

    Args:
        scan, head: shape (k, j, i), on ``grid`` (template space).
        members: tissue group -> membership 0..1, shape (k, j, i), on ``grid``.
        field: displacement in mm on ``grid``, to read the intensities where the atlas lies now; None: where it started.

    Returns:
        Both on ``grid``, float32; white matter is 1.
    """
    here = members if field is None else {g: warp(m, field, grid) for g, m in members.items()}
    flat = scan / np.exp(_receive_field(scan, here, grid.GetSpacing()[0]))
    levels = _levels(flat, here)
    outer = _outer_level(flat, here, head, levels)
    white = max(levels["white"], 1e-6)
    flat = np.where(head, flat, outer) / white
    painted = (
        sum(levels[g] * m for g, m in members.items()) + outer * np.clip(1 - sum(members.values()), 0, 1)
    ) / white
    return on_grid(np.clip(flat, 0, 1.8).astype(np.float32), grid), on_grid(np.asarray(painted, dtype=np.float32), grid)


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
