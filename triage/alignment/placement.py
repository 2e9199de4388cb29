"""Atlas and one scan in, every atlas region on that scan's own space out.

The atlas is placed in two steps: a 12-parameter affine by mutual information, then a smooth diffeomorphic deformation
towards an image of the atlas *in the scan's own contrast*. In that painted atlas each tissue group has its median
intensity in this scan, so one method serves FLAIR and T1. The correlation of the scan with the painted atlas measures
the fit. It chooses between the starts of the affine, and a low one refuses the scan.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from triage.alignment.descent import coarse_rigid
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
    smoothed_onto,
    to_sitk,
)
from triage.alignment.painting import ScanOnTemplate, fit_of, fits_near, pair_in_one_contrast
from triage.alignment.registration import affine_levels, pyramid
from triage.alignment.template import LEVELS_MM, STRUCTURES, Template, crop, template_of
from triage.anatomy import THALAMI
from triage.errors import NotAssessable
from triage.libraries import sitk
from triage.model import Affine, Atlas, Volume

# Smoothing of the displacement field, chosen on three scans with an independent segmentation.
# Less follows noise and the flat border between thalamus and white matter of thick FLAIR slices (Dice of the thalamus
# fell from 0.84 to 0.76). More no longer follows large ventricles.
FIELD_SIGMA_MM = 12.0
VOLUME_GRID_MM = 3.0  # on which the volumes of placed regions are counted
BEYOND_MM = 90.0  # so far beyond a scan its brain is looked for: half a brain
MOST_STRETCH = 1.4  # the atlas along one direction, over that along another
ITERATIONS = 15  # of the deformation, at each resolution


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
    # the same within 9 mm of the brain stem, and of the thalami: the whole head may fit where they do not
    near_fit: float = 0.45
    # from this fit of the whole head on, such a structure alone is not measured; below, the scan is refused. Of 84
    # placements moved or scaled on purpose, the best fit of the whole head was 0.60, and 0.66 of 20 of blurred heads
    sure_fit: float = 0.7
    # smallest share of the atlas brain inside the field of view
    overlap: float = 0.5
    # largest volume of each thalamus, mL, beside a pons that is too large as well: 15 placed heads had 5.7 to 11.5; a
    # head that was placed a fifth too large in each direction, with a good fit, had 11.6
    most_thalamus_ml: float = 10.5
    # largest volume of the pons, mL, beside such thalami: the same heads had 11.5 to 21.4, and 25.9
    most_pons_ml: float = 23.0


@dataclass(frozen=True, eq=False)
class Placement:
    """Where the atlas lies on one scan."""

    # (4, 4), scan LPS mm -> template LPS mm; the linear part, applied first
    to_template: Affine
    # displacement in template space, mm, shape (k, j, i, 3); None: linear only
    field: npt.NDArray[np.float64] | None
    # (4, 4), voxel index (i, j, k, 1) of the field -> template LPS mm
    field_affine: Affine | None
    # structures with the fit around them, where the atlas resembles the rest of the head only
    apart: tuple[tuple[str, float], ...] = ()

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
    template, image = template_of(atlas), to_sitk(flair)
    affine = _affine(template, image, limits)
    _check_affine(affine, template, image, limits)
    if t1 is None or flair_to_t1 is None:
        placement = _deform(affine, template, image, limits)
    else:
        placement = _deform(flair_to_t1 @ affine, template, to_sitk(t1), limits)
        placement = replace(placement, to_template=inverse(affine))
    check_volumes(_region_ml(image, placement, template, atlas), limits)
    return placement


def check_volumes(volumes_ml: Mapping[str, float], limits: RegionLimits) -> None:
    """Refuse an atlas that was placed too large, which a good fit of the whole head does not exclude.

    Thalami and pons must all be too large: the disease swells one of them, or both a little.

    Args:
        volumes_ml: region -> volume as placed, mL. What is out of view is smaller, so there is no lower limit.

    Raises:
        NotAssessable: ``atlas_failed``, with the volumes.
    """
    most = dict.fromkeys(THALAMI, limits.most_thalamus_ml) | {"pons": limits.most_pons_ml}
    if all(volumes_ml.get(region, 0.0) > largest for region, largest in most.items()):
        said = ", ".join(f"{region} {volumes_ml[region]:.1f} mL" for region in most)
        raise NotAssessable("atlas_failed", f"the atlas was placed too large: {said}")


def structures_apart(near: Mapping[str, float], whole: float, limits: RegionLimits) -> dict[str, float]:
    """The structures around which the scan does not resemble the placed atlas, with their fit.

    Of 84 placements of twelve heads that were moved by 8 mm or scaled on purpose, eight had a fit of the whole head
    above its limit (0.50 to 0.60), and 0.02 to 0.37 at one structure or both; where they were right it was 0.59 to
    0.77. So such a fit refuses the scan, unless the rest of the head fits better than any of these did.

    Args:
        near: structure -> fit. What is out of view is not in it.
        whole: fit of the whole head.

    Raises:
        NotAssessable: ``atlas_failed``, with the fit.
    """
    found = {name: fit for name, fit in near.items() if fit < limits.near_fit}
    if found and (whole < limits.sure_fit or len(found) == len(STRUCTURES)):
        raise NotAssessable("atlas_failed", _said_apart(*next(iter(found.items()))))
    return found


def region_doubts(placement: Placement) -> dict[str, str]:
    """Region -> why nothing is measured there although the atlas counts as placed."""
    named = {**STRUCTURES, "thalami": (*STRUCTURES["thalami"], "thalami", "third_ventricle")}
    return {region: f"region_fit: {_said_apart(name, fit)}" for name, fit in placement.apart for region in named[name]}


def _said_apart(name: str, fit: float) -> str:
    return f"around the {name} the scan resembles the placed atlas by {fit:.2f} only"


def _region_ml(image: sitk.Image, placement: Placement, template: Template, atlas: Atlas) -> dict[str, float]:
    """Volume of every region of the placed atlas inside the scan's field of view, mL."""
    grid = isotropic_grid(image, VOLUME_GRID_MM)
    labels = sitk.GetArrayViewFromImage(resample(template.labels, grid, placement.transform(), how=NEAREST))
    counts = np.bincount(labels.ravel(), minlength=256) * VOLUME_GRID_MM**3 / 1000.0
    return {region: float(counts[label]) for label, region in atlas.label_names.items()}


