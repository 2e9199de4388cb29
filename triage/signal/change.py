"""A registered pair (or a single scan) and its regions in, FLAIR figures with their uncertainty out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from triage.alignment.grid import Grid
from triage.alignment.normalisation import CommonScale, robust_sd, smooth_over
from triage.alignment.sampling import shuffled
from triage.alignment.slices import SlicePair
from triage.anatomy import BRAIN_STEM, CAPSULES, THALAMI, WHITE, mask_of
from triage.libraries import ndi
from triage.measurements import not_measured, percent
from triage.model import Mask, Measurement
from triage.signal.curve import without_curve

FEWEST_SPHERES = 10  # fewer say nothing about a pair
UNKNOWN_PERCENT = 5.0  # the uncertainty of such a pair
FEW = 6.0  # spheres of the whole pair that are counted beside those at the level of a region
DEPTH_STEP = 3  # the depth is measured on every third voxel
CHANGE_REGIONS = (*THALAMI, *BRAIN_STEM, *CAPSULES, *WHITE)


@dataclass(frozen=True)
class DriftFactors:
    """Standard deviation of a region over that of the spheres of its pair, by protocol class.

    From 36 pairs of the calibration heads without a change, with spoiled slices (``bench.accuracy.slabs``): root mean
    square of figure over spread, times a margin. In the same protocol 1.2: the smallest with which 95 % of the figures
    of each head lie within two standard deviations when the others set its factors. Across protocols 1.4, the upper
    80 % bound of a standard deviation from six values: two protocols differ by head, and six heads are few.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    # thalami
    thalami_same: float = 1.4
    thalami_different: float = 2.4
    # midbrain
    midbrain_same: float = 1.3
    midbrain_different: float = 1.6
    # pons
    pons_same: float = 0.9
    pons_different: float = 2.1
    # medulla
    medulla_same: float = 1.7
    medulla_different: float = 2.2
    # external and extreme capsules
    capsules_same: float = 0.8
    capsules_different: float = 1.8
    # white matter of a hemisphere
    white_same: float = 0.3
    white_different: float = 1.0

    def of(self, region: str, *, same: bool) -> float:
        """The factor of one of ``CHANGE_REGIONS``."""
        kinds = {"thalami": THALAMI, "capsules": CAPSULES, "white": WHITE, **{part: (part,) for part in BRAIN_STEM}}
        kind = next(name for name, regions in kinds.items() if region in regions)
        return float(getattr(self, f"{kind}_{'same' if same else 'different'}"))


