"""The parts of the pictures in, all of them on the follow-up FLAIR's own grid out.

It runs on request: the decision never waits for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from triage.alignment.images import LINEAR, NEAREST, affine_of, affine_transform, resample, to_sitk
from triage.libraries import sitk
from triage.model import Affine, Volume


@dataclass(frozen=True, eq=False)
class Evidence:
    """Ingredients of the pictures.

    followup, baseline: native FLAIR volumes. labels: regions in baseline space. change: log ratio on the half-way
    grid (None: not compared). followup_to_baseline, followup_to_half_way: (4, 4), LPS mm to LPS mm. Without a
    baseline: labels lie in follow-up space, transforms are None. masks: name -> uint8 Volume in follow-up space
    (``new_lesions``, ``enhancing``, ``restricted``, ...). diffusion: ``dwi`` (highest b-value) and ``adc``, native
    voxels placed in follow-up space; contrast: ``t1`` and ``t1_gd`` likewise, both or none. before: those of the
    baseline of the same names, placed in follow-up space.
    """

    followup: Volume
    baseline: Volume | None
    labels: Volume | None
    label_names: Mapping[int, str]
    change: Volume | None
    followup_to_baseline: Affine | None
    followup_to_half_way: Affine | None
    masks: Mapping[str, Volume] = field(default_factory=dict)
    diffusion: Mapping[str, Volume] = field(default_factory=dict)
    contrast: Mapping[str, Volume] = field(default_factory=dict)
    before: Mapping[str, Volume] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class EvidenceMaps:
    """On the follow-up grid, shape (k, j, i).

    Labels and masks are uint8. baseline and change_percent are float32, NaN where not measured.
    """

    followup: Volume
    labels: Volume | None
    baseline: Volume | None
    change_percent: Volume | None
    masks: Mapping[str, Volume] = field(default_factory=dict)


def on_followup_grid(evidence: Evidence) -> EvidenceMaps:
    """Resample everything onto the follow-up FLAIR's own grid."""
    grid = to_sitk(evidence.followup)
    to_baseline = None if evidence.followup_to_baseline is None else affine_transform(evidence.followup_to_baseline)

    def moved(
        volume: Volume | None, transform: sitk.Transform | None, how: str, outside: float, kind: int
    ) -> Volume | None:
        if volume is None:
            return None
        return Volume(
            sitk.GetArrayFromImage(resample(to_sitk(volume, kind), grid, transform, how=how, outside=outside)),
            affine_of(grid),
        )

    half_way = None if evidence.followup_to_half_way is None else affine_transform(evidence.followup_to_half_way)
    change = moved(evidence.change, half_way, NEAREST, float("nan"), sitk.sitkFloat32)
    if change is not None:
        change = Volume((100.0 * np.expm1(change.voxels)).astype(np.float32), change.affine)
    return EvidenceMaps(
        followup=evidence.followup,
        labels=moved(evidence.labels, to_baseline, NEAREST, 0.0, sitk.sitkUInt8),
        baseline=moved(evidence.baseline, to_baseline, LINEAR, 0.0, sitk.sitkFloat32),
        change_percent=change,
        masks={name: _mask_on(grid, mask) for name, mask in evidence.masks.items()},
    )


def _mask_on(grid: sitk.Image, mask: Volume) -> Volume:
    """Labels on ``grid``; a label so small that it falls between the slices keeps the voxel nearest to its centre."""
    image = to_sitk(mask, sitk.sitkUInt8)
    voxels = sitk.GetArrayFromImage(resample(image, grid, how=NEAREST))
    for label in set(np.unique(mask.voxels).tolist()) - set(np.unique(voxels).tolist()):
        centre = np.argwhere(mask.voxels == label).mean(axis=0)[::-1]
        index = grid.TransformPhysicalPointToIndex(image.TransformContinuousIndexToPhysicalPoint(centre.tolist()))
        if all(0 <= i < n for i, n in zip(index, grid.GetSize(), strict=True)):
            voxels[index[::-1]] = label
    return Volume(voxels, affine_of(grid))
