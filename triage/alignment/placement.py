"""Atlas and one scan in, every atlas region on that scan's own space out.

The atlas is placed in two steps: a 12-parameter affine by mutual information, then a smooth diffeomorphic deformation
towards an image of the atlas *in the scan's own contrast*. In that painted atlas each tissue group has its median
intensity in this scan, so one method serves FLAIR and T1. The correlation of the scan with the painted atlas measures
the fit. It chooses between the starts of the affine, and a low one refuses the scan.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import scipy.ndimage as ndi
import SimpleITK as sitk

from triage.alignment.images import (
    NEAREST,
    affine_of,
    affine_transform,
    inverse,
    isotropic_grid,
    matrix_of,
    on_grid,
    resample,
    smooth_to,
    to_sitk,
)
from triage.alignment.registration import affine_levels, coarse_rigid, pyramid
from triage.anatomy import tissue_group
from triage.errors import NotAssessable
from triage.model import Affine, Atlas, Mask, Volume

# Smoothing of the displacement field. Chosen on three scans with an independent segmentation. Less follows noise and the
# flat border between thalamus and white matter of thick FLAIR slices (Dice of the thalamus fell from 0.84 to 0.76);
# more no longer follows large ventricles.
FIELD_SIGMA_MM = 12.0
# Resolutions of the deformation, coarse first, and the iterations at each
LEVELS_MM = (4.0, 3.0)
ITERATIONS = 15
# Of the template, which is larger than an adult brain. From 1.0 the template's brain may settle on the scalp of a FLAIR
# whose scalp is bright.
START_SCALE = 0.9


@dataclass(frozen=True)
class RegionLimits:
    """When the atlas counts as placed.

    Eleven real FLAIRs of ten protocols had a fit of 0.54-0.79 after the affine, wrong optima 0.05-0.51, a ball 0.2.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    # from this fit of the affine on, no other start is tried
    good_fit: float = 0.7
    # smallest correlation of the scan with the atlas painted in its contrast and deformed, inside the head
    fit: float = 0.52
    # smallest share of the atlas brain inside the field of view
    overlap: float = 0.5


@dataclass(frozen=True, eq=False)
class Placement:
    """Where the atlas lies on one scan."""

    # (4, 4), scan LPS mm -> template LPS mm; the linear part, applied first
    to_template: Affine
    # displacement in template space, mm, shape (k, j, i, 3); None: linear only
    field: npt.NDArray[np.float64] | None
    # (4, 4), voxel index (i, j, k, 1) of the field -> template LPS mm
    field_affine: Affine | None

    def transform(self) -> sitk.Transform:
        """Scan LPS mm -> template LPS mm as an ITK transform, to resample template images onto scan grids."""
        out = sitk.CompositeTransform(3)
        if self.field is not None and self.field_affine is not None:
            out.AddTransform(sitk.DisplacementFieldTransform(_vector_image(self.field, self.field_affine)))
        out.AddTransform(affine_transform(self.to_template))  # ITK applies the last added first
        return out


def _vector_image(field: npt.NDArray[np.float64], affine: Affine) -> sitk.Image:
    image = sitk.GetImageFromArray(field, isVector=True)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    image.SetDirection((affine[:3, :3] / spacing).ravel().tolist())
    return sitk.Cast(image, sitk.sitkVectorFloat64)


@lru_cache(maxsize=2)
def _template(atlas: Atlas) -> _Template:
    t1, brain = to_sitk(atlas.template_t1), to_sitk(atlas.brain_mask, sitk.sitkUInt8) > 0
    flair = to_sitk(atlas.template_flair)
    labels = to_sitk(atlas.labels, sitk.sitkUInt8)
    crop = _crop(labels, brain, margin=8)
    return _Template(
        t1=tuple(resample(smooth_to(t1, mm), isotropic_grid(t1, mm)) for mm in (8.0, 4.0)),
        flair=tuple(resample(smooth_to(flair, mm), isotropic_grid(flair, mm)) for mm in (8.0, 4.0)),
        smaller=_scaling(START_SCALE, brain),
        head=sitk.BinaryDilate(brain, [8, 8, 8]),
        near_brain=sitk.BinaryDilate(brain, [2, 2, 2]),
        brain=sitk.BinaryDilate(brain, [4, 4, 4]),
        tight_brain=brain,
        labels=labels,
        levels={mm: _memberships(labels, atlas.label_names, isotropic_grid(crop, mm)) for mm in LEVELS_MM},
    )


