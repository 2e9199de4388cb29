"""Two series of one session and where one lies on the other in; how sharply they agree there out.

Structures that lie on each other agree more at this place than at places nearby, whatever the two contrasts are.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from triage.alignment.images import affine_transform, isotropic_grid, resample, shrink_to, smooth_to, to_sitk
from triage.libraries import ndi, sitk
from triage.model import Affine, Volume

WORKING_MM = 3.0
NEIGHBOURHOOD = 7  # voxels
AWAY_MM = 9.0  # further than structures are wide that agree by chance, nearer than the next gyrus
# A voxel belongs to the head above this share of the bright level (90th percentile of what is above 0)
HEAD_SHARE = 0.3
# Of the local spread that counts as noise, over the bright level
FLOOR = 0.05

Floats = npt.NDArray[np.float32]


def peak(anchor: Volume, other: Volume, anchor_to_other: Affine) -> float:
    """Agreement at this place over the best agreement 9 mm away along six directions.

    Agreement is the squared correlation of neighbourhoods of 21 mm, its mean over the head of ``anchor``. Above 1: it
    is best here. 0 when one of the images is uniform.

    Args:
        anchor_to_other: (4, 4), points of ``anchor`` -> points of ``other``, LPS mm.
    """
    fixed, moving = _small(anchor), _small(other)
    here = _Local(np.asarray(sitk.GetArrayFromImage(fixed), dtype=np.float32))
    if not here.head.any():
        return 0.0
    found = []
    for shift in (np.zeros(3), *(sign * AWAY_MM * axis for axis in np.eye(3) for sign in (1, -1))):
        moved = np.eye(4)
        moved[:3, 3] = shift
        there = resample(moving, fixed, affine_transform(anchor_to_other @ moved))
        found.append(here.agreement(np.asarray(sitk.GetArrayFromImage(there), dtype=np.float32)))
    return float(found[0] / max(*found[1:], 1e-6))


class _Local:
    """The local statistics of the anchor, which every comparison needs."""

    def __init__(self, values: Floats) -> None:
        self._values, self._mean = values, _local(values)
        bright = _bright(values)
        self._spread = _local(values * values) - self._mean**2 + (FLOOR * bright) ** 2
        self.head = (self._mean > HEAD_SHARE * bright) & (bright > 0)

    def agreement(self, other: Floats) -> float:
        mean, bright = _local(other), _bright(other)
        spread = _local(other * other) - mean**2 + (FLOOR * bright) ** 2
        shared = _local(self._values * other) - self._mean * mean
        return float((shared**2 / np.maximum(self._spread * spread, 1e-12))[self.head].mean())


def _local(values: Floats) -> Floats:
    return np.asarray(ndi.uniform_filter(values, NEIGHBOURHOOD), dtype=np.float32)


def _bright(values: Floats) -> float:
    return float(np.percentile(values[values > 0], 90)) if (values > 0).any() else 0.0


def _small(volume: Volume) -> sitk.Image:
    image = to_sitk(volume)
    return resample(smooth_to(shrink_to(image, WORKING_MM), WORKING_MM), isotropic_grid(image, WORKING_MM))
