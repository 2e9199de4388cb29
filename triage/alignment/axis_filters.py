"""A blur along an axis of an image, with or without new places to read it at, in; a product of matrices out.

Along one axis both are linear, so that a matrix does them. The library shows it: it blurs, and reads, the unit vectors.
A head of 1 mm is brought to 2 mm in a seventh of the time of the library's recursive filter, and the voxels are the
same to the precision of float32 (tests/triage/alignment/test_axis_filters.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from triage.libraries import sitk

Floats = npt.NDArray[np.float32]

BLOCK = 64  # voxels read at once: a matrix is almost empty far from its diagonal
# A weight below this share of the largest is left out: the voxels have float32's precision of 1.2e-7
LEAST_WEIGHT = 1e-8
# Voxels along an axis beyond which the library works by itself: the matrix grows with the square of them
LONGEST = 1024
FEWEST = 4  # voxels that the library's recursive filter needs


@dataclass(frozen=True)
class Places:
    """Where an axis is read: ``count`` places from ``first``, ``step`` apart, all in voxels."""

    first: float
    step: float
    count: int


@dataclass(frozen=True, eq=False)
class AxisFilter:
    """count: voxels of the axis afterwards. parts: (voxels written, voxels read, weights of shape (read, written))."""

    count: int
    parts: tuple[tuple[slice, slice, Floats], ...]


def can_filter(voxels: int) -> bool:
    """Whether an axis of so many voxels can be blurred by a matrix."""
    return FEWEST <= voxels <= LONGEST


@lru_cache(maxsize=64)
def axis_filter(voxels: int, sigma_voxels: float, places: Places | None = None) -> AxisFilter:
    """A Gaussian blur along an axis, and reading it by linear interpolation.

    Args:
        voxels: along the axis.
        sigma_voxels: of the Gaussian; 0: no blur.
        places: where the blurred axis is read; None: at each of its voxels.
    """
    image = sitk.GetImageFromArray(np.eye(voxels)[:, None, :])  # one unit vector after the other, each along i
    if sigma_voxels > 0:
        image = sitk.RecursiveGaussian(image, sigma=sigma_voxels, direction=0)
    if places is not None:
        grid = sitk.Image([places.count, 1, voxels], sitk.sitkUInt8)
        grid.SetSpacing([places.step, 1.0, 1.0])
        grid.SetOrigin([places.first, 0.0, 0.0])
        image = sitk.Resample(image, grid, sitk.Transform(3, sitk.sitkIdentity), sitk.sitkLinear, 0.0)
    return _in_parts(sitk.GetArrayFromImage(image)[:, 0, :])


def _in_parts(weights: npt.NDArray[np.float64]) -> AxisFilter:
    """weights: (voxels read, voxels written)."""
    counts = np.abs(weights) > LEAST_WEIGHT * np.abs(weights).max()
    count = weights.shape[1]
    parts = []
    for first in range(0, count, BLOCK):
        written = slice(first, min(first + BLOCK, count))
        used = np.flatnonzero(counts[:, written].any(axis=1))
        read = slice(int(used[0]), int(used[-1]) + 1) if used.size else slice(0, 0)
        part = np.where(counts[read, written], weights[read, written], 0.0)
        parts.append((written, read, np.ascontiguousarray(part, dtype=np.float32)))
    return AxisFilter(count, tuple(parts))


def filtered(voxels: Floats, filters: Sequence[AxisFilter | None]) -> Floats:
    """The voxels, shape (k, j, i), after the filters of i, j and k; None: that axis stays as it is."""
    for axis, one in zip((2, 1, 0), filters, strict=True):
        if one is not None:
            with np.errstate(invalid="ignore", over="ignore"):  # voxels that are no number stay none
                voxels = _along(voxels, axis, one)
    return voxels


def _along(voxels: Floats, axis: int, one: AxisFilter) -> Floats:
    shape = list(voxels.shape)
    shape[axis] = one.count
    out: Floats = np.empty(shape, dtype=np.float32)
    for written, read, weights in one.parts:
        if axis == 2:
            np.matmul(voxels[:, :, read], weights, out=out[:, :, written])
        elif axis == 1:
            np.matmul(weights.T, voxels[:, read], out=out[:, written])
        else:
            plane = voxels.shape[1] * voxels.shape[2]
            np.matmul(weights.T, voxels[read].reshape(-1, plane), out=out[written].reshape(-1, plane))
    return out
