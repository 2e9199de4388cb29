"""One volume in, figures of its quality as an image of a head out: coverage, noise, slices that jump, ghosts.

The figures are measured on the volume's own slices, without knowing where the brain lies.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from triage.libraries import ndi
from triage.model import Mask, Volume, Voxels

# A voxel belongs to the head above this share of the bright level, the 90th percentile of what is above 0
HEAD_SHARE = 0.25
# Slices with less of the head than this share of the largest one are its ends: there sizes change from slice to slice
FULL_SHARE = 0.5
FEWEST_SLICES = 5
# Rows and columns with less of the head than this share of the fullest one may show its ghost: when no air is left
GHOST_SHARE = 0.15
THICK_MM = 3.0  # of thinner slices as many are left out as lie in this: half a second less for a 3-D series
FEWEST_AIR = 200  # voxels of each of two bands of air
# Beyond these an image is poor, and another of its kind is looked for. The largest of 31 real FLAIR, T1 and T2 series
# that were measured: 6.1 %, 24 %, 6.4 mm, 0.8 mm, 7.3 %. Made in four of them: a ghost of 15 % shifted by half the
# field of view 8-13 % (7 of 8), half of the slices moved by 6 mm 6-7 mm, one slice moved by 12 mm 12 mm.
POOR_NOISE_PERCENT = 15.0
POOR_JUMP_PERCENT = 40.0
POOR_SHIFT_MM = 9.0
POOR_USUAL_SHIFT_MM = 2.5
POOR_GHOST_PERCENT = 8.0

IN_PLANE = np.ones((1, 3, 3), dtype=bool)

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Quality:
    """Figures of one volume; None: cannot be measured on it.

    coverage_mm: from the first to the last slice that shows something. empty_slices: those between them that show
    nothing. noise_percent: sd of the finest detail over the head's median; fine anatomy counts too. slice_jump_percent:
    how far the brightness of one slice lies off that of its neighbours. slice_shift_mm: the same of the middle of the
    head, which motion between slices moves. usual_shift_mm: its median, which is large when the head moved between the
    two halves of an interleaved acquisition. ghost_percent: what the air shows along one direction of the slice more
    than along the other, over the head's median.
    """

    slices: int
    spacing_mm: tuple[float, float, float]
    coverage_mm: float
    empty_slices: int
    noise_percent: float | None
    slice_jump_percent: float | None
    slice_shift_mm: float | None
    usual_shift_mm: float | None
    ghost_percent: float | None


def quality_of(volume: Volume) -> Quality:
    """The figures of a scalar image; not finite voxels count as empty."""
    voxels = np.nan_to_num(volume.voxels.astype(np.float32), posinf=0.0, neginf=0.0)
    shown = np.flatnonzero([plane.min() < plane.max() for plane in voxels])
    spacing = volume.spacing_mm
    looked_at = voxels[:: max(1, int(THICK_MM / spacing[2]))]
    head = _head(looked_at)
    span = int(shown[-1] - shown[0] + 1) if shown.size else 0
    jump, shift, usual = _between_slices(looked_at, head, spacing)
    return Quality(
        slices=len(voxels),
        spacing_mm=spacing,
        coverage_mm=span * spacing[2],
        empty_slices=span - int(shown.size),
        noise_percent=_noise(looked_at, head),
        slice_jump_percent=jump,
        slice_shift_mm=shift,
        usual_shift_mm=usual,
        ghost_percent=_ghost(looked_at, head),
    )


def shortcomings(quality: Quality) -> tuple[str, ...]:
    """What makes an image poor, as sentences; none: it is as good as usual, as far as was measured."""
    limits = (
        (quality.noise_percent, POOR_NOISE_PERCENT, "the noise is {:.0f} % of the signal"),
        (quality.slice_jump_percent, POOR_JUMP_PERCENT, "a slice is {:.0f} % brighter or darker than its neighbours"),
        (quality.slice_shift_mm, POOR_SHIFT_MM, "the head moved by {:.0f} mm between slices"),
        (quality.usual_shift_mm, POOR_USUAL_SHIFT_MM, "every other slice is moved by {:.0f} mm"),
        (quality.ghost_percent, POOR_GHOST_PERCENT, "ghosts of {:.0f} % of the signal lie beside the head"),
    )
    return tuple(said.format(value) for value, limit, said in limits if value is not None and value > limit)


def _head(voxels: Voxels) -> Mask:
    positive = voxels[voxels > 0]
    if not positive.size:
        return np.zeros(voxels.shape, dtype=bool)
    bright = float(np.percentile(positive, 90))
    return np.asarray(ndi.binary_opening(voxels > HEAD_SHARE * bright, IN_PLANE))


def _noise(voxels: Voxels, head: Mask) -> float | None:
    """From the difference of each voxel and the mean of its four neighbours in the slice, inside the head."""
    inside = ndi.binary_erosion(head, IN_PLANE)
    if inside.sum() < FEWEST_AIR:
        return None
    around = sum(np.roll(voxels, step, axis) for axis in (1, 2) for step in (1, -1)) / 4.0
    detail = (voxels - around)[inside].astype(np.float64)
    sd = 1.4826 * float(np.median(np.abs(detail - np.median(detail)))) / np.sqrt(1.25)
    return float(100.0 * sd / float(np.median(voxels[inside])))


def _between_slices(
    voxels: Voxels, head: Mask, spacing: tuple[float, float, float]
) -> tuple[float | None, float | None, float | None]:
    sizes = head.sum(axis=(1, 2))
    full = np.flatnonzero(sizes > FULL_SHARE * max(int(sizes.max(initial=0)), 1))
    if full.size < FEWEST_SLICES:
        return None, None, None
    span = range(int(full[0]), int(full[-1]) + 1)
    if any(sizes[k] == 0 for k in span):
        return None, None, None
    levels = np.log([float(np.median(voxels[k][head[k]])) for k in span])
    centres = np.array([ndi.center_of_mass(head[k]) for k in span]) * np.array([spacing[1], spacing[0]])
    shifts = np.linalg.norm(_off(centres), axis=1)
    return 100.0 * float(np.expm1(np.abs(_off(levels)).max())), float(shifts.max()), float(np.median(shifts))


def _off(values: Floats) -> Floats:
    """Each inner value less the mean of its two neighbours."""
    return np.asarray(values[1:-1] - (values[:-2] + values[2:]) / 2.0)


def _ghost(voxels: Voxels, head: Mask) -> float | None:
    """Air before and behind the head against air at its sides, within the slices; the larger is what ghosts add.

    A ghost may be bright enough to count as head, and leave no air: then the head ends where little of it lies.
    """
    k = np.flatnonzero(head.any(axis=(1, 2)))
    if not k.size:
        return None
    part, shown = voxels[k[0] : k[-1] + 1], float(np.median(voxels[head]))
    for share in (0.0, GHOST_SHARE):
        rows, columns = (_extent(head.sum(axis=axes), share) for axes in ((0, 2), (0, 1)))
        bands = _beside(part, rows, columns), _beside(part.transpose(0, 2, 1), columns, rows)
        if min(band.size for band in bands) >= FEWEST_AIR:
            return 100.0 * abs(float(bands[0].mean()) - float(bands[1].mean())) / shown
    return None


def _extent(sizes: npt.NDArray[np.int_], share: float) -> tuple[int, int]:
    """First and last of the rows (or columns) with more of the head than a share of the fullest one."""
    found = np.flatnonzero(sizes > share * sizes.max())
    return int(found[0]), int(found[-1])


def _beside(part: Voxels, rows: tuple[int, int], columns: tuple[int, int]) -> Voxels:
    """What lies before and behind the rows, as wide as the columns."""
    inner = part[:, :, columns[0] : columns[1] + 1]
    return np.concatenate([inner[:, : rows[0]].ravel(), inner[:, rows[1] + 1 :].ravel()])
