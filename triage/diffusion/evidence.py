"""A diffusion volume in; whether its values are a head's diffusion coefficients, or a diffusion-weighted signal, out.

Headers lie: a console writes the b-value of the images into the map made of them, and de-identification removes the
words. Fluid tells them apart. It diffuses fastest, so it is the brightest of a map and the darkest of a weighted image.
"""

from __future__ import annotations

import numpy as np

from triage.diffusion.adc import UNITS, middle_of
from triage.errors import NotAssessable
from triage.model import Voxels

# Seen in the middle of seven volumes of real and simulated heads, as multiples of the median:
# ADC maps 5th percentile 0.7-0.8 (0.46 in noise), 98th 2.5-3.9; weighted images (b 1000-2500) 0.14-0.35 and 1.2-1.9.
# The 75th percentile is 1.06-1.29 in weighted images, also with a large infarct, and 1.58 in a map of anisotropy.
# Bright infarcts in a brain with little fluid reach 2.3 in a weighted image.
MAP_LOW, MAP_HIGH = 0.4, 2.4
WEIGHTED_LOW, WEIGHTED_UPPER = 0.6, 1.42
# um2/s; brain tissue 700-1000 (AJNR 2002;23:194), 645 in the middle of a head at b 2500, more with wide ventricles
MAP_MEDIAN = (500.0, 1300.0)
MAP_FLUID = (1600.0, 4500.0)
# Free water at 37 degrees C is 3200, and noise scatters above it. Nothing in a head is faster.
FASTEST = 4500.0
PLAUSIBLE_MEDIAN = (300.0, 1500.0)
# A brain below this is ill as a whole or wrongly scaled. Its fluid tells: illness does not slow fluid.
SLOW_MEDIAN, FLUID_BESIDE_IT = 600.0, 1700.0
# Multiple of the median from which on the brightest are fluid. A brain whose oedema leaves hardly any shows tissue.
FLUID_SEEN = 1.6
# Of a map computed from two images: fluid is lost in noise, and no fluid can be asked for. A signal that is stored
# twice as high moves the median by 693 at b 1000. A brain that is ill as a whole has 300 to 500.
COMPUTED_MEDIAN = (300.0, 1300.0)
_FEWEST = 500  # voxels; fewer say nothing


def is_coefficients(voxels: Voxels) -> bool:
    """Whether the values are those of an ADC map in some unit: tissue as fast as a brain's, with fluid as the fastest,
    and hardly anything slower than tissue."""
    found = middle_of(voxels)
    if found.count < _FEWEST or not found.low > MAP_LOW * found.median or not found.high > MAP_HIGH * found.median:
        return False
    return any(
        MAP_MEDIAN[0] <= found.median * factor <= MAP_MEDIAN[1] and MAP_FLUID[0] <= found.high * factor <= MAP_FLUID[1]
        for factor, _ in UNITS
    )


def is_weighted(voxels: Voxels) -> bool:
    """Whether the values can be those of a diffusion-weighted image: fluid is dark in it, and most tissue is about as
    bright as the rest. In maps of anisotropy it is not."""
    found = middle_of(voxels)
    dark_fluid = found.low < WEIGHTED_LOW * found.median
    return found.count >= _FEWEST and dark_fluid and found.upper < WEIGHTED_UPPER * found.median


def check_coefficients(adc: Voxels) -> None:
    """Refuse a map that is wrongly scaled. adc: um2/s.

    Raises:
        NotAssessable: ``adc_implausible``.
    """
    found = middle_of(adc)
    if not PLAUSIBLE_MEDIAN[0] <= found.median <= PLAUSIBLE_MEDIAN[1]:
        low, high = PLAUSIBLE_MEDIAN
        said = f"the median ADC in the middle of the head is {found.median:.0f} um2/s, a brain's is {low:g} to {high:g}"
        raise NotAssessable("adc_implausible", said)
    if found.low < MAP_LOW * found.median and found.high < MAP_HIGH * found.median:
        raise NotAssessable("adc_implausible", "fluid is the darkest of the ADC map: a weighted image by another name")
    if found.high > FASTEST:
        said = f"fluid in the ADC map diffuses with {found.high:.0f} um2/s, free water with 3200"
        raise NotAssessable("adc_implausible", said)
    if found.median < SLOW_MEDIAN and FLUID_SEEN * found.median < found.high < FLUID_BESIDE_IT:
        said = f"the median ADC is {found.median:.0f} um2/s and fluid has {found.high:.0f}: the map is wrongly scaled"
        raise NotAssessable("adc_implausible", said)


def check_pair(b0: Voxels, weighted: Voxels, b_difference: float) -> None:
    """Refuse two images that are not on one scale: the ADC that follows from them is no brain's.

    Args:
        b0, weighted: on one grid. b_difference: s/mm2, above 0.

    Raises:
        NotAssessable: ``rescale_between_b``.
    """
    inside = (b0 > 0) & (weighted > 0)
    bright = inside & (weighted > 0.5 * middle_of(weighted).median)  # the head without its fluid and the air
    if bright.sum() < _FEWEST:
        return
    adc = np.log(b0[bright] / weighted[bright]) / b_difference * 1e6
    median = float(np.median(adc))
    if not COMPUTED_MEDIAN[0] <= median <= COMPUTED_MEDIAN[1]:
        said = f"the images of both b-values give a median ADC of {median:.0f} um2/s: they are not on one scale"
        raise NotAssessable("rescale_between_b", said)
