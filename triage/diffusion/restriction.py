"""Tissue maps of one date (and of the baseline, on the same grid) in, restricted tissue as numbered clusters out.

Restriction is bright on the diffusion-weighted image *and* slow on the ADC map: bright alone is T2 shine-through, slow
alone is noise or iron. Both are compared with the voxel's own tissue, the mirror side and the baseline. A fixed ADC
alone is not used (docs/method.md, Pattern C).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from triage.diffusion.maps import (
    CLASSES,
    Field,
    TissueMaps,
    classes_of,
    in_upper_sds,
    mid_sagittal_reflection,
    mirrored,
    smoothed,
    upper_sds,
    within_classes,
)
from triage.diffusion.sites import sites_of
from triage.libraries import ndi
from triage.model import Mask

NEIGHBOURS = np.ones((3, 3, 3))
FINE = 3.0  # borders and the final ADC are read at this fraction of the smoothing that finds a cluster


@dataclass(frozen=True)
class RestrictionLimits:
    """What counts as restricted. Starting values (docs/method.md, Pattern C) unless a comment gives a reason.

    *Evidence* is the step from normal tissue towards restriction, in standard deviations of this brain's own tissue.
    It adds brightness and slowness. Each is weighted by how much an ADC of ``model_ratio`` changes it and by how much
    it scatters.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    # evidence that starts a cluster; 2.5 lies above the 99th percentile of healthy cortex at sigma_mm
    seed: float = 2.5
    # evidence times volume (mL) that a cluster needs above what the mirror side shows
    mass: float = 1.5
    # or, in cortex alone: evidence times volume (mL) without regard to the mirror side
    mass_symmetric: float = 4.0
    # ADC of a typical lesion as a share of normal; it weighs brightness against slowness
    model_ratio: float = 0.75
    # largest median ADC of a cluster as a share of its own tissue's or the baseline's; outside cortex also of the
    # mirror side's. It is read within the final border and almost unsmoothed: smoothing makes a 1 mL patch of 0.75 look
    # like 0.85. Without a baseline the smoothed seeds must reach it too, unless their core is slow enough
    adc_ratio: float = 0.85
    # without a baseline the core is asked: the ADC of the half of a cluster with the most evidence, hardly smoothed.
    # Smoothed seeds of patches of 0.75 show 0.77 to 0.91, their cores 0.69 to 0.86. In healthy cortex, also under an
    # atlas that is 3 mm off, clusters with mass have cores of 0.81 and more, and none reaches mass_symmetric
    # (calibration heads). A core of less mass tells nothing: at the skull base it falls to 0.59
    core_ratio: float = 0.78
    # up to this ratio a core needs mass_symmetric
    core_ratio_heavy: float = 0.87
    # the ADC may have fallen by no more than this many times what the rise of b1000 explains; the rest is noise
    supported: float = 2.0
    # with a baseline: the evidence must have risen since by this much on average
    z_new: float = 2.0
    # smoothing (Gaussian sigma) within one tissue before anything is judged
    sigma_mm: float = 1.8
    # additional smoothing of the mirror side
    mirror_sigma_mm: float = 3.0
    # nothing starts this close to where the signal ends: eddy currents shift the two images against each other there
    rim_mm: float = 3.0
    # a voxel this close to the rim counts as shallow
    shallow_mm: float = 8.0
    # a cluster with more than this share of shallow voxels lies flat along the rim
    shallow_share: float = 0.8
    # such a cluster needs this many times the mass; without a baseline the demand grows gradually from half of the
    # voxels on
    shallow_factor: float = 4.0
    # a cluster takes neighbours at least this share as bright as its own median; with a baseline this and the other
    # grow limits are read from the change since
    grow_share: float = 0.5
    # and this many standard deviations above their tissue
    grow_sd: float = 1.5
    # and within this distance
    grow_mm: float = 4.0
    # and with at most this ADC; with a baseline it also is the largest mean ADC of the smoothed seeds
    grow_adc_ratio: float = 0.95
    # tissue that the baseline does not show counts as such when it is thicker than twice this; thinner is a seam of two
    # masks
    seam_mm: float = 4.0
    # no cluster starts within this distance of signal dropout inside the brain
    zone_mm: float = 6.0
    # nor where the image without diffusion weighting is brighter than its tissue by this factor: signal piles up at the
    # skull base and the sinuses
    pile_up: float = 2.0
    # a cluster up to this volume (mL) counts as a whole, as cortex when half of it is; a larger one is divided
    whole_ml: float = 10.0
    # a divided cluster counts as cortical when this share of it is cortex
    divided_share: float = 0.2


