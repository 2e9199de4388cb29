"""Volume to SimpleITK and back, and the few resampling steps of the core. All transforms act on LPS mm points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from triage.alignment.axis_filters import FEWEST, Places, axis_filter, can_filter, filtered
from triage.libraries import sitk
from triage.model import Affine, Mask, Volume

# names of interpolators: the constants themselves would load the library
LINEAR, NEAREST, SPLINE = "sitkLinear", "sitkNearestNeighbor", "sitkBSpline3"
NEARLY_ALL = 0.999  # of the weight of an interpolated value


def to_sitk(volume: Volume, pixel_type: int | None = None) -> sitk.Image:
    """The same voxels and geometry (LPS mm) as a SimpleITK image; bool arrays become 0 and 1.

    Args:
        pixel_type: SimpleITK's number of it; None: float32.
    """
    array = volume.voxels.astype(np.uint8) if volume.voxels.dtype == np.bool_ else volume.voxels
    image = sitk.GetImageFromArray(np.ascontiguousarray(array))
    spacing = np.linalg.norm(volume.affine[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(volume.affine[:3, 3].tolist())
    image.SetDirection((volume.affine[:3, :3] / spacing).ravel().tolist())
    wanted = sitk.sitkFloat32 if pixel_type is None else pixel_type
    return image if image.GetPixelID() == wanted else sitk.Cast(image, wanted)


def affine_of(image: sitk.Image) -> Affine:
    """(4, 4), voxel index (i, j, k, 1) -> LPS mm."""
    affine = np.eye(4)
    affine[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    return affine


def from_sitk(image: sitk.Image) -> Volume:
    """The same voxels, shape (k, j, i), and geometry (LPS mm) as a Volume."""
    return Volume(sitk.GetArrayFromImage(image), affine_of(image))


def on_grid(voxels: npt.NDArray[Any], grid: sitk.Image) -> sitk.Image:
    """An array of shape (k, j, i) as an image with the geometry of ``grid``; bool arrays become 0 and 1."""
    image = sitk.GetImageFromArray(voxels.astype(np.uint8) if voxels.dtype == np.bool_ else voxels)
    image.CopyInformation(grid)
    return image


def resample(
    moving: sitk.Image,
    grid: sitk.Image,
    transform: sitk.Transform | None = None,
    *,
    how: str = LINEAR,
    outside: float = 0.0,
) -> sitk.Image:
    """``moving`` on the grid of ``grid``.

    Args:
        transform: grid points -> moving points, LPS mm (ITK's direction); None: identity.
        how: LINEAR, NEAREST or SPLINE.
        outside: value where ``moving`` has no data.
    """
    transform = transform or sitk.Transform(3, sitk.sitkIdentity)
    return sitk.Resample(moving, grid, transform, getattr(sitk, how), outside, moving.GetPixelID())


def isotropic_grid(image: sitk.Image, spacing_mm: float, *, margin_mm: float = 0.0) -> sitk.Image:
    """An empty uint8 image of cubic voxels along the image's own axes, covering its extent and a margin."""
    size = np.array(image.GetSize())
    spacing = np.array(image.GetSpacing())
    extent = size * spacing + 2 * margin_mm
    count = np.maximum(1, np.ceil(extent / spacing_mm)).astype(int)
    direction = np.array(image.GetDirection()).reshape(3, 3)
    first = (spacing_mm - spacing) / 2 - margin_mm - (count * spacing_mm - extent) / 2
    grid = sitk.Image(count.tolist(), sitk.sitkUInt8)
    grid.SetSpacing([spacing_mm] * 3)
    grid.SetDirection(image.GetDirection())
    grid.SetOrigin((np.array(image.GetOrigin()) + direction @ first).tolist())
    return grid


def smooth_to(image: sitk.Image, spacing_mm: float) -> sitk.Image:
    """Smoothed against aliasing before sampling at ``spacing_mm``; axes that are coarser already stay as they are.

    The Gaussian sigma is 0.4 of ``spacing_mm``.
    """
    return blurred(image, _sigmas_mm(image, spacing_mm))


def smooth_axis(image: sitk.Image, axis: int, spacing_mm: float) -> sitk.Image:
    """The part of ``smooth_to`` along one axis (0: i), by the library's recursive filter: each line of voxels by
    itself, so that a line gives the same bits whatever lies beside it."""
    sigma_mm = _sigmas_mm(image, spacing_mm)[axis]
    if sigma_mm == 0.0 or image.GetSize()[axis] < FEWEST:
        return image
    return sitk.RecursiveGaussian(image, sigma=sigma_mm, direction=axis)


def _sigmas_mm(image: sitk.Image, spacing_mm: float) -> list[float]:
    """Of ``smooth_to`` along i, j and k; 0: none."""
    return [0.0 if spacing >= spacing_mm * 0.75 else spacing_mm * 0.4 for spacing in image.GetSpacing()]


def blurred(image: sitk.Image, sigmas_mm: Sequence[float]) -> sitk.Image:
    """A float32 image after a Gaussian blur along i, j and k; an axis of fewer than four voxels stays as it is.

    Args:
        sigmas_mm: of the Gaussians; 0: none.
    """
    sizes = image.GetSize()
    sigmas_mm = [0.0 if size < FEWEST else sigma for size, sigma in zip(sizes, sigmas_mm, strict=True)]
    for axis, sigma in enumerate(sigmas_mm):
        if sigma > 0 and not can_filter(sizes[axis]):
            image = sitk.RecursiveGaussian(image, sigma=sigma, direction=axis)
    filters = [
        axis_filter(size, sigma / spacing) if sigma > 0 and can_filter(size) else None
        for size, spacing, sigma in zip(sizes, image.GetSpacing(), sigmas_mm, strict=True)
    ]
    return image if filters == [None] * 3 else on_grid(filtered(_floats(image), filters), image)


def _floats(image: sitk.Image) -> npt.NDArray[np.float32]:
    """A view of the voxels of a float32 image, (k, j, i); a copy of any other."""
    return np.asarray(sitk.GetArrayViewFromImage(image), dtype=np.float32)


def around(image: sitk.Image, grid: sitk.Image, to_image: Affine, margin_mm: float) -> sitk.Image:
    """The part of an image that a grid reads, and a margin around it; the whole image when they are apart.

    Args:
        to_image: (4, 4), points of the grid -> points of the image, LPS mm.
    """
    first, size = _box_around(image, grid, to_image, margin_mm)
    return sitk.RegionOfInterest(image, size, first)


def _box_around(image: sitk.Image, grid: sitk.Image, to_image: Affine, margin_mm: float) -> tuple[list[int], list[int]]:
    """First index and size, (i, j, k), of what ``around`` takes."""
    whole, ends = np.array(image.GetSize()), np.array(grid.GetSize()) - 1.0
    corners = np.stack(np.meshgrid(*([0.0, end] for end in ends), [1.0], indexing="ij")).reshape(4, -1)
    index = (inverse(affine_of(image)) @ to_image @ affine_of(grid) @ corners)[:3]
    margin = margin_mm / np.array(image.GetSpacing()) + 1.0
    first = np.maximum(np.floor(index.min(axis=1) - margin), 0).astype(int)
    beyond = np.minimum(np.ceil(index.max(axis=1) + margin) + 1, whole).astype(int)
    if (beyond <= first).any():
        return [0, 0, 0], whole.tolist()
    return first.tolist(), (beyond - first).tolist()


def smoothed_onto(image: sitk.Image, spacing_mm: float) -> sitk.Image:
    """``resample(smooth_to(image, spacing_mm), isotropic_grid(image, spacing_mm))`` of a float32 image.

    The grid's axes are those of the image, so that each axis is smoothed and sampled by itself, and the next ones have
    fewer voxels.
    """
    grid = isotropic_grid(image, spacing_mm)
    if not all(can_filter(size) for size in image.GetSize()):
        return resample(smooth_to(image, spacing_mm), grid)
    first = image.TransformPhysicalPointToContinuousIndex(grid.GetOrigin())
    filters = [
        axis_filter(size, sigma / spacing, Places(at, spacing_mm / spacing, count))
        for size, spacing, sigma, at, count in zip(
            image.GetSize(), image.GetSpacing(), _sigmas_mm(image, spacing_mm), first, grid.GetSize(), strict=True
        )
    ]
    return on_grid(filtered(_floats(image), filters), grid)


def shrink_to(image: sitk.Image, spacing_mm: float) -> sitk.Image:
    """Means of whole blocks of voxels, no axis coarser than two thirds of ``spacing_mm``; later steps then cost less.

    Smoothing a 1 mm head for 3 mm took half a second at full size, and a tenth of that on blocks of two.
    """
    factors = [max(1, int(spacing_mm / 1.5 / s + 0.01)) for s in image.GetSpacing()]
    factors = [min(factor, size) for factor, size in zip(factors, image.GetSize(), strict=True)]
    return image if max(factors) == 1 else sitk.BinShrink(image, factors)


def shown_planes(image: sitk.Image) -> tuple[Mask, Mask, Mask]:
    """Of each axis (k, j, i), which planes show something; the others hold one value, as where nothing was acquired."""
    voxels = sitk.GetArrayViewFromImage(image)
    found = [(np.fmin.reduce(voxels, axis=axis), np.fmax.reduce(voxels, axis=axis)) for axis in (1, 2)]
    (low_ki, high_ki), (low_kj, high_kj) = found
    return (
        np.asarray(low_ki.min(axis=1) < high_ki.max(axis=1)),
        np.asarray(low_kj.min(axis=0) < high_kj.max(axis=0)),
        np.asarray(low_ki.min(axis=0) < high_ki.max(axis=0)),
    )


def shown_on(image: sitk.Image, grid: sitk.Image, to_image: Affine) -> Mask:
    """Where the image shows something, (k, j, i) on a grid: inside its field of view and in no empty plane.

    Args:
        to_image: (4, 4), points of the grid -> points of the image, LPS mm.
    """
    first, size = _box_around(image, grid, to_image, 0.0)
    k, j, i = (
        planes[begin : begin + count].astype(np.float32)
        for planes, begin, count in zip(shown_planes(image), first[::-1], size[::-1], strict=True)
    )
    shows = sitk.GetImageFromArray(k[:, None, None] * j[:, None] * i)
    shows.SetSpacing(image.GetSpacing())
    shows.SetDirection(image.GetDirection())
    shows.SetOrigin(image.TransformIndexToPhysicalPoint(first))
    # an empty plane takes part in every value up to the next one
    return np.asarray(sitk.GetArrayFromImage(resample(shows, grid, affine_transform(to_image))) > NEARLY_ALL)


def affine_transform(matrix: Affine) -> sitk.AffineTransform:
    """ITK transform that maps points as ``matrix`` (4, 4) does, LPS mm to LPS mm."""
    transform = sitk.AffineTransform(3)
    transform.SetMatrix(matrix[:3, :3].ravel().tolist())
    transform.SetTranslation(matrix[:3, 3].tolist())
    return transform


def matrix_of(transform: sitk.Transform) -> Affine:
    """(4, 4), LPS mm -> LPS mm, of any linear ITK transform.

    It is found by mapping four points, so that centres of rotation and composites are included.
    """
    matrix = np.eye(4)
    zero = np.array(transform.TransformPoint((0.0, 0.0, 0.0)))
    for axis in range(3):
        point = [0.0, 0.0, 0.0]
        point[axis] = 1.0
        matrix[:3, axis] = np.array(transform.TransformPoint(tuple(point))) - zero
    matrix[:3, 3] = zero
    return matrix


def inverse(matrix: Affine) -> Affine:
    """The inverse of a (4, 4) transform."""
    return np.asarray(np.linalg.inv(matrix), dtype=np.float64)
