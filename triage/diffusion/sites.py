"""Numbered clusters of restricted tissue in, the regions that they lie in out."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from triage.anatomy import CSF
from triage.diffusion.maps import CLASSES, TissueMaps, nearest_region
from triage.model import Mask


def sites_of(
    clusters: npt.NDArray[np.int32], maps: TissueMaps, whole_ml: float, divided_share: float
) -> tuple[npt.NDArray[np.uint8], Mask, tuple[int, ...]]:
    """The region of each clustered voxel, the voxels that count as cortex, and the numbers of the cortical clusters.

    A cluster mainly in cortex counts there as a whole: atlas and image differ by a millimetre or two. A large one is
    divided: an infarct of a whole territory holds cortex and white matter alike.
    """
    images = maps.images
    fluid = [label for label, name in images.names.items() if name in CSF]
    solid = (images.labels > 0) & ~np.isin(images.labels, fluid)
    cortex = solid & np.isin(
        images.labels, [label for label, name in images.names.items() if name.startswith("cortex")]
    )
    regions = np.zeros(images.labels.shape, dtype=np.uint8)
    inside = clusters > 0
    mine = np.zeros_like(inside)
    if not inside.any():
        return regions, mine, ()
    regions[inside] = nearest_region(images, solid)[inside]
    in_cortex = maps.classes == CLASSES["cortex"]
    cortical = []
    for number in range(1, int(clusters.max()) + 1):
        whole = clusters == number
        share, large = float(in_cortex[whole].mean()), whole.sum() * images.voxel_ml > whole_ml
        if share >= (divided_share if large else 0.5):
            cortical.append(number)
            mine |= whole & in_cortex if large else whole
    if cortex.any():
        regions[mine] = nearest_region(images, cortex)[mine]
    return regions, mine, tuple(cortical)
