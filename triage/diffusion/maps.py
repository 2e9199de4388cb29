"""One session's diffusion images and regions in, maps out: how bright and how slow each voxel is for its tissue.

All arrays lie on the DWI grid, shape (k, j, i). Brightness and ADC are log ratios to what the same tissue of the same
brain shows, without the smooth receive field. They can therefore be compared with the mirror side and another date.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from triage.alignment.normalisation import robust_sd, smooth_field, smooth_over
from triage.anatomy import CSF, tissue_group
from triage.diffusion.reference import grossly_ill, sides_of
from triage.libraries import ndi
from triage.model import Affine, Mask

Field = npt.NDArray[np.float64]  # (k, j, i)
LOWEST_ADC, HIGHEST_ADC = 100.0, 1300.0  # um2/s: less is noise, more holds fluid (cortex 780-1090, AJNR 2002;23:194)
RECEIVE_SIGMA_MM = 15.0
MIN_FIELD_VOXELS = 500
BORDER_SIGMA_MM = 3.0  # atlas borders are that uncertain on a distorted echo-planar image
CLASSES = {"cortex": 1, "white": 2, "cerebellum": 3, "brain_stem": 4}  # everything else that is tissue is deep grey: 5
DEEP = 5
MIN_CLASS_VOXELS = 50
SMALLEST_SD = 0.03  # log units: no scan is less noisy
SMALLEST_EVIDENCE_SD = 0.5  # healthy tissue shows 0.7-1.2; a smaller one comes from SMALLEST_SD and must not undo it
SIGNAL = 0.25  # of tissue without diffusion weighting; less is air, bone or dropout


@dataclass(frozen=True, eq=False)
class DiffusionImages:
    """Images and regions on one grid, arrays (k, j, i).

    dwi: highest b-value, arbitrary unit. adc: um2/s, 0 where unknown. labels: atlas regions, uint8.
    affine: (4, 4), voxel (i, j, k) -> LPS mm. b0: without diffusion weighting. b_difference: s/mm2.
    """

    dwi: npt.NDArray[np.float32]
    adc: npt.NDArray[np.float32]
    labels: npt.NDArray[np.uint8]
    names: Mapping[int, str]
    affine: Affine
    b0: npt.NDArray[np.float32] | None = None
    b_difference: float = 1000.0

    @property
    def spacing_mm(self) -> Field:
        """(k, j, i)."""
        return np.asarray(np.linalg.norm(self.affine[:3, :3], axis=0)[::-1])

    @property
    def voxel_ml(self) -> float:
        return float(np.prod(self.spacing_mm)) / 1000.0


@dataclass(frozen=True, eq=False)
class TissueMaps:
    """classes: 0 outside, else a tissue class. tissue: parenchyma with a believable ADC.

    reference: the part of it that is not grossly ill and sets every median and spread.
    bright, slow: log DWI and log ADC against the voxel's own tissue, not smoothed.
    unweighted: the same of the signal without diffusion weighting.
    depth_mm: distance to the nearest voxel without signal; 0 there.

    Raises:
        ValueError: a map is not finite.
    """

    images: DiffusionImages
    brain: Mask
    classes: npt.NDArray[np.uint8]
    tissue: Mask
    reference: Mask
    bright: Field
    slow: Field
    unweighted: Field
    depth_mm: Field

    def __post_init__(self) -> None:
        for name in ("bright", "slow", "unweighted", "depth_mm"):  # nan >= limit is False, a silent negative
            if not np.isfinite(getattr(self, name)).all():
                raise ValueError(f"the map {name} of the diffusion images is not finite")


def tissue_maps(images: DiffusionImages) -> TissueMaps | None:
    """The maps of one date; None: its images show nothing of the brain."""
    images = replace(images, dwi=np.nan_to_num(images.dwi), adc=np.nan_to_num(images.adc))
    brain = _brain(images)
    shown = images.dwi[brain & (images.dwi > 0) & (images.adc > 0)]  # images of a part are empty elsewhere
    if not shown.size:
        return None
    level = float(np.median(shown))
    classes = _classes(images, brain)
    tissue = (
        brain & (images.adc > LOWEST_ADC) & (images.adc < _highest_adc(images, classes)) & (images.dwi > 0.15 * level)
    )
    log_dwi = np.log(np.maximum(images.dwi, 1e-3 * level)).astype(np.float64)
    log_adc = np.log(np.clip(images.adc, LOWEST_ADC, 4 * HIGHEST_ADC)).astype(np.float64)
    unweighted = _unweighted(images, log_dwi, level)
    sides = sides_of(images.labels, images.names)
    reference = tissue & ~grossly_ill(log_dwi, log_adc, (classes, sides), tissue, images.spacing_mm)
    shares = _shares(images, tissue, reference)
    return TissueMaps(
        images,
        brain,
        classes,
        tissue,
        reference,
        bright=_flat(_against_tissue(log_dwi, shares), images, reference),
        slow=_against_tissue(log_adc, shares),
        unweighted=_flat(_against_tissue(unweighted, shares), images, reference),
        depth_mm=_depth(images, unweighted, tissue),
    )


def _highest_adc(images: DiffusionImages, classes: npt.NDArray[np.uint8]) -> float:
    """Above this there is fluid: 1.5 times the cortex (high b-values lower every ADC), at most HIGHEST_ADC; um2/s."""
    cortex = images.adc[(classes == CLASSES["cortex"]) & (images.adc > LOWEST_ADC) & (images.adc < HIGHEST_ADC)]
    return min(HIGHEST_ADC, 1.5 * float(np.median(cortex))) if cortex.size else HIGHEST_ADC


def _flat(values: Field, images: DiffusionImages, tissue: Mask) -> Field:
    """Values without the receive field.

    A polynomial is removed first: the signal of surface coils rises steeply towards the rim, and a local mean cannot
    follow. What is left of the field is removed at RECEIVE_SIGMA_MM, from clipped values, so that a lesion does not
    remove itself.
    """
    if tissue.sum() < MIN_FIELD_VOXELS:
        return values
    field, _ = smooth_field(values, tissue)
    rest = values - field
    rest -= float(np.median(rest[tissue]))
    spread = 2.0 * robust_sd(rest[tissue])
    local = smooth_over(np.clip(rest, -spread, spread), tissue, _voxels(RECEIVE_SIGMA_MM, images))
    return np.asarray(rest - local)


def smoothed(values: Field, where: Mask, sigma_mm: float, images: DiffusionImages) -> Field:
    """Gaussian mean over ``where`` only."""
    return smooth_over(values, where, _voxels(sigma_mm, images))


def within_classes(values: Field, maps: TissueMaps, sigma_mm: float) -> Field:
    """Smoothed inside each tissue class, so that cortex does not mix with white matter; centred on the class median.

    0 outside tissue.
    """
    out = np.zeros(values.shape)
    for inside, healthy in classes_of(maps):
        smooth = smoothed(values, inside, sigma_mm, maps.images)
        out[inside] = smooth[inside] - np.median(smooth[healthy])
    return out


def classes_of(maps: TissueMaps) -> Iterator[tuple[Mask, Mask]]:
    """(voxels, those of them that set statistics) of each tissue class; all of them where too few are healthy."""
    for number in range(1, DEEP + 1):
        inside = (maps.classes == number) & maps.tissue
        if inside.sum() >= MIN_CLASS_VOXELS:
            healthy = inside & maps.reference
            yield inside, healthy if healthy.sum() >= MIN_CLASS_VOXELS else inside


def upper_sds(values: Field, maps: TissueMaps) -> Field:
    """The standard deviation of each voxel's class, read from its upper half (90th percentile); 0 outside tissue.

    Fluid mixes into the lower half of brightness. A lesion too small to be left out moves no 90th percentile.
    """
    out = np.zeros(values.shape)
    for inside, healthy in classes_of(maps):
        middle, high = np.percentile(values[healthy], (50, 90))
        out[inside] = max((high - middle) / 1.2816, SMALLEST_SD)
    return out


def in_upper_sds(values: Field, scale: Field, maps: TissueMaps) -> Field:
    """Evidence less the class median of ``scale``, over the upper standard deviation of ``scale``; 0 outside tissue."""
    out = np.zeros(values.shape)
    sds = np.maximum(upper_sds(scale, maps), SMALLEST_EVIDENCE_SD)
    for inside, healthy in classes_of(maps):
        out[inside] = (values[inside] - np.median(scale[healthy])) / sds[inside]
    return out


def mirrored(values: Field, maps: TissueMaps, reflection: Affine, sigma_mm: float) -> Field:
    """The other side's values at each voxel, smoothed because the two sides are not exact mirror images."""
    affine = maps.images.affine
    index = np.linalg.inv(affine) @ reflection @ affine  # voxel (i, j, k) -> voxel (i, j, k)
    flip = np.eye(3)[::-1]
    smooth = smoothed(values, maps.tissue, sigma_mm, maps.images)
    return np.asarray(
        ndi.affine_transform(smooth, flip @ index[:3, :3] @ flip, flip @ index[:3, 3], order=1), dtype=np.float64
    )