@dataclass(frozen=True)
class MeasurementLimits:
    """What a region needs to be measurable, and how its figures are taken."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    # the reference tissue of a region lies at this distance from it or more; a shell of 4-15 mm had the smallest drift
    # between protocols (docs/method.md)
    shell_inner_mm: float = 4.0
    # and at this distance or less
    shell_outer_mm: float = 15.0
    # rim taken off thalami and brain stem before the median, against partial volume with CSF
    erode_mm: float = 2.0
    # smallest volume without the rim
    min_volume_ml: float = 0.3
    # smallest share of the region that both scans must show
    min_seen: float = 0.8
    # fewest voxels of the reference shell
    min_shell_voxels: int = 150
    # a voxel of white matter counts as raised above this FLAIR change (A4)
    raised_percent: float = 15.0
    # Gaussian sigma of the smoothing before that
    raised_sigma_mm: float = 2.0
    # number of spheres of reference tissue that measure how much a region of this pair changes without disease
    pseudo_regions: int = 120
    # radius of these spheres
    pseudo_radius_mm: float = 9.0
    # spheres within about this distance in level (along the slices) and in depth tell the uncertainty of a region
    alike_mm: float = 15.0
    # smallest share of a region whose slices have a known gain: healthy tissue of the same slices shows it
    min_known: float = 0.5
    # added to every uncertainty (root of the sum of squares), in percent
    floor_percent: float = 0.05
    # the same for the medulla: between two real visits it moved by up to 3.5 % without a change, and the tissue beside
    # it in the same slices did not
    medulla_floor_percent: float = 2.0
    # how much regions change against the spheres that measure the drift of a pair
    drift: DriftFactors = field(default_factory=DriftFactors)

    def floor_of(self, region: str) -> float:
        """What is added to the uncertainty of a region, percent."""
        return self.medulla_floor_percent if region == "medulla" else self.floor_percent


def flair_changes(
    scale: CommonScale,
    grid: Grid,
    limits: MeasurementLimits,
    slices: SlicePair | None = None,
    *,
    same_protocol: bool = False,
) -> tuple[Measurement, ...]:
    """FLAIR change of every suspect region: against the shell near it, against the far field, and its upper tail.

    Args:
        scale, grid: of one pair, on the half-way grid.
        slices: of both dates on that grid; None: the gain of all slices counts as known.
        same_protocol: of both dates; a figure is more certain then.
    """
    scale = without_curve(scale, grid)
    drift = local_drift(scale, grid, limits, slices)
    out: list[Measurement] = []
    for region in CHANGE_REGIONS:
        factor = limits.drift.of(region, same=same_protocol)
        out.extend(_region_change(region, scale, grid, limits, (drift, factor)))
    out.extend(_symmetry(out))
    return tuple(out)


def _region_change(
    region: str, scale: CommonScale, grid: Grid, limits: MeasurementLimits, uncertain: tuple[LocalDrift, float]
) -> Iterator[Measurement]:
    drift, factor = uncertain
    whole = mask_of(grid.labels, grid.names, (region,))
    problem = unmeasurable(whole, grid, limits)
    core = whole if problem else _core(region, whole, grid, limits) & grid.seen
    if problem is None and core.any() and drift.known[core].mean() < limits.min_known:
        share = float(drift.known[core].mean())
        problem = f"slice_gain: healthy tissue shows the gain of {share:.0%} of its slices, need {limits.min_known:.0%}"
    core = core & drift.known
    if problem is None and core.sum() * grid.voxel_ml < limits.min_volume_ml:
        left_ml = core.sum() * grid.voxel_ml
        problem = f"too_small: {left_ml:.2f} mL left after taking off its rim, need {limits.min_volume_ml} mL"
    quantities = ("flair_change_percent", "flair_change_far_percent", "flair_change_p95_percent")
    if problem is not None:
        yield from (not_measured(region, quantity, "%", problem) for quantity in quantities)
        return
    local = near_level(whole, scale, grid, limits)
    level = float(np.median(scale.baseline_level[core]))
    far = scale.change[core]
    sd = float(np.hypot(factor * drift.of(core), limits.floor_of(region)))
    if region in WHITE or local is None:  # the reference tissue around white matter is white matter: take the far field
        near, name = far, "far"
    else:
        near, name = far - local, "near"
    yield Measurement(
        region, "flair_change_percent", percent(float(np.median(near))), "%", sd, level, reason=f"reference: {name}"
    )
    yield Measurement(region, "flair_change_far_percent", percent(float(np.median(far))), "%", sd, level)
    yield Measurement(
        region,
        "flair_change_p95_percent",
        percent(float(np.percentile(near, 95))),
        "%",
        percent(robust_sd(near)),
        level,
    )
    if region in WHITE:
        yield Measurement(region, "raised_fraction_percent", raised_share(scale, core, grid, limits), "%")


def near_level(whole: Mask, scale: CommonScale, grid: Grid, limits: MeasurementLimits) -> float | None:
    """Median log ratio of the reference tissue near a region; None when there is too little of it."""
    shell = shell_around(whole, scale.reference, grid, limits)
    return float(np.median(scale.change[shell])) if shell.sum() >= limits.min_shell_voxels else None


def raised_share(scale: CommonScale, core: Mask, grid: Grid, limits: MeasurementLimits) -> float:
    """Share of the region raised beyond ``raised_percent`` *minus* the share lowered as much, in percent.

    Noise and errors at edges raise and lower alike, so the difference cancels them.
    """
    box = _box(core, 4)
    smooth = smooth_over(scale.change[box], core[box], limits.raised_sigma_mm / grid.spacing_mm)[core[box]]
    limit = np.log1p(limits.raised_percent / 100.0)
    return float(100.0 * ((smooth > limit).mean() - (smooth < -limit).mean()))


def unmeasurable(whole: Mask, grid: Grid, limits: MeasurementLimits) -> str | None:
    """Why a region cannot be measured on this grid; None when it can."""
    if not whole.any():
        return "region_missing: the region is outside the baseline's field of view"
    share = float(grid.seen[whole].mean())
    if share < limits.min_seen:
        return f"coverage: both scans show only {share:.0%} of the region, need {limits.min_seen:.0%}"
    return None


def _core(region: str, whole: Mask, grid: Grid, limits: MeasurementLimits) -> Mask:
    """The region without its rim (thin capsules keep theirs)."""
    if region in CAPSULES:
        return whole
    depth = inside_distance(whole, grid.spacing_mm)
    return np.asarray(depth > limits.erode_mm)


def _box(mask: Mask, margin: int) -> tuple[slice, slice, slice]:
    found = ndi.find_objects(mask.astype(np.uint8))[0]
    k, j, i = (slice(max(0, s.start - margin), s.stop + margin) for s in found)
    return k, j, i


def inside_distance(mask: Mask, spacing_mm: float) -> npt.NDArray[np.float64]:
    """Depth below the border of the mask, mm; 0 outside. The mask must not be empty."""
    box = _box(mask, 2)
    out = np.zeros(mask.shape)
    out[box] = ndi.distance_transform_edt(mask[box]) * spacing_mm
    return out


def shell_around(whole: Mask, reference: Mask, grid: Grid, limits: MeasurementLimits) -> Mask:
    """Reference tissue at ``shell_inner_mm`` to ``shell_outer_mm`` from the region. Masks have shape (k, j, i)."""
    box = _box(whole, int(np.ceil(limits.shell_outer_mm / grid.spacing_mm)) + 1)
    away = ndi.distance_transform_edt(~whole[box]) * grid.spacing_mm
    out = np.zeros_like(whole)
    out[box] = reference[box] & (away >= limits.shell_inner_mm) & (away <= limits.shell_outer_mm)
    return out


@dataclass(frozen=True, eq=False)
class LocalDrift:
    """How much regions of one pair change without disease, by place.

    height, depth: mm along the slice axis of the follow-up and below the surface of the brain, (k, j, i). centres,
    values: of spheres of reference tissue that were measured like regions, (n, 3) index and (n,) log units. overall:
    robust sd of all of them, percent. known: voxels in slices whose gain is known.
    """

    height: npt.NDArray[np.float32]
    depth: npt.NDArray[np.float32]
    centres: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]
    overall: float
    known: Mask
    limits: MeasurementLimits

    def of(self, core: Mask) -> float:
        """Robust sd of the spheres at the level and depth of a region, percent; few of them count less than all do."""
        if len(self.values) < FEWEST_SPHERES:
            return self.overall
        at = tuple(self.centres.T)
        apart = [(of[at] - float(np.median(of[core]))) / self.limits.alike_mm for of in (self.height, self.depth)]
        weight = np.exp(-0.5 * (apart[0] ** 2 + apart[1] ** 2))
        order = np.argsort(np.abs(self.values))
        above = np.cumsum(weight[order]) >= 0.5 * weight.sum()
        local = 148.26 * float(np.abs(self.values)[order][above][0])
        count = float(weight.sum() ** 2 / max((weight**2).sum(), 1e-12))
        return float(np.sqrt((count * local**2 + FEW * self.overall**2) / (count + FEW)))


def local_drift(
    scale: CommonScale, grid: Grid, limits: MeasurementLimits, slices: SlicePair | None = None
) -> LocalDrift:
    """The drift of a pair, by place (see ``LocalDrift``)."""
    known = slices.known if slices is not None else np.ones(grid.labels.shape, dtype=bool)
    centres, values = _spheres(scale, grid, limits, known)
    every = (slice(None, None, DEPTH_STEP),) * 3
    coarse = ndi.distance_transform_edt(np.pad(grid.labels[every] > 0, 1)) * grid.spacing_mm * DEPTH_STEP
    depth = coarse[1:-1, 1:-1, 1:-1]
    for axis, n in enumerate(grid.labels.shape):
        depth = depth.repeat(DEPTH_STEP, axis).take(np.arange(n), axis)
    if slices is None:
        height = np.zeros(grid.labels.shape, dtype=np.float32)
    else:
        height = slices.stacks[0].place * np.float32(slices.stacks[0].spacing_mm)
    return LocalDrift(height, depth.astype(np.float32), centres, values, _spread(values), known, limits)


def pair_drift(scale: CommonScale, grid: Grid, limits: MeasurementLimits) -> float:
    """How much a region of this very pair changes without disease, as one robust sd in percent."""
    return _spread(_spheres(scale, grid, limits, np.ones(grid.labels.shape, dtype=bool))[1])


def _spread(values: npt.NDArray[np.float64]) -> float:
    if len(values) < FEWEST_SPHERES:
        return UNKNOWN_PERCENT
    return 100.0 * float(1.4826 * np.median(np.abs(values)))


def _spheres(
    scale: CommonScale, grid: Grid, limits: MeasurementLimits, known: Mask
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Spheres of reference tissue, measured like a region: their median against the shell around them, log units.

    Their places follow from the mask, voxel by voxel, so the answer is repeatable. This includes what noise figures
    cannot show: remains of the receive field, misregistration, a change of contrast.
    """
    reference = scale.reference & known
    reach = int(np.ceil((limits.pseudo_radius_mm + limits.shell_outer_mm) / grid.spacing_mm))
    axis = np.arange(-reach, reach + 1) * grid.spacing_mm
    away = np.sqrt(axis[:, None, None] ** 2 + axis[None, :, None] ** 2 + axis[None, None, :] ** 2)
    ball = away <= limits.pseudo_radius_mm
    ring = (away >= limits.pseudo_radius_mm + limits.shell_inner_mm) & (
        away <= limits.pseudo_radius_mm + limits.shell_outer_mm
    )
    centres: list[npt.NDArray[np.int64]] = []
    found: list[float] = []
    tried = np.unravel_index(shuffled(reference)[: limits.pseudo_regions * 6], reference.shape)
    for centre in np.stack(tried, axis=1):
        if len(found) >= limits.pseudo_regions:
            break
        if centre.min() < reach:
            continue
        box = tuple(slice(n - reach, n + reach + 1) for n in centre)
        if reference[box].shape != ball.shape:
            continue
        inside, around = reference[box] & ball, reference[box] & ring
        if inside.sum() * grid.voxel_ml < limits.min_volume_ml * 3 or around.sum() < limits.min_shell_voxels:
            continue
        found.append(float(np.median(scale.change[box][inside]) - np.median(scale.change[box][around])))
        centres.append(centre)
    return np.array(centres, dtype=np.int64).reshape(-1, 3), np.array(found)


