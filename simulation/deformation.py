"""Smooth random fields and diffeomorphic displacements on axis-aligned grids: seeds and divergences in, displacement
fields out.

Frame: LPS mm. Arrays ``(k, j, i)``; a displacement is ``(3, k, j, i)`` with components (x, y, z) in mm. A displacement
``u`` pulls: the image at ``x`` shows what lies at ``x + u(x)``.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage

from triage.model import Affine

Field = npt.NDArray[np.float32]  # (k, j, i)
Vectors = npt.NDArray[np.float32]  # (3, k, j, i), LPS mm

THREADS = 2


@dataclass(frozen=True)
class Grid:
    """An axis-aligned LPS grid. shape: (k, j, i); spacing_mm: isotropic; origin_mm: LPS position of voxel (0, 0, 0)."""

    shape: tuple[int, int, int]
    spacing_mm: float
    origin_mm: tuple[float, float, float]

    @property
    def affine(self) -> Affine:
        affine = np.diag([self.spacing_mm] * 3 + [1.0])
        affine[:3, 3] = self.origin_mm
        return affine

    def coarser(self, spacing_mm: float) -> Grid:
        """The same box in larger voxels (the far edge may be overshot by less than one voxel)."""
        extent = [(n - 1) * self.spacing_mm for n in self.shape]
        shape = tuple(int(np.ceil(e / spacing_mm)) + 1 for e in extent)
        return Grid((shape[0], shape[1], shape[2]), spacing_mm, self.origin_mm)

    def axes_mm(self) -> tuple[Field, Field, Field]:
        """x, y, z coordinates in LPS mm, shaped to broadcast to (k, j, i)."""
        k, j, i = self.shape
        x, y, z = (
            np.asarray(o + self.spacing_mm * np.arange(n), dtype=np.float32)
            for o, n in zip(self.origin_mm, (i, j, k), strict=True)
        )
        return x[None, None, :], y[None, :, None], z[:, None, None]


@dataclass(frozen=True, eq=False)
class Displacement:
    """A sampled displacement: vectors (3, k, j, i) in LPS mm on ``grid``; zero outside it."""

    vectors: Vectors
    grid: Grid


def rng_for(seed: int, stream: str) -> np.random.Generator:
    """An independent generator per (seed, purpose), so that adding one use does not shift the others."""
    return np.random.default_rng([seed, *stream.encode()])


def smooth_noise(grid: Grid, sigma_mm: float, rng: np.random.Generator) -> Field:
    """Gaussian-smoothed white noise of unit standard deviation. Shape (k, j, i)."""
    coarse = grid.coarser(max(grid.spacing_mm, sigma_mm / 2.0))
    sigma = sigma_mm / coarse.spacing_mm
    noise = ndimage.gaussian_filter(rng.standard_normal(coarse.shape, dtype=np.float32), sigma, mode="wrap")
    noise /= noise.std()
    return resample_field(noise, coarse, grid)


def resample_field(field: Field, source: Grid, target: Grid) -> Field:
    """Linear interpolation between two axis-aligned grids, constant beyond the edge. Shape (k, j, i) of ``target``."""
    out = field
    for axis in range(3):
        component = 2 - axis
        start = (target.origin_mm[component] - source.origin_mm[component]) / source.spacing_mm
        at = start + np.arange(target.shape[axis]) * (target.spacing_mm / source.spacing_mm)
        out = _lerp(out, np.clip(at, 0, source.shape[axis] - 1), axis)
    return out


def _lerp(field: Field, at: npt.NDArray[np.float64], axis: int) -> Field:
    """Linear interpolation along one axis at fractional indices."""
    low = np.minimum(at.astype(np.int64), max(field.shape[axis] - 2, 0))
    shape = [1, 1, 1]
    shape[axis] = len(at)
    weight = (at - low).astype(np.float32).reshape(shape)
    first = np.take(field, low, axis=axis)
    step = np.take(field, np.minimum(low + 1, field.shape[axis] - 1), axis=axis) - first
    step *= weight
    return np.asarray(first + step, dtype=np.float32)


def potential_flow(divergence: Field, grid: Grid) -> Vectors:
    """The curl-free velocity whose divergence is ``divergence`` (mean removed), by Poisson's equation in Fourier space.
    (3, k, j, i)."""
    spectrum = fft.rfftn(divergence - divergence.mean(), workers=THREADS)
    h = grid.spacing_mm
    waves = [2 * np.pi * np.fft.fftfreq(n, h) for n in grid.shape[:2]] + [2 * np.pi * np.fft.rfftfreq(grid.shape[2], h)]
    kz, ky, kx = waves[0][:, None, None], waves[1][None, :, None], waves[2][None, None, :]
    k2 = kx**2 + ky**2 + kz**2
    k2[0, 0, 0] = 1.0
    potential = -spectrum / k2
    return np.stack([fft.irfftn(1j * k * potential, s=grid.shape, workers=THREADS) for k in (kx, ky, kz)]).astype(
        np.float32
    )


def exponential(velocity: Vectors, grid: Grid, *, squarings: int = 4) -> Displacement:
    """Scaling and squaring: the diffeomorphism exp(v) as a displacement. velocity: (3, k, j, i) in mm."""
    u = velocity / np.float32(2**squarings)
    for _ in range(squarings):
        u = u + _pulled(u, u, grid)
    return Displacement(u, grid)


def _pulled(field: Vectors, u: Vectors, grid: Grid) -> Vectors:
    """field(x + u(x)) on the same grid."""
    index = np.stack(np.meshgrid(*[np.arange(n, dtype=np.float32) for n in grid.shape], indexing="ij"))
    index += u[::-1] / np.float32(grid.spacing_mm)  # index order is (k, j, i), component order (x, y, z)
    at = index.reshape(3, -1)
    return np.stack([sample(c, at, outside=None).reshape(grid.shape) for c in field])


def log_jacobian(displacement: Displacement) -> Field:
    """log det(I + du/dx) on the displacement's grid; -inf where it folds. Shape (k, j, i)."""
    h = displacement.grid.spacing_mm
    g = [np.gradient(c, h) for c in displacement.vectors]  # g[c][axis k, j, i]
    j = [[g[c][2 - axis] + (1.0 if c == axis else 0.0) for axis in range(3)] for c in range(3)]
    det = (
        j[0][0] * (j[1][1] * j[2][2] - j[1][2] * j[2][1])
        - j[0][1] * (j[1][0] * j[2][2] - j[1][2] * j[2][0])
        + j[0][2] * (j[1][0] * j[2][1] - j[1][1] * j[2][0])
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(det > 0, np.log(det), -np.inf).astype(np.float32)


def sample(array: npt.NDArray[Any], index: Field, *, order: Literal[0, 1] = 1, outside: float | None = 0.0) -> Field:
    """``array`` (k, j, i) at fractional voxel indices ``index`` (3, N) in (k, j, i) order. (N,), two threads.

    outside: the value beyond the array; None: the nearest edge value.
    """
    out = np.empty(index.shape[1], dtype=np.float32)
    middle = index.shape[1] // 2

    mode: Literal["nearest", "constant"] = "nearest" if outside is None else "constant"

    def run(span: slice) -> None:
        ndimage.map_coordinates(array, index[:, span], out[span], order, mode=mode, cval=outside or 0.0)

    with ThreadPoolExecutor(THREADS) as pool:  # scipy releases the interpreter lock while it interpolates
        list(pool.map(run, (slice(0, middle), slice(middle, None))))
    return out