@dataclass(frozen=True, eq=False)
class _Template:
    """The atlas as the registration needs it, in template space."""

    t1: tuple[sitk.Image, ...]  # 8 mm, 4 mm
    flair: tuple[sitk.Image, ...]  # 8 mm, 4 mm
    smaller: Affine  # scaling by START_SCALE about the middle of the brain
    head: sitk.Image  # the brain and 8 voxels around it
    near_brain: sitk.Image  # and 2 voxels
    brain: sitk.Image  # and 4 voxels
    tight_brain: sitk.Image
    labels: sitk.Image
    # mm -> the grid, and group -> membership 0..1 on it, shape (k, j, i)
    levels: Mapping[float, tuple[sitk.Image, dict[str, npt.NDArray[np.float32]]]]


def _scaling(factor: float, mask: sitk.Image) -> Affine:
    """(4, 4): scaling about the centre of mass of ``mask``, LPS mm."""
    stats = sitk.LabelShapeStatisticsImageFilter()
    stats.Execute(mask)
    out = np.diag([factor, factor, factor, 1.0])
    out[:3, 3] = (1 - factor) * np.array(stats.GetCentroid(1))
    return out


def _crop(image: sitk.Image, mask: sitk.Image, margin: int) -> sitk.Image:
    stats = sitk.LabelShapeStatisticsImageFilter()
    stats.Execute(mask)
    box = stats.GetBoundingBox(1)
    start = [max(0, box[a] - margin) for a in range(3)]
    size = [min(image.GetSize()[a], box[a] + box[a + 3] + margin) - start[a] for a in range(3)]
    return sitk.RegionOfInterest(image, size, start)


def _memberships(
    labels: sitk.Image, names: Mapping[int, str], grid: sitk.Image
) -> tuple[sitk.Image, dict[str, npt.NDArray[np.float32]]]:
    array = sitk.GetArrayViewFromImage(labels)
    groups: dict[str, list[int]] = {}
    for label, region in names.items():
        groups.setdefault(tissue_group(region), []).append(label)
    out = {}
    for group, members in groups.items():
        mask = on_grid(np.isin(array, members).astype(np.float32), labels)
        out[group] = sitk.GetArrayFromImage(resample(smooth_to(mask, grid.GetSpacing()[0]), grid)).astype(np.float32)
    return grid, out


def place_atlas(
    flair: Volume, atlas: Atlas, limits: RegionLimits, *, t1: Volume | None = None, flair_to_t1: Affine | None = None
) -> Placement:
    """Find where the atlas lies on a FLAIR scan of a whole head (or an extracted brain).

    The affine comes from the FLAIR. A whole-head T1 has second optima at half and twice the size, where scalp fat lies
    on white matter. The deformation comes from the T1 of the same session when there is one, because it shows the
    borders of deep grey matter and brain stem more clearly.

    Args:
        t1, flair_to_t1: T1 volume and (4, 4), FLAIR LPS mm -> T1 LPS mm; both or neither.

    Raises:
        NotAssessable: ``coverage`` when too little of the brain is inside the field of view; ``atlas_failed`` when no
            affine is plausible or the placed atlas does not resemble the scan.
    """
    template, image = _template(atlas), to_sitk(flair)
    affine = _affine(template, image, limits)
    _check_affine(affine, template, image, limits)
    if t1 is None or flair_to_t1 is None:
        return _deform(affine, template, image, limits)
    return replace(_deform(flair_to_t1 @ affine, template, to_sitk(t1), limits), to_template=inverse(affine))


