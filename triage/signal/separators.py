"""One intensity scale and the regions in; the FLAIR change of those parts out that tell look-alikes apart.

The parts are the medial and lateral halves of the thalami, core and rim of the pons, the basal ganglia, and the white
matter behind and in front. They use the half-way grid and the near references of the regions that they belong to.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from triage.alignment.grid import Grid
from triage.alignment.normalisation import CommonScale
from triage.anatomy import THALAMI, WHITE, mask_of
from triage.libraries import ndi
from triage.measurements import not_measured, percent
from triage.model import Mask, Measurement
from triage.signal.change import MeasurementLimits, inside_distance, near_level, raised_share, unmeasurable

GANGLIA = ("caudate", "putamen", "pallidum")
QUANTITY, RAISED = "flair_change_percent", "raised_fraction_percent"
# Of the pons: up to this depth is rim (without the outermost erode_mm), the rest is core
RIM_MM = 5.0
Part = tuple[str, Mask, Mask]  # name, the part, the whole region its near shell lies around


def separators(scale: CommonScale, grid: Grid, limits: MeasurementLimits, sd: float) -> tuple[Measurement, ...]:
    """FLAIR change of each part.

    Args:
        sd: how much a region of this pair changes without disease, percent; the uncertainty of the figures.
    """
    out: list[Measurement] = []
    for name, everywhere, whole in _parts(grid, limits):
        part = everywhere & grid.seen
        problem = unmeasurable(whole, grid, limits)
        if problem is None and part.sum() * grid.voxel_ml < limits.min_volume_ml:
            problem = f"too_small: {part.sum() * grid.voxel_ml:.2f} mL"
        if problem is not None:
            out.append(not_measured(name, QUANTITY, "%", problem))
            continue
        around = near_level(whole, scale, grid, limits)
        change = float(np.median(scale.change[part])) - (around or 0.0)
        reference = "far" if around is None else "near"
        out.append(Measurement(name, QUANTITY, percent(change), "%", sd, reason=f"reference: {reference}"))
    out.extend(_white_halves(scale, grid, limits))
    return tuple(out)


def _parts(grid: Grid, limits: MeasurementLimits) -> Iterator[Part]:
    thalami = [mask_of(grid.labels, grid.names, (side,)) for side in THALAMI]
    either = thalami[0] | thalami[1]
    medial = _medial_halves(thalami, grid, limits) if all(t.any() for t in thalami) else np.zeros_like(either)
    core = _core(either, grid, limits.erode_mm)
    yield "thalami_medial", medial & core, either
    yield "thalami_lateral", ~medial & core, either
    pons = mask_of(grid.labels, grid.names, ("pons",))
    yield "pons_core", _core(pons, grid, RIM_MM), pons
    yield "pons_rim", _core(pons, grid, limits.erode_mm) & ~_core(pons, grid, RIM_MM), pons
    for side in ("left", "right"):
        ganglia = mask_of(grid.labels, grid.names, tuple(f"{name}_{side}" for name in GANGLIA))
        yield f"basal_ganglia_{side}", _core(ganglia, grid, limits.erode_mm), ganglia


def _core(whole: Mask, grid: Grid, depth_mm: float) -> Mask:
    return np.asarray(inside_distance(whole, grid.spacing_mm) > depth_mm) if whole.any() else whole


def _medial_halves(thalami: list[Mask], grid: Grid, limits: MeasurementLimits) -> Mask:
    """The half of each thalamus nearer to the other one, along the line between their centres.

    This needs no axes of the head.
    """
    cores = [_core(t, grid, limits.erode_mm) for t in thalami]
    centres = [np.argwhere(t).mean(axis=0) for t in thalami]
    axis = centres[1] - centres[0]
    axis /= max(float(np.linalg.norm(axis)), 1e-6)
    out = np.zeros(grid.labels.shape, dtype=bool)
    for core, sign in zip(cores, (1.0, -1.0), strict=True):
        places = np.argwhere(core)
        if len(places):
            along = places @ axis * sign
            out[tuple(places[along > np.median(along)].T)] = True
    return out


def _white_halves(scale: CommonScale, grid: Grid, limits: MeasurementLimits) -> Iterator[Measurement]:
    """White matter by the lobe whose cortex is nearest: parietal and occipital are behind, frontal is in front."""
    white = mask_of(grid.labels, grid.names, WHITE)
    lobes = {"posterior": ("parietal", "occipital"), "anterior": ("frontal",)}
    names = {label: name.split("_")[1] for label, name in grid.names.items() if name.startswith("cortex_")}
    problem = unmeasurable(white, grid, limits)
    nearest = _nearest_lobe(grid, names) if problem is None and names else None
    for part, members in lobes.items():
        name = f"white_matter_{part}"
        if nearest is None:
            yield not_measured(name, RAISED, "%", problem or "region_missing: the atlas has no lobes here")
            continue
        inside = white & grid.seen & np.isin(nearest, [label for label, lobe in names.items() if lobe in members])
        inside &= inside_distance(white, grid.spacing_mm) > limits.erode_mm
        if inside.sum() * grid.voxel_ml < limits.min_volume_ml:
            yield not_measured(name, RAISED, "%", "too_small: little of it is in view")
        else:
            yield Measurement(name, RAISED, raised_share(scale, inside, grid, limits), "%")


def _nearest_lobe(grid: Grid, names: dict[int, str]) -> npt.NDArray[np.uint8]:
    """Label of the nearest cortex, shape (k, j, i), found on every second voxel: precise enough for a lobe."""
    coarse = grid.labels[::2, ::2, ::2]
    where = ndi.distance_transform_edt(~np.isin(coarse, list(names)), return_distances=False, return_indices=True)
    found = coarse[tuple(where)].repeat(2, 0).repeat(2, 1).repeat(2, 2)
    k, j, i = grid.labels.shape
    return np.asarray(found[:k, :j, :i], dtype=np.uint8)
