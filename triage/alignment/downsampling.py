"""An image in; what a coarser grid along its axes reads of it out.

The Gaussian works along one axis after the other, on each line of voxels by itself. Lines that hold nothing stay empty,
and lines that the grid does not read are not needed. The atlas is smoothed twenty times before the first study of a
process, and what is left out was four fifths of that work. Each voxel is, bit by bit, what ``smooth_axis`` makes of the
whole image.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from triage.alignment.images import affine_of, inverse, on_grid, resample, smooth_axis
from triage.libraries import sitk

NEAR = 1e-3  # voxels: a place this close to a voxel may be read as on either side of it


def downsampled(image: sitk.Image, spacing_mm: float, grid: sitk.Image) -> sitk.Image:
    """A float32 image after ``smooth_axis`` along i, j and k, on a grid of the same axes."""
    read = _read_by(grid, image)
    values = sitk.GetArrayViewFromImage(image)
    whole = np.zeros_like(values)
    kept = [_span(values, axis) for axis in range(3)]  # of the axes k, j, i
    if kept[0].stop:
        part = values[tuple(kept)]
        for axis in (2, 1, 0):  # i first
            line = _widened(part, axis, kept[axis].start, values.shape[axis])
            part = np.take(_smoothed(line, axis, image, spacing_mm), read[axis], axis=axis)
        whole[np.ix_(*read)] = part
    return resample(on_grid(whole, image), grid)


def _read_by(grid: sitk.Image, image: sitk.Image) -> list[npt.NDArray[np.intp]]:
    """Indices of the image's voxels, along k, j and i, between which the voxels of the grid lie."""
    to_image = inverse(affine_of(image)) @ affine_of(grid)
    found = []
    for axis in (2, 1, 0):
        at = to_image[axis, 3] + to_image[axis, axis] * np.arange(grid.GetSize()[axis])
        low = np.concatenate([np.floor(at - NEAR), np.floor(at + NEAR), np.ceil(at - NEAR), np.ceil(at + NEAR)])
        found.append(np.unique(np.clip(low, 0, image.GetSize()[axis] - 1)).astype(np.intp))
    return found


def _span(values: npt.NDArray[Any], axis: int) -> slice:
    """Indices along an axis, from the first to the last that hold something; none when nothing does."""
    others = tuple(other for other in range(3) if other != axis)
    some = np.flatnonzero(values.any(axis=others))
    return slice(int(some[0]), int(some[-1]) + 1) if len(some) else slice(0, 0)


def _widened(part: npt.NDArray[Any], axis: int, start: int, size: int) -> npt.NDArray[Any]:
    """The part with whole lines along an axis: ``size`` voxels, empty before ``start`` and beyond the part."""
    around = [(0, 0)] * 3
    around[axis] = (start, size - start - part.shape[axis])
    return np.pad(part, around)


def _smoothed(part: npt.NDArray[Any], axis: int, like: sitk.Image, spacing_mm: float) -> npt.NDArray[Any]:
    image = sitk.GetImageFromArray(np.ascontiguousarray(part))
    image.SetSpacing(like.GetSpacing())
    return np.asarray(sitk.GetArrayFromImage(smooth_axis(image, 2 - axis, spacing_mm)))