def _affine(template: Template, image: sitk.Image, limits: RegionLimits) -> Affine:
    """Template LPS mm -> scan LPS mm, by mutual information. The start that ends in the best fit wins."""
    scans = (pyramid(image).coarse, smoothed_onto(image, 4.0))

    @cache
    def smaller() -> Affine:
        return matrix_of(coarse_rigid(template.flair[0], scans[0], turned=True)) @ template.smaller

    tries: tuple[Callable[[], Affine], ...] = (
        lambda: _from_whole_head(template, scans),
        lambda: _from_brain(template, scans, smaller()),
        lambda: _from_free_start(template, scans, smaller()),
    )
    found: list[tuple[float, Affine]] = []
    for one in tries:
        try:
            affine = one()
        except NotAssessable:  # scan and template do not overlap on the way
            continue
        if plausible(affine):
            found.append((_linear_fit(affine, template, image), affine))
            if found[-1][0] >= limits.good_fit:
                break
        elif not found:
            found.append((-1.0, affine))  # named in the refusal when nothing better comes
    if not found:
        raise NotAssessable("atlas_failed", "scan and atlas do not overlap; only a part of a head?")
    return max(found, key=lambda pair: pair[0])[1]


def _from_whole_head(template: Template, scans: tuple[sitk.Image, sitk.Image]) -> Affine:
    """The T1 template within the head, from the rigid alignment: right for most scans."""
    start = matrix_of(coarse_rigid(template.t1[0], scans[0], turned=True))
    return affine_levels(template.t1, scans, start, template.head, mutual_information=True)[0]


def _from_brain(template: Template, scans: tuple[sitk.Image, sitk.Image], start: Affine) -> Affine:
    """The synthetic FLAIR within the brain, from a smaller head: for scans whose scalp is as bright as their brain."""
    return affine_levels(template.flair, scans, start, template.near_brain, mutual_information=True)[0]


def _from_free_start(template: Template, scans: tuple[sitk.Image, sitk.Image], start: Affine) -> Affine:
    """As from the brain, but with the whole template at the coarse level.

    The air around the head keeps the size right where the scalp would draw the brain outwards.
    """
    coarse, _ = affine_levels(template.flair[:1], scans[:1], start, None, mutual_information=True)
    return affine_levels(template.flair[1:], scans[1:], coarse, template.near_brain, mutual_information=True)[0]


