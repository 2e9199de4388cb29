"""One contrast at two registered dates in, the share of fluid of every voxel and the levels it rests on out.

A voxel's share is 0 at the level of the tissue that borders on fluid, 1 at the level of pure fluid, and linear between
(partial volume). Both dates are first made equal in resolution and put on one scale, so that one pair of levels would
do. What is left of a difference is read from voxels that are tissue, or fluid, at both dates. All arrays lie on the
half-way grid, shape (k, j, i).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from triage.alignment.grid import Grid
from triage.alignment.normalisation import WHITE_REFERENCE, smooth_field
from triage.anatomy import mask_of
from triage.errors import NotAssessable
from triage.fluid.limits import FluidLimits
from triage.fluid.statistics import mode
from triage.libraries import ndi
from triage.model import Mask, SequenceKind

Array = npt.NDArray[np.float64]
OUTSIDE, LATERAL, THIRD, FOURTH, SULCAL, CISTERN = range(6)
SHARP_MM, BLUNT_MM = 1.5, 4.0  # Gaussian sigmas between which a grey/white pattern tells how sharp an image is
BLUR_MM = 3.0  # the most an image is blurred to be like the other
LEVEL_WIDTH = 0.06  # of white matter: half the range of signal that counts as one tissue level
MIN_CORE = 30  # voxels of pure fluid that set its level


@dataclass(frozen=True, eq=False)
class Compartments:
    """Where which fluid is looked for, on the half-way grid.

    codes: OUTSIDE .. CISTERN, uint8 (k, j, i). cortex, white: atlas masks. seen: both dates have data.
    """

    codes: npt.NDArray[np.uint8]
    cortex: Mask
    white: Mask
    seen: Mask
    spacing_mm: float

    @property
    def ventricular(self) -> Mask:
        return np.asarray((self.codes >= LATERAL) & (self.codes <= FOURTH))


@dataclass(frozen=True)
class Levels:
    """Signal of tissue beside fluid and of pure fluid, white matter being about 1, at both dates.

    tissue_error: half the difference of two ways to find the follow-up's tissue level.
    """

    tissue: tuple[float, float]  # baseline, follow-up
    fluid: tuple[float, float]
    tissue_error: float


@dataclass(frozen=True, eq=False)
class Shares:
    """Share of fluid per voxel, 0..1, (k, j, i), at both dates; ``where`` is what was looked at."""

    baseline: Array
    followup: Array
    where: Mask


def compartments(grid: Grid, limits: FluidLimits) -> Compartments:
    """Every voxel of the brain belongs to the nearest fluid of the atlas: a misplacement of 1 mm does no harm."""
    labels, names = grid.labels, grid.names
    cortical = tuple(n for n in names.values() if n.startswith("cortex"))
    seeds = np.zeros(labels.shape, dtype=np.uint8)
    surface = mask_of(labels, names, ("sulcal_csf", "cerebellum", *cortical))
    stem = mask_of(labels, names, ("midbrain", "pons"))
    seeds[surface] = SULCAL
    if stem.any():
        near = ndi.distance_transform_edt(~stem) * grid.spacing_mm <= limits.cistern_mm
        seeds[mask_of(labels, names, ("sulcal_csf",)) & near] = CISTERN
    for code, regions in (
        (LATERAL, ("lateral_ventricle_left", "lateral_ventricle_right")),
        (THIRD, ("third_ventricle",)),
        (FOURTH, ("fourth_ventricle",)),
    ):
        seeds[mask_of(labels, names, regions)] = code
    brain = ndi.binary_closing(np.pad(labels > 0, 8), iterations=4)[8:-8, 8:-8, 8:-8]
    codes = seeds
    if seeds.any():
        index = ndi.distance_transform_edt(seeds == 0, return_distances=False, return_indices=True)
        codes = np.where(brain, seeds[tuple(index)], 0).astype(np.uint8)
    return Compartments(
        codes,
        mask_of(labels, names, cortical),
        mask_of(labels, names, WHITE_REFERENCE),
        grid.seen,
        grid.spacing_mm,
    )


def shares_at(
    baseline: Array, followup: Array, seen: Mask, kind: SequenceKind, places: Compartments, limits: FluidLimits
) -> tuple[Shares, Levels, Array, Array]:
    """Shares of fluid, the levels they stand on, and both images without their receive field.

    Raises:
        NotAssessable: ``no_fluid_reference`` or ``coverage``.
    """
    inside = (places.codes > 0) & seen
    if inside.sum() < limits.min_seen * (places.codes > 0).sum():
        raise NotAssessable("coverage", f"both scans show less than {100 * limits.min_seen:.0f} % of the brain")
    reference = places.white & seen & (baseline > 0.3)
    field, _ = smooth_field(np.log(np.maximum(baseline, 1e-3)), reference, order=2)
    receive = np.exp(np.clip(field, -0.7, 0.7))
    b, f = _equally_sharp(baseline / receive, followup / receive, inside, kind, places, limits)
    levels = levels_of(b, f, inside, kind, places)
    return shares_of(b, f, levels, _looked_at(inside, kind, places, limits), limits), levels, b, f


def _looked_at(inside: Mask, kind: SequenceKind, places: Compartments, limits: FluidLimits) -> Mask:
    if kind is SequenceKind.T2:
        return inside
    steps = max(1, round(limits.rim_mm / places.spacing_mm))
    return np.asarray(inside & (places.ventricular | ndi.binary_erosion(places.codes > 0, iterations=steps)))


def shares_of(baseline: Array, followup: Array, levels: Levels, where: Mask, limits: FluidLimits) -> Shares:
    """Linear between tissue and fluid, cut at the window and stretched to 0..1."""
    low, high = limits.window_low, limits.window_high
    out = []
    for image, tissue, fluid in zip((baseline, followup), levels.tissue, levels.fluid, strict=True):
        out.append((np.clip((image - tissue) / (fluid - tissue), low, high) - low) / (high - low) * where)
    return Shares(out[0], out[1], where)


def levels_of(b: Array, f: Array, inside: Mask, kind: SequenceKind, places: Compartments) -> Levels:
    """The levels of tissue and of pure fluid at both dates.

    Tissue: the commonest level, of cortex on T2, else of what is nearest to fluid. Fluid: the core of the ventricles at
    both dates, or of all fluid where the ventricles hold too little.

    Raises:
        NotAssessable: ``no_fluid_reference``.
    """
    white, cortex = places.white & inside, places.cortex & inside
    bright = kind is SequenceKind.T2
    tissue_mask = cortex if bright or mode(b[cortex]) < mode(b[white]) else white
    tissue = mode(b[tissue_mask])
    forth, back = _shift(b, f, tissue, tissue_mask), -_shift(f, b, mode(f[tissue_mask]), tissue_mask)
    tissue_followup = tissue + (forth + back) / 2
    sign = 1.0 if bright else -1.0
    for where in (places.ventricular & inside, inside):
        guess = (
            [float(np.percentile(image[where], 97 if bright else 3)) for image in (b, f)]
            if where.any()
            else [tissue] * 2
        )
        deep = where.copy()
        for image, level, guessed in zip((b, f), (tissue, tissue_followup), guess, strict=True):
            deep &= sign * (image - (level + 0.75 * (guessed - level))) > 0
        core = deep & ndi.binary_erosion(deep)
        core = core if core.sum() >= MIN_CORE else deep
        if core.sum() >= MIN_CORE:
            fluid = float(np.median(b[core])), float(np.median(f[core]))
            if min(sign * (fluid[0] - tissue), sign * (fluid[1] - tissue_followup)) > 0.2:
                return Levels((tissue, tissue_followup), fluid, abs(forth - back) / 2)
    raise NotAssessable("no_fluid_reference", "no pure fluid stands out from tissue at both dates")


def _shift(one: Array, other: Array, level: float, where: Mask) -> float:
    """How the other image differs where the first is at ``level``.

    These voxels are tissue at one date, whatever they are at the other. The commonest level of each image alone would
    follow effaced sulci.
    """
    paired = where & (np.abs(one - level) < LEVEL_WIDTH)
    return mode(other[paired]) - mode(one[paired])


def _equally_sharp(
    b: Array, f: Array, inside: Mask, kind: SequenceKind, places: Compartments, limits: FluidLimits
) -> tuple[Array, Array]:
    """The sharper image, blurred until the pattern of grey and white matter away from fluid is as sharp in both.

    Voxel size says little about resolution (zero filling, echo trains): on two real pairs a nominal blur left thin
    sulci up to 30 % larger on one date. Fluid itself is left out, since effaced sulci would look like blur.
    """
    white, grey = mode(b[places.white & inside]), mode(b[places.cortex & inside])
    low, high = 0.85 * min(white, grey), 1.1 * max(white, grey)
    wet = (b > high) | (f > high) if kind is SequenceKind.T2 else (b < low) | (f < low)
    tissue = ndi.binary_erosion(inside & ~ndi.binary_dilation(wet))
    if tissue.sum() < 5000:
        return b, f

    def sharpness(image: Array, sigma_mm: float = 0.0) -> float:
        cut = np.clip(image, low, high)
        cut = ndi.gaussian_filter(cut, sigma_mm / places.spacing_mm) if sigma_mm > 0 else cut
        fine, coarse = (ndi.gaussian_filter(cut, mm / places.spacing_mm) for mm in (SHARP_MM, BLUNT_MM))
        return float(np.std((cut - fine)[tissue]) / max(float(np.std((fine - coarse)[tissue])), 1e-6))

    found = sharpness(b), sharpness(f)
    if max(found) <= (1 + limits.sharpness) * min(found):
        return b, f
    image, least, most = (b, f)[int(found[1] > found[0])], 0.0, BLUR_MM
    for _ in range(5):
        middle = (least + most) / 2
        least, most = (middle, most) if sharpness(image, middle) > min(found) else (least, middle)
    image = np.asarray(ndi.gaussian_filter(image, (least + most) / 2 / places.spacing_mm))
    return (b, image) if found[1] > found[0] else (image, f)
