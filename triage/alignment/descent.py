"""Two images in; the linear transform that lays one on the other out: one resolution level, and the first alignment of
two whole heads.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import numpy as np

from triage.alignment.images import NEAREST, resample
from triage.errors import NotAssessable
from triage.libraries import sitk

# From an upright start the alignment at 8 mm finds heads that are turned by up to about 20 degrees; from 35 degrees it
# finds those of 15 to 50 (bench/turned.py). About x (a nod), y (a lean) and z (a turn).
TURNED_DEG = 35.0
TURNS_DEG = tuple(
    tuple(sign * TURNED_DEG if axis == about else 0.0 for axis in range(3)) for about in range(3) for sign in (-1, 1)
)


def descend(
    fixed: sitk.Image,
    moving: sitk.Image,
    start: sitk.Transform,
    *,
    step_mm: float,
    mask: sitk.Image | None = None,
    mutual_information: bool = False,
    iterations: int = 100,
    share: float = 1.0,
) -> tuple[sitk.Transform, float]:
    """One resolution level of a linear registration.

    Args:
        start: the transform to begin from; the result is of the same type.
        step_mm: first step of the gradient descent, in mm of shift.
        mask: where ``fixed`` is read; any grid in its space.
        mutual_information: Mattes' measure, for different contrasts; else correlation.
        share: share of the voxels that is read.

    Returns:
        The transform (fixed points -> moving points, LPS mm) and the similarity (higher is better).

    Raises:
        NotAssessable: ``registration_failed`` when the images do not overlap at the start or on the way.
    """
    method = sitk.ImageRegistrationMethod()
    if mutual_information:
        method.SetMetricAsMattesMutualInformation(32)
    else:
        method.SetMetricAsCorrelation()
        method.MetricUseMovingImageGradientFilterOff()  # smooth images: differences of voxels do, in half the time
    if mask is not None:
        method.SetMetricFixedMask(resample(mask, fixed, how=NEAREST))
    if share < 1.0:  # a regular subset of voxels with a fixed seed: the same images give the same transform
        method.SetMetricSamplingStrategy(method.REGULAR)
        method.SetMetricSamplingPercentage(share, 1)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(step_mm, step_mm * 5e-3, iterations, 0.5, 1e-6)
    method.SetOptimizerScalesFromPhysicalShift()
    transform = type(start)(start)
    method.SetInitialTransform(transform, True)
    try:
        method.Execute(fixed, moving)
    except RuntimeError as error:  # ITK has one class for all of its errors
        raise NotAssessable("registration_failed", "the images do not overlap") from error
    return transform, -float(method.GetMetricValue())


def _starts(fixed: sitk.Image, moving: sitk.Image) -> list[sitk.Euler3DTransform]:
    """Centres of mass aligned, and centres of the grids aligned: each can fail on a cut field of view.

    Raises:
        NotAssessable: ``registration_failed`` when an image is empty.
    """
    kinds = (sitk.CenteredTransformInitializerFilter.MOMENTS, sitk.CenteredTransformInitializerFilter.GEOMETRY)
    try:
        return [
            sitk.Euler3DTransform(sitk.CenteredTransformInitializer(fixed, moving, sitk.Euler3DTransform(), kind))
            for kind in kinds
        ]
    except RuntimeError as error:  # of an image without mass; ITK has one class for all of its errors
        raise NotAssessable("registration_failed", "an image is empty") from error


def _turned(start: sitk.Euler3DTransform, angles_deg: Sequence[float]) -> sitk.Euler3DTransform:
    """The same start, turned about its own centre by angles about x, y and z."""
    out = sitk.Euler3DTransform(start)
    out.SetRotation(*np.radians(angles_deg).tolist())
    return out


def coarse_rigid(fixed: sitk.Image, moving: sitk.Image, *, turned: bool = False) -> sitk.Euler3DTransform:
    """Whole-head alignment at 8 mm by mutual information from several starts; the best wins.

    Args:
        turned: also from heads that nod, lean and turn far: six starts more, 0.5 s.

    Raises:
        NotAssessable: ``registration_failed`` when an image is empty, or every start leaves the images apart.
    """
    upright = _starts(fixed, moving)
    best = _best_descent(fixed, moving, upright, iterations=60)
    if turned:
        far = _best_descent(fixed, moving, [_turned(upright[0], angles) for angles in TURNS_DEG], iterations=60)
        if far and (not best or far[1] > best[1]):  # it may still be on its way
            best = _best_descent(fixed, moving, [far[0]], iterations=140) or far
    if not best:
        raise NotAssessable("registration_failed", "the images do not overlap from any start")
    return best[0]


def _best_descent(
    fixed: sitk.Image, moving: sitk.Image, starts: Sequence[sitk.Euler3DTransform], *, iterations: int
) -> tuple[sitk.Euler3DTransform, float] | None:
    """Where the best of these descents at 8 mm ends, and its mutual information; None: all of them leave the images
    apart."""
    tried = []
    for start in starts:
        with suppress(NotAssessable):
            tried.append(descend(fixed, moving, start, step_mm=4.0, mutual_information=True, iterations=iterations))
    return max(tried, key=lambda pair: pair[1], default=None)
