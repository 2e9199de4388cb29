"""Shares of fluid at both dates in, the volume change of each lobe's cortex out.

What a lobe loses, the sulci beside it gain. A deformation cannot measure this: gyri are thinner than its neighbourhood.
All arrays lie on the half-way grid, shape (k, j, i).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from triage.fluid.statistics import jackknife
from triage.libraries import ndi
from triage.model import Mask

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LobeLimits:
    """How a lobe is measured."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    # fluid this near to a lobe's cortex belongs to it: half a sulcus and the placement of the atlas
    reach_mm: float = 5.0
    # edge of the blocks that are left out in turn (jackknife); a gyrus is about that long
    block_mm: float = 20.0
    # less cortex than this in view gives no percentage
    min_ml: float = 2.0
    # nor does less than this share of the lobe: T1 and FLAIR leave out the rim of the brain, up to a fifth of a lobe
    min_seen: float = 0.6


@dataclass(frozen=True)
class LobeChange:
    """value, sd: percent of the lobe's cortex at the baseline; before_ml: that cortex."""

    value: float
    sd: float
    before_ml: float


def lobe_names(names: Mapping[int, str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in names.values() if name.startswith("cortex_")))


def lobes_on(
    labels: npt.NDArray[Any], names: Mapping[int, str], surface: Mask, spacing_mm: float, limits: LobeLimits
) -> dict[str, tuple[Mask, Mask]]:
    """Each lobe's cortex, and where its fluid is looked for: the part of ``surface`` nearest to it within reach."""
    cortex = np.isin(labels, [label for label, name in names.items() if name.startswith("cortex_")])
    if not cortex.any():
        return {}
    distance, index = ndi.distance_transform_edt(~cortex, sampling=spacing_mm, return_indices=True)
    nearest = np.where(surface & (distance <= limits.reach_mm), labels[tuple(index)], 0)
    out = {}
    for name in lobe_names(names):
        mine = [label for label, other in names.items() if other == name]
        out[name] = (np.isin(labels, mine), np.isin(nearest, mine))
    return out


def lobe_change(
    shares: tuple[Array, Array],
    where: Mask,
    lobe: tuple[Mask, Mask],
    spacing_mm: float,
    *,
    limits: LobeLimits,
    level: float,
    contrast: float,
) -> LobeChange | None:
    """One lobe by one contrast; None: too little of it was in view.

    Args:
        shares: of fluid, baseline and follow-up, 0..1; where: what was looked at; lobe: as ``lobes_on`` gives it.
        level: error of the tissue level as a share of the step from tissue to fluid.
        contrast: what the contrast costs, one standard deviation of a fluid volume as a share of it.
    """
    before, after = shares
    cortex, place = lobe[0] & where, lobe[1] & where
    voxel_ml = spacing_mm**3 / 1000.0
    tissue = np.where(cortex, 1.0 - before, 0.0)
    tissue_ml = float(tissue.sum()) * voxel_ml
    if tissue_ml < limits.min_ml or cortex.sum() < limits.min_seen * lobe[0].sum():
        return None
    box = ndi.find_objects((cortex | place).astype(np.uint8))[0]
    gained = np.where(place, after - before, 0.0)[box]
    mixed_ml = float((place & (before > 0) & (before < 1)).sum()) * voxel_ml
    fluid_ml = float(before[place].sum()) * voxel_ml
    errors = (100.0 * level * mixed_ml / tissue_ml, 100.0 * contrast * fluid_ml / tissue_ml)
    sd = float(np.sqrt(_spread(tissue[box], -gained, spacing_mm / limits.block_mm) ** 2 + sum(e * e for e in errors)))
    return LobeChange(-100.0 * float(gained.sum()) * voxel_ml / tissue_ml, sd, tissue_ml)


def _spread(tissue: Array, change: Array, blocks_per_voxel: float) -> float:
    """Standard deviation of 100 x sum(change) / sum(tissue) when each block in turn is left out."""
    index = np.indices(tissue.shape) * blocks_per_voxel
    k, j, i = index.astype(np.int64)
    block = ((k * 64 + j) * 64 + i).ravel()
    _, number = np.unique(block, return_inverse=True)
    base, sums = (np.bincount(number, weights=v.ravel()).astype(np.float64) for v in (tissue, change))
    return jackknife(base, sums)
