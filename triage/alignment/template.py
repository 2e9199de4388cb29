"""The atlas in; its images at working resolutions, its masks and the memberships of its tissues out, made once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from triage.alignment.downsampling import downsampled
from triage.alignment.images import NEAREST, isotropic_grid, on_grid, resample, to_sitk
from triage.anatomy import BRAIN_STEM, THALAMI, mask_of, tissue_group
from triage.libraries import ndi, sitk
from triage.model import Affine, Atlas, Mask

# Resolutions of the deformation, coarse first
LEVELS_MM = (4.0, 3.0)
PYRAMID_MM = (8.0, 4.0)  # of the rigid and affine steps
# Of the template, which is larger than an adult brain. From 1.0 the template's brain may settle on the scalp of a FLAIR
# whose scalp is bright.
START_SCALE = 0.9
ZONE_MM = (
    9.0  # the neighbours of a structure that show whether it lies where it should: fluid, cerebellum, white matter
)


# Structures whose fit is looked at by itself -> their regions
STRUCTURES = {"brain stem": BRAIN_STEM, "thalami": THALAMI}


@lru_cache(maxsize=2)
def template_of(atlas: Atlas) -> Template:
    """What the registration needs of this atlas; made at the first call."""
    t1, brain = to_sitk(atlas.template_t1), to_sitk(atlas.brain_mask, sitk.sitkUInt8) > 0
    flair = to_sitk(atlas.template_flair)
    labels = to_sitk(atlas.labels, sitk.sitkUInt8)
    coarse = atlas.coarse or coarse_images(atlas)
    finest = _level_grid(labels, brain, LEVELS_MM[-1])
    return Template(
        t1=tuple(on_grid(coarse[f"t1 {mm:g}"], isotropic_grid(t1, mm)) for mm in PYRAMID_MM),
        flair=tuple(on_grid(coarse[f"flair {mm:g}"], isotropic_grid(flair, mm)) for mm in PYRAMID_MM),
        smaller=scaling(START_SCALE, brain),
        head=sitk.BinaryDilate(brain, [8, 8, 8]),
        near_brain=sitk.BinaryDilate(brain, [2, 2, 2]),
        brain=sitk.BinaryDilate(brain, [4, 4, 4]),
        tight_brain=brain,
        labels=labels,
        levels={
            mm: (
                _level_grid(labels, brain, mm),
                {group: coarse[f"{group} {mm:g}"] for group in _groups(atlas.label_names)},
            )
            for mm in LEVELS_MM
        },
        zones={name: _zone(labels, atlas.label_names, regions, finest) for name, regions in STRUCTURES.items()},
    )


@dataclass(frozen=True, eq=False)
class Template:
    """The atlas as the registration needs it, in template space (LPS mm)."""

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
    # structure -> it and ``ZONE_MM`` around it, on the finest of these grids, shape (k, j, i)
    zones: Mapping[str, Mask]


def scaling(factor: float, mask: sitk.Image) -> Affine:
    """(4, 4): scaling about the centre of mass of ``mask``, LPS mm."""
    stats = sitk.LabelShapeStatisticsImageFilter()
    stats.Execute(mask)
    out = np.diag([factor, factor, factor, 1.0])
    out[:3, 3] = (1 - factor) * np.array(stats.GetCentroid(1))
    return out


def crop(image: sitk.Image, mask: sitk.Image, margin: int) -> sitk.Image:
    """The box of the mask's label 1 and ``margin`` voxels around it, cut out of an image on the same grid."""
    stats = sitk.LabelShapeStatisticsImageFilter()
    stats.Execute(mask)
    box = stats.GetBoundingBox(1)
    start = [max(0, box[a] - margin) for a in range(3)]
    size = [min(image.GetSize()[a], box[a] + box[a + 3] + margin) - start[a] for a in range(3)]
    return sitk.RegionOfInterest(image, size, start)


def coarse_images(atlas: Atlas) -> dict[str, npt.NDArray[np.float32]]:
    """The images at working resolutions, shape (k, j, i): ``t1 8`` and the like, and ``GROUP MM`` for the share of a
    voxel, 0..1, that belongs to a group of tissues.

    They cost several seconds of a processor, so the atlas of the package brings them (``atlas/coarse.py``).
    """
    brain, labels = to_sitk(atlas.brain_mask, sitk.sitkUInt8) > 0, to_sitk(atlas.labels, sitk.sitkUInt8)
    out = {}
    for name, image in (("t1", to_sitk(atlas.template_t1)), ("flair", to_sitk(atlas.template_flair))):
        for mm in PYRAMID_MM:
            out[f"{name} {mm:g}"] = downsampled(image, mm, isotropic_grid(image, mm))
    array = sitk.GetArrayViewFromImage(labels)
    for group, members in _groups(atlas.label_names).items():
        mask = on_grid(np.isin(array, members).astype(np.float32), labels)
        for mm in LEVELS_MM:
            out[f"{group} {mm:g}"] = downsampled(mask, mm, _level_grid(labels, brain, mm))
    return {name: sitk.GetArrayFromImage(image) for name, image in out.items()}


def _level_grid(labels: sitk.Image, brain: sitk.Image, spacing_mm: float) -> sitk.Image:
    """Of a resolution of the deformation: the brain and a margin."""
    return isotropic_grid(crop(labels, brain, margin=8), spacing_mm)


def _groups(names: Mapping[int, str]) -> dict[str, list[int]]:
    """Group of tissues -> its labels."""
    groups: dict[str, list[int]] = {}
    for label, region in names.items():
        groups.setdefault(tissue_group(region), []).append(label)
    return groups


def _zone(labels: sitk.Image, names: Mapping[int, str], regions: Iterable[str], grid: sitk.Image) -> Mask:
    """The regions and what lies within ``ZONE_MM`` of them."""
    here = mask_of(sitk.GetArrayFromImage(resample(labels, grid, how=NEAREST)), names, regions)
    return np.asarray(ndi.distance_transform_edt(~here) * grid.GetSpacing()[0] <= ZONE_MM)
