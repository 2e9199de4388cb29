"""A FLAIR and its regions in, healthy grey matter over white matter out: one figure by which a scanner is watched.

Age and disease of the patients spread it; only the mean of many scans tells of the scanner.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from triage.alignment.grid import Grid
from triage.alignment.normalisation import GREY_REFERENCE, MIN_REFERENCE_VOXELS, WHITE_REFERENCE, CommonScale
from triage.anatomy import mask_of
from triage.model import Mask

TISSUE = (0.6, 1.9)  # FLAIR over that of white matter; what lies outside is CSF or bright lesion (normalisation)


def tissue_ratio(
    image: npt.NDArray[np.float32], labels: npt.NDArray[np.uint8], names: Mapping[int, str]
) -> float | None:
    """Of a single scan; None with too little of either tissue. Arrays: one grid, shape (k, j, i)."""
    white = image[mask_of(labels, names, WHITE_REFERENCE) & (image > 0)]
    if white.size < MIN_REFERENCE_VOXELS:
        return None
    level = image / float(np.median(white))
    tissue = (level > TISSUE[0]) & (level < TISSUE[1])
    return _ratio(level, labels, names, tissue)


def tissue_ratio_compared(scale: CommonScale, grid: Grid) -> float | None:
    """Of the follow-up of a pair: the ratio of the baseline, and how much the contrast changed since."""
    before = _ratio(scale.baseline_level, grid.labels, grid.names, scale.reference)
    return None if before is None else before * math.exp(scale.contrast)


def _ratio(
    level: npt.NDArray[np.floating], labels: npt.NDArray[np.uint8], names: Mapping[int, str], tissue: Mask
) -> float | None:
    grey, white = (level[mask_of(labels, names, kind) & tissue] for kind in (GREY_REFERENCE, WHITE_REFERENCE))
    if min(grey.size, white.size) < MIN_REFERENCE_VOXELS:
        return None
    return float(np.median(grey) / np.median(white))
