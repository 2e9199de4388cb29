"""One FLAIR before treatment in; old lesions, cavities and their volumes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from triage.alignment.images import affine_of, resample, shown_on, to_sitk
from triage.alignment.normalisation import robust_sd
from triage.anatomy import BRAIN_STEM, CAPSULES, CSF, WHITE, mask_of
from triage.lesions.mass_effect import QUANTITY as NARROWING
from triage.lesions.mass_effect import narrowing
from triage.libraries import ndi, sitk
from triage.measurements import not_measured
from triage.model import Found, Mask, Measurement, Volume

LESION, CAVITY = 1, 2  # labels in the mask ``chronic_lesions``
SITES = (*WHITE, "corpus_callosum", "internal_capsule_left", "internal_capsule_right", *CAPSULES, *BRAIN_STEM)
QUANTITIES = (
    ("chronic_lesion_count", "1"), ("chronic_lesion_volume_ml", "mL"), ("cavity_volume_ml", "mL"),
)  # fmt: skip
WORKING_MM = 3.0
FACES = np.abs(np.indices((3, 3, 3)) - 1).sum(axis=0) <= 1  # a voxel and its six neighbours


@dataclass(frozen=True)
class BurdenLimits:
    """What counts as abnormal on a single scan. Starting values unless a comment gives a reason."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    # a white matter voxel is part of a lesion from this far above the white matter around it. Cortex is 10 to 25 %
    # brighter than white matter on FLAIR: less than that cannot be told from a cortex the atlas drew a little too deep
    lesion_percent: float = 25.0
    # and from this many robust sd
    lesion_z: float = 3.0
    # smallest cluster that counts as a lesion
    lesion_ml: float = 0.03
    # Gaussian sigma of the white matter around
    surround_mm: float = 15.0
    # fluid is darker than this share of white matter
    cavity_level: float = 0.5
    # smallest cluster of fluid that counts as a cavity
    cavity_ml: float = 0.3
    # tissue is deep this far from the atlas's fluid and from the surface; fluid there is a cavity
    cavity_depth_mm: float = 4.0
    # the brightest white matter of healthy people lies this close to the ventricles; a cluster that reaches no further
    # is not counted
    rim_mm: float = 3.0
    # smallest lesion that can press on a ventricle
    mass_ml: float = 10.0
    # smallest volume of both lateral ventricles that can be compared, side with side
    ventricles_ml: float = 4.0
    # more fluid than this where the atlas has deep tissue means that the atlas lies wrong: seven real scans had 0 to
    # 0.8 %; with the atlas moved by 20 mm or mirrored top to bottom 7 to 18 %
    misfit_percent: float = 5.0
    # with less white matter than this in view nothing is measured
    min_white_ml: float = 100.0


def burden_unknown(reason: str) -> Found:
    """The figures of a FLAIR on which old lesions cannot be told."""
    units = (*QUANTITIES, (NARROWING, "%"))
    return Found(tuple(not_measured("brain", name, unit, reason) for name, unit in units))


def burden(flair: Volume, labels: Volume, _brain: Volume, names: Mapping[int, str], limits: BurdenLimits) -> Found:
    """Chronic change of one FLAIR.

    Args:
        labels: regions of the whole brain, uint8, any grid in the scan's space (LPS mm).

    Returns:
        Figures, and the mask ``chronic_lesions`` (uint8: 1 lesion, 2 cavity) on the label grid. The mask is kept with
        the prepared baseline: new lesions are judged against it.
    """
    grid = to_sitk(labels)
    image = np.asarray(sitk.GetArrayFromImage(resample(to_sitk(flair), grid)), dtype=np.float32)
    white = mask_of(labels.voxels, names, WHITE) & (image > 0)
    if white.sum() * labels.voxel_volume_ml < limits.min_white_ml:
        reason = f"no_reference_tissue: less than {limits.min_white_ml:g} mL of white matter is in view"
        return burden_unknown(reason)
    level = image / float(np.median(image[white]))
    spacing = np.array(labels.spacing_mm[::-1])
    dark = _dark_percent(level, image > 0, labels.voxels, names, spacing, limits)
    if dark > limits.misfit_percent:
        dark_words = f"{dark:.0f} % of deep tissue is as dark as fluid"
        reason = f"atlas_misfit: {dark_words}; the atlas lies wrong or a cavity is very large"
        return burden_unknown(reason)
    lesions = _lesions(level, labels.voxels, names, spacing, limits, labels.voxel_volume_ml)
    shown = shown_on(to_sitk(flair), grid, np.eye(4))  # the rest is dark because it was not acquired
    cavities = shown & _cavities(
        np.where(shown, level, 1.0), labels.voxels, names, spacing, limits, labels.voxel_volume_ml
    )
    mask = np.where(cavities, CAVITY, np.where(lesions, LESION, 0)).astype(np.uint8)
    values = (
        float(ndi.label(lesions)[1]),
        float(lesions.sum()) * labels.voxel_volume_ml,
        float(cavities.sum()) * labels.voxel_volume_ml,
    )
    figures = tuple(Measurement("brain", n, v, unit) for (n, unit), v in zip(QUANTITIES, values, strict=True))
    pressed = narrowing(
        lesions,
        (image > 0) & (level < limits.cavity_level),
        labels.voxels,
        names,
        float(labels.spacing_mm[0]),
        (limits.mass_ml, limits.ventricles_ml),
    )
    return Found((*figures, pressed), {"chronic_lesions": Volume(mask, affine_of(grid))})