@dataclass(frozen=True, eq=False)
class Restriction:
    """Restricted tissue on the DWI grid, arrays (k, j, i).

    clusters: number of the cluster, 1 is the largest, 0 none; int32.
    regions: atlas label of every clustered voxel, else 0.
    cortex: voxels that count as cortex.
    cortical: numbers of the clusters that have such voxels.
    zone: where susceptibility hides everything.
    unmirrored: the sides could not be compared.
    uncompared: share of the tissue that the baseline does not show; 0 without a baseline.
    """

    clusters: npt.NDArray[np.int32]
    regions: npt.NDArray[np.uint8]
    cortex: Mask
    cortical: tuple[int, ...]
    zone: Mask
    unmirrored: bool
    uncompared: float = 0.0


@dataclass(frozen=True, eq=False)
class _Judged:
    """What is known of every voxel, (k, j, i).

    own: evidence against own tissue.
    beyond_mirror: the same less what the mirror side shows; None: no mirror side.
    risen: the rise of the evidence since the baseline; None: no baseline.
    slow: log ADC ratio to own tissue or, where smaller, to the baseline, smoothed.
    slow_fine: the same, hardly smoothed.
    """

    own: Field
    beyond_mirror: Field | None
    risen: Field | None
    slow: Field
    slow_fine: Field


@dataclass(frozen=True, eq=False)
class _Border:
    """What decides where a cluster ends, (k, j, i).

    bright, slow: log brightness and log ADC, lightly smoothed, against the tissue; against the baseline if ``since``.
    sds: standard deviation of that brightness.
    """

    bright: Field
    slow: Field
    sds: Field
    since: bool


def find_restriction(maps: TissueMaps, baseline: TissueMaps | None, limits: RestrictionLimits) -> Restriction:
    """Restricted tissue; with a baseline only what is new since, but where the baseline shows no tissue, all of it."""
    judged = _judge(maps, baseline, limits)
    zone = susceptibility_zone(maps, limits)
    grown = _found(maps, baseline, judged, zone, limits)
    uncompared = np.zeros_like(zone) if baseline is None else _uncompared(maps, baseline, limits)
    if uncompared.any():
        grown |= _mostly_in(uncompared, _found(maps, None, _judge(maps, None, limits), zone, limits))
    clusters = _by_size(grown)
    regions, cortex, cortical = sites_of(clusters, maps, limits.whole_ml, limits.divided_share)
    share = float(uncompared.sum()) / max(1, int(maps.tissue.sum()))
    return Restriction(clusters, regions, cortex, cortical, zone, judged.beyond_mirror is None, share)


def _found(
    maps: TissueMaps, baseline: TissueMaps | None, judged: _Judged, zone: Mask, limits: RestrictionLimits
) -> Mask:
    seeds = _seeds(maps, judged, limits) & (maps.depth_mm > limits.rim_mm) & ~zone
    return _grow(_believed(seeds, judged, maps, limits), _border(maps, baseline, limits), judged, maps, limits)


def _uncompared(maps: TissueMaps, baseline: TissueMaps, limits: RestrictionLimits) -> Mask:
    """Tissue that the baseline does not show, seams of two masks left out."""
    spacing = maps.images.spacing_mm
    outside = maps.tissue & ~baseline.tissue
    core = ndi.distance_transform_edt(outside, sampling=spacing) > limits.seam_mm
    if not core.any():
        return np.zeros_like(outside)
    return np.asarray(outside & (ndi.distance_transform_edt(~core, sampling=spacing) <= limits.seam_mm + spacing.max()))


