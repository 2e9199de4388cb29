"""Bright lesions and fluid of one scan in; how much smaller the lateral ventricle beside the largest lesion is, out.

A lesion that swells presses on the ventricle of its side; an old one widens it. So the sign tells new from old when
there is no earlier scan.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from triage.anatomy import mask_of, midline
from triage.libraries import ndi
from triage.measurements import not_measured
from triage.model import Mask, Measurement

QUANTITY = "ventricle_narrowing_percent"
REACH_MM = 4.0  # ventricles differ from the atlas's by about this much


def narrowing(
    lesions: Mask, fluid: Mask, labels: npt.NDArray[np.uint8], names: Mapping[int, str], spacing_mm: float,
    smallest_ml: tuple[float, float],
) -> Measurement:  # fmt: skip
    """Percent by which the ventricle of the lesion's side is smaller than the other; negative: larger.

    Args:
        lesions, fluid: (k, j, i) on the cubic grid of ``labels``.
        smallest_ml: of a lesion that can press; of both ventricles together, below which they cannot be compared.

    Returns:
        0 when no lesion is large enough; not measured when the ventricles are too small to compare.
    """
    voxel_ml = spacing_mm**3 / 1000.0
    numbered, count = ndi.label(lesions, np.ones((3, 3, 3)))
    sizes = np.bincount(numbered.ravel(), minlength=count + 1)[1:] * voxel_ml
    if count == 0 or sizes.max() < smallest_ml[0]:
        return Measurement("brain", QUANTITY, 0.0, "%", reason=f"no lesion of {smallest_ml[0]:g} mL")
    near = ndi.distance_transform_edt(
        ~mask_of(labels, names, ("lateral_ventricle_left", "lateral_ventricle_right")), sampling=spacing_mm
    )
    left = _left_half(labels, names)
    here = fluid & (np.asarray(near) <= REACH_MM)
    volumes = {True: float((here & left).sum()) * voxel_ml, False: float((here & ~left).sum()) * voxel_ml}
    if sum(volumes.values()) < smallest_ml[1]:
        return not_measured("brain", QUANTITY, "%", f"small_ventricles: less than {smallest_ml[1]:g} mL of fluid")
    on_left = bool(left[numbered == 1 + int(sizes.argmax())].mean() >= 0.5)
    beside, other = volumes[on_left], volumes[not on_left]
    if other <= 0:
        return not_measured("brain", QUANTITY, "%", "small_ventricles: the other one holds no fluid")
    side = "left" if on_left else "right"
    return Measurement("brain", QUANTITY, 100.0 * (1.0 - beside / other), "%", reason=f"largest lesion: {side}")


def _left_half(labels: npt.NDArray[np.uint8], names: Mapping[int, str]) -> Mask:
    """Which voxels lie on the patient's left of the midline."""
    normal, offset = midline(labels, names)
    away = sum(
        np.arange(n).reshape([-1 if axis == k else 1 for k in range(3)]) * normal[axis]
        for axis, n in enumerate(labels.shape)
    )
    beyond = np.asarray(away) > offset
    is_left = mask_of(labels, names, tuple(name for name in names.values() if name.endswith("_left")))
    return beyond if beyond[is_left].mean() >= 0.5 else ~beyond
