"""Volumes in any orientation in, axial slices of square pixels out, as radiologists look at them: patient right on the
left, front up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.ndimage as ndi
from SimpleITK import GetArrayFromImage, Image, sitkUInt8

from triage.alignment.images import LINEAR, affine_transform, resample, to_sitk
from triage.model import Affine, Mask, Volume

Pixels = npt.NDArray[np.float32]  # (row, column): rows run to the back of the head, columns to the patient's left

SLAB_MM = 3.0  # thinner slices are averaged to this: single 1 mm reformats are too noisy to read
MARGIN_MM = 6.0
MOST_ZOOM = 1.5  # the low slices show little brain; larger than this the context is lost
# Below the top of the head: thalami, midbrain and pons of an adult lie about here; used when no regions are known.
BELOW_VERTEX_MM = (70.0, 90.0, 110.0)


@dataclass(frozen=True, eq=False)
class AxialFrame:
    """How axial pictures lie in one volume.

    axes: (3, 3), columns are unit vectors in LPS mm: towards the patient's left, back and head. They are the volume's
        own axes, so that an axial acquisition is shown on its own slices.
    index_axes: which volume index (0 = i, 1 = j, 2 = k) runs along left, back and head.
    """

    axes: Affine
    index_axes: tuple[int, int, int]

    @property
    def head_axis(self) -> int:
        return self.index_axes[2]


@dataclass(frozen=True)
class View:
    """What one panel shows: centre along left and back in mm of the frame, pixel size in mm, size in pixels."""

    centre_left_mm: float
    centre_back_mm: float
    pixel_mm: float
    columns: int
    rows: int


@dataclass(frozen=True)
class Slice:
    """One axial level. position_mm: along the frame's head axis; thickness_mm: what is averaged; regions: what it was
    chosen for."""

    position_mm: float
    thickness_mm: float
    regions: tuple[str, ...]


def frame_of(affine: Affine) -> AxialFrame:
    """The volume's axes in the order and sense left, back, head."""
    unit = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    order = max(permutations(range(3)), key=lambda p: sum(abs(unit[a, p[a]]) for a in range(3)))
    axes = np.stack([unit[:, order[a]] * np.sign(unit[a, order[a]]) for a in range(3)], axis=1)
    axes[:, 2] = np.cross(axes[:, 0], axes[:, 1])  # right-handed whatever the acquisition
    return AxialFrame(axes, (order[0], order[1], order[2]))


def is_axial(volume: Volume) -> bool:
    """Whether the slices (k) run along the head and are thick enough to be shown as acquired."""
    return frame_of(volume.affine).head_axis == 2 and volume.spacing_mm[2] >= SLAB_MM - 0.5


