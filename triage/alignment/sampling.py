"""A mask in, some of its voxels out, evenly mixed over it, each by its own place alone.

Threads add up in another order, so that two runs on the same images may differ by a voxel at the border of a region.
Every n-th voxel of a list, or a shuffled list, then becomes other voxels: of one pair, the uncertainty of a thalamus
went from 3.2 to 5.3 % with 13 voxels of the regions, and a lesion came or went. Here such a voxel changes one sample.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from triage.model import Mask

Places = npt.NDArray[np.int64]  # flat indices into the mask, C order


def some_of(where: Mask, at_most: int) -> Places:
    """About ``at_most`` voxels of the mask in ascending order; all of them when there are fewer."""
    places = np.flatnonzero(where)
    if len(places) <= at_most:
        return places
    return places[_mixed(places) < np.uint64(at_most / len(places) * 2.0**64)]


def shuffled(where: Mask) -> Places:
    """All voxels of the mask in an order that looks like chance."""
    places = np.flatnonzero(where)
    return places[np.argsort(_mixed(places), kind="stable")]


def _mixed(places: Places) -> npt.NDArray[np.uint64]:
    """A number for each place, evenly over 64 bits: the finaliser of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014)."""
    z = (places.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(z ^ (z >> np.uint64(31)), dtype=np.uint64)
