"""A scan in, the same head scanned again out, with a known change or a known fault. Pure.

The second scan has another pose, grid, contrast, field and noise.

Frames: LPS mm. ``Rescan.pose`` takes points of the head in the first scan to where the scanner finds them at the
second.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk
from scipy.spatial.transform import Rotation

from simulation.acquisition import PROFILE
from simulation.deformation import Displacement, Grid, exponential, log_jacobian, potential_flow, rng_for
from triage.alignment.images import (
    LINEAR,
    SPLINE,
    affine_of,
    affine_transform,
    inverse,
    on_grid,
    resample,
    smooth_to,
    to_sitk,
)
from triage.model import Affine, Mask, Volume, Voxels

FIELD_SIZE = (0.05, 0.07, 0.06, 0.10, 0.10, 0.07, 0.02, 0.02, 0.03, 0.03)  # as in simulation.acquisition
DEFORMATION_MM = 2.0


@dataclass(frozen=True)
class Rescan:
    """How a head is scanned again.

    pose: (4, 4) LPS mm, first scan -> second scan. follow: share of the head's tilt that the stack follows. spacing_mm:
    (i, j, k) of the new stack, None: as before. offset: shift of the stack in voxels (i, j, k). gamma: exponent of the
    contrast curve, white matter fixed. field: (10,) log differential receive field over (x, y, z, x2, y2, z2, xy, xz,
    yz, z3) in units of 100 mm. snr: white matter over the noise of one channel. gain: overall scale.
    """

    seed: int
    pose: Affine
    follow: float = 0.7
    spacing_mm: tuple[float, float, float] | None = None
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)
    gamma: float = 1.0
    field: tuple[float, ...] = (0.0,) * 10
    snr: float = 40.0
    gain: float = 1.0

    @property
    def followup_to_baseline(self) -> Affine:
        return inverse(self.pose)


def random_rescan(
    seed: int,
    centre_mm: npt.NDArray[np.float64],
    *,
    drift: float,
    gamma: tuple[float, float],
    snr: tuple[float, float],
    spacing_mm: tuple[float, float, float] | None = None,
    most_deg: float = 6.0,
    most_mm: float = 10.0,
) -> Rescan:
    """Everything drawn from the seed.

    drift: size of the field difference (simulation: 0.15 the same scanner, 0.8 another one).
    """
    rng = rng_for(seed, "rescan")
    axis = rng.normal(0, 1, 3) * (1.3, 0.8, 0.9)  # nodding mostly
    turn = Rotation.from_rotvec(axis / np.linalg.norm(axis) * np.deg2rad(rng.uniform(1.0, most_deg))).as_matrix()
    shift = rng.normal(0, 1, 3)
    shift *= rng.uniform(1.0, most_mm) / np.linalg.norm(shift)
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = turn, centre_mm - turn @ centre_mm + shift
    return Rescan(
        seed=seed,
        pose=pose,
        follow=float(rng.uniform(0.6, 0.9)),
        spacing_mm=spacing_mm,
        offset=tuple(rng.uniform(-0.5, 0.5, 3).tolist()),
        gamma=float(np.exp(rng.uniform(np.log(gamma[0]), np.log(gamma[1])))),
        field=tuple((rng.normal(0, 1, 10) * FIELD_SIZE * drift).tolist()),
        snr=float(rng.uniform(*snr)),
        gain=float(rng.uniform(0.75, 1.3)),
    )


def centre_of(volume: Volume) -> npt.NDArray[np.float64]:
    """Middle of the stack, LPS mm (3,)."""
    half = (np.array(volume.voxels.shape[::-1]) - 1) / 2.0
    return np.asarray((volume.affine @ np.append(half, 1.0))[:3], dtype=np.float64)


def rescanned(
    volume: Volume, how: Rescan, *, white_level: float | None, swelling: Displacement | None = None, stream: str = ""
) -> Volume:
    """The volume as the second scan shows it.

    Args:
        white_level: intensity of white matter, sets the noise; None: no contrast curve, field or noise (maps, masks of
        the truth).
        swelling: pull field in the frame of the first scan, follow-up head -> baseline head.
        stream: name of the series, so that each has its own noise.
    """
    grid = _grid(volume, how)
    seen = _taken(on_grid(np.ones(volume.voxels.shape, dtype=np.float32), to_sitk(volume)), grid, how, None, LINEAR)
    coarse = _coarser(volume, grid)
    taken = _taken(to_sitk(volume), grid, how, swelling, LINEAR if coarse or white_level is None else SPLINE)
    kept = np.flatnonzero(
        sitk.GetArrayViewFromImage(seen).mean(axis=(1, 2)) > 0.5
    )  # the stack ends where the first one did
    first, last = int(kept[0]), int(kept[-1]) + 1
    taken = taken[:, :, first:last]
    voxels = np.maximum(sitk.GetArrayFromImage(taken), 0.0)
    affine = affine_of(taken)
    if white_level is None:
        return Volume(voxels, affine)
    shaped = white_level * (voxels / white_level) ** how.gamma * np.exp(_field(how.field, affine, voxels.shape))
    return Volume(how.gain * _rician(shaped, white_level / how.snr, rng_for(how.seed, f"noise {stream}")), affine)


def _grid(volume: Volume, how: Rescan) -> sitk.Image:
    """The new stack about the head: as large as the first one, tilted with the head as far as ``follow``."""
    old, spacing = np.array(volume.spacing_mm), np.array(how.spacing_mm or volume.spacing_mm)
    turn = Rotation.from_matrix(how.pose[:3, :3])
    tilt = Rotation.from_rotvec(turn.as_rotvec() * how.follow).as_matrix()
    size = np.maximum(1, np.round(np.array(volume.voxels.shape[::-1]) * old / spacing)).astype(int)
    directions = tilt @ (volume.affine[:3, :3] / old)
    centre = (how.pose @ np.append(centre_of(volume), 1.0))[:3]
    origin = centre - directions @ ((size - 1) / 2.0 * spacing) + directions @ (np.array(how.offset) * spacing)
    grid = sitk.Image(size.tolist(), sitk.sitkUInt8)
    grid.SetSpacing(spacing.tolist())
    grid.SetDirection(directions.ravel().tolist())
    grid.SetOrigin(origin.tolist())
    return grid


def _coarser(volume: Volume, grid: sitk.Image) -> bool:
    return bool(grid.GetSpacing()[2] > 1.4 * volume.spacing_mm[2])


def _taken(
    image: sitk.Image, grid: sitk.Image, how: Rescan, swelling: Displacement | None, interpolation: str
) -> sitk.Image:
    """Sampled along the new slices; slices clearly thicker than the old ones are averaged over a slice profile."""
    transform = sitk.CompositeTransform(3)
    if swelling is not None:
        transform.AddTransform(_pull(swelling))
    transform.AddTransform(affine_transform(inverse(how.pose)))  # ITK applies the last added first
    if grid.GetSpacing()[2] <= 1.4 * image.GetSpacing()[2]:
        return resample(image, grid, transform, how=interpolation)
    if grid.GetSpacing()[0] > 1.4 * image.GetSpacing()[0]:
        image = smooth_to(image, grid.GetSpacing()[0])
    step = np.array(grid.GetDirection()).reshape(3, 3)[:, 2] * grid.GetSpacing()[2]
    out: sitk.Image | None = None
    for at, weight in PROFILE:
        moved = sitk.Image(grid)
        moved.SetOrigin((np.array(grid.GetOrigin()) + at * step).tolist())
        part = resample(image, moved, transform, how=interpolation) * weight
        part.SetOrigin(grid.GetOrigin())
        out = part if out is None else out + part
    assert out is not None
    return out


def _pull(displacement: Displacement) -> sitk.DisplacementFieldTransform:
    image = sitk.GetImageFromArray(np.moveaxis(displacement.vectors, 0, -1).astype(np.float64), isVector=True)
    image.SetSpacing([displacement.grid.spacing_mm] * 3)
    image.SetOrigin(displacement.grid.origin_mm)
    return sitk.DisplacementFieldTransform(image)


def _field(coefficients: tuple[float, ...], affine: Affine, shape: tuple[int, ...]) -> Voxels:
    k, j, i = (np.arange(n, dtype=np.float64) for n in shape)
    centre = (affine @ np.append((np.array(shape[::-1]) - 1) / 2.0, 1.0))[:3]

    def along(row: int) -> npt.NDArray[np.float64]:
        m = affine[row]
        line = m[0] * i[None, None, :] + m[1] * j[None, :, None] + m[2] * k[:, None, None] + m[3] - centre[row]
        return np.clip(line / 100.0, -1.3, 1.3)

    x, y, z = (along(row) for row in range(3))
    terms = (x, y, z, x * x, y * y, z * z, x * y, x * z, y * z, z**3)
    return np.asarray(sum(c * t for c, t in zip(coefficients, terms, strict=True)), dtype=np.float32)


def _rician(voxels: npt.NDArray[np.float64], sd: float, rng: np.random.Generator) -> Voxels:
    real = voxels + sd * rng.standard_normal(voxels.shape, dtype=np.float32)
    imaginary = sd * rng.standard_normal(voxels.shape, dtype=np.float32)
    return np.asarray(np.hypot(real, imaginary), dtype=np.float32)


# -- swelling --------------------------------------------------------------------------------------


def swelling_of(
    image_grid: sitk.Image, growing: Mapping[str, Mask], fluid: Mask, percent: float
) -> tuple[Displacement, dict[str, float]]:
    """A smooth pull field that enlarges each growing region by ``percent``, and how much each really grows, percent.

    Fluid near the regions gives way. Masks (k, j, i) on ``image_grid``; the field lies on an axis-aligned 2 mm grid in
    the same space.
    """
    everything = fluid | np.any(list(growing.values()), axis=0)
    grid = box_about(image_grid, everything)
    like = image_of(grid)
    parts = {name: soft_on(mask, image_grid, like) for name, mask in growing.items()}
    source = np.log1p(percent / 100.0) * np.clip(sum(parts.values()), 0, 1)
    near = sitk.GetArrayFromImage(sitk.SmoothingRecursiveGaussian(on_grid(source.astype(np.float32), like), 12.0))
    room = soft_on(fluid, image_grid, like) * np.clip(near / max(float(near.max()), 1e-9), 0, 1)
    sink = room * min(0.6, float(source.sum()) / max(float(room.sum()), 1e-6))
    velocity = -potential_flow((source - sink).astype(np.float32), grid) * window_of(grid)
    field = exponential(velocity.astype(np.float32), grid)
    growth = -log_jacobian(field)
    achieved = {
        name: float(100 * np.expm1(growth[part > 0.9].mean())) for name, part in parts.items() if (part > 0.9).any()
    }
    return field, achieved


def box_about(image_grid: sitk.Image, mask: Mask, margin_mm: float = 24.0) -> Grid:
    k, j, i = np.nonzero(mask)
    points = affine_of(image_grid) @ np.stack([i, j, k, np.ones_like(i)]).astype(np.float64)
    low, high = points[:3].min(axis=1) - margin_mm, points[:3].max(axis=1) + margin_mm
    n = np.ceil((high - low) / DEFORMATION_MM).astype(int) + 1
    return Grid((int(n[2]), int(n[1]), int(n[0])), DEFORMATION_MM, (float(low[0]), float(low[1]), float(low[2])))


def image_of(grid: Grid) -> sitk.Image:
    image = sitk.Image([grid.shape[2], grid.shape[1], grid.shape[0]], sitk.sitkUInt8)
    image.SetSpacing([grid.spacing_mm] * 3)
    image.SetOrigin(grid.origin_mm)
    return image


def soft_on(mask: Mask, image_grid: sitk.Image, like: sitk.Image) -> Voxels:
    image = smooth_to(on_grid(mask.astype(np.float32), image_grid), DEFORMATION_MM)
    return np.asarray(sitk.GetArrayFromImage(resample(image, like)), dtype=np.float32)


def window_of(grid: Grid, edge_mm: float = 14.0) -> Voxels:
    """1 inside the box, falling to 0 at its border: nothing moves outside."""
    out = np.ones((1, 1, 1), dtype=np.float32)
    for axis, n in enumerate(grid.shape):
        at = np.minimum(np.arange(n), np.arange(n)[::-1]) * grid.spacing_mm / edge_mm
        shape = [1, 1, 1]
        shape[axis] = n
        out = out * np.clip(at, 0, 1).reshape(shape).astype(np.float32)
    return out


# -- faults: what a gate must catch ----------------------------------------------------------------


def scaled(volume: Volume, factors: tuple[float, float, float]) -> Volume:
    """The same voxels under a wrong voxel size: factors along (i, j, k)."""
    affine = volume.affine.copy()
    affine[:3, :3] = affine[:3, :3] * np.array(factors)
    return Volume(volume.voxels, affine)


def flipped(volume: Volume, axis: int) -> Volume:
    """A mirrored head: voxels reversed along array axis 0 (slices), 1 (rows) or 2 (columns), the header as before."""
    return Volume(np.ascontiguousarray(np.flip(volume.voxels, axis)), volume.affine)


def cut(volume: Volume, axis: int, keep: tuple[float, float]) -> Volume:
    """Only the part ``keep`` (shares 0..1) along array axis ``axis`` was scanned; the header tells the truth."""
    n = volume.voxels.shape[axis]
    first, last = round(keep[0] * n), max(round(keep[1] * n), round(keep[0] * n) + 1)
    taken = [slice(None)] * 3
    taken[axis] = slice(first, last)
    affine = volume.affine.copy()
    affine[:3, 3] += affine[:3, 2 - axis] * first
    return Volume(np.ascontiguousarray(volume.voxels[tuple(taken)]), affine)


def ghosted(volume: Volume, seed: int, *, amplitude_mm: float, slice_shift_mm: float) -> Volume:
    """Heavy motion: the head swings along the rows (phase direction) during readout, and jumps between slices."""
    rng = rng_for(seed, "motion")
    voxels, dj = volume.voxels.astype(np.float64), volume.spacing_mm[1]
    n = voxels.shape[1]
    ky = np.fft.fftfreq(n)
    out = np.empty_like(voxels)
    for k, one in enumerate(voxels):
        swing = amplitude_mm / dj * np.sin(2 * np.pi * (np.arange(n) * rng.uniform(0.05, 0.3) + rng.uniform()))
        jump = rng.normal(0, slice_shift_mm / dj)
        spectrum = np.fft.fft(one, axis=0) * np.exp(-2j * np.pi * ky * (swing + jump))[:, None]
        out[k] = np.abs(np.fft.ifft(spectrum, axis=0))
    return Volume(out.astype(np.float32), volume.affine)


def inverted_pose(
    how: Rescan, degrees: float, axis: tuple[float, float, float], centre: npt.NDArray[np.float64]
) -> Rescan:
    """The same rescan with the head turned by ``degrees`` more: patient position not as the header says."""
    turn = Rotation.from_rotvec(np.deg2rad(degrees) * np.array(axis)).as_matrix()
    more = np.eye(4)
    more[:3, :3], more[:3, 3] = turn, centre - turn @ centre
    return replace(how, pose=more @ how.pose)
