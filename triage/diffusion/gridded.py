"""A session's diffusion series in, images of one grid around the brain out: DWI, ADC and labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from triage.alignment.images import affine_transform, inverse, resample, to_sitk
from triage.alignment.session import Session
from triage.diffusion.adc import computed_adc
from triage.diffusion.maps import DiffusionImages
from triage.libraries import ndi, sitk
from triage.model import Affine, Mask, SequenceKind, Volume

BOX_MARGIN_MM = 10.0
FINEST_MM = 2.0  # pixels are averaged up to this: finer ones hold interpolation and noise only

Voxels32 = npt.NDArray[np.float32]


def around_brain(images: DiffusionImages) -> DiffusionImages:
    """Cut to the regions and BOX_MARGIN_MM around them: most of an image is air, and every voxel costs time."""
    found = ndi.find_objects((images.labels > 0).astype(np.uint8))
    if not found:
        return images
    margin = np.ceil(BOX_MARGIN_MM / images.spacing_mm).astype(int)
    box = tuple(slice(max(0, s.start - m), s.stop + m) for s, m in zip(found[0], margin, strict=True))
    affine = images.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ np.array([s.start for s in box[::-1]])
    b0 = None if images.b0 is None else images.b0[box]
    return replace(images, dwi=images.dwi[box], adc=images.adc[box], labels=images.labels[box], affine=affine, b0=b0)


def averaged(images: DiffusionImages) -> DiffusionImages:
    """Blocks of in-plane pixels averaged, so that none is finer than half of FINEST_MM; every voxel costs time."""
    _, j, i = (max(1, int(FINEST_MM / mm)) for mm in images.spacing_mm)
    if i == j == 1:
        return images
    rows, columns = images.dwi.shape[1] // j * j, images.dwi.shape[2] // i * i

    def mean(voxels: Voxels32) -> Voxels32:
        blocks = voxels[:, :rows, :columns].reshape(len(voxels), rows // j, j, columns // i, i)
        return np.asarray(blocks.mean(axis=(2, 4)), np.float32)

    affine = images.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ np.array([(i - 1) / 2, (j - 1) / 2, 0.0])
    affine[:3, 0] *= i
    affine[:3, 1] *= j
    return replace(
        images, dwi=mean(images.dwi), adc=mean(images.adc), affine=affine,
        labels=np.ascontiguousarray(images.labels[:, j // 2 : rows : j, i // 2 : columns : i]),
        b0=None if images.b0 is None else mean(images.b0),
    )  # fmt: skip


def adc_on(session: Session, dwi: Volume, to_anchor: Affine, brain: Mask | None = None) -> tuple[Voxels32 | None, str]:
    """(ADC in um2/s on the DWI grid, where it comes from) or (None, reason).

    Slices that the scanner's map does not show are computed from the images of two b-values, where there are such.

    Args:
        brain: on the DWI grid; slices without brain are left as they are. None: all slices.
    """
    computed, source = _computed(session, dwi)
    vendor = session.volumes.get(SequenceKind.ADC)
    if vendor is None:
        return computed, source
    adc, stated = _stated(session, vendor, dwi, to_anchor)
    empty = np.asarray(adc.max(axis=(1, 2)) <= 0)
    if brain is not None:
        empty &= brain.any(axis=(1, 2))
    if computed is None or not (computed[empty] > 0).any():
        return adc, stated
    return (
        np.where(empty[:, None, None], computed, adc),
        f"{stated}; {int(empty.sum())} slices that it does not show are {source.removeprefix('ADC: ')}",
    )


def _computed(session: Session, dwi: Volume) -> tuple[Voxels32 | None, str]:
    """The map that follows from two b-values, and its source; or (None, reason)."""
    facts = session.diffusion
    if session.dwi_b0 is None:
        return None, "no_adc: the study holds neither an ADC map nor an image without diffusion weighting"
    if facts.b_high is None or facts.b_low is None or facts.b_high <= facts.b_low:
        return None, "no_adc: no ADC map, and the b-values of the images are not stated"
    adc = computed_adc(session.dwi_b0.voxels, dwi.voxels, facts.b_low, facts.b_high)
    return adc, f"ADC: computed from b {facts.b_low:.0f} and b {facts.b_high:.0f}"


def _stated(session: Session, vendor: Volume, dwi: Volume, to_anchor: Affine) -> tuple[Voxels32, str]:
    """The scanner's map on the DWI grid, and its source."""
    facts = session.diffusion
    unit = f", stored in {facts.adc_unit}" if facts.adc_unit else ""
    if vendor.voxels.shape == dwi.voxels.shape and np.allclose(vendor.affine, dwi.affine, atol=1e-3):
        return np.asarray(vendor.voxels, np.float32), f"ADC: the scanner's map{unit}"
    matrix = inverse(session.to_anchor[SequenceKind.ADC]) @ to_anchor
    moved = resample(to_sitk(vendor), to_sitk(dwi), affine_transform(matrix))
    return np.asarray(
        sitk.GetArrayFromImage(moved), np.float32
    ), f"ADC: the scanner's map{unit}, resampled onto the DWI"