def _mostly_in(place: Mask, mask: Mask) -> Mask:
    """The clusters of ``mask`` of which at least half lies in ``place``."""
    numbered, count = ndi.label(mask, NEIGHBOURS)
    keep = np.zeros(count + 1, dtype=bool)
    if count:
        keep[1:] = ndi.mean(place.astype(np.float64), numbered, np.arange(1, count + 1)) >= 0.5
    return np.asarray(keep[numbered])


def susceptibility_zone(maps: TissueMaps, limits: RestrictionLimits) -> Mask:
    """Near signal voids inside the brain, and where signal is piled up."""
    images = maps.images
    inside = ndi.distance_transform_edt(maps.brain, sampling=images.spacing_mm) > limits.zone_mm
    both = np.minimum(images.adc, images.dwi) * maps.brain
    shown = np.asarray(both.max(axis=(1, 2)) > 0)  # an empty slice is no artefact
    void = maps.brain & inside & (maps.depth_mm <= 0) & shown[:, None, None]
    near = (
        ndi.distance_transform_edt(~void, sampling=images.spacing_mm) <= limits.zone_mm
        if void.any()
        else np.zeros_like(void)
    )
    return np.asarray(near | (smoothed(maps.unweighted, maps.tissue, 1.5, images) > np.log(limits.pile_up)))


def _judge(maps: TissueMaps, baseline: TissueMaps | None, limits: RestrictionLimits) -> _Judged:
    bright, slow = (within_classes(field, maps, limits.sigma_mm) for field in (maps.bright, maps.slow))
    fine = within_classes(maps.slow, maps, limits.sigma_mm / FINE)
    scale = [upper_sds(bright, maps), upper_sds(-slow, maps)]
    raw = _evidence(bright, slow, scale, maps, limits)
    own = in_upper_sds(raw, raw, maps)
    beyond_mirror = risen = None
    lowest, lowest_fine = slow, fine
    reflection = mid_sagittal_reflection(maps.images.labels, maps.images.names, maps.images.affine)
    if reflection is not None:
        other_bright, other_slow = (mirrored(f, maps, reflection, limits.mirror_sigma_mm) for f in (bright, slow))
        # the mirror side can only take evidence away: fluid or a cut there must not add any
        left = _evidence(
            bright - np.maximum(other_bright, 0.0), slow - np.minimum(other_slow, 0.0), scale, maps, limits
        )
        beyond_mirror = in_upper_sds(left, raw, maps)
        # outside cortex the two sides are alike to a few percent, while own tissue is a mixture of tracts
        deep = maps.classes != CLASSES["cortex"]
        lowest, lowest_fine = (np.where(deep, np.minimum(s, s - other_slow), s) for s in (slow, fine))
    if baseline is not None:
        both = maps.tissue & baseline.tissue
        compared = replace(maps, tissue=both)  # where nothing was compared, no rise has a median or a spread
        before, slow_before = (within_classes(f, baseline, limits.sigma_mm) for f in (baseline.bright, baseline.slow))
        brighter, slower = np.where(both, bright - before, 0.0), np.where(both, slow - slow_before, 0.0)
        sds = [upper_sds(brighter, compared), upper_sds(-slower, compared)]
        rise = _evidence(brighter, slower, sds, compared, limits)
        risen = in_upper_sds(rise, rise, compared)
        lowest = np.minimum(lowest, slower)
        before_fine = within_classes(baseline.slow, baseline, limits.sigma_mm / FINE)
        lowest_fine = np.minimum(lowest_fine, np.where(both, fine - before_fine, 0.0))
    return _Judged(own, beyond_mirror, risen, lowest, lowest_fine)


