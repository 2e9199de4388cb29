"""Two FLAIR images on one scale in, focal changes out: a mask of new and enlarging lesions, each with volume, site and history.

A lesion is a compact place that became brighter than its own surroundings did. What a shift of one voxel, a thicker slice or another coil
can do is not a lesion, and each rule below names one such cause:

- regional and smooth changes (a whole thalamus, a receive field) are taken out first: only what rises above its surroundings is focal;
- the follow-up must exceed every baseline value one voxel away, else a shift explains it (ventricle rim, sulci, tract borders);
- a dark place as strong as the bright one beside it is a dipole: a structure that moved;
- the place must be tissue at both dates, mostly in white matter, deep grey matter or the brain stem, and brighter than the tissue around it.

Where both dates have a T2, a fainter rise counts when T2 rises with it: noise of two images is independent, water raises both, and another
FLAIR contrast (old lesions look 5 to 9 % brighter on another scanner) raises one only. T2 never takes away what FLAIR shows by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import scipy.ndimage as ndi
import SimpleITK as sitk

from triage.alignment.comparison import Pair, in_followup_space
from triage.alignment.grid import Grid
from triage.alignment.images import NEAREST, affine_transform, resample, to_sitk
from triage.alignment.normalisation import CommonScale, robust_sd
from triage.anatomy import BRAIN_STEM, CAPSULES, CSF, THALAMI, WHITE, mask_of, midline
from triage.lesions.clusters import EDGES, FACES, Box, Floats, compactness, peak_of, standing_out
from triage.measurements import not_measured, percent
from triage.model import Affine, Found, Lesion, Mask, Measurement, Volume

DEEP_GREY = tuple(f"{name}_{side}" for name in ("putamen", "pallidum", "caudate") for side in ("left", "right"))
SITES = (
    *WHITE, "corpus_callosum", "internal_capsule_left", "internal_capsule_right", *CAPSULES, *BRAIN_STEM, *THALAMI, "cerebellum",
    *DEEP_GREY,
)  # fmt: skip
# Patterns A and D raise these as a whole; a rise of the whole region is measured there and is no focal lesion here.
REGIONAL = (*THALAMI, *BRAIN_STEM, *CAPSULES, *DEEP_GREY, "cerebellum")
QUANTITIES = (
    ("lesion_count", "1"), ("lesion_volume_ml", "mL"), ("largest_lesion_ml", "mL"), ("lesions_at_prior_injury", "1"),
)  # fmt: skip
FLUID_LEVEL = 0.6  # of white matter, after the small blur: at least half fluid
MIN_REGION_ML = 0.3  # less of a region in view has no median worth the name
MOST_SD = 4.0  # neither FLAIR nor T2 decides a faint rise alone: more than this counts no more
HALF = 0.5  # a faint cluster reaches to half of its peak
UPPER = 75  # percentile: the rim of a cluster is partial volume, its upper quarter is what it is


@dataclass(frozen=True)
class LesionLimits:
    """How focal changes are found on the half-way grid.

    Starting values (docs/method.md, Pattern B) unless a comment gives a reason.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    # the peak of a cluster must rise this much above its surroundings
    rise_percent: float = 15.0
    # and exceed this many robust sd of the pair's own change map
    z: float = 3.0
    # extent of a cluster: the connected voxels above this share of its peak, and above half of rise_percent
    extent_share: float = 0.3
    # smallest cluster: 0.1 mL less the spread of a measured volume
    volume_ml: float = 0.08
    # smallest cluster that enhances
    volume_enhancing_ml: float = 0.05
    # smallest cluster when field strength or 2D/3D differ
    volume_other_field_ml: float = 0.1
    # the upper quarter of a cluster must exceed every baseline value within one voxel by this; a shift explains less
    unexplained_percent: float = 5.0
    # smallest follow-up signal over that of the tissue around (6 mm)
    prominence: float = 1.05
    # from here on a place was a lesion before, and a faint rise is looked at
    known_prominence: float = 1.1
    # smallest level of a voxel over white matter at the follow-up; 0.1 less at the baseline
    tissue_level: float = 0.75
    # smallest median level of a cluster at the baseline; a darker place was partly fluid
    site_level: float = 0.8
    # largest strength of a dark place beside the cluster, over its peak; a stronger one is a structure that moved
    dipole: float = 1.0
    # smallest share inside SITES
    site_share: float = 0.3
    # a region whose median rises by this much changed as a whole; its median is taken out
    regional_percent: float = 5.0
    # a cluster this large is compared with its mirror image
    symmetric_ml: float = 1.5
    # it is a regional change when its mirror image rises too over this share
    symmetric_share: float = 0.5
    # smallest thickness over the diameter of a ball of the same volume; a sheet along a border of tissue is flatter
    compactness: float = 0.33
    # largest share of voxels beside fluid
    fluid_share: float = 0.6
    # with T2: a smoothed rise of both images by this much is looked at
    faint_percent: float = 5.0
    # and of FLAIR by this many robust sd of the pair
    faint_z: float = 3.0
    # it counts when the rises of the two, each in its own sd and at most 4, add up to this (6 is 4.2 sd of a sum of two)
    joint_z: float = 6.0
    # "at prior injury": within this distance of a lesion or cavity of the baseline
    prior_injury_mm: float = 5.0
    # smallest share of the white matter that both scans must show
    min_seen: float = 0.8


