"""Maps of rises and the old lesions in, those old lesions out that became brighter than the others did.

Another scanner shows old lesions 5 to 9 % brighter or darker, all of them alike. One that rises beyond the others of
the same head, on FLAIR and on T2, has changed. Where there is little old tissue, nothing tells how the others change.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from triage.alignment.normalisation import robust_sd
from triage.lesions.clusters import FACES, HALF, Box, Floats, standing_out
from triage.lesions.limits import LesionLimits
from triage.lesions.rises import Rises
from triage.libraries import ndi
from triage.model import Mask

SMOOTH_VOXELS = 0.7  # Gaussian sigma: old lesions are small
LEAST_SD = 0.01  # log; less, as of a pair scanned again at once, would make noise a change
RIM = 0.7  # a cluster reaches down to this share of the least rise


def brighter_old(
    rises: Rises, t2: tuple[Floats, Mask], old: Mask, voxel_ml: float, limits: LesionLimits
) -> Iterator[tuple[Box, Mask]]:
    """Clusters of old lesions that rise beyond the others, as ``standing_out`` gives them.

    Args:
        t2: rise on T2 (``t2_rise``), and where both dates show T2. old: lesions of the baseline. All (k, j, i) on the
            box of the rises.
    """
    core = old & rises.where & t2[1]
    if float(core.sum()) * voxel_ml < limits.old_least_ml:
        return
    (beyond, z), (_, z2) = _beside_others(rises.rise, core), _beside_others(t2[0], core)
    tissue = ndi.binary_dilation(core, FACES) & rises.where & t2[1]
    least = float(np.log1p(limits.old_percent / 100.0))
    seeds = tissue & (beyond >= least) & (z >= limits.old_z) & (z2 >= limits.old_t2_z)
    where = ndi.binary_dilation(tissue, FACES) & rises.where
    yield from standing_out(beyond, where, seeds, RIM * least, HALF)


def _beside_others(rise: Floats, core: Mask) -> tuple[Floats, Floats]:
    """The smoothed rise beyond what the old lesions rose (what they fell is not added), and its distance from their
    median in robust sd of them.

    Their rims are left out: another contrast changes the lesions and not what lies around them.
    """
    smooth = ndi.gaussian_filter(rise, SMOOTH_VOXELS)
    values = smooth[core].astype(np.float64)
    median, sd = float(np.median(values)), max(robust_sd(values), LEAST_SD)
    return smooth - np.float32(max(median, 0.0)), np.asarray((smooth - median) / sd, dtype=np.float32)