def _dark_percent(
    level: npt.NDArray[np.float32],
    seen: Mask,
    labels: npt.NDArray[np.uint8],
    names: Mapping[int, str],
    spacing: npt.NDArray[np.float64],
    limits: BurdenLimits,
) -> float:
    """Share of what the atlas calls deep tissue that is as dark as fluid, percent."""
    deep = _deep_tissue(labels, names, spacing, limits) & seen
    return 100.0 * float((level[deep] < limits.cavity_level).mean()) if deep.any() else 0.0


def _deep_tissue(
    labels: npt.NDArray[np.uint8], names: Mapping[int, str], spacing: npt.NDArray[np.float64], limits: BurdenLimits
) -> Mask:
    """Tissue that lies well away from the atlas's fluid and from the surface."""
    fluid = mask_of(labels, names, CSF) | (labels == 0)
    return np.asarray(ndi.distance_transform_edt(~fluid, sampling=spacing) > limits.cavity_depth_mm)


def _lesions(
    level: npt.NDArray[np.float32],
    labels: npt.NDArray[np.uint8],
    names: Mapping[int, str],
    spacing: npt.NDArray[np.float64],
    limits: BurdenLimits,
    voxel_ml: float,
) -> Mask:
    sites = mask_of(labels, names, SITES)
    white = mask_of(labels, names, WHITE) & (level > 0.7) & (level < 1.3)
    surround = _surround(level, white, spacing, limits.surround_mm)
    above = np.log(np.maximum(level, 0.05) / np.maximum(surround, 0.3))
    limit = max(np.log1p(limits.lesion_percent / 100.0), limits.lesion_z * robust_sd(above[white].astype(np.float64)))
    deep = ndi.distance_transform_edt(
        ~mask_of(labels, names, tuple(r for r in CSF if r != "sulcal_csf")), sampling=spacing
    )
    labelled, _ = ndi.label(sites & (above >= limit), FACES)
    sizes = np.bincount(labelled.ravel()) * voxel_ml
    farthest = ndi.maximum(deep, labelled, np.arange(sizes.size))
    keep = (sizes >= limits.lesion_ml) & (np.asarray(farthest) > limits.rim_mm)
    keep[0] = False
    return np.asarray(keep[labelled])


def _cavities(
    level: npt.NDArray[np.float32],
    labels: npt.NDArray[np.uint8],
    names: Mapping[int, str],
    spacing: npt.NDArray[np.float64],
    limits: BurdenLimits,
    voxel_ml: float,
) -> Mask:
    """Fluid where the atlas has tissue that lies well away from its fluid and from the surface."""
    inside = _deep_tissue(labels, names, spacing, limits)
    labelled, _ = ndi.label(inside & (level < limits.cavity_level), FACES)
    keep = np.bincount(labelled.ravel()) * voxel_ml >= limits.cavity_ml
    keep[0] = False
    return np.asarray(keep[labelled])


def _surround(
    level: npt.NDArray[np.float32], white: Mask, spacing: npt.NDArray[np.float64], sigma_mm: float
) -> npt.NDArray[np.float64]:
    """Mean level of the white matter around, (k, j, i), computed on every third millimetre."""
    steps = [max(1, round(WORKING_MM / s)) for s in spacing]
    every = tuple(slice(None, None, step) for step in steps)
    sigma = [sigma_mm / (s * step) for s, step in zip(spacing, steps, strict=True)]
    weight = white[every].astype(np.float64)
    total = ndi.gaussian_filter(weight, sigma, truncate=3.0)
    mean = ndi.gaussian_filter(level[every] * weight, sigma, truncate=3.0) / np.maximum(total, 1e-6)
    mean = np.where(total > 1e-4, mean, 1.0)
    factors = [n / m for n, m in zip(level.shape, mean.shape, strict=True)]
    return np.asarray(ndi.zoom(mean, factors, order=1, grid_mode=True, mode="nearest"))