@dataclass(frozen=True, eq=False)
class Cluster:
    """One candidate. voxels: (n, 3) indices (k, j, i) on the half-way grid."""

    voxels: npt.NDArray[np.int64]
    volume_ml: float
    change_percent: float
    site: str
    known_before: bool

    def at(self) -> tuple[npt.NDArray[np.int64], ...]:
        return tuple(self.voxels.T)


@dataclass(frozen=True, eq=False)
class Candidates:
    """Clusters of ``volume_enhancing_ml`` and more, largest first. smallest_ml: what counts without enhancement.

    injury_mm: distance to the nearest lesion or cavity of the baseline, (k, j, i), None when there is none. problem: why nothing was looked for.
    regional_ml: volume of symmetric changes that were left to the other patterns. history: whether the baseline's old lesions are known.
    """

    clusters: tuple[Cluster, ...]
    smallest_ml: float
    injury_mm: Floats | None
    regional_ml: float = 0.0
    problem: str | None = None
    history: bool = True


def candidates(
    pair: Pair,
    chronic: Volume | None,
    limits: LesionLimits,
    *,
    other_field: bool = False,
    t2: tuple[CommonScale, Mask] | None = None,
) -> Candidates:
    """Places that became focally brighter.

    Args:
        chronic: what was abnormal before, uint8 in baseline space (triage.lesions.burden); None: not looked for.
        other_field: field strength or 2D/3D differ between the dates.
        t2: both dates' T2 on one scale and where both show it, on the pair's grid (triage.alignment.comparison.contrasts); None: FLAIR alone.
    """
    smallest = limits.volume_other_field_ml if other_field else limits.volume_ml
    white = mask_of(pair.grid.labels, pair.grid.names, WHITE)
    share = float(pair.grid.seen[white].mean()) if white.any() else 0.0
    if share < limits.min_seen:
        problem = f"coverage: both scans show only {share:.0%} of the white matter, need {limits.min_seen:.0%}"
        return Candidates((), smallest, None, problem=problem)
    box = _box(np.asarray(pair.grid.labels > 0), 4)
    field = _field(pair, box, limits)
    strong = list(_clusters(field, pair.grid, limits))
    faint = [] if t2 is None else list(_faint_clusters(field, _rise_on(t2, box, field, pair.grid), pair.grid, limits))
    found, regional = _focal([*strong, *_apart(faint, strong, field.labels.shape)], field, pair.grid, limits)
    offset = np.array([s.start for s in box])
    clusters = (_placed(one, offset) for one in found)
    return Candidates(
        tuple(sorted(clusters, key=lambda c: -c.volume_ml)),
        smallest,
        _injury_mm(pair, chronic),
        regional_ml=regional,
        history=chronic is not None,
    )


