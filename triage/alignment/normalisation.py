"""Two registered FLAIR images in, one voxelwise log ratio on a common intensity scale out.

White matter and grey matter (cortex, putamen, caudate, cerebellum) set the scale. Suspect tissue never does. The log
ratios of the two may differ when the contrast differs (TE, TI, field strength). A voxel is corrected by the value
interpolated at its own baseline intensity.

What remains smooth over the head is the difference between the receive and transmit fields. It is a fourth-order
polynomial, fitted robustly to reference tissue alone, and is removed too. On the real pair across two scanners the
polynomial left -0.4 / -1.7 % in the thalami; a 30 mm Gaussian mean left -12.7 / -13.2 %. Suspect regions lie at the
centre of the head, where reference tissue is missing, and a local mean cannot extrapolate a field into that gap.

Whole-brain z-scores are not used: pathology degrades them (ISMRM 2017 #0183).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from triage.alignment.sampling import some_of
from triage.anatomy import mask_of
from triage.errors import NotAssessable
from triage.libraries import ndi
from triage.model import Mask

WHITE_REFERENCE = (
    "white_matter_left",
    "white_matter_right",
    "corpus_callosum",
    "internal_capsule_left",
    "internal_capsule_right",
)
CORTEX_LOBES = ("frontal", "parietal", "temporal", "occipital")
GREY_REFERENCE = (
    *(f"cortex_{lobe}_{side}" for lobe in CORTEX_LOBES for side in ("left", "right")),
    "putamen_left",
    "putamen_right",
    "caudate_left",
    "caudate_right",
    "cerebellum",
)
# of the polynomial; 35 terms. Orders 2, 3 and 5 left 1.3, 2.0 and -1.1 % in the left thalamus of the pair above
FIELD_ORDER = 4
# most voxels that a fit reads, evenly taken; more change nothing
FIT_VOXELS = 20_000
# |log ratio| beyond which a reference voxel counts as changed tissue or an edge of CSF and is left out
CHANGED = 0.25
MIN_REFERENCE_VOXELS = 2000
# share of the white matter level below which a voxel holds no signal
AIR = 1e-3


@dataclass(frozen=True, eq=False)
class CommonScale:
    """log(follow-up / baseline) after scaling. Arrays have shape (k, j, i)."""

    # log ratio without the scale of the two tissues and without the smooth field
    change: npt.NDArray[np.float64]
    # voxels that the scale was read from
    reference: Mask
    # intensity over the white matter level of the baseline
    baseline_level: npt.NDArray[np.float64]
    # the same of the follow-up, on the baseline's scale
    followup_level: npt.NDArray[np.float64]
    # log ratio of grey minus that of white matter: how much the contrast changed between the protocols
    contrast: float
    # robust sd of the removed smooth field over the reference, log units
    field_spread: float
    # tissue of the kinds that set the scale, changed or not; at one date at least it has the signal of tissue
    healthy: Mask


def common_scale(
    followup: npt.NDArray[np.float32],
    baseline: npt.NDArray[np.float32],
    labels: npt.NDArray[np.uint8],
    names: Mapping[int, str],
    seen: Mask,
) -> CommonScale:
    """Put both dates on one scale.

    Args:
        followup, baseline, labels, seen: shape (k, j, i), on one cubic grid; ``seen``: where both scans have data.
        names: label -> region.

    Raises:
        NotAssessable: ``no_reference_tissue`` when too little white or grey matter is in view to set the scale.
    """
    white = mask_of(labels, names, WHITE_REFERENCE) & seen
    grey = mask_of(labels, names, GREY_REFERENCE) & seen
    positive = _with_signal(followup, white) & _with_signal(baseline, white)
    for what, mask in (("white", white), ("grey", grey)):
        if (mask & positive).sum() < MIN_REFERENCE_VOXELS:
            raise NotAssessable(
                "no_reference_tissue",
                f"only {int((mask & positive).sum())} usable {what} matter voxels, need {MIN_REFERENCE_VOXELS}",
            )
    ratio = np.log(np.where(positive, followup, 1.0) / np.where(positive, baseline, 1.0)).astype(np.float64)
    white_level = float(np.median(baseline[white & positive]))
    level = np.where(positive, baseline, 0.0) / white_level
    tissue = positive & (level > 0.6) & (level < 1.9)
    brighter = np.maximum(level, level * np.exp(ratio - np.median(ratio[white & positive])))
    healthy = (white | grey) & positive & (brighter > 0.6) & (brighter < 1.9)
    white, grey = white & tissue, grey & tissue
    kind = np.where(grey, 1.0, 0.0)
    # twice the limit: the field is still in the ratio and may be strong
    reference = (white | grey) & (np.abs(ratio - np.median(ratio[white | grey])) < 2 * CHANGED)
    for _ in range(2):
        # Field and contrast together: cortex lies at the rim, so a field from centre to rim fitted without the contrast
        # looks like a contrast change
        field, contrast = smooth_field(ratio, reference, kind)
        reference &= np.abs(ratio - field - kind * contrast) < CHANGED
    change = ratio - field - _grey_share(level, float(np.median(level[grey]))) * contrast
    return CommonScale(
        change=change,
        reference=reference,
        baseline_level=level,
        followup_level=level * np.exp(np.where(positive, change, 0.0)),
        contrast=contrast,
        field_spread=robust_sd(field[reference]),
        healthy=healthy,
    )


def _with_signal(image: npt.NDArray[np.float32], white: Mask) -> Mask:
    """Voxels that are more than air. Smoothing leaves values of 1e-30 in air, whose ratio means nothing."""
    bright = image[white & (image > 0)]
    return np.asarray(image > (AIR * float(np.median(bright)) if bright.size else 0.0))


def _grey_share(level: npt.NDArray[np.float64], grey_level: float) -> npt.NDArray[np.float64]:
    """How grey a voxel is by its baseline level: 0 at white matter (1) and beyond, 1 at grey matter.

    One half everywhere when the levels of grey and white matter differ by less than 5 %.
    """
    if abs(grey_level - 1.0) < 0.05:
        return np.full(level.shape, 0.5)
    return np.clip((level - 1.0) / (grey_level - 1.0), 0.0, 1.0)


def smooth_field(
    values: npt.NDArray[np.float64], where: Mask, kind: npt.NDArray[np.float64] | None = None, order: int = FIELD_ORDER
) -> tuple[npt.NDArray[np.float64], float]:
    """A polynomial and a step of ``kind``, fitted robustly to ``values`` where the mask is set.

    The polynomial has a Chebyshev basis of total degree ``order`` at most. Weights are Cauchy's, 1 / (1 + (residual /
    (2 robust sd))^2), so that changed tissue inside the mask hardly counts.

    Args:
        values, where, kind: shape (k, j, i).

    Returns:
        The polynomial on the whole grid (k, j, i), and the step per unit of ``kind`` (0 without one).
    """
    axes = [np.linspace(-1, 1, n) for n in values.shape]
    taken = some_of(where, FIT_VOXELS)
    powers = [(a, b, c) for a in range(order + 1) for b in range(order + 1 - a) for c in range(order + 1 - a - b)]
    one = [np.polynomial.chebyshev.chebvander(axis, order) for axis in axes]
    k, j, i = np.unravel_index(taken, where.shape)
    columns = [one[0][k, a] * one[1][j, b] * one[2][i, c] for a, b, c in powers]
    basis = np.stack([*columns, np.zeros(len(taken)) if kind is None else kind[k, j, i]], axis=1)
    observed, weight = values[k, j, i], np.ones(len(taken))
    for _ in range(6):
        weighted = basis * (weight * weight)[:, None]
        # Normal equations: well conditioned in a Chebyshev basis, and a hundred times faster than an SVD of the voxels
        found = np.linalg.lstsq(weighted.T @ basis, weighted.T @ observed, rcond=None)[0]
        residual = observed - basis @ found
        weight = 1.0 / (1.0 + (residual / max(2 * robust_sd(residual), 1e-6)) ** 2)
    coefficients: npt.NDArray[np.float64] = np.zeros((order + 1,) * 3)
    for power, value in zip(powers, found[:-1], strict=True):
        coefficients[power] = value
    field = coefficients  # powers (a, b, c) -> (k, j, i): a product for each axis (chebgrid3d takes 40 times longer)
    for vander in one:
        field = np.tensordot(field, vander, axes=(0, 1))
    return np.asarray(field, dtype=np.float64), float(found[-1])


def robust_sd(values: npt.NDArray[np.float64]) -> float:
    """1.4826 x median absolute deviation; 0 for an empty array."""
    return float(1.4826 * np.median(np.abs(values - np.median(values)))) if values.size else 0.0


def smooth_over(values: npt.NDArray[Any], weight: npt.NDArray[Any], sigma_voxels: float) -> npt.NDArray[np.float64]:
    """Normalised convolution: the Gaussian-weighted mean of ``values`` where ``weight`` > 0; 0 far from any weight.

    Values without weight are not read, whatever they are.
    """
    total = ndi.gaussian_filter(np.asarray(weight, dtype=np.float64), sigma_voxels, truncate=3.0)
    return np.asarray(
        ndi.gaussian_filter(np.where(weight, values * weight, 0.0).astype(np.float64), sigma_voxels, truncate=3.0)
        / np.maximum(total, 1e-6)
    )
