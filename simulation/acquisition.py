"""The scanner: a noise-free head at 1 mm in, a stack of magnitude images on an oblique grid in scanner coordinates out.
Pure.

Thick slices are averaged over a slice profile, k-space is truncated as the protocol says, the receive field shades the
image and noise is Rician. Frames: head = phantom LPS mm; scanner = DICOM patient coordinates, LPS mm. Arrays ``(k, j,
i)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage
from scipy.spatial.transform import Rotation

from simulation.deformation import THREADS, Displacement, Field, Grid, rng_for, sample
from simulation.protocols import Geometry
from triage.model import Affine

HEAD_CENTRE_MM = np.array([0.0, 18.0, 5.0])  # the head turns about this point
BRAIN_BOX_MM = np.array(
    [[-72.0, -74.0, -74.0], [72.0, 112.0, 86.0]]
)  # template brain, LPS mm: what an axial stack must cover
MAX_ROTATION_DEG, MAX_SHIFT_MM = 8.0, 10.0
BIAS_SCALE_MM = 100.0
PROFILE = (
    (-0.42, 0.14),
    (-0.22, 0.23),
    (0.0, 0.26),
    (0.22, 0.23),
    (0.42, 0.14),
)  # offset / thickness, weight: rounded rectangle


@dataclass(frozen=True, eq=False)
class Pose:
    """Head pose: scanner = rotation @ (head - centre) + centre + shift. rotation: (3, 3); shift_mm: (3,)."""

    rotation: npt.NDArray[np.float64]
    shift_mm: npt.NDArray[np.float64]

    def head_to_scanner(self) -> Affine:
        m = np.eye(4)
        m[:3, :3] = self.rotation
        m[:3, 3] = HEAD_CENTRE_MM - self.rotation @ HEAD_CENTRE_MM + self.shift_mm
        return m


def random_pose(seed: int, session: str) -> Pose:
    """Rotation up to 8 degrees about a random axis (nodding mostly), shift up to 10 mm."""
    rng = rng_for(seed, f"pose {session}")
    axis = rng.normal(0, 1, 3) * (1.3, 0.8, 0.9)
    angle = np.deg2rad(rng.uniform(1.5, MAX_ROTATION_DEG))
    shift = rng.normal(0, 1, 3)
    shift *= rng.uniform(1.0, MAX_SHIFT_MM) / np.linalg.norm(shift)
    return Pose(Rotation.from_rotvec(axis / np.linalg.norm(axis) * angle).as_matrix(), shift)


def plan(geometry: Geometry, pose: Pose, seed: int, session: str) -> Affine:
    """Where the technologist puts the stack: voxel index (i, j, k) -> scanner LPS mm. The same for all series of one
    kind in a session.

    Axial stacks follow the head's tilt within about 2 degrees (AC-PC); sagittal 3-D slabs stay nearly square to the
    magnet.
    """
    rng = rng_for(seed, f"plan {session} {geometry.plane}")
    follow = 0.85 if geometry.plane == "axial" else 0.3
    turn = Rotation.from_matrix(pose.rotation).as_rotvec() * follow + np.deg2rad(rng.normal(0, 1.2, 3))
    frame = Rotation.from_rotvec(
        turn
    ).as_matrix()  # columns: right-to-left, front-to-back, feet-to-head as the stack sees them
    left, back, up = frame.T
    i, j, k = (left, back, up) if geometry.plane == "axial" else (back, -up, left)
    slices = geometry.slices or _slices_to_cover(geometry)
    spacing = np.array([geometry.pixel_mm, geometry.pixel_mm, geometry.spacing_mm])
    affine = np.eye(4)
    affine[:3, :3] = np.stack([i, j, k], axis=1) * spacing
    middle = BRAIN_BOX_MM.mean(axis=0) if geometry.plane == "axial" else np.array([0.0, 16.0, -8.0])
    centre = (pose.head_to_scanner() @ np.append(middle, 1.0))[:3] + rng.normal(0, 1.5, 3)
    half = (np.array([geometry.columns, geometry.rows, slices]) - 1) / 2.0
    affine[:3, 3] = centre - affine[:3, :3] @ half
    return affine


def _slices_to_cover(geometry: Geometry) -> int:
    height = float(BRAIN_BOX_MM[1, 2] - BRAIN_BOX_MM[0, 2])
    return int(np.ceil((height + 6.0) / geometry.spacing_mm))


def stack_shape(geometry: Geometry) -> tuple[int, int, int]:
    return (geometry.slices or _slices_to_cover(geometry), geometry.rows, geometry.columns)


@dataclass(frozen=True, eq=False)
class Sampling:
    """Where the voxels of a stack look in the phantom.

    shape: (k, j, i) of the stack; voxels: flat numbers (M,) of those that see the head; index: (3, M) phantom index of
    their centres, (k, j, i) order; offsets: per sub-slice its weight and index shift (3,).
    """

    shape: tuple[int, int, int]
    voxels: npt.NDArray[np.int64]
    index: Field
    offsets: tuple[tuple[float, npt.NDArray[np.float32]], ...]


def sampling(
    geometry: Geometry,
    affine: Affine,
    pose: Pose,
    *,
    grid: Grid,
    occupied: npt.NDArray[np.bool_],
    moved: Displacement | None,
) -> Sampling:
    """Trace every voxel back through pose and swelling to the phantom on ``grid``.

    occupied: (k, j, i) where the phantom holds tissue; voxels looking elsewhere are skipped (they hold noise only).
    moved: pull field this session's head -> phantom, taken at slice centres (it varies by less than 0.1 mm across one).
    """
    shape = stack_shape(geometry)
    to_index = np.linalg.inv(grid.affine) @ np.linalg.inv(pose.head_to_scanner()) @ affine
    index = _indices(to_index, shape)
    coarse = ndimage.binary_dilation(occupied[::4, ::4, ::4], iterations=2).astype(np.uint8)
    voxels = np.flatnonzero(sample(coarse, index / np.float32(4.0), order=0) > 0)
    index = np.ascontiguousarray(index[:, voxels])
    if moved is not None:
        index += _swelling_index(index, grid, moved)
    step = to_index[2::-1, 2].astype(np.float32)  # one slice, in phantom voxels
    profile = PROFILE if geometry.acquisition == "2D" else ((0.0, 1.0),)
    thickness = np.float32(geometry.thickness_mm / geometry.spacing_mm)
    return Sampling(shape, voxels, index, tuple((weight, step * thickness * np.float32(at)) for at, weight in profile))


def _indices(to_index: Affine, shape: tuple[int, int, int]) -> Field:
    """Phantom index (k, j, i) of every voxel, (3, N) float32."""
    k, j, i = (np.arange(n, dtype=np.float32) for n in shape)
    out = np.empty((3, *shape), dtype=np.float32)
    m = to_index.astype(np.float32)
    for component in range(3):
        line = (m[component, 2] * k + m[component, 3])[:, None, None]
        out[2 - component] = line + (m[component, 1] * j)[None, :, None] + (m[component, 0] * i)[None, None, :]
    return out.reshape(3, -1)


def _swelling_index(index: Field, grid: Grid, swelling: Displacement) -> Field:
    """Displacement at phantom indices, in phantom voxels, (3, M) in (k, j, i) order."""
    ratio = np.float32(grid.spacing_mm / swelling.grid.spacing_mm)  # both grids share their origin
    there = index * ratio
    return np.stack([sample(swelling.vectors[c], there) for c in (2, 1, 0)]) / np.float32(grid.spacing_mm)


def sampled(signal: Field, where: Sampling) -> Field:
    """The noise-free stack: slice-profile average of the phantom's signal. (k, j, i) of the stack."""
    out = np.zeros(int(np.prod(where.shape)), dtype=np.float32)
    for weight, shift in where.offsets:
        out[where.voxels] += np.float32(weight) * sample(signal, where.index + shift[:, None])
    return out.reshape(where.shape)