def supported(
    found: Candidates, pair: Pair, chronic: Volume | None, t2: tuple[CommonScale, Mask] | None, limits: LesionLimits
) -> Candidates:
    """The candidates of FLAIR looked at again with T2, as ``candidates`` takes it; as they are without one."""
    if t2 is None or found.problem is not None:
        return found
    return replace(candidates(pair, chronic, limits, t2=t2), smallest_ml=found.smallest_ml)


def focal_changes(pair: Pair, found: Candidates, enhancing: Mask | None, limits: LesionLimits) -> Found:
    """Lesions, their figures and their mask (label = number of the lesion) from the candidates.

    Args:
        enhancing: (k, j, i) on the half-way grid; None: not measured.
    """
    if found.problem is not None:
        return Found(tuple(not_measured("brain", quantity, unit, found.problem) for quantity, unit in QUANTITIES))
    labels = np.zeros(pair.grid.labels.shape, dtype=np.uint8)
    lesions: list[Lesion] = []
    for cluster in found.clusters:
        lit = None if enhancing is None else float(enhancing[cluster.at()].sum()) * pair.grid.voxel_ml
        # half the smallest lesion: a core that enhances inside oedema is often smaller than the lesion
        smallest = limits.volume_enhancing_ml if lit and lit >= limits.volume_enhancing_ml / 2 else found.smallest_ml
        if cluster.volume_ml < smallest or len(lesions) == 255:
            continue
        lesion = _lesion(len(lesions) + 1, cluster, pair, found, lit)
        labels[cluster.at()] = lesion.number
        lesions.append(lesion)
    return Found(
        _figures(lesions, limits, history=found.history),
        {"new_lesions": in_followup_space(pair, labels)},
        tuple(lesions),
        _notices(found),
    )


def _lesion(number: int, cluster: Cluster, pair: Pair, found: Candidates, lit: float | None) -> Lesion:
    away = None if found.injury_mm is None else float(found.injury_mm[cluster.at()].min())
    touching = away is not None and away <= pair.grid.spacing_mm
    k, j, i = cluster.voxels.mean(axis=0)
    to_followup = in_followup_space(pair, pair.grid.labels).affine
    x, y, z, _ = to_followup @ np.array([i, j, k, 1.0])
    return Lesion(
        number=number,
        kind="enlarging" if touching or cluster.known_before else "new",
        site=cluster.site,
        volume_ml=round(cluster.volume_ml, 3),
        centre_lps_mm=(round(float(x), 1), round(float(y), 1), round(float(z), 1)),
        change_percent=round(cluster.change_percent, 1),
        enhancing_volume_ml=None if lit is None else round(lit, 3),
        prior_injury_mm=None if away is None else round(away, 1),
    )


def _figures(lesions: list[Lesion], limits: LesionLimits, *, history: bool) -> tuple[Measurement, ...]:
    """history: whether the baseline's old lesions are known; if not, no lesion is said to lie away from them."""
    sizes = [lesion.volume_ml for lesion in lesions]
    near = [one for one in lesions if one.prior_injury_mm is not None and one.prior_injury_mm <= limits.prior_injury_mm]
    values = (float(len(lesions)), float(sum(sizes)), max(sizes, default=0.0), float(len(near)))
    figures = tuple(
        Measurement("brain", quantity, value, unit) for (quantity, unit), value in zip(QUANTITIES, values, strict=True)
    )
    if history:
        return figures
    name, unit = QUANTITIES[-1]
    return (
        *figures[:-1],
        not_measured("brain", name, unit, "no_chronic_mask: old lesions of the baseline are not known"),
    )


def _notices(found: Candidates) -> tuple[str, ...]:
    if found.regional_ml <= 0:
        return ()
    return (
        f"{found.regional_ml:.1f} mL rose alike on both sides: a regional change, not counted among the focal lesions",
    )