def _evidence(bright: Field, slow: Field, scale: list[Field], maps: TissueMaps, limits: RestrictionLimits) -> Field:
    """Step towards restriction, not yet scaled; 0 where it is not brighter."""
    drop = -np.log(limits.model_ratio)
    out = np.zeros(bright.shape)
    for inside, healthy in classes_of(maps):
        # log signal per unit of ADC ratio
        decay = maps.images.b_difference * 1e-6 * float(np.median(maps.images.adc[healthy]))
        b, s = bright[inside], slow[inside]
        explained = np.log(np.clip(1.0 - limits.supported * np.maximum(b, 0.0) / decay, 0.05, 1.0))
        s = np.maximum(s, explained)
        rise = decay * (1.0 - limits.model_ratio)
        sd_b, sd_s = (float(np.median(sd[inside])) for sd in scale)
        weighted = rise / sd_b**2 * b - drop / sd_s**2 * s
        out[inside] = np.where(b > 0, weighted / np.hypot(rise / sd_b, drop / sd_s), 0.0)
    return out


def _seeds(maps: TissueMaps, judged: _Judged, limits: RestrictionLimits) -> Mask:
    """Voxels that start a cluster.

    Cortex is alike all over and is judged by itself. Capsule and tracts are bright and slow by nature, on both sides.
    """
    cortex = maps.classes == CLASSES["cortex"]
    out = (judged.own >= limits.seed) & cortex
    if judged.beyond_mirror is not None:
        out |= judged.beyond_mirror >= limits.seed
    if judged.risen is not None:
        out |= (judged.risen >= limits.seed) & (judged.own >= 0.5 * limits.seed)
    return np.asarray(out & maps.tissue)


def _believed(seeds: Mask, judged: _Judged, maps: TissueMaps, limits: RestrictionLimits) -> Mask:
    """Clusters of seeds with enough mass and no normal ADC, and, with a baseline, new."""
    numbered, count = ndi.label(seeds, NEIGHBOURS)
    keep = np.zeros(count + 1, dtype=bool)
    if not count:
        return seeds
    which = np.arange(1, count + 1)
    volume = ndi.sum_labels(seeds, numbered, which) * maps.images.voxel_ml

    def mean(field: Field) -> Field:
        return np.asarray(ndi.mean(field, numbered, which))

    cortical = mean((maps.classes == CLASSES["cortex"]).astype(np.float64)) >= 0.5
    shallow = _shallow_factor(
        mean((maps.depth_mm < limits.shallow_mm).astype(np.float64)), limits, judged.risen is None
    )
    beyond = mean(judged.own if judged.beyond_mirror is None else judged.beyond_mirror)
    mass = volume * beyond
    heavy = mass >= limits.mass * shallow
    heavy |= cortical & (volume * mean(judged.own) >= limits.mass_symmetric * shallow)
    # by itself, cortex holds places where the ADC is a little low; a change since the baseline cannot be one of them
    if judged.risen is None:
        core = _cores(judged, numbered)
        slow = (core <= np.log(limits.core_ratio)) | (mean(judged.slow) <= np.log(limits.adc_ratio))
        heavy &= slow | ((core <= np.log(limits.core_ratio_heavy)) & (mass >= limits.mass_symmetric * shallow))
    else:
        heavy &= (mean(judged.slow) <= np.log(limits.grow_adc_ratio)) & (mean(judged.risen) >= limits.z_new)
    keep[1:] = heavy
    return np.asarray(keep[numbered])


def _cores(judged: _Judged, numbered: npt.NDArray[np.integer[Any]]) -> Field:
    """Log ADC ratio of the core of each cluster, (n,): the median of the half of its voxels with the most evidence."""
    cores = []
    for number, box in enumerate(ndi.find_objects(numbered), start=1):
        one = numbered[box] == number
        evidence = judged.own[box][one]
        cores.append(np.median(judged.slow_fine[box][one][evidence >= np.median(evidence)]))
    return np.array(cores)


