"""T1 before and after contrast of one session in, enhancing tissue out, without vessels, plexus, sinuses, meninges.

Both series are aligned with each other and brought to the same resolution and one scale (white matter, cortex and a
smooth field, as for FLAIR). Place, thickness and signal before contrast tell what enhances in everybody: vessels are
thin; plexus lies in the ventricles; sinuses, meninges and pituitary lie at the border of the brain; vessels in sulci
were dark before contrast.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from triage.alignment.comparison import Pair, equal_blur
from triage.alignment.images import NEAREST, affine_of, affine_transform, inverse, isotropic_grid, resample, to_sitk
from triage.alignment.normalisation import GREY_REFERENCE, WHITE_REFERENCE, robust_sd, smooth_field
from triage.alignment.session import Session, place_on
from triage.anatomy import BRAIN_STEM, VENTRICLES, mask_of, midline
from triage.errors import NotAssessable
from triage.lesions.clusters import EDGES, FACES, Box, Floats, compactness, standing_out, thickness_mm
from triage.libraries import ndi, sitk
from triage.measurements import not_measured
from triage.model import Affine, Found, Mask, Measurement, SequenceKind, Volume

FIELD_ORDER = 2  # one coil, minutes apart: only the transmit field of two sequences differs
ALONE_SPACING_MM = 1.5
SMOOTHING = 0.6  # voxels, of the difference of two pairs: four interpolated images
UPPER = 75  # percentile: the rim of a cluster is partial volume, its upper quarter is what it is
QUANTITIES = (("enhancing_volume_ml", "mL"), ("enhancing_lesion_count", "1"))
# regions that cross the midline: there a place at the midline is tissue; elsewhere it is falx, pericallosal vessels or
# deep veins
ACROSS = (*BRAIN_STEM, "corpus_callosum", "cerebellum")
MIN_WHITE_VOXELS = 2000
LOWEST_LEVEL, HIGHEST_LEVEL, LEVEL_STEP, MIN_LEVEL_VOXELS = 0.3, 1.4, 0.05, 500  # of white matter before contrast


@dataclass(frozen=True)
class EnhancementLimits:
    """What counts as enhancing. Starting values (docs/method.md, Pattern B) unless a comment gives a reason.

    The ``_alone`` limits hold when the baseline has no pair of its own to compare with: what enhances in this patient
    at all times is then not known.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    # signal after over before contrast
    rise_percent: float = 15.0
    # the same without a pair of the baseline
    rise_alone_percent: float = 20.0
    # the same in robust sd of tissue
    z: float = 4.0
    # the same without a pair of the baseline
    z_alone: float = 5.0
    # of its rise that a place of 0.1 mL keeps after smoothing
    kept_share: float = 0.75
    # extent of a cluster: the connected voxels above this share of its own peak
    extent_share: float = 0.5
    # smallest cluster: 0.1 mL less the spread of a volume measured on these voxels
    volume_ml: float = 0.08
    # smallest cluster without a pair of the baseline
    volume_alone_ml: float = 0.2
    # this close to the border of the brain are meninges, sinuses and bridging veins
    edge_mm: float = 5.0
    # a cluster in the ventricles or this near to them is plexus
    ventricle_mm: float = 3.0
    # when this share of it lies there
    ventricle_share: float = 0.5
    # without a pair of the baseline: a cluster that is nowhere this thick (holes filled) is a vessel
    thickness_alone_mm: float = 4.0
    # with a pair of the baseline vessels cancel, and this compactness (triage.lesions.clusters) is enough
    compactness: float = 0.33
    # smallest signal of a voxel before contrast over white matter; below it is fluid or flow
    tissue_level: float = 0.55
    # this close to the midline, outside brain stem, callosum and cerebellum, are falx and deep veins
    midline_mm: float = 4.0
    # this close to both the cerebellum and the hemispheres are the tentorium and its sinuses
    tentorium_mm: float = 6.0
    # smallest share of the white matter that T1 before and after contrast must show, unless something enhances in it
    min_seen: float = 0.9


