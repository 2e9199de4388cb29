"""A grid in patient space and what is known of its slices: voxels of regions in, statistics out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from triage.model import Mask


@dataclass(frozen=True, eq=False)
class Grid:
    """The common cubic grid: labels uint8 and ``seen`` (both scans have data), shape (k, j, i); spacing in mm."""

    labels: npt.NDArray[np.uint8]
    names: Mapping[int, str]
    seen: Mask
    spacing_mm: float

    @property
    def voxel_ml(self) -> float:
        return self.spacing_mm**3 / 1000.0