def _shallow_factor(share: Field, limits: RestrictionLimits, alone: bool) -> Field:
    """How many times the mass a cluster needs that has this share of its voxels near the rim.

    Without a baseline the demand grows from a half on: the rim's distortion brightens tissue there, and nothing shows
    that it was bright before.
    """
    if alone:
        return np.asarray(np.interp(share, (0.5, limits.shallow_share), (1.0, limits.shallow_factor)))
    return np.where(share > limits.shallow_share, limits.shallow_factor, 1.0)


def _border(maps: TissueMaps, baseline: TissueMaps | None, limits: RestrictionLimits) -> _Border:
    """The maps that draw the border; with a baseline those of the change alone.

    Cortex differs more from place to place than a faint lesion differs from it.
    """

    def light(of: TissueMaps) -> tuple[Field, Field]:
        return (
            smoothed(of.bright, of.tissue, limits.sigma_mm / FINE, of.images),
            smoothed(of.slow, of.tissue, 2 * limits.sigma_mm / FINE, of.images),
        )

    bright, slow = light(maps)
    if baseline is not None:
        both = maps.tissue & baseline.tissue
        bright, slow = (
            _centred(now - then, both, maps) for now, then in zip((bright, slow), light(baseline), strict=True)
        )
    return _Border(bright, slow, upper_sds(bright, maps), baseline is not None)


def _centred(change: Field, both: Mask, maps: TissueMaps) -> Field:
    """Less its median in each tissue class; 0 where one date has no tissue."""
    out = np.zeros(change.shape)
    for inside, healthy in classes_of(maps):
        if (healthy & both).any():
            out[inside & both] = change[inside & both] - np.median(change[healthy & both])
    return out


def _grow(seeds: Mask, border: _Border, judged: _Judged, maps: TissueMaps, limits: RestrictionLimits) -> Mask:
    """Each seed takes what is about as bright and still slow around it; the whole must be slow enough.

    The border lies half-way between lesion and tissue. A border drawn from the change since the baseline also drops
    seeds that only smoothing put outside the lesion.
    """
    spacing = maps.images.spacing_mm
    numbered, _ = ndi.label(seeds, NEIGHBOURS)
    out = np.zeros_like(seeds)
    margin = np.ceil(limits.grow_mm / spacing).astype(int) + 1
    for number, found in enumerate(ndi.find_objects(numbered), start=1):
        box = tuple(slice(max(0, s.start - m), s.stop + m) for s, m in zip(found, margin, strict=True))
        seed = numbered[box] == number
        level = limits.grow_share * float(np.median(border.bright[box][seed]))
        near = ndi.distance_transform_edt(~seed, sampling=spacing) <= limits.grow_mm
        inside = near & maps.tissue[box] & (border.bright[box] >= np.maximum(level, limits.grow_sd * border.sds[box]))
        inside &= border.slow[box] <= np.log(limits.grow_adc_ratio)
        large = seed.sum() * maps.images.voxel_ml > limits.whole_ml
        kept = seed & inside if border.since or large else seed
        joined, _ = ndi.label(inside | kept)
        grown = np.isin(joined, np.unique(joined[kept])) & (joined > 0)
        if large:  # noise makes holes in it
            grown |= maps.tissue[box] & (
                smoothed(grown.astype(np.float64), maps.tissue[box], limits.sigma_mm, maps.images) > 0.5
            )
        # without a baseline the cores were asked already; a border of partial volume is no contradiction
        limit = limits.adc_ratio if border.since else limits.grow_adc_ratio
        if grown.any() and np.median(judged.slow_fine[box][grown]) <= np.log(limit):
            out[box] |= grown
    return out


def _by_size(mask: Mask) -> npt.NDArray[np.int32]:
    numbered, count = ndi.label(mask, NEIGHBOURS)
    order = np.argsort(-np.bincount(numbered.ravel(), minlength=count + 1)[1:], kind="stable")
    table = np.zeros(count + 1, dtype=np.int32)
    table[1 + order] = np.arange(1, count + 1)
    return np.asarray(table[numbered])
