"""Two images of one head in; a rigid transform out (or an affine, for the atlas), with a quality that can refuse it.

Similarity is the correlation of *locally normalised* images: every voxel minus the mean of its neighbourhood, over the
neighbourhood's standard deviation. Differences of the receive field and the scanner are smooth, so this removes them
before the comparison. On the two real pairs the error against the publishers' transforms fell from 0.49 / 1.34 mm
(Mattes mutual information) to 0.15 / 0.55 mm.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np

from triage.alignment.descent import coarse_rigid, descend
from triage.alignment.images import (
    NEAREST,
    affine_of,
    affine_transform,
    blurred,
    inverse,
    matrix_of,
    resample,
    shown_planes,
    smoothed_onto,
)
from triage.alignment.sampling import some_of
from triage.errors import NotAssessable
from triage.libraries import sitk
from triage.model import Affine, Mask, RegistrationResult
from triage.side_by_side import side_by_side

COARSE_MM, MIDDLE_MM, FINE_MM = 8.0, 4.0, 2.0
# Share of the voxels that the finest level reads: every seventh. Of 40 follow-ups of four real pairs, turned at random,
# it was as near to the middle of all answers (0.017 mm on average, 0.04 at most) as a quarter was (0.015 and 0.05), in
# four fifths of the time. With an eighth an unmoved simulated head moved by 0.052 mm
FINE_SHARE = 0.16
# Of the middle level, from where the finest one begins. Half of the voxels lead to the same place (0.02 to 0.09 mm from
# the answer of all voxels at both levels for four pairs, as with all of the middle level) in three fifths of the time
MIDDLE_SHARE = 0.5


@dataclass(frozen=True)
class RegistrationLimits:
    """Gates of the registration of a follow-up to its baseline; each can refuse it."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    # largest mean distance over the brain between the forward and the inverted backward registration, for slices up to
    # thick_slice_mm (starting point: 0.5 mm for thin and 2 mm for thick slices, docs/method.md)
    inverse_consistency_mm: float = 0.7
    # the same for slices thicker than thick_slice_mm
    inverse_consistency_thick_mm: float = 2.0
    # slice thickness above which the wider limit holds
    thick_slice_mm: float = 2.5
    # smallest correlation of the locally normalised images inside the brain; one head at two dates measured 0.54-0.9,
    # two different heads 0.15-0.35 (bench/accuracy)
    similarity: float = 0.42
    # smallest share of the baseline's brain inside the follow-up's field of view
    coverage: float = 0.9
    # largest stretch of the follow-up in any direction, as a share
    scale_error: float = 0.04


# mm: four voxels of the coarse image, which smoothing needs; and more than any field of view
SMALLEST_EXTENT_MM = 32.0
LARGEST_EXTENT_MM = 1000.0


@dataclass(frozen=True, eq=False)
class Pyramid:
    """One image at 8, 4 and 2 mm (cubic voxels); middle and fine are locally normalised."""

    coarse: sitk.Image
    middle: sitk.Image
    fine: sitk.Image


def normalise_locally(image: sitk.Image, sigma_mm: float) -> sitk.Image:
    """(x - local mean) / sqrt(local variance + floor^2), in a Gaussian neighbourhood.

    The floor is 5 % of the image's bright level (90th percentile of what is above 0), so that noise in air stays small.
    """
    values = sitk.GetArrayViewFromImage(image)
    bright = float(np.percentile(values[values > 0], 90)) if (values > 0).any() else 1.0
    mean = blurred(image, [sigma_mm] * 3)
    variance = blurred(image * image, [sigma_mm] * 3) - mean * mean
    floor = (0.05 * bright) ** 2
    spread = sitk.Sqrt(sitk.Maximum(variance, 0.0) + floor)
    return sitk.Cast((image - mean) / sitk.Cast(spread, sitk.sitkFloat32), sitk.sitkFloat32)