def mid_sagittal_reflection(
    labels: npt.NDArray[np.uint8], names: Mapping[int, str], affine: Affine, min_voxels: int = MIN_CLASS_VOXELS
) -> Affine | None:
    """(4, 4), LPS mm -> LPS mm of the mirror point, from the centres of all regions that exist on both sides.

    None: no such pair of regions is in view.
    """
    numbers = {name: label for label, name in names.items()}
    across, middle, weights = [], [], []
    for name, left in numbers.items():
        right = numbers.get(name.removesuffix("_left") + "_right") if name.endswith("_left") else None
        if right is None:
            continue
        sizes = [int((labels == label).sum()) for label in (left, right)]
        if min(sizes) < min_voxels:
            continue
        one, other = (_centre(labels == label, affine) for label in (left, right))
        across.append(one - other)
        middle.append((one + other) / 2)
        weights.append(min(sizes))
    if not weights:
        return None
    normal = np.average(across, axis=0, weights=weights)
    normal /= np.linalg.norm(normal)
    point = np.average(middle, axis=0, weights=weights)
    out = np.eye(4)
    out[:3, :3] -= 2 * np.outer(normal, normal)
    out[:3, 3] = 2 * normal * float(normal @ point)
    return out


def nearest_region(images: DiffusionImages, wanted: Mask) -> npt.NDArray[np.uint8]:
    """Label of the nearest voxel whose region is among the ``wanted`` voxels; (k, j, i) uint8."""
    index = ndi.distance_transform_edt(~wanted, sampling=images.spacing_mm, return_distances=False, return_indices=True)
    return np.asarray(images.labels[tuple(index)])


