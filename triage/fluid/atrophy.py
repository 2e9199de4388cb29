"""One FLAIR and its regions in, the size of the ventricles and of deep sulci for the head out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from triage.alignment.images import resample, to_sitk
from triage.anatomy import WHITE, mask_of
from triage.libraries import ndi, sitk
from triage.measurements import not_measured
from triage.model import Found, Mask, Measurement, Volume

SHARE = "fluid_share_percent"
LATERAL = ("lateral_ventricle_left", "lateral_ventricle_right")


@dataclass(frozen=True)
class AtrophyLimits:
    """How fluid is counted on a FLAIR."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    # darker than this share of white matter is fluid; at 0.7 three real scans gave 17 to 22 mL of lateral ventricles,
    # an independent segmentation 20 to 23
    fluid_level: float = 0.7
    # ventricles are looked for this far around the atlas's, which follow large ones only in part
    reach_mm: float = 8.0
    # sulci are counted this deep below the atlas's brain surface, where skull and air cannot be mistaken for them
    depth_mm: float = 3.0
    # smallest connected piece of a ventricle
    min_piece_ml: float = 0.2
    # more dark voxels than this mean that the atlas lies wrong
    worst_share_percent: float = 15.0
    # reference tissue that must be in view
    min_white_ml: float = 100.0
    # share of the brain that must be in view for a share of the head to mean anything
    min_seen: float = 0.9


def fluid_shares(
    flair: Volume, labels: Volume, brain: Volume, names: Mapping[int, str], limits: AtrophyLimits
) -> Found:
    """Fluid over the space inside the skull, percent.

    Args:
        labels, brain: uint8, one cubic grid in the scan's space (LPS mm).
    """
    image = sitk.GetArrayFromImage(resample(to_sitk(flair), to_sitk(labels, sitk.sitkUInt8)))
    inside = brain.voxels > 0
    white = mask_of(labels.voxels, names, WHITE) & (image > 0)
    if white.sum() * labels.voxel_volume_ml < limits.min_white_ml:
        return _nothing("no_reference_tissue: too little white matter is in view")
    seen = float((image[inside] > 0).mean())
    if seen < limits.min_seen:
        return _nothing(f"coverage: only {seen:.0%} of the brain is in view")
    dark = inside & (image > 0) & (image < limits.fluid_level * float(np.median(image[white])))
    spacing = labels.spacing_mm[0]
    beside = ndi.distance_transform_edt(~mask_of(labels.voxels, names, LATERAL)) * spacing <= limits.reach_mm
    outside = mask_of(labels.voxels, names, ("sulcal_csf",))
    ventricles = _large_pieces(dark & beside & ~outside, limits.min_piece_ml / labels.voxel_volume_ml)
    deep = ndi.distance_transform_edt(inside) * spacing > limits.depth_mm
    shares = {
        name: 100.0 * float(mask.sum() / inside.sum()) for name, mask in _named(ventricles, dark & ~beside & deep)
    }
    if shares["sulcal_csf"] > limits.worst_share_percent:
        return _nothing(
            f"atlas_misfit: {shares['sulcal_csf']:.0f} % of the brain is as dark as fluid, the atlas lies wrong"
        )
    return Found(tuple(Measurement(name, SHARE, value, "%") for name, value in shares.items()))


def _named(ventricles: Mask, sulci: Mask) -> tuple[tuple[str, Mask], ...]:
    return ("ventricles", ventricles), ("sulcal_csf", sulci)


def _nothing(why: str) -> Found:
    return Found(tuple(not_measured(name, SHARE, "%", why) for name in ("ventricles", "sulcal_csf")))


def _large_pieces(mask: Mask, voxels: float) -> Mask:
    labelled: npt.NDArray[np.integer[Any]]
    labelled, _ = ndi.label(mask)
    keep = np.bincount(labelled.ravel()) >= voxels
    keep[0] = False
    return np.asarray(keep[labelled])