def pyramid(image: sitk.Image) -> Pyramid:
    """The working resolutions of a float32 image.

    Raises:
        NotAssessable: ``coverage`` when its extent is not that of an image of a head.
    """
    _check_extent(image)
    fine = smoothed_onto(image, FINE_MM)
    middle = smoothed_onto(fine, MIDDLE_MM)
    coarse = smoothed_onto(middle, COARSE_MM)
    return Pyramid(coarse, normalise_locally(middle, 8.0), normalise_locally(fine, 4.0))


def _check_extent(image: sitk.Image) -> None:
    """A wrong spacing makes an image too small to be smoothed, or a working grid that no memory holds."""
    extent_mm = [size * spacing for size, spacing in zip(image.GetSize(), image.GetSpacing(), strict=True)]
    if min(extent_mm) < SMALLEST_EXTENT_MM or max(extent_mm) > LARGEST_EXTENT_MM:
        said = " x ".join(f"{edge:.3g}" for edge in extent_mm)
        raise NotAssessable("coverage", f"the images cover {said} mm, which is no view of a head")


def rigid_one_way(
    fixed: Pyramid, moving: Pyramid, mask: sitk.Image, start: sitk.Transform
) -> tuple[sitk.Transform, float]:
    """Rigid transform, fixed points -> moving points, and the similarity.

    Args:
        mask: where ``fixed`` is read.
        start: where to begin, a few millimetres away at most.
    """
    transform, _ = descend(fixed.middle, moving.middle, start, step_mm=2.0, mask=mask, share=MIDDLE_SHARE)
    return descend(fixed.fine, moving.fine, transform, step_mm=1.0, mask=mask, iterations=60, share=FINE_SHARE)


def half_way(matrix: Affine) -> Affine:
    """The transform that, applied twice, gives ``matrix`` (real matrix square root; Denman-Beavers via scipy)."""
    from scipy.linalg import sqrtm

    return np.real(sqrtm(matrix)).astype(np.float64)


def mean_distance_mm(first: Affine, second: Affine, points: Affine) -> float:
    """Mean distance between the images of ``points`` (4, n) under two transforms."""
    return float(np.linalg.norm(((first - second) @ points)[:3], axis=0).mean())


def points_of(mask: sitk.Image, *, at_most: int = 4000) -> Affine:
    """Evenly taken voxel centres of a mask as homogeneous LPS mm points, shape (4, n)."""
    inside = sitk.GetArrayViewFromImage(mask) > 0
    k, j, i = np.unravel_index(some_of(inside, at_most), inside.shape)
    index = np.stack([i, j, k, np.ones(len(k), dtype=np.int64)]).astype(np.float64)
    return (affine_of(mask) @ index).astype(np.float64)


def covered(points: Affine, image: sitk.Image, transform: Affine) -> float:
    """Share of ``points`` that lie after ``transform`` where the image shows something."""
    return float(_shown_at(points, image, transform).mean()) if points.shape[1] else 0.0


def _shown_at(points: Affine, image: sitk.Image, transform: Affine) -> Mask:
    """Which of ``points`` lie between the first and the last planes that show something, (n,)."""
    index = (inverse(affine_of(image)) @ transform @ points)[:3]
    shown = [np.flatnonzero(planes) for planes in shown_planes(image)[::-1]]
    if not all(planes.size for planes in shown):
        return np.zeros(points.shape[1], dtype=bool)
    first, last = (np.array([planes[end] for planes in shown])[:, None] for end in (0, -1))
    return np.asarray(np.all((index >= first - 0.5) & (index <= last + 0.5), axis=0))