def _affine(template: _Template, image: sitk.Image, limits: RegionLimits) -> Affine:
    """Template LPS mm -> scan LPS mm, by mutual information. The start that ends in the best fit wins."""
    scans = (pyramid(image).coarse, resample(smooth_to(image, 4.0), isotropic_grid(image, 4.0)))
    tries = (_from_whole_head, _from_brain, _from_free_start)
    found: list[tuple[float, Affine]] = []
    for one in tries:
        try:
            affine = one(template, scans)
        except RuntimeError:  # ITK: scan and template do not overlap on the way
            continue
        if _plausible(affine):
            found.append((_linear_fit(affine, template, image), affine))
            if found[-1][0] >= limits.good_fit:
                break
        elif not found:
            found.append((-1.0, affine))  # named in the refusal when nothing better comes
    if not found:
        raise NotAssessable("atlas_failed", "scan and atlas do not overlap; only a part of a head?")
    return max(found, key=lambda pair: pair[0])[1]


def _from_whole_head(template: _Template, scans: tuple[sitk.Image, sitk.Image]) -> Affine:
    """The T1 template within the head, from the rigid alignment: right for most scans."""
    start = matrix_of(coarse_rigid(template.t1[0], scans[0]))
    return affine_levels(template.t1, scans, start, template.head, mutual_information=True)[0]


def _from_brain(template: _Template, scans: tuple[sitk.Image, sitk.Image]) -> Affine:
    """The synthetic FLAIR within the brain, from a smaller head: for scans whose scalp is as bright as their brain."""
    start = matrix_of(coarse_rigid(template.flair[0], scans[0])) @ template.smaller
    return affine_levels(template.flair, scans, start, template.near_brain, mutual_information=True)[0]


def _from_free_start(template: _Template, scans: tuple[sitk.Image, sitk.Image]) -> Affine:
    """As from the brain, but with the whole template at the coarse level.

    The air around the head keeps the size right where the scalp would draw the brain outwards.
    """
    start = matrix_of(coarse_rigid(template.flair[0], scans[0])) @ template.smaller
    coarse, _ = affine_levels(template.flair[:1], scans[:1], start, None, mutual_information=True)
    return affine_levels(template.flair[1:], scans[1:], coarse, template.near_brain, mutual_information=True)[0]


def _linear_fit(affine: Affine, template: _Template, image: sitk.Image) -> float:
    """Fit (see RegionLimits) of the undeformed atlas at the coarsest level."""
    grid, members = template.levels[LEVELS_MM[0]]
    return _fit(*_scan_and_head(image, affine, template, grid), members, None, grid)


def _scan_and_head(
    image: sitk.Image, affine: Affine, template: _Template, grid: sitk.Image
) -> tuple[npt.NDArray[Any], Mask]:
    """The scan on a template grid, and the head's voxels there, shape (k, j, i)."""
    scan = resample(smooth_to(image, grid.GetSpacing()[0]), grid, affine_transform(affine))
    head = sitk.GetArrayFromImage(resample(template.brain, grid, how=NEAREST)) > 0
    return sitk.GetArrayFromImage(scan), head


def _fit(
    scan: npt.NDArray[Any],
    head: Mask,
    members: Mapping[str, npt.NDArray[np.float32]],
    field: sitk.Image | None,
    grid: sitk.Image,
) -> float:
    """Correlation of the scan with the painted (and warped) atlas over the head; 0 where one of them is flat."""
    flat, painted = (sitk.GetArrayFromImage(i) for i in _pair_in_one_contrast(scan, head, members, field, grid))
    if field is not None:
        painted = _warp(painted, field, grid)
    one, other = flat[head], painted[head]
    return float(np.corrcoef(one, other)[0, 1]) if one.std() > 0 and other.std() > 0 else 0.0


