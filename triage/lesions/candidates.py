"""A registered FLAIR pair (with T2 where both dates have one) in, places that became focally brighter out.

What a shift of one voxel, a thicker slice or another coil can do is not a lesion. Each rule names one such cause:

- the follow-up must exceed every baseline value one voxel away; else a shift explains it (ventricle rim, sulci, tract
  borders);
- a dark place as strong as the bright one beside it is a dipole: a structure that moved;
- the place must be tissue at both dates, mostly in white matter, deep grey matter or the brain stem, and brighter than
  the tissue around it;
- a large place whose mirror image rises too is a regional change.

Where both dates have a T2, a fainter rise counts when T2 rises with it. The noise of two images is independent, and
water raises both; another FLAIR contrast (old lesions look 5 to 9 % brighter on another scanner) raises one only. T2
never takes away what FLAIR shows by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from triage.alignment.comparison import Pair
from triage.alignment.grid import Grid
from triage.alignment.images import NEAREST, affine_transform, resample, to_sitk
from triage.alignment.normalisation import CommonScale, robust_sd
from triage.anatomy import CSF, WHITE, mask_of, midline
from triage.lesions.clusters import EDGES, HALF, Box, Floats, compactness, peak_of, standing_out
from triage.lesions.limits import LesionLimits
from triage.lesions.old import brighter_old
from triage.lesions.rises import Rises, box_of, rises_of, t2_rise
from triage.libraries import ndi, sitk
from triage.measurements import percent
from triage.model import Affine, Mask, Volume

MOST_SD = 4.0  # neither FLAIR nor T2 decides a faint rise alone: more than this counts no more
UPPER = 75  # percentile: the rim of a cluster is partial volume, its upper quarter is what it is


@dataclass(frozen=True, eq=False)
class Cluster:
    """One candidate.

    voxels: (n, 3) indices (k, j, i) on the half-way grid. t2_change: median log ratio of T2 there; None: not seen.
    """

    voxels: npt.NDArray[np.int64]
    volume_ml: float
    change_percent: float
    site: str
    known_before: bool
    t2_change: float | None = None

    def at(self) -> tuple[npt.NDArray[np.int64], ...]:
        return tuple(self.voxels.T)


@dataclass(frozen=True, eq=False)
class Candidates:
    """Clusters of ``volume_enhancing_ml`` and more, largest first.

    smallest_ml: what counts without enhancement.
    old: lesions and cavities of the baseline, (k, j, i) on the half-way grid; None when there is none.
    regional_ml: volume of symmetric changes that are left to the other patterns.
    problem: why nothing was looked for.
    seen: share of the white matter that both scans show.
    history: whether the baseline's old lesions are known.
    """

    clusters: tuple[Cluster, ...]
    smallest_ml: float
    old: Mask | None
    regional_ml: float = 0.0
    problem: str | None = None
    history: bool = True
    seen: float = 1.0


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
        t2: both dates' T2 on one scale and where both show it, on the pair's grid
            (triage.alignment.comparison.contrasts); None: FLAIR alone.
    """
    smallest = limits.volume_other_field_ml if other_field else limits.volume_ml
    white = mask_of(pair.grid.labels, pair.grid.names, WHITE)
    share = float(pair.grid.seen[white].mean()) if white.any() else 0.0
    if share < limits.min_seen:
        problem = f"coverage: both scans show only {share:.0%} of the white matter, need {limits.min_seen:.0%}"
        return Candidates((), smallest, None, problem=problem)
    box = box_of(np.asarray(pair.grid.labels > 0), 4)
    rises = rises_of(pair, box, limits)
    strong = list(_strong_clusters(rises, pair.grid, limits))
    old = _chronic_on(pair, chronic)
    faint: list[Cluster] = []
    if t2 is not None:
        watery = t2_rise(t2, box, rises, pair.grid), t2[1][box]
        faint = list(_faint_clusters(rises, watery, pair.grid, limits))
        if old is not None:
            enlarging = list(_old_clusters(rises, watery, old[box], pair.grid, limits))
            faint += _apart(enlarging, faint, rises.labels.shape)
    found, regional = _focal([*strong, *_apart(faint, strong, rises.labels.shape)], rises, pair.grid, limits)
    offset = np.array([s.start for s in box])
    clusters = (_with_t2(_placed(one, offset), t2) for one in found)
    return Candidates(
        tuple(sorted(clusters, key=lambda c: -c.volume_ml)),
        smallest,
        old,
        regional_ml=regional,
        history=chronic is not None,
        seen=share,
    )