def register_followup(
    followup: sitk.Image,
    baseline: sitk.Image,
    baseline_brain: sitk.Image,
    limits: RegistrationLimits,
    *,
    slice_thickness_mm: float,
    baseline_pyramid: Pyramid | None = None,
    start: Affine | None = None,
) -> RegistrationResult:
    """Rigid registration of the follow-up FLAIR to the baseline FLAIR, the mean of both directions.

    A bad fit raises nothing: the result states that it is refused, and why.

    Raises:
        NotAssessable: ``registration_failed`` when the images come apart on the way, so that there is no fit at all.

    Args:
        followup, baseline: float32 images, any grids (LPS mm).
        baseline_brain: mask of the whole brain on the baseline side (any grid, same space).
        slice_thickness_mm: the thicker of the two acquisitions, for the consistency gate.
        baseline_pyramid: ``pyramid(baseline)`` when it was made before.
        start: (4, 4), follow-up points -> baseline points, to begin from; None: whole-head alignment.
    """
    moving, fixed = pyramid(followup), baseline_pyramid or pyramid(baseline)
    mask = sitk.BinaryDilate(resample(baseline_brain, fixed.fine, how=NEAREST), [3, 3, 3])
    there, similarity = _way_there(fixed, moving, mask, start, limits.similarity)
    mask_back = resample(mask, moving.fine, there.GetInverse(), how=NEAREST)
    (back, similarity_back), stretched = side_by_side(  # back: follow-up points -> baseline points
        partial(_refine, moving, fixed, there.GetInverse(), mask_back),
        partial(scale_error, fixed.middle, moving.middle, there, mask),
    )
    forward, backward = inverse(matrix_of(there)), matrix_of(back)
    mean = orthonormal(backward @ half_way(inverse(backward) @ forward))
    points = points_of(baseline_brain)
    points = points[:, _shown_at(points, baseline, np.eye(4))]  # the baseline may show a part of the brain
    seen = inverse(mean) @ points
    quality = {
        "inverse_consistency_mm": mean_distance_mm(forward, backward, seen),
        "similarity": min(similarity, similarity_back),
        "brain_coverage": covered(points, followup, inverse(mean)),
        "scale_error": stretched,
        "rotation_deg": rotation_deg(mean),
        "shift_mm": float(np.linalg.norm((mean @ seen - seen)[:3].mean(axis=1))),
    }
    reason = refusal(quality, limits, thick=slice_thickness_mm > limits.thick_slice_mm)
    return RegistrationResult(reason is None, reason, quality, mean)


def _way_there(
    fixed: Pyramid, moving: Pyramid, mask: sitk.Image, start: Affine | None, enough: float
) -> tuple[sitk.Transform, float]:
    """Baseline points -> follow-up points, and the similarity.

    Args:
        start: as ``register_followup``.
        enough: below this similarity the head may be turned far, and is looked for once more.
    """
    if start is not None:
        return rigid_one_way(fixed, moving, mask, rigid_transform(inverse(start), fixed.fine))
    found = rigid_one_way(fixed, moving, mask, coarse_rigid(fixed.coarse, moving.coarse))
    if found[1] >= enough:
        return found
    with suppress(NotAssessable):  # what was found first is a fit, though a bad one
        turned = rigid_one_way(fixed, moving, mask, coarse_rigid(fixed.coarse, moving.coarse, turned=True))
        return max(found, turned, key=lambda one: one[1])
    return found


def rigid_transform(matrix: Affine, image: sitk.Image) -> sitk.Euler3DTransform:
    """ITK's rigid transform for a rigid (4, 4), turning about the middle of ``image``."""
    centre = np.array(image.TransformContinuousIndexToPhysicalPoint([(s - 1) / 2 for s in image.GetSize()]))
    out = sitk.Euler3DTransform()
    out.SetCenter(centre.tolist())
    out.SetMatrix(matrix[:3, :3].ravel().tolist(), 1e-5)
    out.SetTranslation((matrix[:3, 3] + matrix[:3, :3] @ centre - centre).tolist())
    return out


def _refine(fixed: Pyramid, moving: Pyramid, start: sitk.Transform, mask: sitk.Image) -> tuple[sitk.Transform, float]:
    """Middle and fine levels from a start 1 mm off in each direction.

    Without that displacement the backward registration would agree with the forward one simply by not moving.
    """
    nudged = sitk.Euler3DTransform(start)
    nudged.SetTranslation([t + d for t, d in zip(nudged.GetTranslation(), (1.0, -1.0, 1.0), strict=True)])
    return rigid_one_way(fixed, moving, mask, nudged)


