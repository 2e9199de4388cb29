"""A registered FLAIR pair on one scale in, maps of what rises above its surroundings out.

Regional and smooth changes (a whole thalamus, a receive field) are taken out here: only what rises above its
surroundings is focal. All maps lie on a box of the half-way grid, shape (k, j, i).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from triage.alignment.comparison import Pair
from triage.alignment.grid import Grid
from triage.alignment.normalisation import CommonScale, robust_sd
from triage.anatomy import BRAIN_STEM, CAPSULES, THALAMI, WHITE, mask_of
from triage.lesions.clusters import EDGES, FACES, Box, Floats
from triage.lesions.limits import LesionLimits
from triage.libraries import ndi
from triage.measurements import percent
from triage.model import Mask

DEEP_GREY = tuple(f"{name}_{side}" for name in ("putamen", "pallidum", "caudate") for side in ("left", "right"))
SITES = (
    *WHITE, "corpus_callosum", "internal_capsule_left", "internal_capsule_right", *CAPSULES, *BRAIN_STEM, *THALAMI,
    "cerebellum", *DEEP_GREY,
)  # fmt: skip
# Patterns A and D raise these as a whole; a rise of the whole region is measured there and is no focal lesion here.
REGIONAL = (*THALAMI, *BRAIN_STEM, *CAPSULES, *DEEP_GREY, "cerebellum")
FLUID_LEVEL = 0.6  # of white matter, after the small blur: at least half fluid
MIN_REGION_ML = 0.3  # less of a region in view has no median worth the name


@dataclass(frozen=True, eq=False)
class Rises:
    """Maps on the box of the brain, shape (k, j, i); logs of ratios unless named otherwise.

    rise: change above the surroundings.
    change: follow-up over baseline, without the change of whole regions.
    unexplained: follow-up over the largest baseline value one voxel away.
    baseline: level over white matter (a ratio, no log).
    prominence, before: follow-up and baseline over the tissue around (ratios, no logs).
    labels: atlas regions.
    where: voxels that may belong to a lesion.
    fluid: voxels beside fluid at either date.
    sites: voxels of SITES in view.
    sd: robust standard deviation of ``change`` before whole regions are taken out.
    """

    rise: Floats
    change: Floats
    unexplained: Floats
    baseline: Floats
    prominence: Floats
    before: Floats
    labels: npt.NDArray[np.uint8]
    where: Mask
    fluid: Mask
    sites: Mask
    sd: float


def rises_of(pair: Pair, box: Box, limits: LesionLimits) -> Rises:
    """The maps of one pair on a box of its grid."""
    grid = pair.grid
    labels = grid.labels[box]
    # slices at the border of a stack are half outside it: two voxels are left out
    seen = ndi.binary_erosion(grid.seen[box], FACES, iterations=2, border_value=0)
    baseline, followup = (
        ndi.gaussian_filter(np.clip(np.nan_to_num(level[box], nan=0.0), 0.01, 3.0).astype(np.float32), 0.6)
        for level in (pair.scale.baseline_level, pair.scale.followup_level)
    )
    sites = mask_of(labels, grid.names, SITES) & seen
    near = ndi.binary_dilation(sites, EDGES)
    tissue = (np.minimum(followup, baseline + 0.1) > limits.tissue_level) & seen
    change = np.log(followup / baseline)
    sd = robust_sd(change[sites & tissue].astype(np.float64))
    change = change - _regional(change, labels, sites & tissue, grid, limits)
    weight = (tissue & ndi.binary_dilation(near, EDGES)).astype(np.float32)
    reach = _reach(grid)
    surround = _local_mean(np.clip(change, -0.1, 0.1), weight, reach)
    return Rises(
        rise=change - surround,
        change=change,
        unexplained=np.log(followup / ndi.maximum_filter(baseline, footprint=EDGES)),
        baseline=baseline,
        prominence=_over_surround(followup, weight, reach),
        before=_over_surround(baseline, weight, reach),
        labels=labels,
        where=near & tissue,
        fluid=ndi.binary_dilation(np.minimum(baseline, followup) < FLUID_LEVEL, EDGES),
        sites=sites,
        sd=sd,
    )


def t2_rise(t2: tuple[CommonScale, Mask], box: Box, rises: Rises, grid: Grid) -> Floats:
    """What T2 rises above its surroundings, log, shape (k, j, i) on the box; 0 where T2 is not seen."""
    scale, seen = t2[0], t2[1][box]
    change = np.where(seen, np.clip(np.nan_to_num(scale.change[box]), -1.0, 1.0), 0.0).astype(np.float32)
    surround = _local_mean(np.clip(change, -0.1, 0.1), (rises.where & seen).astype(np.float32), _reach(grid))
    return np.where(seen, change - surround, 0.0).astype(np.float32)


def _regional(change: Floats, labels: npt.NDArray[np.uint8], usable: Mask, grid: Grid, limits: LesionLimits) -> Floats:
    """Median change of each region that rises as a whole, (k, j, i).

    It reaches beyond the region, since atlas borders are not exact.
    """
    out = np.zeros_like(change)
    for region in REGIONAL:
        inside = mask_of(labels, grid.names, (region,))
        values = change[inside & usable]
        if values.size * grid.voxel_ml < MIN_REGION_ML:
            continue
        median = float(np.median(values))
        if percent(median) >= limits.regional_percent:
            part = box_of(inside, 3)
            np.maximum(out[part], median * ndi.binary_dilation(inside[part], EDGES, iterations=2), out=out[part])
    return out


def _over_surround(level: Floats, weight: Floats, reach: int) -> Floats:
    return np.asarray(level / np.maximum(_local_mean(np.clip(level, 0.7, 1.3), weight, reach), 0.1), dtype=np.float32)


def _reach(grid: Grid) -> int:
    """Voxels of the surroundings, odd: 6 mm each way."""
    return 2 * round(6.0 / grid.spacing_mm) + 1


def _local_mean(values: Floats, weight: Floats, reach: int) -> Floats:
    """Mean over about ``reach`` voxels (two box filters: a tent), weighted; 0 far from any weight."""

    def tent(a: Floats) -> Floats:
        return np.asarray(ndi.uniform_filter(ndi.uniform_filter(a, reach), reach), dtype=np.float32)

    return np.asarray(tent(values * weight) / np.maximum(tent(weight), 1e-3), dtype=np.float32)


def box_of(mask: Mask, margin: int) -> Box:
    """The box of a mask that is not empty, ``margin`` voxels wider on each side."""
    found = ndi.find_objects(mask.astype(np.uint8))[0]
    k, j, i = (slice(max(0, s.start - margin), s.stop + margin) for s in found)
    return k, j, i