def _linear_fit(affine: Affine, template: Template, image: sitk.Image) -> float:
    """Fit (see ``RegionLimits``) of the atlas before its deformation, at the coarsest level."""
    grid, members = template.levels[LEVELS_MM[0]]
    return fit_of(_on_template(image, affine, template, grid), members, None, grid)


def _on_template(image: sitk.Image, affine: Affine, template: Template, grid: sitk.Image) -> ScanOnTemplate:
    """The scan on a template grid."""
    transform = affine_transform(affine)
    scan = resample(smooth_to(image, grid.GetSpacing()[0]), grid, transform)
    shown = resample(sitk.Cast(image * 0 + 1, sitk.sitkUInt8), grid, transform, how=NEAREST)
    head = resample(template.brain, grid, how=NEAREST)
    return ScanOnTemplate(
        sitk.GetArrayFromImage(scan), sitk.GetArrayFromImage(head) > 0, sitk.GetArrayFromImage(shown) > 0
    )


def plausible(affine: Affine) -> bool:
    """Adult and child brains are 0.55-1.0 of the template's 1.9 L envelope.

    Of 26 real heads none was stretched in one direction more than 1.28 times as far as in another. Two heads that nod
    by 40 degrees, placed 31 and 49 mm away with a good fit, were stretched by 1.58.
    """
    scales = np.linalg.svd(affine[:3, :3])[1]
    stretched = scales.max() > MOST_STRETCH * scales.min()
    return bool(
        scales.min() >= 0.6 and scales.max() <= 1.3 and 0.35 < np.linalg.det(affine[:3, :3]) < 1.4 and not stretched
    )


def _check_affine(affine: Affine, template: Template, image: sitk.Image, limits: RegionLimits) -> None:
    if not plausible(affine):
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


def _deform(affine: Affine, template: Template, image: sitk.Image, limits: RegionLimits) -> Placement:
    field: sitk.Image | None = None
    for mm in LEVELS_MM:
        grid, members = template.levels[mm]
        scan = _on_template(image, affine, template, grid)
        if field is not None:
            field = sitk.Resample(field, grid)
        for _ in range(2):
            field = _demons(*pair_in_one_contrast(scan, members, field, grid), field, mm)
    assert field is not None  # noqa: S101 - LEVELS_MM is not empty
    fit = fit_of(scan, members, field, grid)
    if fit < limits.fit:
        raise NotAssessable(
            "atlas_failed",
            f"the scan resembles the placed atlas by {fit:.2f} only, at least {limits.fit:.2f} is needed; "
            "no human head?",
        )
    near = fits_near(scan, members, field, grid, template.zones)
    apart = tuple(structures_apart(near, fit, limits).items())
    return Placement(inverse(affine), sitk.GetArrayFromImage(field), affine_of(field), apart)


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
    template, transform = template_of(atlas), placement.transform()
    labels = resample(template.labels, grid, transform, how=NEAREST)
    brain = resample(sitk.Cast(template.tight_brain, sitk.sitkUInt8), grid, transform, how=NEAREST)
    affine = affine_of(grid)
    return Volume(sitk.GetArrayFromImage(labels), affine), Volume(sitk.GetArrayFromImage(brain), affine)


def brain_grid(scan: Volume, placement: Placement, atlas: Atlas, spacing_mm: float) -> sitk.Image:
    """A cubic grid along the scan's axes around the whole brain of the placed atlas, with a margin of 6 mm.

    It reaches beyond a scan that shows a part of the brain, so that what is not seen is known.

    Raises:
        NotAssessable: ``atlas_failed`` when the placed atlas does not overlap the scan.
    """
    whole = _wider(isotropic_grid(to_sitk(scan), VOLUME_GRID_MM), BEYOND_MM)
    _, brain = regions_on(whole, placement, atlas)
    if not brain.voxels.any():
        raise NotAssessable("atlas_failed", "the placed atlas does not overlap the scan")
    box = crop(whole, on_grid(brain.voxels > 0, whole), margin=2)
    return isotropic_grid(box, spacing_mm)


def _wider(grid: sitk.Image, margin_mm: float) -> sitk.Image:
    """The same grid, ``margin_mm`` larger on every side."""
    steps = [round(margin_mm / spacing) for spacing in grid.GetSpacing()]
    out = sitk.Image([size + 2 * n for size, n in zip(grid.GetSize(), steps, strict=True)], grid.GetPixelID())
    out.SetSpacing(grid.GetSpacing())
    out.SetDirection(grid.GetDirection())
    out.SetOrigin(grid.TransformIndexToPhysicalPoint([-n for n in steps]))
    return out