@dataclass(frozen=True, eq=False)
class Enhancement:
    """Enhancing clusters on the grid asked for.

    clusters: number of the cluster, uint8 (k, j, i); None: not measured, and ``reason`` says why.
    """

    clusters: npt.NDArray[np.uint8] | None
    voxel_ml: float
    reason: str | None = None
    notices: tuple[str, ...] = ()

    @property
    def mask(self) -> Mask | None:
        return None if self.clusters is None else np.asarray(self.clusters > 0)

    def found(self, grid_in_followup: Affine) -> Found:
        """Figures, and the mask ``enhancing`` (label = number, 1 is the largest).

        Args:
            grid_in_followup: (4, 4), voxel index (i, j, k) -> LPS mm of the follow-up.
        """
        if self.clusters is None:
            return Found(tuple(not_measured("brain", name, unit, self.reason or "") for name, unit in QUANTITIES))
        values = (float((self.clusters > 0).sum()) * self.voxel_ml, float(self.clusters.max(initial=0)))
        figures = tuple(
            Measurement("brain", n, value, unit) for (n, unit), value in zip(QUANTITIES, values, strict=True)
        )
        return Found(figures, {"enhancing": Volume(self.clusters, grid_in_followup)}, notices=self.notices)


@dataclass(frozen=True, eq=False)
class Place:
    """A cubic grid with regions, where enhancement is measured.

    labels: uint8 (k, j, i) on ``image``. to_flair: (4, 4), its points -> the session's FLAIR points, LPS mm.
    """

    image: sitk.Image
    labels: npt.NDArray[np.uint8]
    names: Mapping[int, str]
    to_flair: Affine

    @property
    def spacing_mm(self) -> float:
        return float(self.image.GetSpacing()[0])


def enhancing(pair: Pair, followup: Session, baseline: Session | None, limits: EnhancementLimits) -> Enhancement:
    """On the half-way grid; what enhances in the baseline's own pair as well is left out."""
    to_followup = inverse(pair.followup_to_half_way)
    now = Place(pair.image_grid, pair.grid.labels, pair.grid.names, to_followup)
    before = Place(pair.image_grid, pair.grid.labels, pair.grid.names, pair.followup_to_half_way)
    return _enhancing(now, followup, None if baseline is None else (before, baseline), limits)


def enhancing_alone(
    session: Session, labels: Volume, names: Mapping[int, str], limits: EnhancementLimits
) -> tuple[Enhancement, Affine]:
    """Without a baseline, on a cubic grid around the brain in the session's own space; also that grid's affine.

    Args:
        labels: regions, uint8, any grid in FLAIR space.
    """
    image = to_sitk(labels, sitk.sitkUInt8)
    grid = isotropic_grid(image, ALONE_SPACING_MM)
    array = sitk.GetArrayFromImage(resample(image, grid, how=NEAREST))
    place = Place(grid, array, names, np.eye(4))
    return _enhancing(place, session, None, limits), affine_of(grid)


def _enhancing(
    now: Place, session: Session, before: tuple[Place, Session] | None, limits: EnhancementLimits
) -> Enhancement:
    voxel_ml = now.spacing_mm**3 / 1000.0
    missing = [kind.value for kind in (SequenceKind.T1, SequenceKind.T1_GD) if kind not in session.volumes]
    if missing:
        return Enhancement(None, voxel_ml, f"no_contrast_pair: the study holds no {' and no '.join(missing)}")
    try:
        taken_up = _uptake(now, session)
    except NotAssessable as refusal:
        return Enhancement(None, voxel_ml, f"{refusal} (T1 before and after contrast)")
    if taken_up is None:
        return Enhancement(None, voxel_ml, "no_reference_tissue: too little white matter is in view of both T1 series")
    known = None
    if before is not None and _has_pair(before[1]):
        with suppress(NotAssessable):  # a pair that does not overlap is like none: wider limits
            known = _uptake(*before)
    alone = known is None
    clusters = _clusters(now, taken_up, known, limits, alone=alone)
    shows = f"T1 before and after contrast show {taken_up.share:.0%} of the white matter"
    if taken_up.share < limits.min_seen and not clusters.any():
        return Enhancement(None, voxel_ml, f"coverage: {shows}, need {limits.min_seen:.0%}, and nothing enhances there")
    return Enhancement(clusters, voxel_ml, notices=tuple(_notices(shows, taken_up.share, limits, alone=alone)))