def _with_t2(cluster: Cluster, t2: tuple[CommonScale, Mask] | None) -> Cluster:
    if t2 is None:
        return cluster
    scale, seen = t2
    values = scale.change[cluster.at()][seen[cluster.at()]]
    return replace(cluster, t2_change=float(np.median(values))) if values.size else cluster


def supported(
    found: Candidates, pair: Pair, chronic: Volume | None, t2: tuple[CommonScale, Mask] | None, limits: LesionLimits
) -> Candidates:
    """The candidates of FLAIR looked at again with T2, as ``candidates`` takes it; as they are without one."""
    if t2 is None or found.problem is not None:
        return found
    return replace(candidates(pair, chronic, limits, t2=t2), smallest_ml=found.smallest_ml)


def _strong_clusters(rises: Rises, grid: Grid, limits: LesionLimits) -> Iterator[Cluster]:
    limit = max(np.log1p(limits.rise_percent / 100.0), limits.z * rises.sd)
    low = limit / 2
    seeds = rises.where & (rises.rise >= limit) & (rises.unexplained > 0) & (rises.prominence >= limits.prominence)
    for box, one in standing_out(rises.rise, rises.where, seeds, low, limits.extent_share):
        cluster = _judged(_place(one, box, rises, grid), grid, limits, limit)
        if cluster is not None:
            yield cluster


def _faint_clusters(rises: Rises, t2: tuple[Floats, Mask], grid: Grid, limits: LesionLimits) -> Iterator[Cluster]:
    """What FLAIR shows faintly and T2 shows too. t2: its rise, and where both dates show it."""
    usable = rises.where & rises.sites & t2[1]
    (smooth, z), (smooth_t2, z2) = _in_sd(rises.rise, rises.where & rises.sites), _in_sd(t2[0], usable)
    least = np.log1p(limits.faint_percent / 100.0)
    together = np.minimum(z, MOST_SD) + np.minimum(z2, MOST_SD)
    seeds = usable & (smooth >= least) & (smooth_t2 >= least) & (z >= limits.faint_z) & (together >= limits.joint_z)
    for box, one in standing_out(smooth, rises.where, seeds, least / 2, HALF):
        cluster = _judged(_place(one, box, rises, grid), grid, limits, None)
        if cluster is not None:
            yield cluster


def _old_clusters(
    rises: Rises, t2: tuple[Floats, Mask], old: Mask, grid: Grid, limits: LesionLimits
) -> Iterator[Cluster]:
    """Old lesions that FLAIR and T2 show brighter than the other old lesions became."""
    for box, one in brighter_old(rises, t2, old, grid.voxel_ml, limits):
        cluster = _judged(_place(one, box, rises, grid), grid, limits, None)
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