# -- the change above its surroundings -------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Field:
    """Maps on the box of the brain, (k, j, i), logs of ratios unless named otherwise.

    rise: change above the surroundings. unexplained: follow-up over the largest baseline value one voxel away. baseline: level.
    prominence, before: follow-up and baseline over the tissue around (ratios). where: voxels that may belong to a lesion.
    fluid: voxels beside fluid at either date. sites: SITES.
    """

    rise: Floats
    change: Floats
    unexplained: Floats
    baseline: Floats
    prominence: Floats
    before: Floats
    labels: npt.NDArray[np.uint8]
    where: Mask
    fluid: Mask
    sites: Mask
    sd: float


def _field(pair: Pair, box: Box, limits: LesionLimits) -> _Field:
    grid = pair.grid
    labels = grid.labels[box]
    # slices at the border of a stack are half outside it: two voxels are left out
    seen = ndi.binary_erosion(grid.seen[box], FACES, iterations=2, border_value=0)
    baseline, followup = (
        ndi.gaussian_filter(np.clip(np.nan_to_num(level[box], nan=0.0), 0.01, 3.0).astype(np.float32), 0.6)
        for level in (pair.scale.baseline_level, pair.scale.followup_level)
    )
    sites = mask_of(labels, grid.names, SITES) & seen
    near = ndi.binary_dilation(sites, EDGES)
    tissue = (np.minimum(followup, baseline + 0.1) > limits.tissue_level) & seen
    change = np.log(followup / baseline)
    sd = robust_sd(change[sites & tissue].astype(np.float64))
    change = change - _regional(change, labels, sites & tissue, grid, limits)
    weight = (tissue & ndi.binary_dilation(near, EDGES)).astype(np.float32)
    reach = _reach(grid)
    surround = _local_mean(np.clip(change, -0.1, 0.1), weight, reach)
    return _Field(
        rise=change - surround,
        change=change,
        unexplained=np.log(followup / ndi.maximum_filter(baseline, footprint=EDGES)),
        baseline=baseline,
        prominence=_over_surround(followup, weight, reach),
        before=_over_surround(baseline, weight, reach),
        labels=labels,
        where=near & tissue,
        fluid=ndi.binary_dilation(np.minimum(baseline, followup) < FLUID_LEVEL, EDGES),
        sites=sites,
        sd=sd,
    )


def _regional(change: Floats, labels: npt.NDArray[np.uint8], usable: Mask, grid: Grid, limits: LesionLimits) -> Floats:
    """Median change of each region that rises as a whole, reaching one voxel beyond it (atlas borders are not exact), (k, j, i)."""
    out = np.zeros_like(change)
    for region in REGIONAL:
        inside = mask_of(labels, grid.names, (region,))
        values = change[inside & usable]
        if values.size * grid.voxel_ml < MIN_REGION_ML:
            continue
        median = float(np.median(values))
        if percent(median) >= limits.regional_percent:
            part = _box(inside, 3)
            np.maximum(out[part], median * ndi.binary_dilation(inside[part], EDGES, iterations=2), out=out[part])
    return out


def _over_surround(level: Floats, weight: Floats, reach: int) -> Floats:
    return np.asarray(level / np.maximum(_local_mean(np.clip(level, 0.7, 1.3), weight, reach), 0.1), dtype=np.float32)


def _reach(grid: Grid) -> int:
    """Voxels of the surroundings, odd: 6 mm each way."""
    return 2 * round(6.0 / grid.spacing_mm) + 1


def _local_mean(values: Floats, weight: Floats, reach: int) -> Floats:
    """Mean over about ``reach`` voxels (two box filters: a tent), weighted; 0 far from any weight."""

    def tent(a: Floats) -> Floats:
        return np.asarray(ndi.uniform_filter(ndi.uniform_filter(a, reach), reach), dtype=np.float32)

    return np.asarray(tent(values * weight) / np.maximum(tent(weight), 1e-3), dtype=np.float32)


# -- clusters --------------------------------------------------------------------------------------