def _notices(shows: str, share: float, limits: EnhancementLimits, *, alone: bool) -> Iterator[str]:
    if alone:
        yield (
            "enhancement was not compared with the baseline, which has no T1 before and after contrast; "
            "wider limits hold"
        )
    if share < limits.min_seen:
        yield f"{shows}: enhancement was looked for there"


def _has_pair(session: Session) -> bool:
    return SequenceKind.T1 in session.volumes and SequenceKind.T1_GD in session.volumes


@dataclass(frozen=True, eq=False)
class _Uptake:
    """rise: log(after / before) on one scale, (k, j, i). level: before, over white matter. seen: both have data.
    share: of the white matter that both show."""

    rise: Floats
    level: Floats
    seen: Mask
    share: float


def _uptake(place: Place, session: Session) -> _Uptake | None:
    """None when too little white matter is in view.

    Raises:
        NotAssessable: ``registration_failed`` when the two series do not overlap.
    """
    native, contrast = session.volumes[SequenceKind.T1], session.volumes[SequenceKind.T1_GD]
    pre, post = to_sitk(native), to_sitk(contrast)
    to_native = inverse(session.to_anchor[SequenceKind.T1]) @ place.to_flair
    to_contrast = inverse(place_on(native, contrast)) @ to_native
    post, pre = equal_blur(post, pre, place.spacing_mm)
    before = sitk.GetArrayFromImage(resample(pre, place.image, affine_transform(to_native)))
    after = sitk.GetArrayFromImage(resample(post, place.image, affine_transform(to_contrast)))
    seen = (before > 0) & (after > 0)
    whole = mask_of(place.labels, place.names, WHITE_REFERENCE)
    white = whole & seen
    grey = mask_of(place.labels, place.names, GREY_REFERENCE) & seen
    if white.sum() < MIN_WHITE_VOXELS:
        return None
    level = before / float(np.median(before[white]))
    ratio = np.log(np.where(seen, after, 1.0) / np.where(seen, before, 1.0)).astype(np.float64)
    ratio -= float(np.median(ratio[white]))
    reference = (white | grey) & (level > 0.5) & (np.abs(ratio) < 0.4)
    field, _ = smooth_field(ratio, reference, grey.astype(np.float64), FIELD_ORDER)
    # half a voxel of blur: two interpolations differ by noise that a lesion of 0.1 mL does not need
    rise = ndi.gaussian_filter(np.where(seen, np.clip(ratio - field, -1.0, 1.5), 0.0).astype(np.float32), 0.5)
    rise -= _usual(rise, level, (place.labels > 0) & seen)
    return _Uptake(rise, level.astype(np.float32), np.asarray(seen), float(white.sum() / whole.sum()))


def _usual(rise: Floats, level: npt.NDArray[Any], brain: Mask) -> Floats:
    """The usual rise of tissue of each level before contrast: the median of ``rise``, for every voxel, (k, j, i).

    The two series are often of two sequences, with another contrast between fluid, grey and white matter.
    """
    levels, values = level[brain], rise[brain]
    edges = np.arange(LOWEST_LEVEL, HIGHEST_LEVEL, LEVEL_STEP)
    order = np.argsort(levels)
    parts = np.split(values[order], np.searchsorted(levels[order], edges[1:-1]))
    known = [n for n, part in enumerate(parts) if part.size >= MIN_LEVEL_VOXELS]
    medians = [float(np.median(parts[n])) for n in known]
    return np.asarray(np.interp(level, edges[known] + LEVEL_STEP / 2, medians), dtype=np.float32)