def along(volume: Volume, frame: AxialFrame, axis: int, indices: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Positions (mm along frame axis 0 left, 1 back, 2 head) of voxel indices of the matching volume axis."""
    column = frame.index_axes[axis]
    direction = frame.axes[:, axis]
    return np.asarray(direction @ volume.affine[:3, 3] + indices * (direction @ volume.affine[:3, column]))


def profile(mask: Mask, index_axis: int) -> npt.NDArray[np.int64]:
    """Voxels of a (k, j, i) mask per index along volume axis 0 = i, 1 = j, 2 = k."""
    array_axis = 2 - index_axis
    return np.asarray(mask.sum(axis=tuple(a for a in range(3) if a != array_axis)))


def view_of(mask: Mask, volume: Volume, frame: AxialFrame, columns: int, rows: int) -> View:
    """The view that holds the box of a mask (k, j, i) plus a margin; the whole volume when the mask is empty."""
    spans = []
    for axis in (0, 1):
        used = np.nonzero(profile(mask, frame.index_axes[axis]))[0]
        if not used.size:
            used = np.array([0, mask.shape[2 - frame.index_axes[axis]] - 1])
        ends = along(volume, frame, axis, used[[0, -1]])
        spans.append((float(ends.mean()), float(abs(ends[1] - ends[0])) + 2 * MARGIN_MM))
    (left, width), (back, depth) = spans
    return View(left, back, max(width / columns, depth / rows), columns, rows)


def at_level(mask: Mask, volume: Volume, frame: AxialFrame, level: Slice) -> Mask:
    """The part of a mask (k, j, i) within the thickness of one slice."""
    positions = along(volume, frame, 2, np.arange(mask.shape[2 - frame.head_axis]))
    step = volume.spacing_mm[frame.head_axis]
    inside = np.abs(positions - level.position_mm) < max(step, level.thickness_mm) / 2
    shape = [1, 1, 1]
    shape[2 - frame.head_axis] = -1
    return np.asarray(mask & inside.reshape(shape))


def zoomed(whole: View, close: View) -> View:
    """The closer view, not closer than ``MOST_ZOOM`` times the whole one."""
    return replace(close, pixel_mm=min(whole.pixel_mm, max(close.pixel_mm, whole.pixel_mm / MOST_ZOOM)))


def slab_mm(volumes: Iterable[Volume], frame: AxialFrame) -> float:
    """Thickness to show: that of the thickest slices, at least SLAB_MM."""
    return max(SLAB_MM, *(spacing_along(volume, frame.axes[:, 2]) for volume in volumes))


def spacing_along(volume: Volume, direction: npt.NDArray[np.float64]) -> float:
    """Voxel spacing, mm, of the volume axis nearest to a unit vector."""
    unit = volume.affine[:3, :3] / np.linalg.norm(volume.affine[:3, :3], axis=0)
    return volume.spacing_mm[int(np.argmax(np.abs(direction @ unit)))]


def region_slices(
    labels: Volume, frame: AxialFrame, thickness_mm: float, groups: Iterable[tuple[tuple[str, ...], Mask]]
) -> tuple[Slice, ...]:
    """One slice per group at the largest cross-section of its mask (k, j, i), top down; equal slices are merged."""
    step = labels.spacing_mm[frame.head_axis]
    found: dict[float, tuple[str, ...]] = {}
    for names, mask in groups:
        area = ndi.uniform_filter1d(profile(mask, frame.head_axis).astype(float), max(1, round(thickness_mm / step)))
        if area.max() > 0:
            position = float(along(labels, frame, 2, np.array([int(np.argmax(area))]))[0])
            found[position] = (*found.get(position, ()), *names)
    return tuple(Slice(position, thickness_mm, found[position]) for position in sorted(found, reverse=True))


def plain_slices(volume: Volume, frame: AxialFrame, thickness_mm: float) -> tuple[Slice, ...]:
    """Levels at fixed distances below the top of the head, for a scan without regions."""
    area = profile(foreground(volume), frame.head_axis)
    positions = along(volume, frame, 2, np.arange(area.size))
    inside = positions[area > 0.1 * area.max()]
    wanted = [float(positions[np.argmin(np.abs(positions - (inside.max() - mm)))]) for mm in BELOW_VERTEX_MM]
    kept = sorted({p for p in wanted if p > inside.min()} or {float(np.median(inside))}, reverse=True)
    return tuple(Slice(position, thickness_mm, ()) for position in kept)


def foreground(volume: Volume) -> Mask:
    """Head against air: above the mean of what is not zero, halved."""
    values = volume.voxels
    positive = values[values > 0]
    return np.asarray(values > (0.5 * float(positive.mean()) if positive.size else 0.0))


def sample(
    image: Image,
    frame: AxialFrame,
    view: View,
    level: Slice,
    to_image: Affine | None = None,
    *,
    how: str = LINEAR,
    outside: float = 0.0,
    samples: int = 1,
) -> Pixels:
    """One slice of ``image`` as pixels (row, column).

    Args:
        to_image: (4, 4), frame LPS mm -> image LPS mm; None: the same space.
        samples: how many planes across the thickness are averaged.
    """
    grid = _grid(frame, view, level, samples)
    transform = None if to_image is None else affine_transform(to_image)
    planes = GetArrayFromImage(resample(image, grid, transform, how=how, outside=outside))
    return np.asarray(planes.mean(axis=0), dtype=np.float32)


def samples_for(volume: Volume, frame: AxialFrame, level: Slice) -> int:
    """Planes to average so that a thin acquisition is shown as thick as the other date; 1 for slices that thick."""
    return max(1, round(level.thickness_mm / spacing_along(volume, frame.axes[:, 2])))


def centre_lps_mm(frame: AxialFrame, view: View, level: Slice) -> npt.NDArray[np.float64]:
    """LPS mm of the middle of the picture."""
    return np.asarray(frame.axes @ np.array([view.centre_left_mm, view.centre_back_mm, level.position_mm]))


def _grid(frame: AxialFrame, view: View, level: Slice, samples: int) -> Image:
    step = level.thickness_mm / samples
    corner = np.array(
        [
            view.centre_left_mm - view.pixel_mm * (view.columns - 1) / 2,
            view.centre_back_mm - view.pixel_mm * (view.rows - 1) / 2,
            level.position_mm - step * (samples - 1) / 2,
        ]
    )
    affine = np.eye(4)
    affine[:3, :3] = frame.axes * (view.pixel_mm, view.pixel_mm, step)
    affine[:3, 3] = frame.axes @ corner
    return to_sitk(Volume(np.zeros((samples, view.rows, view.columns), dtype=np.uint8), affine), sitkUInt8)
