"""One synthetic head from a seed: atlas in, tissue fractions, tissue weights, texture and labels at 1 mm out. Pure.

The MNI152 head of the atlas is resized, bent by a random diffeomorphism at two scales, given its own ventricle size,
folded a little differently, textured inside each tissue, and may carry small chronic white-matter lesions. Frame: LPS
mm, arrays ``(k, j, i)``, the subject's own head frame (before any pose in the scanner).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from simulation.deformation import (
    Displacement,
    Field,
    Grid,
    exponential,
    log_jacobian,
    potential_flow,
    resample_field,
    rng_for,
    sample,
    smooth_noise,
)
from triage.model import Affine, Atlas, Labels

# Subject grid: the head with room for 6 % growth, and a neck below the template's cut at z = -72 mm
GRID = Grid(shape=(216, 240, 212), spacing_mm=1.0, origin_mm=(-105.5, -104.0, -112.0))
NECK_SLICES = (
    48  # the template's lowest slice continued downwards: neck muscles, cord, so that 3-D scans do not end in a cut
)

# Parenchymal tissues, in the order of Phantom.weights
TISSUES = ("white", "cortex", "thalamus", "striatum", "pallidum", "brainstem", "cerebellar_cortex")

DEEP_TISSUES: Mapping[
    str, tuple[str, ...]
] = {  # membership -> label name prefixes; the order of TISSUES from "thalamus" on
    "thalamus": ("thalamus",),
    "striatum": ("putamen", "caudate"),
    "pallidum": ("pallidum",),
    "brainstem": ("midbrain", "pons", "medulla"),
    "cerebellum": ("cerebellum",),
}
HEAD_CENTRE_MM = (0.0, 18.0, 5.0)  # fixed point of the size change, LPS mm
SMALLEST_JACOBIAN = 0.15  # the warp keeps at least this share of every volume element: no folding
SUBARACHNOID_MM = 1.2  # fluid outside the template's brain mask, which holds the sulcal fluid already
DISTANCE_SCALE = 10.0  # distances are stored in 0.1 mm

# Template T1 grey values outside the brain (white matter lies at 150, see atlas.head): fat is brighter, muscle in
# between, bone dark
FAT_FROM, FAT_FULL = 140.0, 200.0
MUSCLE_FROM, MUSCLE_FULL = 45.0, 85.0
EYE_CENTRES_MM = ((31.0, -63.0, -41.0), (-31.0, -63.0, -41.0))
EYE_RADIUS_MM = 11.5

# FLAIR-bright in healthy volunteers (Neuroradiology 1997;39:243): relative T2 excess of the corticospinal tract and
# periventricular rim
TRACT_T2_EXCESS = 0.05
RIM_T2_EXCESS = 0.10
LESION_T2_EXCESS = 0.45
# corticospinal tract, left side, MNI152 LPS mm, from corona radiata through the posterior limb and peduncle to the pons
TRACT_LEFT_MM = ((24.0, 22.0, 30.0), (23.0, 19.0, 12.0), (19.0, 17.0, 0.0), (13.0, 17.0, -12.0), (7.0, 21.0, -25.0))
TRACT_RADIUS_MM = 3.0


@dataclass(frozen=True, eq=False)
class Phantom:
    """A head at 1 mm on ``grid``.

    parenchyma, csf, fat, muscle, vessel: volume fractions, (k, j, i) float32; what is missing to 1 is bone or air.
    inside: flat indices (N,) of voxels that hold parenchyma; weights: (len(TISSUES), N) summing to 1;
    t2_texture, pd_texture: (N,) relative factors around 1; labels: the atlas regions carried along.
    """

    grid: Grid
    parenchyma: Field
    csf: Field
    fat: Field
    muscle: Field
    vessel: Field
    inside: npt.NDArray[np.int64]
    weights: Field
    t2_texture: Field
    pd_texture: Field
    labels: Labels
    label_names: Mapping[int, str]

    def region(self, *prefixes: str) -> npt.NDArray[np.bool_]:
        """Mask of every label whose name starts with one of the prefixes."""
        numbers = [n for n, name in self.label_names.items() if name.startswith(prefixes)]
        return np.isin(self.labels, numbers)


def make_phantom(atlas: Atlas, seed: int, *, chronic_lesions: int | None = None) -> Phantom:
    """The head of patient ``seed``. chronic_lesions: number of old white-matter lesions, None: the seed decides (most
    have none)."""
    template = _template(atlas)
    index = _template_index(atlas, seed)
    head = sample(template["head"], index).reshape(GRID.shape)
    distance = sample(template["distance"], index, outside=255.0).reshape(GRID.shape) / DISTANCE_SCALE
    in_brain = np.flatnonzero(distance < 1.0)  # everything that can hold brain
    at = index[:, in_brain]
    soft = {name: sample(template[name], at) / 255.0 for name in ("grey", "white", "brain", "tract", *DEEP_TISSUES)}
    labels = np.zeros(GRID.shape, dtype=np.uint8)
    labels.ravel()[in_brain] = sample(template["labels"], at, order=0).astype(np.uint8)
    parenchyma, csf, grey_share = _brain_fractions(soft["grey"], soft["white"], soft["brain"])
    keep = parenchyma > 0.01
    inside = in_brain[keep]
    weights = _tissue_weights(grey_share[keep], [soft[name][keep] for name in DEEP_TISSUES])
    brain = _spread(soft["brain"], in_brain)
    eyes, sinuses = _landmarks(index, atlas, distance)
    fluid, fat, muscle = _head_fractions(head, distance, 1.0 - brain, eyes)
    vessel = sinuses * (1.0 - brain)
    t2, pd = _texture(seed, inside, weights)
    ventricles = np.isin(labels, _numbers(atlas, "lateral_ventricle", "third_ventricle"))
    t2 *= 1.0 + _healthy_brightness(ventricles, soft["tract"][keep], inside) * weights[0]
    whole = _spread(parenchyma, in_brain)
    number = int(rng_for(seed, "lesions").choice([0, 0, 0, 2, 5])) if chronic_lesions is None else chronic_lesions
    if number:
        t2 *= 1.0 + LESION_T2_EXCESS * _chronic_lesions(_spread(weights[0], inside) > 0.9, number, seed).ravel()[inside]
    free = 1.0 - vessel
    return Phantom(
        grid=GRID,
        parenchyma=whole,
        csf=_f32(_spread(csf, in_brain) + fluid * free),
        fat=_f32(fat * free),
        muscle=_f32(muscle * free),
        vessel=vessel,
        inside=inside,
        weights=weights,
        t2_texture=t2,
        pd_texture=pd,
        labels=labels,
        label_names=dict(atlas.label_names),
    )


def _numbers(atlas: Atlas, *prefixes: str) -> list[int]:
    return [n for n, name in atlas.label_names.items() if name.startswith(prefixes)]


def _f32(values: npt.ArrayLike) -> Field:
    return np.asarray(values, dtype=np.float32)


def _spread(values: Field, at: npt.NDArray[np.int64]) -> Field:
    """Values (N,) at flat indices as a (k, j, i) field, zero elsewhere."""
    out = np.zeros(GRID.shape, dtype=np.float32)
    out.ravel()[at] = values
    return out


# -- template --------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _template(atlas: Atlas) -> Mapping[str, npt.NDArray[np.uint8]]:
    """Atlas maps by name, uint8 (memberships 0..255), with the lowest slice continued ``NECK_SLICES`` voxels
    downwards."""
    labels = atlas.labels.voxels
    brain = atlas.brain_mask.voxels > 0

    def member(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
        return mask.astype(np.uint8) * np.uint8(255)

    maps = {
        "head": atlas.template_t1.voxels,
        "grey": atlas.grey.voxels,
        "white": atlas.white.voxels,
        "labels": labels,
        "brain": member(brain),
        "distance": _distance_outside(brain),
        "tract": _tract(atlas) * 255.0,
        **{name: member(np.isin(labels, _numbers(atlas, *prefixes))) for name, prefixes in DEEP_TISSUES.items()},
    }
    pad = ((NECK_SLICES, 0), (0, 0), (0, 0))
    return {name: np.pad(np.asarray(m, dtype=np.uint8), pad, mode="edge") for name, m in maps.items()}


def _distance_outside(brain: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """Distance to the brain in 0.1 mm on the 1 mm template grid; 255 beyond 8 mm, where nobody asks."""
    box = box_around(brain, 8)
    out = np.full(brain.shape, 255, dtype=np.uint8)
    out[box] = np.minimum(ndimage.distance_transform_edt(~brain[box]) * DISTANCE_SCALE, 255)
    return out


def box_around(mask: npt.NDArray[np.bool_], margin: int) -> tuple[slice, slice, slice]:
    """Slices of the smallest box holding the (non-empty) mask, ``margin`` voxels wider on every side."""
    found = ndimage.find_objects(mask.astype(np.uint8))[0]
    k, j, i = (slice(max(s.start - margin, 0), s.stop + margin) for s in found)
    return k, j, i


def _tract(atlas: Atlas) -> Field:
    """Soft tube along both corticospinal tracts, 0..1."""
    points = np.array(TRACT_LEFT_MM)
    t = np.linspace(0, len(points) - 1, 60)
    line = np.stack([np.interp(t, np.arange(len(points)), points[:, c]) for c in range(3)], axis=1)
    both = np.concatenate([line, line * [-1.0, 1.0, 1.0]])
    index = np.linalg.inv(atlas.labels.affine) @ np.c_[both, np.ones(len(both))].T
    seeds = np.zeros(atlas.labels.voxels.shape, dtype=np.float32)
    i, j, k = np.rint(index[:3]).astype(int)
    seeds[k, j, i] = 1.0
    tube = ndimage.gaussian_filter(seeds, TRACT_RADIUS_MM)
    return _f32(np.clip(tube / np.quantile(tube[k, j, i], 0.3), 0, 1))


# -- anatomy ---------------------------------------------------------------------------------------


def _template_index(atlas: Atlas, seed: int) -> Field:
    """Fractional index (k, j, i) into the padded template of every grid voxel: size and aspect, then a smooth warp. (3,
    N) float32."""
    rng = rng_for(seed, "anatomy")
    scale = np.clip(1.0 + rng.normal(0.0, 0.02) + rng.normal(0.0, 0.015, 3), 0.94, 1.06)
    warp = _random_warp(atlas, seed)
    affine = atlas.labels.affine
    if np.abs(affine[:3, :3] - np.diag(np.diag(affine[:3, :3]))).max() > 1e-6:
        raise ValueError(f"the atlas grid must be axis-aligned, got {affine[:3, :3].tolist()}")
    out = np.empty((3, *GRID.shape), dtype=np.float32)
    for component, axis_mm in enumerate(GRID.axes_mm()):
        u = resample_field(warp.vectors[component], warp.grid, GRID)
        position = (axis_mm + u - HEAD_CENTRE_MM[component]) / np.float32(scale[component]) + HEAD_CENTRE_MM[component]
        out[2 - component] = (position - affine[component, 3]) / affine[component, component]
    out[0] += NECK_SLICES
    return out.reshape(3, -1)


def _random_warp(atlas: Atlas, seed: int) -> Displacement:
    """A diffeomorphism on a 3 mm grid: a few mm at 28 mm scale, about 1 mm at 9 mm scale (other gyri), other
    ventricles."""
    grid = GRID.coarser(3.0)
    rng = rng_for(seed, "warp")
    velocity = np.stack([2.2 * smooth_noise(grid, 28.0, rng) + 0.9 * smooth_noise(grid, 9.0, rng) for _ in range(3)])
    log_size = float(np.clip(rng.normal(0.1, 0.3), -0.5, 0.6))  # half to double
    # a pull field enlarges where it converges, hence the minus
    velocity = (velocity + potential_flow(-log_size * _ventricles_on(grid, atlas), grid)).astype(np.float32)
    for strength in (1.0, 0.7, 0.5, 0.3):
        warp = exponential(velocity * np.float32(strength), grid)
        if float(log_jacobian(warp).min()) > np.log(SMALLEST_JACOBIAN):
            return warp
    raise ValueError(f"seed {seed}: the random warp folds even at 30 % of its strength")


def _ventricles_on(grid: Grid, atlas: Atlas) -> Field:
    """Soft membership of the lateral and third ventricles, 0..1, (k, j, i) of ``grid``."""
    affine = atlas.labels.affine
    mask = np.isin(atlas.labels.voxels, _numbers(atlas, "lateral_ventricle", "third_ventricle")).astype(np.float32)
    soft = ndimage.gaussian_filter(mask, 1.5)
    axes = [(axis - affine[c, 3]) / affine[c, c] for c, axis in enumerate(grid.axes_mm())]
    index = np.stack([np.broadcast_to(a, grid.shape) for a in axes[::-1]]).reshape(3, -1).astype(np.float32)
    return sample(soft, index).reshape(grid.shape)


def _landmarks(index: Field, atlas: Atlas, distance: Field) -> tuple[Field, Field]:
    """Globes of the eyes and venous sinuses (sagittal, transverse) as soft fractions (k, j, i); ``index`` as from
    _template_index."""
    affine = atlas.labels.affine
    eyes = np.zeros(GRID.shape, dtype=np.float32).ravel()
    near = np.flatnonzero((distance.ravel() > 0.0) & (distance.ravel() < 4.0))
    front = np.flatnonzero(index[1] < 60)  # the globes lie in the front of the head
    x, y, z = _template_points(index[:, front], affine)
    for cx, cy, cz in EYE_CENTRES_MM:
        r = np.sqrt((x - cx) ** 2 + (y - cy) ** 2 + (z - cz) ** 2)
        eyes[front] = np.maximum(eyes[front], np.clip(EYE_RADIUS_MM + 0.5 - r, 0, 1))
    x, y, z = _template_points(index[:, near], affine)
    sagittal = (np.abs(x) < 4.0) & ((z > 10.0) | (y > 60.0)) & (z > -18.0) & (y > -60.0)
    transverse = (np.abs(z + 22.0) < 4.0) & (y > 55.0)
    sinuses = np.zeros_like(eyes)
    sinuses[near] = np.clip(4.0 - distance.ravel()[near], 0, 1) * (sagittal | transverse)
    return eyes.reshape(GRID.shape), sinuses.reshape(GRID.shape)


def _template_points(index: Field, affine: Affine) -> tuple[Field, Field, Field]:
    """Template LPS mm (x, y, z) of padded template indices (3, N)."""
    k = index[0] - NECK_SLICES
    x, y, z = (affine[c, 3] + affine[c, c] * v for c, v in enumerate((index[2], index[1], k)))
    return x, y, z


# -- fractions -------------------------------------------------------------------------------------


def _brain_fractions(grey: Field, white: Field, brain: Field) -> tuple[Field, Field, Field]:
    """Parenchyma and fluid fractions inside the brain, and the grey share of the parenchyma.

    The averaged template's probabilities are sharpened (squared and renormalised), which gives one person's crisp
    borders back.
    """
    fluid = np.clip(brain - grey - white, 0, 1)
    g, w, c = grey**2, white**2, fluid**2
    total = np.maximum(g + w + c, 1e-6)
    parenchyma = np.clip(brain, 0, 1) * (g + w) / total
    csf = np.clip(brain, 0, 1) * c / total
    return parenchyma.astype(np.float32), csf.astype(np.float32), (g / np.maximum(g + w, 1e-6)).astype(np.float32)


def _tissue_weights(grey_share: Field, deep: list[Field]) -> Field:
    """(len(TISSUES), N): named nuclei (memberships ``deep``, each (N,)) take their own properties, the rest is white or
    cortex."""
    g = grey_share
    thalamus, striatum, pallidum, stem, cerebellum = deep
    w = np.zeros((len(TISSUES), len(g)), dtype=np.float32)
    w[2] = thalamus * (0.55 + 0.45 * g)  # the nuclei are mixed with fibres that the grey map sees as white
    w[3] = striatum * np.clip(0.3 + g, 0, 1)
    w[4] = pallidum
    w[5] = stem
    w[6] = cerebellum * g
    named = w.sum(axis=0)
    w /= np.maximum(named, 1.0)
    rest = np.clip(1.0 - w.sum(axis=0), 0, 1)
    w[1] = rest * np.where(cerebellum > 0.5, 0.0, g)
    w[0] = 1.0 - w[1:].sum(axis=0)
    return w


def _head_fractions(head: Field, distance: Field, outside: Field, eyes: Field) -> tuple[Field, Field, Field]:
    """Fluid, fat and muscle fractions outside the brain from the head's T1 brightness; the subarachnoid space is fluid.

    distance: mm outside the brain. outside: 1 - brain fraction.
    """
    near = np.clip(SUBARACHNOID_MM + 0.5 - distance, 0, 1)
    fluid = np.maximum(near * np.clip((110.0 - head) / 40.0, 0, 1), eyes) * outside
    free = outside * (1.0 - near) * (1.0 - eyes)
    fat_share = np.clip((head - FAT_FROM) / (FAT_FULL - FAT_FROM), 0, 1)
    muscle_share = np.clip((head - MUSCLE_FROM) / (MUSCLE_FULL - MUSCLE_FROM), 0, 1) * (1.0 - fat_share)
    return fluid, free * fat_share, free * muscle_share


# -- texture and old lesions -----------------------------------------------------------------------


def _texture(seed: int, inside: npt.NDArray[np.int64], weights: Field) -> tuple[Field, Field]:
    """Relative T2 and proton density per voxel (N,): per-patient tissue offsets (2 %) and smooth in-tissue variation
    (1-3 %)."""
    rng = rng_for(seed, "texture")
    offsets = 1.0 + rng.normal(0.0, 0.02, (2, len(TISSUES))).astype(np.float32)
    t2 = np.tensordot(offsets[0], weights, axes=1)
    pd = np.tensordot(offsets[1], weights, axes=1)
    for sigma, amount in ((1.2, 0.015), (5.0, 0.015), (20.0, 0.012)):
        t2 *= 1.0 + amount * smooth_noise(GRID, sigma, rng).ravel()[inside]
    pd *= 1.0 + 0.01 * smooth_noise(GRID, 3.0, rng).ravel()[inside]
    return t2.astype(np.float32), pd.astype(np.float32)


def _healthy_brightness(ventricles: npt.NDArray[np.bool_], tract: Field, inside: npt.NDArray[np.int64]) -> Field:
    """Relative T2 excess (N,) of the periventricular rim (falls off over 2 mm) and of the corticospinal tract (N,)."""
    rim = ndimage.gaussian_filter(ventricles.astype(np.float32), 2.0).ravel()[inside]
    return np.asarray(RIM_T2_EXCESS * np.clip(2.0 * rim, 0, 1) + TRACT_T2_EXCESS * tract, dtype=np.float32)


def _chronic_lesions(white: npt.NDArray[np.bool_], number: int, seed: int) -> Field:
    """Soft blobs of 2-4 mm radius in deep white matter, 0..1, present at both dates."""
    return blobs(ndimage.binary_erosion(white, iterations=2), GRID, number, (2.0, 4.0), rng_for(seed, "chronic"))


def blobs(
    where: npt.NDArray[np.bool_], grid: Grid, number: int, radius_mm: tuple[float, float], rng: np.random.Generator
) -> Field:
    """``number`` soft ellipsoids (0..1) with random radii and axes, centred on voxels of ``where``. (k, j, i)."""
    out = np.zeros(grid.shape, dtype=np.float32)
    candidates = np.flatnonzero(where)
    if not len(candidates):
        return out
    for flat in rng.choice(candidates, number):
        centre = np.array(np.unravel_index(int(flat), grid.shape))
        radii = rng.uniform(*radius_mm) * rng.uniform(0.75, 1.3, 3) / grid.spacing_mm
        lo = np.maximum(centre - 12, 0)
        hi = np.minimum(centre + 13, grid.shape)
        box = tuple(slice(a, b) for a, b in zip(lo, hi, strict=True))
        axes = np.ogrid[box]
        r = np.sqrt(sum(((a - c) / q) ** 2 for a, c, q in zip(axes, centre, radii, strict=True)))
        out[box] = np.maximum(out[box], np.clip(1.5 - 1.0 * r, 0, 1))
    return out