def _clusters(field: _Field, grid: Grid, limits: LesionLimits) -> Iterator[Cluster]:
    limit = max(np.log1p(limits.rise_percent / 100.0), limits.z * field.sd)
    low = limit / 2
    seeds = field.where & (field.rise >= limit) & (field.unexplained > 0) & (field.prominence >= limits.prominence)
    for box, one in standing_out(field.rise, field.where, seeds, low, limits.extent_share):
        cluster = _judged(one, box, field, grid, limits, limit)
        if cluster is not None:
            yield cluster


def _rise_on(t2: tuple[CommonScale, Mask], box: Box, field: _Field, grid: Grid) -> Floats:
    """What T2 rises above its surroundings, log, (k, j, i) on the box; 0 where it is not seen."""
    scale, seen = t2[0], t2[1][box]
    change = np.where(seen, np.clip(np.nan_to_num(scale.change[box]), -1.0, 1.0), 0.0).astype(np.float32)
    surround = _local_mean(np.clip(change, -0.1, 0.1), (field.where & seen).astype(np.float32), _reach(grid))
    return np.where(seen, change - surround, 0.0).astype(np.float32)


def _faint_clusters(field: _Field, t2_rise: Floats, grid: Grid, limits: LesionLimits) -> Iterator[Cluster]:
    """What FLAIR shows faintly and T2 shows too."""
    usable = field.where & field.sites
    (smooth, z), (smooth_t2, z2) = _in_sd(field.rise, usable), _in_sd(t2_rise, usable)
    least = np.log1p(limits.faint_percent / 100.0)
    together = np.minimum(z, MOST_SD) + np.minimum(z2, MOST_SD)
    seeds = usable & (smooth >= least) & (smooth_t2 >= least) & (z >= limits.faint_z) & (together >= limits.joint_z)
    for box, one in standing_out(smooth, field.where, seeds, least / 2, HALF):
        cluster = _judged(one, box, field, grid, limits, None)
        if cluster is not None:
            yield cluster


def _in_sd(rise: Floats, usable: Mask) -> tuple[Floats, Floats]:
    """The rise smoothed over a small lesion (sigma of a voxel), and the same in robust sd of ``usable``."""
    smooth = ndi.gaussian_filter(rise, 1.0)
    return smooth, np.asarray(smooth / max(robust_sd(smooth[usable].astype(np.float64)), 1e-4), dtype=np.float32)


def _apart(faint: list[Cluster], strong: list[Cluster], shape: tuple[int, ...]) -> list[Cluster]:
    """The faint clusters that touch no strong one."""
    taken = np.zeros(shape, dtype=bool)
    for cluster in strong:
        taken[cluster.at()] = True
    taken = ndi.binary_dilation(taken, EDGES)
    return [cluster for cluster in faint if not taken[cluster.at()].any()]


def _judged(
    one: Mask, box: Box, field: _Field, grid: Grid, limits: LesionLimits, limit: float | None
) -> Cluster | None:
    """The cluster, or None when one of the harmless causes explains it. limit: of its peak on FLAIR; None: T2 shows it too, which a shift does not."""
    volume = float(one.sum()) * grid.voxel_ml
    peak = peak_of(field.rise[box][one])
    harmless = (
        volume < limits.volume_enhancing_ml
        or field.sites[box][one].mean() < limits.site_share
        or np.median(field.baseline[box][one]) < limits.site_level
        or field.fluid[box][one].mean() > limits.fluid_share
        or compactness(one, grid.spacing_mm) < limits.compactness
        or (limit is not None and (peak < limit or _explained(field.unexplained[box][one], limits)))
        or np.percentile(field.prominence[box][one], UPPER)
        < (limits.known_prominence if limit is None else limits.prominence)
        or _darkest(one, box, field) < -limits.dipole * peak
    )
    if harmless:
        return None
    labels = field.labels[box][one]
    named = np.bincount(labels[np.isin(labels, _named(grid))], minlength=1)
    return Cluster(
        voxels=np.argwhere(one) + np.array([s.start for s in box]),
        volume_ml=volume,
        change_percent=percent(float(np.median(field.change[box][one]))),
        site=grid.names.get(int(named.argmax()), "brain"),
        known_before=bool(np.median(field.before[box][one]) >= limits.known_prominence),
    )