def _symmetry(measured: list[Measurement]) -> Iterator[Measurement]:
    """Smaller over larger change of the two sides, 0..1; 0 when one side does not rise."""
    changes = {m.region: m.value for m in measured if m.quantity == "flair_change_percent"}
    for pair, name in ((THALAMI, "thalami"), (CAPSULES, "external_extreme_capsules"), (WHITE, "white_matter")):
        left, right = changes[pair[0]], changes[pair[1]]
        if left is None or right is None:
            yield not_measured(name, "symmetry", "1", "one side could not be measured")
        else:
            yield Measurement(
                name, "symmetry", max(0.0, min(left, right)) / max(left, right) if max(left, right) > 0 else 0.0, "1"
            )


def flair_ratios(
    image: npt.NDArray[np.float32], labels: npt.NDArray[np.uint8], names: Mapping[int, str]
) -> tuple[Measurement, ...]:
    """Single scan: median FLAIR of each suspect region over that of white matter. Arrays: one grid, shape (k, j, i)."""
    white = image[mask_of(labels, names, WHITE) & (image > 0)]
    if white.size < 500:
        return tuple(
            not_measured(region, "flair_ratio", "1", "no_reference_tissue: white matter is not in view")
            for region in CHANGE_REGIONS
        )
    level = float(np.median(white))
    out = []
    for region in CHANGE_REGIONS:
        inside = image[mask_of(labels, names, (region,)) & (image > 0)]
        if inside.size < 30:
            out.append(not_measured(region, "flair_ratio", "1", "region_missing: the region is not in view"))
        else:
            out.append(
                Measurement(
                    region,
                    "flair_ratio",
                    float(np.median(inside)) / level,
                    "1",
                    robust_sd(np.asarray(inside / level, dtype=np.float64)),
                )
            )
    return tuple(out)


def volumes(labels: npt.NDArray[np.uint8], names: Mapping[int, str], voxel_ml: float) -> tuple[Measurement, ...]:
    """Volume of every atlas region as placed on the scan, mL."""
    counts = np.bincount(labels.ravel(), minlength=256)
    return tuple(
        Measurement(region, "volume_ml", float(counts[label]) * voxel_ml, "mL")
        if counts[label]
        else not_measured(region, "volume_ml", "mL", "region_missing: the region is not in view")
        for label, region in names.items()
    )