def _clusters(
    place: Place, now: _Uptake, before: _Uptake | None, limits: EnhancementLimits, *, alone: bool
) -> npt.NDArray[np.uint8]:
    """Numbered clusters; with the baseline's own pair, of what rises more than it did there.

    Texture, vessels and meninges then cancel, and what is left is noise.
    """
    spacing = place.spacing_mm
    usable = _usable(place, now, limits)
    usual = np.zeros_like(now.rise) if before is None else np.where(before.seen, before.rise, 0.0)
    excess = ndi.gaussian_filter((now.rise - usual).astype(np.float32), SMOOTHING)
    rise, z = (limits.rise_alone_percent, limits.z_alone) if alone else (limits.rise_percent, limits.z)
    tissue = usable & mask_of(place.labels, place.names, WHITE_REFERENCE) if alone else usable
    kept = 1.0 if alone else limits.kept_share
    limit = max(kept * np.log1p(rise / 100.0), z * robust_sd(excess[tissue].astype(np.float64)))
    # a shift of one voxel explains what the baseline's pair shows next door
    unexplained = now.rise - np.maximum(ndi.maximum_filter(usual, footprint=EDGES), 0.0)
    near_ventricles = ndi.distance_transform_edt(~mask_of(place.labels, place.names, VENTRICLES)) * spacing
    found: list[tuple[Box, Mask]] = []
    for box, one in standing_out(excess, usable, usable & (excess >= limit), limit / 2, limits.extent_share):
        plexus = (near_ventricles[box][one] <= limits.ventricle_mm).mean() >= limits.ventricle_share
        shifted = np.percentile(unexplained[box][one], UPPER) < limit / 2
        # where the baseline's pair has no view, this patient's vessels are not known either
        unknown = alone or (before is not None and before.seen[box][one].mean() < 0.5)
        weak = unknown and float(excess[box][one].max()) < np.log1p(limits.rise_alone_percent / 100.0)
        if not (plexus or shifted or weak or _too_small_or_thin(one, spacing, limits, alone=unknown)):
            found.append((box, one))
    out = np.zeros(place.labels.shape, dtype=np.uint8)
    for number, (box, one) in enumerate(sorted(found, key=lambda item: -int(item[1].sum()))[:255], start=1):
        out[box][one] = number
    return out


def _usable(place: Place, now: _Uptake, limits: EnhancementLimits) -> Mask:
    """Voxels that may hold a lesion, (k, j, i): tissue in view, away from what enhances in everybody."""
    brain = ndi.binary_closing(place.labels > 0, EDGES, iterations=2)
    deep = ndi.distance_transform_edt(brain) * place.spacing_mm
    midline = (np.abs(_off_midline_mm(place)) < limits.midline_mm) & ~mask_of(place.labels, place.names, ACROSS)
    dura = midline | _tentorium(place, limits.tentorium_mm)
    return np.asarray(now.seen & (deep > limits.edge_mm) & (now.level > limits.tissue_level) & ~dura)


def _too_small_or_thin(one: Mask, spacing_mm: float, limits: EnhancementLimits, *, alone: bool) -> bool:
    """A ring counts with what it encloses."""
    filled = np.asarray(ndi.binary_fill_holes(ndi.binary_closing(np.pad(one, 2), FACES)))
    volume = float(one.sum()) * spacing_mm**3 / 1000.0
    if alone:
        return volume < limits.volume_alone_ml or thickness_mm(filled, spacing_mm) < limits.thickness_alone_mm
    return volume < limits.volume_ml or compactness(filled, spacing_mm) < limits.compactness


def _tentorium(place: Place, reach_mm: float) -> Mask:
    """Voxels near the cerebellum and near the cerebral hemispheres, (k, j, i)."""

    def near(regions: tuple[str, ...]) -> Mask:
        away = ndi.distance_transform_edt(~mask_of(place.labels, place.names, regions)) * place.spacing_mm
        return np.asarray(away <= reach_mm)

    hemispheres = tuple(region for region in place.names.values() if region.startswith(("cortex_", "white_matter_")))
    return np.asarray(near(("cerebellum",)) & near(hemispheres))


def _off_midline_mm(place: Place) -> Floats:
    """Distance of every voxel to the plane between the paired regions, mm, (k, j, i)."""
    normal, middle = midline(place.labels, place.names)
    axes = np.ogrid[tuple(slice(0, n) for n in place.labels.shape)]
    away = sum(a * n for a, n in zip(axes, normal, strict=True)) - middle
    return np.asarray(away * place.spacing_mm, dtype=np.float32)


__all__ = ["Enhancement", "EnhancementLimits", "Place", "enhancing", "enhancing_alone"]
