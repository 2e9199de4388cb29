"""A diffusion volume in; whether its values are a head's diffusion coefficients, or a diffusion-weighted signal, out.

Headers lie: a console writes the b-value of the images into the map made of them, and de-identification removes the
words. Fluid tells them apart. It diffuses fastest, so it is the brightest of a map and the darkest of a weighted image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from triage.diffusion.adc import UNITS, middle_of
from triage.errors import NotAssessable
from triage.model import Voxels


@dataclass(frozen=True)
class ScaleLimits:
    """What the values of diffusion volumes are held against. They are physics of heads and water, and no setting of a
    site.

    Shares are multiples of the median in the middle of the head. Seen in seven volumes of real and simulated heads:
    ADC maps 5th percentile 0.7-0.8 (0.46 in noise), 98th 2.5-3.9; weighted images (b 1000-2500) 0.14-0.35 and 1.2-1.9.
    The 75th percentile is 1.06-1.29 in weighted images, also with a large infarct, and 1.58 in a map of anisotropy.
    """

    # a map: hardly anything is slower than this share, and fluid is faster than that one; bright infarcts in a brain
    # with little fluid reach 2.3 in a weighted image
    map_low: float = 0.4
    map_high: float = 2.4
    # a weighted image: fluid is darker than this share, and most tissue is no brighter than that one
    weighted_low: float = 0.6
    weighted_upper: float = 1.42
    # an image without weighting: fluid is brighter than this share. A b = 0 image of a head has 2.2, T2 2.3-2.7; a
    # large bright infarct in a weighted image can have as much
    unweighted_high: float = 2.0
    # median of a map, um2/s; brain tissue 700-1000 (AJNR 2002;23:194), 645 in the middle of a head at b 2500, more with
    # wide ventricles
    map_median: tuple[float, float] = (500.0, 1300.0)
    # fluid of a map, um2/s
    map_fluid: tuple[float, float] = (1600.0, 4500.0)
    # free water at 37 degrees C is 3200 um2/s, and noise scatters above it; nothing in a head is faster than this
    fastest: float = 4500.0
    # median of a believable map, um2/s
    plausible_median: tuple[float, float] = (300.0, 1500.0)
    # a brain below this is ill as a whole or wrongly scaled; its fluid tells, since illness does not slow fluid, um2/s
    slow_median: float = 600.0
    fluid_beside_it: float = 1700.0
    # multiple of the median from which on the brightest are fluid; a brain whose oedema leaves hardly any shows tissue
    fluid_seen: float = 1.6
    # median of a map computed from two images, um2/s: fluid is lost in noise, and no fluid can be asked for. A signal
    # that is stored twice as high moves the median by 693 at b 1000. A brain that is ill as a whole has 300 to 500
    computed_median: tuple[float, float] = (300.0, 1300.0)
    # voxels; fewer say nothing
    fewest: int = 500


LIMITS = ScaleLimits()


def is_coefficients(voxels: Voxels, limits: ScaleLimits = LIMITS) -> bool:
    """Whether the values are those of an ADC map in some unit: tissue as fast as a brain's, with fluid as the fastest,
    and hardly anything slower than tissue."""
    found = middle_of(voxels)
    if (
        found.count < limits.fewest
        or not found.low > limits.map_low * found.median
        or not found.high > limits.map_high * found.median
    ):
        return False
    return any(
        limits.map_median[0] <= found.median * factor <= limits.map_median[1]
        and limits.map_fluid[0] <= found.high * factor <= limits.map_fluid[1]
        for factor, _ in UNITS
    )


def is_weighted(voxels: Voxels, limits: ScaleLimits = LIMITS) -> bool:
    """Whether the values can be those of a diffusion-weighted image: fluid is dark in it, and most tissue is about as
    bright as the rest. In maps of anisotropy it is not."""
    found = middle_of(voxels)
    dark_fluid = found.low < limits.weighted_low * found.median
    return found.count >= limits.fewest and dark_fluid and found.upper < limits.weighted_upper * found.median


def may_be_unweighted(voxels: Voxels, limits: ScaleLimits = LIMITS) -> bool:
    """Whether something is as bright as fluid is without diffusion weighting."""
    found = middle_of(voxels)
    return found.count >= limits.fewest and found.high > limits.unweighted_high * found.median


def check_coefficients(adc: Voxels, limits: ScaleLimits = LIMITS) -> None:
    """Refuse a map that is wrongly scaled. adc: um2/s.

    Raises:
        NotAssessable: ``adc_implausible``.
    """
    found = middle_of(adc)
    if not limits.plausible_median[0] <= found.median <= limits.plausible_median[1]:
        low, high = limits.plausible_median
        said = f"the median ADC in the middle of the head is {found.median:.0f} um2/s, a brain's is {low:g} to {high:g}"
        raise NotAssessable("adc_implausible", said)
    if found.low < limits.map_low * found.median and found.high < limits.map_high * found.median:
        raise NotAssessable("adc_implausible", "fluid is the darkest of the ADC map: a weighted image by another name")
    if found.high > limits.fastest:
        said = f"fluid in the ADC map diffuses with {found.high:.0f} um2/s, free water with 3200"
        raise NotAssessable("adc_implausible", said)
    if found.median < limits.slow_median and limits.fluid_seen * found.median < found.high < limits.fluid_beside_it:
        said = f"the median ADC is {found.median:.0f} um2/s and fluid has {found.high:.0f}: the map is wrongly scaled"
        raise NotAssessable("adc_implausible", said)


def check_pair(b0: Voxels, weighted: Voxels, b_difference: float, limits: ScaleLimits = LIMITS) -> None:
    """Refuse two images that are not on one scale: the ADC that follows from them is no brain's.

    Args:
        b0, weighted: on one grid. b_difference: s/mm2, above 0.

    Raises:
        NotAssessable: ``rescale_between_b``.
    """
    inside = (b0 > 0) & (weighted > 0)
    bright = inside & (weighted > 0.5 * middle_of(weighted).median)  # the head without its fluid and the air
    if bright.sum() < limits.fewest:
        return
    adc = np.log(b0[bright] / weighted[bright]) / b_difference * 1e6
    median = float(np.median(adc))
    if not limits.computed_median[0] <= median <= limits.computed_median[1]:
        said = f"the images of both b-values give a median ADC of {median:.0f} um2/s: they are not on one scale"
        raise NotAssessable("rescale_between_b", said)
