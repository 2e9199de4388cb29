"""Two registered FLAIR images in, one voxelwise log ratio on a common intensity scale out; suspect tissue never steers the scale.

Two reference tissues set the scale: white matter and cortex. Their log ratios may differ when the contrast differs (TE, TI, field
strength); a voxel is corrected by the value interpolated at its own baseline intensity. What remains smooth over 30 mm is the
differential receive field and is removed too. Whole-brain z-scores are not used: pathology degrades them (ISMRM 2017 #0183).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from triage.errors import NotAssessable
from triage.model import Mask
from triage.regions import mask_of, smooth_over

WHITE_REFERENCE = ("white_matter_left", "white_matter_right", "corpus_callosum", "internal_capsule_left", "internal_capsule_right")
GREY_REFERENCE = (
    *(f"cortex_{lobe}_{side}" for lobe in ("frontal", "parietal", "temporal", "occipital") for side in ("left", "right")),
    "putamen_left", "putamen_right", "caudate_left", "caudate_right", "cerebellum",
)  # fmt: skip
FAR_SIGMA_MM = 30.0  # clinical.md: smooth differential bias, sigma >= 25-30 mm
CHANGED = 0.25  # |log ratio| beyond which a reference voxel is taken as changed tissue or CSF edge and left out
MIN_REFERENCE_VOXELS = 2000


@dataclass(frozen=True, eq=False)
class CommonScale:
    """log(follow-up / baseline) after scaling. Arrays (k, j, i).

    contrast: log ratio with the two-tissue scale removed, receive field still inside (for near-shell comparison).
    change: the same with the smooth differential field removed (far reference).
    reference: voxels the scale was read from. baseline_level: baseline intensity over its white matter level.
    white, grey: the two tissue log ratios; their difference is a contrast change between the protocols.
    field_spread: robust sd of the removed smooth field over the reference, log units.
    """

    contrast: npt.NDArray[np.float64]
    change: npt.NDArray[np.float64]
    reference: Mask
    baseline_level: npt.NDArray[np.float64]
    followup_level: npt.NDArray[np.float64]
    white: float
    grey: float
    field_spread: float


def common_scale(
    followup: npt.NDArray[np.float32],
    baseline: npt.NDArray[np.float32],
    labels: npt.NDArray[np.uint8],
    names: Mapping[int, str],
    seen: Mask,
    spacing_mm: float,
) -> CommonScale:
    """Put both dates on one scale.

    Args:
        followup, baseline, labels, seen: shape (k, j, i), same cubic grid of ``spacing_mm``; ``seen`` is where both scans have data.

    Raises:
        NotAssessable: ``no_reference_tissue`` when too little white or grey matter is in view to set the scale.
    """
    white = mask_of(labels, names, WHITE_REFERENCE) & seen
    grey = mask_of(labels, names, GREY_REFERENCE) & seen
    positive = (followup > 0) & (baseline > 0)
    for what, mask in (("white", white), ("grey", grey)):
        if (mask & positive).sum() < MIN_REFERENCE_VOXELS:
            raise NotAssessable("no_reference_tissue", f"only {int((mask & positive).sum())} usable {what} matter voxels, need {MIN_REFERENCE_VOXELS}")
    ratio = np.log(np.where(positive, followup, 1.0) / np.where(positive, baseline, 1.0)).astype(np.float64)
    white_level = float(np.median(baseline[white & positive]))
    level = np.where(positive, baseline, 0.0) / white_level
    tissue = positive & (level > 0.6) & (level < 1.9)
    white, grey = white & tissue, grey & tissue
    c_white, c_grey = _robust_median(ratio[white]), _robust_median(ratio[grey])
    grey_level = float(np.median(level[grey]))
    contrast = ratio - _interpolated(level, grey_level, c_white, c_grey)
    reference = (white | grey) & (np.abs(contrast) < CHANGED)
    field = smooth_over(contrast, reference, FAR_SIGMA_MM / spacing_mm)
    reference &= np.abs(contrast - field) < CHANGED
    field = smooth_over(contrast, reference, FAR_SIGMA_MM / spacing_mm)
    followup_level = np.exp(np.log(np.maximum(level, 1e-3)) + contrast)
    return CommonScale(contrast, contrast - field, reference, level, followup_level, c_white, c_grey, robust_sd(field[reference]))


def _interpolated(
    level: npt.NDArray[np.float64], grey_level: float, c_white: float, c_grey: float
) -> npt.NDArray[np.float64] | float:
    """Tissue correction at each voxel's baseline level, linear between white (1) and grey, constant outside."""
    if abs(grey_level - 1.0) < 0.05:  # no grey/white contrast to interpolate over
        return (c_white + c_grey) / 2
    share = np.clip((level - 1.0) / (grey_level - 1.0), 0.0, 1.0)
    return np.asarray(c_white + share * (c_grey - c_white))


def _robust_median(values: npt.NDArray[np.float64]) -> float:
    """Median after dropping values farther than CHANGED from the first median."""
    centre = float(np.median(values))
    return float(np.median(values[np.abs(values - centre) < CHANGED]))


def robust_sd(values: npt.NDArray[np.float64]) -> float:
    """1.4826 x median absolute deviation; 0 for an empty array."""
    return float(1.4826 * np.median(np.abs(values - np.median(values)))) if values.size else 0.0
