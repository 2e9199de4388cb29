"""An ADC map of unknown unit, or images of two b-values, in; ADC in um2/s (1e-6 mm2/s) out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from triage.errors import NotAssessable
from triage.model import Voxels

# Tissue is 700-1000 um2/s and fluid 3000 (AJNR 2002;23:194). Units in use lie three decades apart, so that the median
# alone tells the unit.
TISSUE_RANGE = (100.0, 10_000.0)
UNITS = ((1.0, "1e-6 mm2/s"), (1e3, "1e-3 mm2/s"), (1e6, "mm2/s"), (1e12, "m2/s"))
FLUID = 3200.0  # free water at 37 degrees C, rounded up: nothing diffuses faster, larger figures are noise or flow
NOISE_MULTIPLE = 3.0  # a b = 0 signal below this many noise levels carries no coefficient


@dataclass(frozen=True)
class AdcUnit:
    """factor: stored value -> um2/s. name: the unit of the stored values."""

    factor: float
    name: str


@dataclass(frozen=True)
class Middle:
    """Figures of the positive voxels in the middle half of a volume along each axis: there lies the head."""

    median: float
    low: float  # 5th percentile
    upper: float  # 75th percentile
    high: float  # 98th percentile
    count: int


def middle_of(voxels: Voxels) -> Middle:
    """voxels: (k, j, i) of any unit. All figures are 0 without a positive voxel."""
    inner = voxels[tuple(slice(n // 4, n - n // 4) for n in voxels.shape)]
    found = inner[np.isfinite(inner) & (inner > 0)]
    if not found.size:
        return Middle(0.0, 0.0, 0.0, 0.0, 0)
    low, median, upper, high = (float(v) for v in np.percentile(found, (5, 50, 75, 98)))
    return Middle(median, low, upper, high, int(found.size))


def adc_unit(voxels: Voxels) -> AdcUnit:
    """The unit of a vendor's map from its values: the median in the middle of the head must be tissue or fluid.

    Raises:
        NotAssessable: ``adc_unit_unknown``: in no unit the median is that of tissue or fluid.
    """
    median = middle_of(voxels).median
    for factor, name in UNITS:
        if TISSUE_RANGE[0] <= median * factor < TISSUE_RANGE[1]:
            return AdcUnit(factor, name)
    raise NotAssessable("adc_unit_unknown", f"the median ADC of {median:g} fits no known unit")


def noise_level(voxels: Voxels) -> float:
    """Noise (sigma) of a magnitude image from its Rayleigh-distributed background. 0: the background is blank."""
    low = voxels[(voxels > 0) & (voxels < 0.25 * np.percentile(voxels, 98))]
    if low.size < 0.05 * voxels.size:
        return 0.0
    # The lower part of the histogram is background; its median does not see the tissue mixed into the upper part.
    return float(np.percentile(low, 30) / 0.845)  # Rayleigh: the 30th percentile is 0.845 sigma


def computed_adc(b0: Voxels, weighted: Voxels, b_low: float, b_high: float) -> Voxels:
    """Monoexponential ADC in um2/s, shape (k, j, i); 0 where nothing can be said.

    The noise is subtracted from the weighted signal in quadrature. In fluid the signal is all noise floor, which would
    look like slow diffusion.

    Args:
        b0, weighted: magnitude images on one grid. b_low, b_high: their b-values in s/mm2.

    Raises:
        ValueError: b_high does not exceed b_low.
    """
    if b_high <= b_low:
        raise ValueError(f"b_high ({b_high}) must be > b_low ({b_low})")
    noise = noise_level(weighted)
    floor = max(noise, 1e-6)
    seen = b0 > max(NOISE_MULTIPLE * noise, 1e-6)
    clean = np.sqrt(np.maximum(np.square(weighted, dtype=np.float64) - 2.0 * noise**2, (0.1 * floor) ** 2))
    ratio = np.log(np.where(seen, b0, 1.0) / np.where(seen, clean, 1.0)) / (b_high - b_low) * 1e6
    return np.where(seen, np.clip(ratio, 0.0, FLUID), 0.0).astype(np.float32)