# -- receive field, noise, resolution --------------------------------------------------------------


def bias_coefficients(seed: int, session: str, *, drift: float) -> npt.NDArray[np.float64]:
    """Log receive field over (x, y, z, x2, y2, z2, xy, xz, yz, cubic z): patient-wide part plus a session part of size
    ``drift``.

    The centre-to-rim part is what differs most between protocols on real pairs (-7 % at the thalami between scanners).
    """
    size = np.array([0.05, 0.07, 0.06, 0.10, 0.10, 0.07, 0.02, 0.02, 0.03, 0.03])
    common = rng_for(seed, "coil").normal(0, 1, 10) * size
    common[3:6] -= (
        0.08  # bright centre (dielectric) or bright rim (surface coils), normalised images keep a little of either
    )
    return np.asarray(common + rng_for(seed, f"coil {session}").normal(0, 1, 10) * size * drift)


def bias_field(coefficients: npt.NDArray[np.float64], affine: Affine, shape: tuple[int, int, int]) -> Field:
    """exp of the polynomial at every voxel; the field is fixed to the scanner. (k, j, i)."""
    k, j, i = (np.arange(0, n + 7, 8, dtype=np.float64) for n in shape)
    grid = np.stack(np.meshgrid(i, j, k, indexing="ij")).transpose(0, 3, 2, 1)
    position = np.tensordot(affine[:3, :3], grid, axes=1) + affine[:3, 3][:, None, None, None]
    x, y, z = (position - HEAD_CENTRE_MM[:, None, None, None]) / BIAS_SCALE_MM
    terms: Sequence[npt.NDArray[np.float64]] = (x, y, z, x * x, y * y, z * z, x * y, x * z, y * z, z**3)
    log_field = sum(c * np.clip(t, -2, 2) for c, t in zip(coefficients, terms, strict=True))
    smooth = ndimage.zoom(
        np.asarray(log_field, dtype=np.float32),
        [(8 * (len(a) - 1) + 1) / len(a) for a in (k, j, i)],
        order=1,
        grid_mode=False,
    )
    return np.exp(smooth[: shape[0], : shape[1], : shape[2]])