def _explained(unexplained: npt.NDArray[np.float32], limits: LesionLimits) -> bool:
    return bool(np.percentile(unexplained, UPPER) < np.log1p(limits.unexplained_percent / 100.0))


def _named(grid: Grid) -> list[int]:
    """Labels a lesion may be named after: tissue, not fluid (the atlas draws a ventricle a little larger than it is here)."""
    return [label for label, region in grid.names.items() if region not in CSF]


def _darkest(one: Mask, box: Box, field: _Field) -> float:
    """Fifth percentile of the rise in the ring of two voxels around the cluster."""
    wide = tuple(slice(max(0, s.start - 3), s.stop + 3) for s in box)
    inside = np.zeros(field.rise.shape, dtype=bool)[wide]
    shift = [s.start - w.start for s, w in zip(box, wide, strict=True)]
    inside[tuple(slice(a, a + n) for a, n in zip(shift, one.shape, strict=True))] = one
    ring = ndi.binary_dilation(inside, EDGES, iterations=2) & ~inside & (field.baseline[wide] > 0.3)
    return float(np.percentile(field.rise[wide][ring], 5)) if ring.any() else 0.0


def _focal(clusters: list[Cluster], field: _Field, grid: Grid, limits: LesionLimits) -> tuple[list[Cluster], float]:
    """Without large clusters whose mirror image rises too, and the volume of those."""
    large = [c for c in clusters if c.volume_ml >= limits.symmetric_ml]
    if not large:
        return clusters, 0.0
    mirror = _mirror(field.labels, grid)
    smooth = ndi.gaussian_filter(field.change, 2.0)
    regional = [c for c in large if _mirrored(c, smooth, mirror) >= limits.symmetric_share]
    return [c for c in clusters if not any(c is r for r in regional)], float(sum(c.volume_ml for c in regional))


def _mirrored(cluster: Cluster, smooth: Floats, mirror: Affine) -> float:
    """Share of the cluster whose mirror image rises at least half as much as the cluster."""
    there = (cluster.voxels @ mirror[:3, :3].T + mirror[:3, 3]).T
    other = ndi.map_coordinates(smooth, there, order=1, mode="nearest")
    return float((other >= np.log1p(cluster.change_percent / 100.0) / 2).mean())


def _mirror(labels: npt.NDArray[np.uint8], grid: Grid) -> Affine:
    """(4, 4): voxel index (k, j, i) -> index of its mirror image, from the centres of paired regions."""
    normal, middle = midline(labels, grid.names)
    out = np.eye(4)
    out[:3, :3] -= 2 * np.outer(normal, normal)
    out[:3, 3] = 2 * middle * normal
    return out


def _placed(cluster: Cluster, offset: npt.NDArray[np.int64]) -> Cluster:
    return Cluster(
        cluster.voxels + offset, cluster.volume_ml, cluster.change_percent, cluster.site, cluster.known_before
    )


def _box(mask: Mask, margin: int) -> Box:
    found = ndi.find_objects(mask.astype(np.uint8))[0]
    return tuple(slice(max(0, s.start - margin), s.stop + margin) for s in found)  # type: ignore[return-value]  # three axes


# -- history ---------------------------------------------------------------------------------------


def _injury_mm(pair: Pair, chronic: Volume | None) -> Floats | None:
    """Distance to what was abnormal in the baseline, mm, (k, j, i)."""
    if chronic is None or not chronic.voxels.any():
        return None
    # half-way points -> baseline points is the same matrix as follow-up -> half-way
    moved = resample(to_sitk(chronic), pair.image_grid, affine_transform(pair.followup_to_half_way), how=NEAREST)
    mask = sitk.GetArrayViewFromImage(moved) > 0
    if not mask.any():
        return None
    return np.asarray(ndi.distance_transform_edt(~mask) * pair.grid.spacing_mm, dtype=np.float32)