# -- harmless causes ---------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Place:
    """One cluster under judgement. one: its mask inside ``box``."""

    one: Mask
    box: Box
    rises: Rises
    spacing_mm: float
    voxel_ml: float

    def of(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The values of the cluster's voxels, shape (n,)."""
        return np.asarray(values[self.box][self.one])


def _judged(place: _Place, grid: Grid, limits: LesionLimits, limit: float | None) -> Cluster | None:
    """The cluster, or None when one of the harmless causes explains it.

    Args:
        limit: log, of its peak on FLAIR. None: T2 shows the place too, so that a shift is no explanation.
    """
    rises = place.rises
    peak = peak_of(place.of(rises.rise))
    harmless = (
        _is_too_small(place, limits)
        or _is_no_tissue(place, limits)
        or _is_flat(place, limits)
        or (limit is not None and (peak < limit or _is_a_shift(place, limits)))
        or _blends_in(place, limits.known_prominence if limit is None else limits.prominence)
        or _darkest(place) < -limits.dipole * peak
    )
    if harmless:
        return None
    labels = place.of(rises.labels)
    named = np.bincount(labels[np.isin(labels, _named(grid))], minlength=1)
    return Cluster(
        voxels=np.argwhere(place.one) + np.array([s.start for s in place.box]),
        volume_ml=float(place.one.sum()) * place.voxel_ml,
        change_percent=percent(float(np.median(place.of(rises.change)))),
        site=grid.names.get(int(named.argmax()), "brain"),
        known_before=bool(np.median(place.of(rises.before)) >= limits.known_prominence),
    )


def _is_too_small(place: _Place, limits: LesionLimits) -> bool:
    return float(place.one.sum()) * place.voxel_ml < limits.volume_enhancing_ml


def _is_no_tissue(place: _Place, limits: LesionLimits) -> bool:
    """Outside the sites of lesions, partly fluid before, or beside fluid."""
    rises = place.rises
    return bool(
        place.of(rises.sites).mean() < limits.site_share
        or np.median(place.of(rises.baseline)) < limits.site_level
        or place.of(rises.fluid).mean() > limits.fluid_share
    )


def _is_flat(place: _Place, limits: LesionLimits) -> bool:
    """A sheet along a border of tissue."""
    return compactness(place.one, place.spacing_mm) < limits.compactness


def _is_a_shift(place: _Place, limits: LesionLimits) -> bool:
    """A baseline value one voxel away is about as bright."""
    unexplained = np.percentile(place.of(place.rises.unexplained), UPPER)
    return bool(unexplained < np.log1p(limits.unexplained_percent / 100.0))


def _blends_in(place: _Place, prominence: float) -> bool:
    """No brighter than the tissue around it."""
    return bool(np.percentile(place.of(place.rises.prominence), UPPER) < prominence)


def _place(one: Mask, box: Box, rises: Rises, grid: Grid) -> _Place:
    return _Place(one, box, rises, grid.spacing_mm, grid.voxel_ml)


def _named(grid: Grid) -> list[int]:
    """Labels a lesion may be named after: tissue, not fluid. The atlas draws a ventricle a little larger than it is."""
    return [label for label, region in grid.names.items() if region not in CSF]


def _darkest(place: _Place) -> float:
    """Fifth percentile of the rise in the ring of two voxels around the cluster."""
    one, box, rises = place.one, place.box, place.rises
    wide = tuple(slice(max(0, s.start - 3), s.stop + 3) for s in box)
    inside = np.zeros(rises.rise.shape, dtype=bool)[wide]
    shift = [s.start - w.start for s, w in zip(box, wide, strict=True)]
    inside[tuple(slice(a, a + n) for a, n in zip(shift, one.shape, strict=True))] = one
    ring = ndi.binary_dilation(inside, EDGES, iterations=2) & ~inside & (rises.baseline[wide] > 0.3)
    return float(np.percentile(rises.rise[wide][ring], 5)) if ring.any() else 0.0


# -- both sides alike --------------------------------------------------------------------------------


def _focal(clusters: list[Cluster], rises: Rises, grid: Grid, limits: LesionLimits) -> tuple[list[Cluster], float]:
    """Without large clusters whose mirror image rises too, and the volume of those."""
    large = [c for c in clusters if c.volume_ml >= limits.symmetric_ml]
    if not large:
        return clusters, 0.0
    mirror = _mirror(rises.labels, grid)
    smooth = ndi.gaussian_filter(rises.change, 2.0)
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


# -- history -----------------------------------------------------------------------------------------


def _chronic_on(pair: Pair, chronic: Volume | None) -> Mask | None:
    """What was abnormal in the baseline, (k, j, i) on the pair's grid; None when nothing was or nothing is known."""
    if chronic is None or not chronic.voxels.any():
        return None
    # half-way points -> baseline points is the same matrix as follow-up -> half-way
    moved = resample(to_sitk(chronic), pair.image_grid, affine_transform(pair.followup_to_half_way), how=NEAREST)
    mask = sitk.GetArrayFromImage(moved) > 0
    return mask if mask.any() else None


def injury_away(old: Mask | None, spacing_mm: float) -> Callable[[Cluster], float | None]:
    """The distance of a cluster to what was abnormal in the baseline, mm; 0 where they overlap, None: nothing was.

    Args:
        old: (k, j, i) on the same cubic grid of ``spacing_mm``, with something in it; None: nothing was abnormal.
    """
    from scipy.spatial import KDTree

    tree = None if old is None else KDTree(np.argwhere(old))

    def away_mm(cluster: Cluster) -> float | None:
        return None if tree is None else float(np.min(tree.query(cluster.voxels)[0]) * spacing_mm)

    return away_mm
