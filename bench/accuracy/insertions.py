"""Scans and a place in, the scans with a known focal or global change out, with the mask of what was changed. Pure.

Pattern B: bright foci in white matter. Pattern C: slow diffusion in a patch of cortex. Pattern D: swollen brain,
effaced sulci.
"""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from simulation.deformation import rng_for
from triage.alignment.images import on_grid
from triage.model import Mask, Volume

B_S_MM2 = 1000.0  # of the diffusion-weighted image


def sites(
    allowed: Mask, spacing_mm: tuple[float, float, float], radius_mm: float, count: int, rng: np.random.Generator
) -> list[np.ndarray]:
    """Up to ``count`` voxels (k, j, i) of ``allowed``.

    They lie at least a radius from its border, and 4 radii (and 15 mm) from each other.
    """
    inner = ndimage.distance_transform_edt(allowed, spacing_mm[::-1])
    places = np.argwhere(inner >= min(0.8 * radius_mm, 0.7 * float(inner.max())))
    found: list[np.ndarray] = []
    for place in places[rng.permutation(len(places))[:4000]]:
        apart = [np.linalg.norm((place - other) * np.array(spacing_mm[::-1])) for other in found]
        if all(a >= max(4 * radius_mm, 15.0) for a in apart):
            found.append(place)
        if len(found) == count:
            break
    return found


def balls(
    shape: tuple[int, ...],
    spacing_mm: tuple[float, float, float],
    centres: list[np.ndarray],
    volume_ml: float,
    edge_mm: float,
    rng: np.random.Generator,
) -> tuple[np.ndarray, Mask]:
    """(weight 0..1 with a soft edge, mask of the half level) of ellipsoids of ``volume_ml`` each, arrays (k, j, i)."""
    weight, mask = np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=bool)
    radius = (3000.0 * volume_ml / (4 * np.pi)) ** (1 / 3)
    spacing = np.array(spacing_mm[::-1])
    for centre in centres:
        axes = np.exp(rng.normal(0, 0.15, 3))
        axes *= radius / np.cbrt(axes.prod())
        reach = np.ceil((axes + 3 * edge_mm + spacing) / spacing).astype(int)
        box = tuple(slice(max(0, c - r), min(n, c + r + 1)) for c, r, n in zip(centre, reach, shape, strict=True))
        part = np.zeros([s.stop - s.start for s in box])
        for shift in _inside_voxel(spacing):  # partial volume: several points of each voxel
            at = np.stack(np.meshgrid(*[np.arange(s.start, s.stop) for s in box], indexing="ij"), axis=-1)
            mm = (at - centre) * spacing + shift
            distance = (np.linalg.norm(mm / axes, axis=-1) - 1.0) * radius
            part += 1.0 / (1.0 + np.exp(np.clip(3.0 * distance / edge_mm, -30, 30)))
        part /= len(_inside_voxel(spacing))
        weight[box] = np.maximum(weight[box], part)
        mask[box] |= part >= 0.5
    return weight, mask


def _inside_voxel(spacing: np.ndarray) -> np.ndarray:
    """Points spread over a voxel, mm: more along a thick axis."""
    steps = [np.linspace(-0.5, 0.5, 2 * max(1, round(s)) + 1)[1::2] * s for s in spacing]
    return np.stack(np.meshgrid(*steps, indexing="ij"), axis=-1).reshape(-1, 3)


def with_lesions(
    flair: Volume, white: Mask, volume_ml: float, percent: float, count: int, seed: int
) -> tuple[Volume, Mask]:
    """Bright foci of ``volume_ml`` each, +``percent``, in ``white`` (k, j, i); and their mask."""
    rng = rng_for(seed, "lesions")
    radius = (3000.0 * volume_ml / (4 * np.pi)) ** (1 / 3)
    centres = sites(white, flair.spacing_mm, radius, count, rng)
    weight, mask = balls(flair.voxels.shape, flair.spacing_mm, centres, volume_ml, 1.0, rng)
    return Volume((flair.voxels * (1.0 + percent / 100.0 * weight)).astype(np.float32), flair.affine), mask


def with_restriction(
    dwi: Volume, adc: Volume, cortex: Mask, volume_ml: float, ratio: float, seed: int, *, b_s_mm2: float = B_S_MM2
) -> tuple[Volume, Volume, Mask]:
    """A patch of ``cortex`` of ``volume_ml`` with its ADC times ``ratio`` and the weighted signal that follows from it.

    All (k, j, i) on one grid.

    The patch is the cortex nearest to a random point of it: gyriform where the cortex is.
    """
    rng = rng_for(seed, "restriction")
    usable = cortex & (adc.voxels > 400) & (adc.voxels < 1300)
    places = np.argwhere(usable)
    wanted = max(1, round(volume_ml / adc.voxel_volume_ml))
    if len(places) < wanted:
        raise ValueError(f"only {len(places)} usable cortex voxels, need {wanted}")
    centre = places[rng.integers(len(places))]
    near = np.argsort((((places - centre) * np.array(adc.spacing_mm[::-1])) ** 2).sum(axis=1))[:wanted]
    mask = np.zeros(usable.shape, dtype=bool)
    mask[tuple(places[near].T)] = True
    slow = adc.voxels * np.where(mask, ratio, 1.0)
    bright = dwi.voxels * np.exp(b_s_mm2 * 1e-6 * (adc.voxels - slow))
    return Volume(bright.astype(np.float32), dwi.affine), Volume(slow.astype(np.float32), adc.affine), mask


def effaced(volume: Volume, outer: Mask, cortex: Mask, ventricles: Mask, percent: float) -> Volume:
    """``percent`` of the fluid in ``outer`` handed over to cortex, whatever the contrast.

    Masks (k, j, i) on the volume's grid.

    A voxel between the levels of cortex and of fluid holds a share of each; its share of fluid shrinks. outer: cortex
    and the fluid around it, inside the skull; ventricles: where pure fluid is.
    """
    grey = float(np.median(volume.voxels[cortex]))
    core = ndimage.binary_erosion(ventricles, iterations=1)
    fluid = float(np.median(volume.voxels[core if core.sum() > 50 else ventricles]))
    share = np.clip((grey - volume.voxels) / (grey - fluid), 0.0, 1.0) * outer
    return Volume((volume.voxels + percent / 100.0 * share * (grey - fluid)).astype(np.float32), volume.affine)


def truth_on(mask: Mask, source: Volume, grid: Volume, to_source: sitk.Transform) -> Mask:
    """A mask of the grid of ``source`` on ``grid`` (k, j, i); ``to_source`` maps points of ``grid`` to ``source``."""
    image = on_grid(mask.astype(np.float32), _empty(source))
    out = sitk.Resample(image, _empty(grid), to_source, sitk.sitkLinear, 0.0)
    return np.asarray(sitk.GetArrayFromImage(out) >= 0.5)


def _empty(volume: Volume) -> sitk.Image:
    image = sitk.Image([int(n) for n in volume.voxels.shape[::-1]], sitk.sitkUInt8)
    image.SetSpacing(list(volume.spacing_mm))
    image.SetOrigin(volume.affine[:3, 3].tolist())
    image.SetDirection((volume.affine[:3, :3] / np.array(volume.spacing_mm)).ravel().tolist())
    return image
