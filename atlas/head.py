"""The MNI152 2009a brain and the Colin 27 head (mricron ``ch2``) in, a whole symmetric head around that brain out.

Both are T1-weighted. Colin 27 is warped onto the template, and the template's brain replaces its brain. The warp also
carries the AAL map, which was drawn on Colin 27, onto the template.
"""

# mypy: disable-error-code="no-untyped-call"
# SimpleITK ships stubs without argument types

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from atlas.grid import Array, Float, Mask, distance_mm, mirrored, smooth

BRAIN_PERCENTILE = 60  # intensity scales are matched at this percentile of the brain (between grey and white matter)


def _affine(fixed: sitk.Image, moving: sitk.Image) -> sitk.Transform:
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(48)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(0.1, 1)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(1.0, 1e-3, 200)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([4, 2])
    method.SetSmoothingSigmasPerLevel([3, 1])
    method.SetInitialTransform(sitk.AffineTransform(3))
    transform: sitk.Transform = method.Execute(fixed, moving)
    return transform


def _demons(fixed: sitk.Image, moving: sitk.Image) -> sitk.Image:
    """Diffeomorphic demons, 4 mm then 2 mm; displacement field in mm on the fixed grid."""
    field: sitk.Image | None = None
    for shrink in (4, 2):
        coarse = sitk.Shrink(sitk.SmoothingRecursiveGaussian(fixed, 0.5 * shrink), [shrink] * 3)
        coarse_moving = sitk.Resample(sitk.SmoothingRecursiveGaussian(moving, 0.5 * shrink), coarse)
        demons = sitk.DiffeomorphicDemonsRegistrationFilter()
        demons.SetNumberOfIterations(40)
        demons.SetStandardDeviations(1.5)
        demons.SetSmoothDisplacementField(True)
        if field is None:
            field = demons.Execute(coarse, coarse_moving)
        else:
            field = demons.Execute(coarse, coarse_moving, sitk.Resample(field, coarse))
    assert field is not None  # noqa: S101 - the loop above ran
    return sitk.Resample(field, fixed)


def _extrapolated(field: sitk.Image, brain: Mask) -> sitk.Image:
    """Keep the displacement inside the brain and continue it smoothly outside (normalised Gaussian, 8 mm)."""
    vectors = sitk.GetArrayFromImage(field)
    weight = smooth(brain, 8.0) + 1e-3
    outside = np.stack([smooth(vectors[..., c] * brain, 8.0) / weight for c in range(3)], axis=-1)
    inside = smooth(brain, 2.0)[..., None]
    out = sitk.GetImageFromArray((inside * vectors + (1 - inside) * outside).astype(np.float64), isVector=True)
    out.CopyInformation(field)
    return out


def register_colin(template: sitk.Image, colin_brain: sitk.Image) -> sitk.Transform:
    """Point transform template LPS mm -> Colin 27 LPS mm (affine, then demons on the brain)."""
    fixed = sitk.Cast(template, sitk.sitkFloat32)
    moving = sitk.Cast(colin_brain, sitk.sitkFloat32)
    affine = _affine(fixed, moving)
    placed = sitk.HistogramMatching(sitk.Resample(moving, fixed, affine, sitk.sitkLinear, 0.0), fixed, 256, 15, True)
    field = _extrapolated(_demons(fixed, placed), sitk.GetArrayViewFromImage(template) > 0)
    return sitk.CompositeTransform([affine, sitk.DisplacementFieldTransform(field)])


def whole_head(template: sitk.Image, colin: sitk.Image, warp: sitk.Transform, brain_mask: Mask) -> Float:
    """Symmetric head T1, 0..255, shape (k, j, i): the template inside the brain mask, warped Colin 27 outside.

    Colin 27 is averaged with its mirror image. The seam is blended over about 2 mm outside the mask, so that the
    template's brain stays as it is.
    """
    stored = np.asarray(sitk.GetArrayFromImage(template), dtype=np.float32)
    brain: Array = (stored + mirrored(stored)) / 2
    warped = sitk.GetArrayFromImage(
        sitk.Resample(sitk.Cast(colin, sitk.sitkFloat32), template, warp, sitk.sitkLinear, 0.0)
    )
    warped *= np.percentile(brain[brain_mask], BRAIN_PERCENTILE) / np.percentile(warped[brain_mask], BRAIN_PERCENTILE)
    warped = (warped + mirrored(warped)) / 2
    weight = np.clip(1 - distance_mm(brain_mask) / 2.0, 0, 1)
    edge = brain.copy()  # continue the brain's rim outwards for the blend
    index = ndimage.distance_transform_edt(~brain_mask, return_distances=False, return_indices=True)
    edge = edge[tuple(index)]
    head = weight * edge + (1 - weight) * warped
    head = np.where(brain_mask, brain, head)
    # white matter to about 150 so that fat (brighter) is not clipped
    return np.asarray(np.clip(head * (150.0 / np.percentile(brain[brain_mask], 90)), 0, 255), dtype=np.float32)


def synthetic_flair(head_t1: Float, grey: Array, white: Array, brain_mask: Mask, deep_grey: Mask) -> Float:
    """FLAIR-like head, 0..255: CSF 25, white matter 100, cortex 118, deep grey 108; outside the brain a remapped T1.

    Args:
        grey, white: probability 0..1, shape (k, j, i).
        deep_grey: nuclei and brain stem, whose grey is only slightly above white matter.
    """
    total = np.clip(grey + white, 1e-3, None)
    scale = np.minimum(1.0, 1.0 / total)
    g, w = grey * scale, white * scale
    soft_deep = smooth(deep_grey, 1.0)
    inside = 25.0 * (1 - g - w) + w * 100.0 + g * (118.0 - 10.0 * soft_deep)
    outside = np.interp(head_t1, [0, 30, 60, 120, 200, 255], [0, 12, 40, 70, 125, 150])
    blend = smooth(brain_mask, 0.7)
    return np.asarray(blend * inside + (1 - blend) * outside, dtype=np.float32)