def magnitude(clean: Field, geometry: Geometry, *, noise: float, field: Field, rng: np.random.Generator) -> Field:
    """What the scanner stores (float): shaded, band-limited, with complex noise of standard deviation ``noise`` per
    channel."""
    axes = (0, 1, 2) if geometry.acquisition == "3D" else (1, 2)
    window = _window(clean.shape, geometry)
    gain = float(np.sqrt(np.mean(window**2)))  # filtering lowers the noise by this much
    scale = np.float32(noise / gain)
    data = np.empty(clean.shape, dtype=np.complex64)
    data.real = clean * field + scale * rng.standard_normal(clean.shape, dtype=np.float32)
    data.imag = scale * rng.standard_normal(clean.shape, dtype=np.float32)
    spectrum = fft.fftn(data, axes=axes, workers=THREADS, overwrite_x=True)
    spectrum *= window
    out = np.abs(fft.ifftn(spectrum, axes=axes, workers=THREADS, overwrite_x=True))
    if geometry.acquisition == "2D":  # interleaved slices differ a little (cross-talk)
        out *= (
            1.0 + 0.006 * np.where(np.arange(clean.shape[0]) % 2 == 0, 1, -1) + rng.normal(0, 0.002, clean.shape[0])
        )[:, None, None].astype(np.float32)
    return np.asarray(out, dtype=np.float32)


def _window(shape: tuple[int, ...], geometry: Geometry) -> Field:
    """k-space window, broadcastable to (k, j, i): the acquired share of each axis with a raised-cosine edge (mild
    ringing remains)."""
    shares = (
        geometry.resolved[2] if geometry.acquisition == "3D" else None,
        geometry.resolved[1],
        geometry.resolved[0],
    )
    out = np.ones((1, 1, 1), dtype=np.float32)
    for axis, share in enumerate(shares):
        if share is None:
            continue
        f = np.abs(np.fft.fftfreq(shape[axis])) * 2.0 / share  # 1 at the edge of the acquired band
        edge = np.clip((1.0 - f) / 0.3, 0, 1)  # the outer 30 % rolls off to 0.35 as a raw-data filter does
        line = np.where(f <= 1.0, 0.35 + 0.65 * (0.5 - 0.5 * np.cos(np.pi * edge)), 0.0)
        view = [1, 1, 1]
        view[axis] = shape[axis]
        out = out * line.astype(np.float32).reshape(view)
    return out