def _centre(mask: Mask, affine: Affine) -> Field:
    k, j, i = np.argwhere(mask).mean(axis=0)
    return np.asarray(affine[:3, :3] @ np.array([i, j, k]) + affine[:3, 3])


def _voxels(sigma_mm: float, images: DiffusionImages) -> Any:
    return sigma_mm / images.spacing_mm


def _brain(images: DiffusionImages) -> Mask:
    """The atlas regions with their small holes closed."""
    steps = np.maximum(1, np.round(4.0 / images.spacing_mm)).astype(int)
    padded = np.pad(images.labels > 0, [(s, s) for s in steps])
    closed = ndi.binary_closing(padded, np.ones(2 * (steps // 2) + 1))
    return np.asarray(closed[tuple(slice(s, -s) for s in steps)])


def class_numbers(names: Mapping[int, str]) -> dict[int, int]:
    """Label -> tissue class; fluid is left out."""
    return {label: CLASSES.get(tissue_group(name), DEEP) for label, name in names.items() if name not in CSF}


def _classes(images: DiffusionImages, brain: Mask) -> npt.NDArray[np.uint8]:
    table = np.zeros(256, dtype=np.uint8)
    for label, number in class_numbers(images.names).items():
        table[label] = number
    classes = table[images.labels]
    if not classes.any():
        return classes
    index = ndi.distance_transform_edt(
        classes == 0, sampling=images.spacing_mm, return_distances=False, return_indices=True
    )
    return np.where(brain, classes[tuple(index)], 0).astype(np.uint8)


def _unweighted(images: DiffusionImages, log_dwi: Field, level: float) -> Field:
    """Log signal without diffusion weighting; without a b = 0 image it follows from the weighted one and the ADC."""
    if images.b0 is not None:
        return np.log(np.maximum(np.nan_to_num(images.b0), 1e-3 * level)).astype(np.float64)
    return np.asarray(log_dwi + images.b_difference * 1e-6 * np.clip(images.adc, 0.0, 3200.0))


Share = tuple[Field, Mask]  # of one tissue group: membership blended across borders, and its voxels


def _shares(images: DiffusionImages, tissue: Mask, reference: Mask) -> list[Share]:
    """Every tissue group that has enough voxels; its voxels are the healthy ones, unless these are too few."""
    groups: dict[str, list[int]] = {}
    for label, name in images.names.items():
        if name not in CSF:
            groups.setdefault(tissue_group(name), []).append(label)
    sigma = _voxels(BORDER_SIGMA_MM, images)
    out = []
    for members in groups.values():
        inside = np.isin(images.labels, members)
        pure = inside & reference
        if pure.sum() < MIN_CLASS_VOXELS // 2:
            pure = inside & tissue
        if pure.sum() >= MIN_CLASS_VOXELS // 2:
            out.append((ndi.gaussian_filter(inside.astype(np.float64), sigma, truncate=3.0), pure))
    return out


def _against_tissue(values: Field, shares: list[Share]) -> Field:
    """Log ratio to the expected value: the median of each tissue group, blended across borders."""
    expected, weight = np.zeros(values.shape), np.zeros(values.shape)
    for share, pure in shares:
        expected += share * float(np.median(values[pure]))
        weight += share
    return np.asarray(np.where(weight > 1e-3, values - expected / np.maximum(weight, 1e-3), 0.0))


def _depth(images: DiffusionImages, unweighted: Field, tissue: Mask) -> Field:
    level = float(np.median(unweighted[tissue])) if tissue.any() else 0.0
    signal = (unweighted > level + np.log(SIGNAL)) & (images.adc > 0)
    filled = np.stack([ndi.binary_fill_holes(plane) for plane in signal])
    padded = np.pad(filled, ((0, 0), (1, 1), (1, 1)))
    depth = ndi.distance_transform_edt(padded, sampling=images.spacing_mm)
    return np.asarray(depth[:, 1:-1, 1:-1])
