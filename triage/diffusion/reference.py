"""Diffusion images and regions in; the tissue that may set the tissue's own statistics out.

Whatever is compared with its own tissue vanishes when half of that tissue is ill: infarcts of 160 mL were measured as
3 to 25 mL. So grossly ill tissue is found first, against the healthier side, and sets no median and no spread.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from triage.alignment.normalisation import smooth_over
from triage.libraries import ndi
from triage.model import Mask

SIGMA_MM = 3.0  # of the maps that are judged: noise and single gyri are no matter here
# share of the healthier side's ADC below which tissue is grossly ill; infarcts 0.61, seizures 0.80 (docs/method.md,
# pattern C), healthy tissue smoothed that much stays above 0.87
ILL_RATIO = 0.85
SMALLEST_ILL_ML = 5.0  # less moves neither the median nor the 90th percentile of a tissue
MARGIN_MM = 4.0  # around ill tissue; its edge is half ill
MIN_SIDE_VOXELS = 200
LEFT, RIGHT = 1, 2


def sides_of(labels: npt.NDArray[np.uint8], names: Mapping[int, str]) -> npt.NDArray[np.uint8]:
    """LEFT, RIGHT or 0 (neither) of each voxel, (k, j, i)."""
    table = np.zeros(256, dtype=np.uint8)
    for label, name in names.items():
        table[label] = LEFT if name.endswith("_left") else RIGHT if name.endswith("_right") else 0
    return np.asarray(table[labels])


def grossly_ill(
    log_dwi: npt.NDArray[np.float64],
    log_adc: npt.NDArray[np.float64],
    tissue: tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]],
    inside: Mask,
    spacing_mm: npt.NDArray[np.float64],
) -> Mask:
    """Large clusters that are much slower than the same tissue of the healthier side, and no darker; with a margin.

    Args:
        log_dwi, log_adc: logarithms of both images.
        tissue: class number of each voxel, and its side.
        inside: where both images show tissue. All arrays (k, j, i).
    """
    slow, bright = np.zeros(inside.shape), np.zeros(inside.shape)
    for number in np.unique(tissue[0][inside]):
        here = inside & (tissue[0] == number)
        healthy = _healthier_side(log_adc, here, tissue[1])
        for out, values in ((slow, log_adc), (bright, log_dwi)):
            out[here] = values[here] - np.median(values[healthy])
    sigma: Any = SIGMA_MM / spacing_mm  # one for each axis
    low = inside & (smooth_over(slow, inside, sigma) < np.log(ILL_RATIO)) & (smooth_over(bright, inside, sigma) > 0)
    numbered, count = ndi.label(low, np.ones((3, 3, 3)))
    sizes = np.bincount(numbered.ravel(), minlength=count + 1) * float(np.prod(spacing_mm)) / 1000.0
    sizes[0] = 0.0
    large = np.asarray((sizes >= SMALLEST_ILL_ML)[numbered])
    if not large.any():
        return large
    return np.asarray(ndi.distance_transform_edt(~large, sampling=spacing_mm) <= MARGIN_MM)


def _healthier_side(log_adc: npt.NDArray[np.float64], here: Mask, sides: npt.NDArray[np.uint8]) -> Mask:
    """The side whose ADC scatters less; both when one of them is hardly in view.

    Not the faster side: oedema is fast. A side that is ill in part holds two tissues, whichever way they differ.
    """
    halves = [here & (sides == side) for side in (LEFT, RIGHT)]
    if min(int(half.sum()) for half in halves) < MIN_SIDE_VOXELS:
        return here
    return min(halves, key=lambda half: float(np.ptp(np.percentile(log_adc[half], (10, 90)))))
