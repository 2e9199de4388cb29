"""A registered pair in, both dates on one half-way grid and one intensity scale out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from triage.alignment.grid import Grid
from triage.alignment.images import (
    LINEAR,
    NEAREST,
    affine_of,
    affine_transform,
    around,
    blurred,
    inverse,
    isotropic_grid,
    resample,
    shown_on,
    to_sitk,
)
from triage.alignment.normalisation import CommonScale, common_scale, robust_sd
from triage.alignment.registration import half_way
from triage.alignment.session import Session
from triage.alignment.slices import SlicePair, known_at, slice_gains, stack_on, uneven, without_gains
from triage.errors import NotAssessable
from triage.libraries import sitk
from triage.model import Affine, Mask, RegistrationResult, SequenceKind, Volume, Voxels
from triage.side_by_side import side_by_side

BLUR_REACH = 3.0  # widths (FWHM) of a Gaussian, 7 sigma
EVENED = 2  # most times that the gains of slices are measured and taken out


@dataclass(frozen=True, eq=False)
class Pair:
    """Both dates on one cubic grid half-way between them."""

    grid: Grid  # regions and field of view on that grid, arrays (k, j, i)
    image_grid: sitk.Image  # the geometry of that grid, LPS mm
    scale: CommonScale
    followup_to_half_way: Affine  # (4, 4), LPS mm -> LPS mm; the same transform leads from half-way to the baseline
    slices: SlicePair | None = None  # of both FLAIRs, as that grid sees them; None: every gain counts as known
    agent_between: bool = False  # the follow-up's FLAIR was acquired after contrast, the baseline's before


def on_common_grid(
    followup: sitk.Image,
    baseline: sitk.Image,
    anatomy: tuple[Volume, Volume, Mapping[int, str]],
    registration: RegistrationResult,
    spacing: float,
) -> Pair:
    """Both dates and the regions on one cubic grid half-way between them, equally interpolated and equally blurred.

    Args:
        followup, baseline: float32 FLAIR images, each in its own space (LPS mm).
        anatomy: labels and mask of the whole brain in baseline space, also of what the baseline does not show; label ->
            region.
        spacing: of the cubic grid, mm.

    Raises:
        NotAssessable: ``no_reference_tissue``, see triage.alignment.normalisation.
    """
    region_labels, brain_mask, names = anatomy
    to_half = half_way(registration.followup_to_baseline)  # follow-up -> half-way, and half-way -> baseline
    brain = to_sitk(brain_mask, sitk.sitkUInt8)
    grid = isotropic_grid(brain, spacing)  # the brain box of the baseline, carried half-way
    grid = _moved_grid(grid, inverse(to_half))
    labels = resample(to_sitk(region_labels, sitk.sitkUInt8), grid, affine_transform(to_half), how=NEAREST)
    seen = shown_on(followup, grid, inverse(to_half)) & shown_on(baseline, grid, to_half)
    arrays = Grid(sitk.GetArrayFromImage(labels), names, seen, spacing)
    scale, slices = _evened((followup, baseline), grid, to_half, arrays)
    return Pair(arrays, grid, scale, to_half, slices)


def _evened(
    images: tuple[sitk.Image, sitk.Image], grid: sitk.Image, to_half: Affine, arrays: Grid
) -> tuple[CommonScale, SlicePair]:
    """Both dates on one scale, without the gain of single slices (triage.alignment.slices)."""
    ways = (inverse(to_half), to_half)
    stacks = stack_on(images[0], grid, ways[0]), stack_on(images[1], grid, ways[1])
    parts = _around_grid(images, grid, ways, arrays.spacing_mm)
    first = [image.TransformPhysicalPointToIndex(part.GetOrigin()) for image, part in zip(images, parts, strict=True)]
    scale = _scaled(parts, grid, ways, arrays)
    gains = slice_gains(scale.change, scale.healthy & arrays.seen, stacks)
    for _ in range(EVENED):
        if not uneven(gains):
            break
        parts = (
            without_gains(parts[0], gains[0], stacks[0], first[0]),
            without_gains(parts[1], gains[1], stacks[1], first[1]),
        )
        scale = _scaled(parts, grid, ways, arrays)
        gains = slice_gains(scale.change, scale.healthy & arrays.seen, stacks)
    known = known_at(gains[0], stacks[0]) & known_at(gains[1], stacks[1])
    return scale, SlicePair(stacks, known)


def _scaled(
    parts: tuple[sitk.Image, sitk.Image], grid: sitk.Image, ways: tuple[Affine, Affine], arrays: Grid
) -> CommonScale:
    """Both dates, equally blurred, on the grid and on one scale. ways: half-way -> each date, LPS mm."""
    voxels = [
        sitk.GetArrayFromImage(resample(image, grid, affine_transform(way)))
        for image, way in zip(equal_blur(*parts, arrays.spacing_mm), ways, strict=True)
    ]
    return common_scale(voxels[0], voxels[1], arrays.labels, arrays.names, arrays.seen)


def tissue_spread(pair: Pair) -> float:
    """Robust sd (log units) of the log ratio over the brain tissue in view.

    It is what one scale and a smooth field leave unexplained between two scans of one head. Two FLAIRs leave their
    noise. An image of another contrast leaves its contrast, even though the registration aligns its edges.
    """
    level = pair.scale.baseline_level
    tissue = (pair.grid.labels > 0) & pair.grid.seen & (level > 0.6) & (level < 1.9) & np.isfinite(pair.scale.change)
    return robust_sd(pair.scale.change[tissue])


def carried(
    pair: Pair, volume: Volume, to_anchor: Affine, *, followup: bool, how: str = LINEAR, blur_mm: float = 0.0
) -> Voxels:
    """Any series of either date on the half-way grid, (k, j, i) float32.

    Args:
        to_anchor: (4, 4), points of the series -> points of its date's FLAIR, LPS mm.
        followup: whether the series is of the follow-up; else of the baseline.
        how: LINEAR, NEAREST or SPLINE of ``triage.alignment.images``.
        blur_mm: resolution (FWHM, mm) that each finer axis is blurred to first; 0: no blurring.
    """
    to_flair = inverse(pair.followup_to_half_way) if followup else pair.followup_to_half_way
    image = to_sitk(volume)
    image = blurred(image, [_sigma_mm(blur_mm**2 - spacing**2) for spacing in image.GetSpacing()])
    transform = affine_transform(inverse(to_anchor) @ to_flair)
    return np.asarray(sitk.GetArrayFromImage(resample(image, pair.image_grid, transform, how=how)), dtype=np.float32)


def contrasts(
    pair: Pair, followup: Session, baseline: Session, kinds: Iterable[SequenceKind]
) -> tuple[dict[SequenceKind, tuple[CommonScale, Mask]], tuple[str, ...]]:
    """The contrasts that both dates share, each on one scale.

    Returns:
        Kind -> (the scale, where both dates show it), and a sentence for each of ``kinds`` that is missing.
    """
    out: dict[SequenceKind, tuple[CommonScale, Mask]] = {}
    problems = []
    for kind in kinds:
        if kind not in followup.volumes or kind not in baseline.volumes:
            problems.append(f"no {kind.value} at both dates")
        elif kind is SequenceKind.FLAIR:
            out[kind] = pair.scale, pair.grid.seen
        else:
            try:
                out[kind] = _contrast(pair, kind, followup, baseline)
            except NotAssessable as refusal:
                problems.append(f"{kind.value}: {refusal}")
    return out, tuple(problems)


def _contrast(pair: Pair, kind: SequenceKind, followup: Session, baseline: Session) -> tuple[CommonScale, Mask]:
    native = to_sitk(followup.volumes[kind]), to_sitk(baseline.volumes[kind])
    ways = (
        inverse(followup.to_anchor[kind]) @ inverse(pair.followup_to_half_way),
        inverse(baseline.to_anchor[kind]) @ pair.followup_to_half_way,
    )
    images = equal_blur(*_around_grid(native, pair.image_grid, ways, pair.grid.spacing_mm), pair.grid.spacing_mm)
    seen = pair.grid.seen.copy()
    voxels = []
    for image, shows, way in zip(images, native, ways, strict=True):
        seen &= shown_on(shows, pair.image_grid, way)
        voxels.append(sitk.GetArrayFromImage(resample(image, pair.image_grid, affine_transform(way))))
    return common_scale(voxels[0], voxels[1], pair.grid.labels, pair.grid.names, seen), seen


def in_followup_space(pair: Pair, voxels: npt.NDArray[Any]) -> Volume:
    """An array (k, j, i) of the half-way grid as a Volume in follow-up space (LPS mm).

    Only the affine changes; no voxel is resampled.
    """
    return Volume(voxels, inverse(pair.followup_to_half_way) @ affine_of(pair.image_grid))


def _around_grid(
    images: tuple[sitk.Image, sitk.Image], grid: sitk.Image, ways: tuple[Affine, Affine], spacing_mm: float
) -> tuple[sitk.Image, sitk.Image]:
    """What the grid reads of both images once they are blurred (``equal_blur``). ways: half-way -> each image, LPS mm.

    The blur takes long on whole heads. At the margin around the grid it has faded.
    """
    margin_mm = BLUR_REACH * max(spacing_mm, *images[0].GetSpacing(), *images[1].GetSpacing())
    return around(images[0], grid, ways[0], margin_mm), around(images[1], grid, ways[1], margin_mm)


def equal_blur(followup: sitk.Image, baseline: sitk.Image, spacing_mm: float) -> tuple[sitk.Image, sitk.Image]:
    """Both images at about the same resolution, and smooth enough to be sampled at ``spacing_mm``.

    Each is blurred along the axis on which the other is coarser.
    """
    return side_by_side(
        partial(_blur_like, followup, baseline, spacing_mm), partial(_blur_like, baseline, followup, spacing_mm)
    )


def _blur_like(image: sitk.Image, other: sitk.Image, spacing_mm: float) -> sitk.Image:
    directions = [np.array(i.GetDirection()).reshape(3, 3) for i in (image, other)]
    sigmas_mm = []
    for axis, mine in enumerate(image.GetSpacing()):
        alike = int(np.argmax(np.abs(directions[1].T @ directions[0][:, axis])))
        fwhm2 = max(other.GetSpacing()[alike], spacing_mm) ** 2 - mine**2
        sigmas_mm.append(_sigma_mm(fwhm2) if fwhm2 > 0.1 else 0.0)
    return blurred(image, sigmas_mm)


def _sigma_mm(fwhm2: float) -> float:
    """Sigma of a Gaussian by its squared width, mm2; 0 when that is negative."""
    return float(np.sqrt(max(fwhm2, 0.0))) / 2.355


def _moved_grid(grid: sitk.Image, matrix: Affine) -> sitk.Image:
    """The same grid carried rigidly by ``matrix`` (baseline points -> half-way points)."""
    affine = matrix @ affine_of(grid)
    out = sitk.Image(grid.GetSize(), grid.GetPixelID())
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    out.SetSpacing(spacing.tolist())
    out.SetOrigin(affine[:3, 3].tolist())
    out.SetDirection((affine[:3, :3] / spacing).ravel().tolist())
    return out
