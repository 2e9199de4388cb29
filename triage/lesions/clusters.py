"""A map of change in, clusters that stand out by their own peak out, even where weaker ground connects them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from triage.libraries import ndi
from triage.model import Mask

Floats = npt.NDArray[np.float32]  # (k, j, i)
Box = tuple[slice, slice, slice]
FACES, EDGES = (np.abs(np.indices((3, 3, 3)) - 1).sum(axis=0) <= steps for steps in (1, 2))  # 6 and 18 neighbours
HALF = 0.5  # a faint cluster reaches to half of its peak
TOP_VOXELS = 8  # the peak of a cluster is the mean of its strongest (0.027 mL at 1.5 mm): one noisy voxel is no peak


def standing_out(strength: Floats, where: Mask, seeds: Mask, low: float, share: float) -> Iterator[tuple[Box, Mask]]:
    """Clusters that hold a seed: voxels of ``where`` (face neighbours) above ``low`` and ``share`` of their own peak.

    What a strong place leaves of the ground around it is examined again: a weak lesion that touches a bright vessel has
    a peak of its own.

    Args:
        strength, where, seeds: (k, j, i) on one grid; seeds outside ``where`` do not count.

    Returns:
        Box on the grid and the cluster's mask inside it; no voxel is in two clusters.
    """
    left = where & (strength >= low)
    while True:
        labelled, _ = ndi.label(left, FACES)
        numbers = np.unique(labelled[seeds & left])
        if not numbers.size:
            return
        boxes = ndi.find_objects(labelled)
        for number in numbers:
            box: Box = boxes[number - 1]
            inside = labelled[box] == number
            ground = share * peak_of(strength[box][inside])
            strong = inside & ((strength[box] >= ground) | (strength[box] >= strength[box][inside].max()))
            kept, count = ndi.label(strong, FACES)
            for part in range(1, count + 1):
                if (seeds[box] & (kept == part)).any():
                    yield box, kept == part
            # the slope of what was taken is no cluster of its own
            left[box] &= ~(inside & ndi.binary_dilation(strong, EDGES, iterations=2))


def peak_of(values: npt.NDArray[Any]) -> float:
    """Mean of the TOP_VOXELS strongest."""
    return float(np.sort(values)[-TOP_VOXELS:].mean())


def thickness_mm(one: Mask, spacing_mm: float) -> float:
    """Diameter of the largest ball inside a cluster, mm; a single voxel has one spacing."""
    return float(2 * ndi.distance_transform_edt(np.pad(one, 1)).max() - 1) * spacing_mm


def compactness(one: Mask, spacing_mm: float) -> float:
    """Thickness over the diameter of a ball of the same volume: about 0.7 for a ball on a grid, less if flat."""
    ball_mm = 2 * (float(one.sum()) * spacing_mm**3 * 0.75 / np.pi) ** (1 / 3)
    return thickness_mm(one, spacing_mm) / ball_mm if ball_mm else 0.0
