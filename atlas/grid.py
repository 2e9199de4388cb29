"""Small geometry on the atlas grid: arrays (k, j, i), LPS millimetres, identity direction, mirror plane x = 0."""

# mypy: disable-error-code="no-untyped-call"
# SimpleITK ships stubs without argument types

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk
from scipy import ndimage

Array = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]
Float = npt.NDArray[np.float32]


def read_lps(path: str) -> sitk.Image:
    """Read an image and reorder its axes so that index i, j, k run along +L, +P, +S."""
    image: sitk.Image = sitk.DICOMOrient(sitk.ReadImage(path), "LPS")
    return image


def to_image(array: Array, like: sitk.Image) -> sitk.Image:
    """Array (k, j, i) -> image on the grid of ``like``."""
    image = sitk.GetImageFromArray(array)
    image.CopyInformation(like)
    return image


def check_mirror_grid(image: sitk.Image) -> None:
    """Refuse a grid that reversing the i axis does not mirror at x = 0."""
    size, origin, spacing = image.GetSize(), image.GetOrigin(), image.GetSpacing()
    last = origin[0] + spacing[0] * (size[0] - 1)
    if abs(origin[0] + last) > 1e-3 or image.GetDirection() != (1, 0, 0, 0, 1, 0, 0, 0, 1):
        raise ValueError(
            f"the grid must be LPS and symmetric about x = 0, got x {origin[0]}..{last}, {image.GetDirection()}"
        )


def coordinates(image: sitk.Image) -> tuple[Float, Float, Float]:
    """LPS x, y, z in mm of every voxel, broadcastable to (k, j, i)."""
    (nx, ny, nz), (ox, oy, oz), (sx, sy, sz) = image.GetSize(), image.GetOrigin(), image.GetSpacing()
    x = (ox + sx * np.arange(nx, dtype=np.float32))[None, None, :]
    y = (oy + sy * np.arange(ny, dtype=np.float32))[None, :, None]
    z = (oz + sz * np.arange(nz, dtype=np.float32))[:, None, None]
    return x, y, z


def mirrored(array: Array) -> Array:
    """The array with patient left and right exchanged."""
    return array[:, :, ::-1]


def smooth(mask: Array, sigma_mm: float) -> Float:
    """Gaussian smoothing on the 1 mm grid."""
    return np.asarray(ndimage.gaussian_filter(mask.astype(np.float32), sigma_mm), dtype=np.float32)


def distance_mm(mask: Mask) -> Float:
    """Distance in mm of every voxel to the mask (1 mm grid); infinite when the mask is empty."""
    if not mask.any():
        return np.full(mask.shape, np.inf, dtype=np.float32)
    return np.asarray(ndimage.distance_transform_edt(~mask), dtype=np.float32)


def nearest_label(labels: Array, wanted: Mask) -> Array:
    """For every voxel of ``wanted`` the nearest non-zero label (0 elsewhere)."""
    index = ndimage.distance_transform_edt(labels == 0, return_distances=False, return_indices=True)
    filled: Array = labels[tuple(index)]
    return np.where(wanted, filled, 0).astype(labels.dtype)


def largest_component(mask: Mask) -> Mask:
    """The biggest face-connected piece of a mask."""
    pieces, count = ndimage.label(mask)
    if count < 2:
        return mask
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    return np.asarray(pieces == sizes.argmax(), dtype=np.bool_)