def scale_error(fixed: sitk.Image, moving: sitk.Image, rigid: sitk.Transform, mask: sitk.Image) -> float:
    """How much the best affine stretches: the largest |log singular value| of its linear part (0.05: 5 %).

    One head has one size. A stretch means a wrong voxel size or slice distance in a header, or another head of about
    the same shape.
    """
    start = _centred(affine_transform(matrix_of(rigid)), fixed)
    free, _ = descend(fixed, moving, start, step_mm=1.0, mask=mask, iterations=40, share=MIDDLE_SHARE)
    return float(np.abs(np.log(np.linalg.svd(matrix_of(free)[:3, :3])[1])).max())


def refusal(quality: dict[str, float], limits: RegistrationLimits, *, thick: bool) -> str | None:
    """The reason code and figures of the first gate that fails, or None."""
    consistency = limits.inverse_consistency_thick_mm if thick else limits.inverse_consistency_mm
    if quality["brain_coverage"] < limits.coverage:
        return (
            f"coverage: the follow-up shows {quality['brain_coverage']:.0%} of the baseline's brain, "
            f"at least {limits.coverage:.0%} is needed"
        )
    if quality["similarity"] < limits.similarity:
        return (
            f"registration_failed: similarity {quality['similarity']:.2f} is below {limits.similarity:.2f} "
            "(another head, heavy motion, or a different contrast)"
        )
    if quality["scale_error"] > limits.scale_error:
        return (
            f"geometry: the follow-up fits best when stretched or shrunk by {quality['scale_error']:.1%}, "
            f"limit {limits.scale_error:.1%} (a wrong voxel size in a header, or another head)"
        )
    if quality["inverse_consistency_mm"] > consistency:
        return (
            "registration_failed: forward and backward registration differ by "
            f"{quality['inverse_consistency_mm']:.2f} mm, limit {consistency:.2f} mm"
        )
    return None


def rotation_deg(matrix: Affine) -> float:
    """Rotation angle of the rotation part, degrees."""
    rotation = orthonormal(matrix)[:3, :3]
    return float(np.degrees(np.arccos(np.clip((np.trace(rotation) - 1) / 2, -1, 1))))


def orthonormal(matrix: Affine) -> Affine:
    """The same transform with its linear part replaced by the nearest rotation (SVD)."""
    u, _, vt = np.linalg.svd(matrix[:3, :3])
    out = matrix.copy()
    out[:3, :3] = u @ np.diag([1.0, 1.0, np.linalg.det(u @ vt)]) @ vt
    return out


def affine_levels(
    fixed: Sequence[sitk.Image],
    moving: Sequence[sitk.Image],
    start: Affine,
    mask: sitk.Image | None,
    *,
    mutual_information: bool,
) -> tuple[Affine, float]:
    """12-parameter refinement over paired resolution levels, coarse first.

    Returns:
        (4, 4), fixed points -> moving points, LPS mm, and the similarity at the last level.
    """
    transform: sitk.Transform = _centred(affine_transform(start), fixed[-1])
    similarity = 0.0
    for f, m in zip(fixed, moving, strict=True):
        transform, similarity = descend(
            f, m, transform, step_mm=f.GetSpacing()[0] / 2, mask=mask, mutual_information=mutual_information
        )
    return matrix_of(transform), similarity


def _centred(transform: sitk.AffineTransform, image: sitk.Image) -> sitk.AffineTransform:
    """The same mapping, turning about the middle of ``image``: this conditions the optimiser far better."""
    centre = np.array(image.TransformContinuousIndexToPhysicalPoint([(s - 1) / 2 for s in image.GetSize()]))
    matrix = matrix_of(transform)
    out = sitk.AffineTransform(3)
    out.SetCenter(centre.tolist())
    out.SetMatrix(matrix[:3, :3].ravel().tolist())
    out.SetTranslation((matrix[:3, 3] + matrix[:3, :3] @ centre - centre).tolist())
    return out