def _plausible(affine: Affine) -> bool:
    """Adult and child brains are 0.55-1.0 of the template's 1.9 L envelope."""
    scales = np.linalg.svd(affine[:3, :3])[1]
    return bool(scales.min() >= 0.6 and scales.max() <= 1.3 and 0.35 < np.linalg.det(affine[:3, :3]) < 1.4)


def _check_affine(affine: Affine, template: _Template, image: sitk.Image, limits: RegionLimits) -> None:
    if not _plausible(affine):
        scales = np.linalg.svd(affine[:3, :3])[1]
        raise NotAssessable(
            "atlas_failed",
            f"the atlas fits only with a scale of {scales.min():.2f} to {scales.max():.2f}; not a whole human head?",
        )
    probe = resample(
        sitk.Cast(image * 0 + 1, sitk.sitkUInt8),
        template.levels[LEVELS_MM[0]][0],
        affine_transform(affine),
        how=NEAREST,
    )
    brain = sitk.GetArrayViewFromImage(resample(template.tight_brain, probe, how=NEAREST)) > 0
    share = float(sitk.GetArrayViewFromImage(probe)[brain].mean())
    if share < limits.overlap:
        raise NotAssessable(
            "coverage",
            f"only {share:.0%} of the brain lies inside the field of view, at least {limits.overlap:.0%} is needed",
        )


def _deform(affine: Affine, template: _Template, image: sitk.Image, limits: RegionLimits) -> Placement:
    field: sitk.Image | None = None
    fit = 0.0
    for mm in LEVELS_MM:
        grid, members = template.levels[mm]
        scan, head = _scan_and_head(image, affine, template, grid)
        if field is not None:
            field = sitk.Resample(field, grid)
        for _ in range(2):
            field = _demons(*_pair_in_one_contrast(scan, head, members, field, grid), field, mm)
        fit = _fit(scan, head, members, field, grid)
    assert field is not None  # noqa: S101 - LEVELS_MM is not empty
    if fit < limits.fit:
        raise NotAssessable(
            "atlas_failed",
            f"the scan resembles the placed atlas by {fit:.2f} only, at least {limits.fit:.2f} is needed; "
            "no human head?",
        )
    return Placement(inverse(affine), sitk.GetArrayFromImage(field), affine_of(field))


def _pair_in_one_contrast(
    scan: npt.NDArray[Any],
    head: Mask,
    members: Mapping[str, npt.NDArray[np.float32]],
    field: sitk.Image | None,
    grid: sitk.Image,
) -> tuple[sitk.Image, sitk.Image]:
    """The scan without its receive field and skull, and the atlas painted with the scan's intensities; white matter is 1.

    Args:
        scan, head, members: shape (k, j, i), on ``grid``.
        field: displacement in mm on ``grid``, to read the intensities where the atlas lies now; None: where it started.
    """
    here = members if field is None else {g: _warp(m, field, grid) for g, m in members.items()}
    flat = scan / np.exp(_receive_field(scan, here, grid.GetSpacing()[0]))
    levels = _levels(flat, here)
    flat = np.where(head, flat, levels["csf"]) / max(levels["white"], 1e-6)
    levels = {group: level / max(levels["white"], 1e-6) for group, level in levels.items()}
    painted = sum(levels[g] * m for g, m in members.items()) + levels["csf"] * np.clip(1 - sum(members.values()), 0, 1)
    return on_grid(np.clip(flat, 0, 1.8).astype(np.float32), grid), on_grid(np.asarray(painted, dtype=np.float32), grid)


def _warp(values: npt.NDArray[np.float32], field: sitk.Image, grid: sitk.Image) -> npt.NDArray[np.float32]:
    transform = sitk.DisplacementFieldTransform(sitk.Cast(field, sitk.sitkVectorFloat64))
    return np.asarray(sitk.GetArrayFromImage(resample(on_grid(values, grid), grid, transform)), dtype=np.float32)


def _levels(scan: npt.NDArray[Any], members: Mapping[str, npt.NDArray[np.float32]]) -> dict[str, float]:
    """Median intensity per tissue group over its nearly pure voxels (at least the 30 purest)."""
    out = {}
    for group, membership in members.items():
        inside = membership > min(0.8, float(np.partition(membership.ravel(), -30)[-30]) - 1e-6)
        out[group] = float(np.median(scan[inside]))
    return out


def _receive_field(
    scan: npt.NDArray[Any], members: Mapping[str, npt.NDArray[np.float32]], mm: float
) -> npt.NDArray[np.float64]:
    """Smooth (sigma 20 mm) log ratio of the scan to the painted atlas, from brain tissue only; shape (k, j, i)."""
    levels = _levels(scan, members)
    painted = np.asarray(sum(levels[g] * m for g, m in members.items()))
    white = max(levels["white"], 1e-6)
    tissue = (painted > 0.6 * white) & (scan > 0.5 * white) & (scan < 2 * white)
    ratio = np.where(
        tissue, np.clip(np.log(np.where(tissue, scan, 1.0) / np.where(tissue, painted, 1.0)), -0.4, 0.4), 0.0
    )
    return smooth_over(ratio, tissue.astype(np.float64), 20.0 / mm)


def smooth_over(values: npt.NDArray[Any], weight: npt.NDArray[Any], sigma_voxels: float) -> npt.NDArray[np.float64]:
    """Normalised convolution: the Gaussian-weighted mean of ``values`` where ``weight`` > 0; 0 far from any weight."""
    total = ndi.gaussian_filter(np.asarray(weight, dtype=np.float64), sigma_voxels, truncate=3.0)
    return np.asarray(
        ndi.gaussian_filter(np.asarray(values * weight, dtype=np.float64), sigma_voxels, truncate=3.0)
        / np.maximum(total, 1e-6)
    )


def _demons(fixed: sitk.Image, moving: sitk.Image, field: sitk.Image | None, mm: float) -> sitk.Image:
    demons = sitk.DiffeomorphicDemonsRegistrationFilter()
    demons.SetNumberOfIterations(ITERATIONS)
    demons.SetSmoothDisplacementField(True)
    demons.SetStandardDeviations(FIELD_SIGMA_MM / mm)
    demons.SetSmoothUpdateField(True)
    demons.SetUpdateFieldStandardDeviations(1.0)
    demons.SetMaximumUpdateStepLength(1.0)
    demons.SetUseGradientType(demons.Symmetric)
    return demons.Execute(fixed, moving, field) if field is not None else demons.Execute(fixed, moving)


def regions_on(grid: sitk.Image, placement: Placement, atlas: Atlas) -> tuple[Volume, Volume]:
    """(labels, brain mask) of the placed atlas on ``grid`` (scan space, LPS mm), uint8, shape (k, j, i)."""
    template, transform = _template(atlas), placement.transform()
    labels = resample(template.labels, grid, transform, how=NEAREST)
    brain = resample(sitk.Cast(template.tight_brain, sitk.sitkUInt8), grid, transform, how=NEAREST)
    affine = affine_of(grid)
    return Volume(sitk.GetArrayFromImage(labels), affine), Volume(sitk.GetArrayFromImage(brain), affine)


def brain_grid(scan: Volume, placement: Placement, atlas: Atlas, spacing_mm: float) -> sitk.Image:
    """A cubic grid along the scan's axes around the brain of the placed atlas, with 6 mm margin but not beyond the scan.

    Raises:
        NotAssessable: ``atlas_failed`` when the placed atlas does not overlap the scan.
    """
    whole = isotropic_grid(to_sitk(scan), 3.0)
    _, brain = regions_on(whole, placement, atlas)
    if not brain.voxels.any():
        raise NotAssessable("atlas_failed", "the placed atlas does not overlap the scan")
    box = _crop(whole, on_grid(brain.voxels > 0, whole), margin=2)
    return isotropic_grid(box, spacing_mm)
