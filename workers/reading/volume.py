"""Frames of one series in, one Volume out, or NotAssessable with the reason: geometry that lies or has holes is
refused, never repaired.

Output voxels are (k, j, i) float32 with the rescale applied, k along the slice normal; the affine maps (i, j, k) to
LPS mm (DICOM patient).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from triage.diffusion.adc import AdcUnit, adc_unit
from triage.diffusion.evidence import check_coefficients
from triage.errors import NotAssessable
from triage.model import Affine, SequenceKind, Volume, Voxels
from workers.reading.display_copy import display_notices
from workers.reading.frames import EMPTY, LOOKUP_TABLE, UNREADABLE, Frame
from workers.reading.limits import Budget
from workers.reading.pixels import decoded_bytes, load_planes
from workers.reading.selection import (
    BEFORE_OR_AFTER_CONTRAST,
    comparable,
    complete_repeats,
    highest_weighted,
    magnitude_only,
    select,
    shows,
)
from workers.reading.stray_frames import LeftOut, together

MIN_SLICES = 10  # fewer cannot cover a brain: 10 slices of 5 mm with gap are 6 cm
POSITION_TOLERANCE_MM = 0.5  # jitter of real slice positions up to 0.4 mm was seen to be harmless
POSITION_TOLERANCE_FRACTION = 0.3  # of the slice spacing, for thin slices
MISSING_GAP = 1.5  # a gap this many times the usual one has lost a slice
DUPLICATE_GAP = 0.1
SHEAR_TOLERANCE_MM = 0.5  # sideways drift over the whole stack
COSINE_TOLERANCE = 1e-3
# s/mm2: up to here an image counts as not diffusion weighted; some scanners play out 50 or 100 instead of 0
B0_LIMIT = 150.0
SAME_LOW_B = 20.0  # s/mm2; what is played out scatters about what was asked for, and the next step is 50
LARGEST_VALUE = 1e10  # 32-bit pixels reach 4.3e9; squares of larger figures overflow float32 in the registration
SMALLEST_VALUE = 1e-12  # an ADC in m2/s is about 1e-9
# A head below its air has another sign than its header states: shares of the voxels, and of the largest value
AIR, AIR_SHARE = 0.02, 0.2
BELOW, BELOW_SHARE = 0.1, 0.05
_SEVERAL = 3  # values; one or two are padding
GRID_TOLERANCE_MM = 0.05  # two stacks of one acquisition differ by rounding only

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Stack:
    """Frames of one volume in slice order with their geometry."""

    frames: tuple[Frame, ...]
    affine: Affine


def volume_of(
    frames: Sequence[Frame], kind: SequenceKind, budget: Budget | None = None, left_out: LeftOut | None = None
) -> Volume:
    """The volume of one series that shows ``kind``.

    Several volumes in one series (b-values, echoes, repeats) are told apart first: DWI takes the highest b-value, T2
    the longest echo, others the shortest; of complete repeats the last, except of T1: it may be after contrast.

    Args:
        budget: what is left for the study.
        left_out: what was left out of the series is added.

    Raises:
        NotAssessable: codes no_geometry, mixed_orientation, mixed_geometry, missing_slices, duplicate_slices,
            uneven_spacing, sheared_stack, too_few_slices, too_large, too_slow, undecodable, absurd_values,
            mixed_rescale, mixed_contrasts, lookup_table, mosaic, not_grey, pixel_sign, adc_unit_unknown,
            adc_implausible, display_copy.
    """
    _check_grey(frames)
    if any("MOSAIC" in f.image_type for f in frames):
        raise NotAssessable("mosaic", "a Siemens mosaic: slices are tiled into one image, which is not supported")
    stacks = []
    said: list[str] = []
    for group in select(frames, kind, said):
        kept, without = together(group, later_is_better=kind not in BEFORE_OR_AFTER_CONTRAST)
        stacks.append(stack_of(kept))
        if left_out is not None:
            left_out.add(without)
    if kind is not SequenceKind.ADC:  # a map is displayed in its unit
        _check_displayed_alike(stacks)
    _reserve(stacks, budget)
    voxels = load(stacks[0]) if len(stacks) == 1 else _geometric_mean(stacks)
    if kind is SequenceKind.ADC:
        voxels = voxels * np.float32(adc_unit(voxels).factor)
        check_coefficients(voxels)
    said += display_notices(voxels, stacks[0].frames, kind)
    if left_out is not None:
        left_out.said[:0] = said
    return Volume(voxels, stacks[0].affine)


def without_strays(frames: Sequence[Frame], kind: SequenceKind) -> list[Frame]:
    """The frames of a series without those that ``volume_of`` leaves out as strays, copies and earlier repeats.

    Other echoes and b-values stay. Pixels are read where several images are at one place.

    Raises:
        NotAssessable: as ``together``.
    """
    later_is_better = kind not in BEFORE_OR_AFTER_CONTRAST
    left: set[int] = set()
    for group in select(frames, kind):
        left |= set(map(id, group)) - set(map(id, together(group, later_is_better=later_is_better)[0]))
    return [frame for frame in frames if id(frame) not in left]


def _check_grey(frames: Sequence[Frame]) -> None:
    """Colours are indices or samples for a screen: no figure can be read from them."""
    colours = sorted({f.pixels.photometric for f in frames} - {"MONOCHROME1", "MONOCHROME2", ""})
    if colours:
        raise NotAssessable("not_grey", f"a colour image ({', '.join(colours)[:60]}): its values are no measurements")


def adc_unit_of(frames: Sequence[Frame]) -> AdcUnit:
    """The unit in which an ADC series is stored. Raises as :func:`volume_of` does."""
    return adc_unit(load(stack_of(together(select(frames, SequenceKind.ADC)[0])[0])))


def highest_b(frames: Sequence[Frame]) -> float | None:
    """The b-value of the volume that ``volume_of`` takes for DWI, s/mm2; None when no frame states one."""
    stated = [f.b_value for f in highest_weighted([f for f in frames if shows(f, SequenceKind.DWI)])]
    values = [b for b in stated if b is not None]
    return sum(values) / len(values) if values else None


def unweighted_of(frames: Sequence[Frame], beside: Volume, budget: Budget | None = None) -> Volume | None:
    """The image of the lowest b-value (at most B0_LIMIT) among ``frames``, repeats averaged.

    None when there is none on the grid of ``beside``.

    Raises:
        NotAssessable: as :func:`volume_of`, when such frames exist but make no volume.
    """
    low = comparable(magnitude_only(unweighted_frames(frames)))
    if not low:
        return None
    stacks = [stack_of(together(group)[0]) for group in complete_repeats(low)]
    if len({_matrix(stack) for stack in stacks}) > 1:
        raise NotAssessable("geometry", "the images without diffusion weighting have different sizes")
    if _matrix(stacks[0]) != beside.voxels.shape:
        return None  # not decoded in vain
    _check_displayed_alike(stacks)
    _reserve(stacks, budget)
    voxels = _mean(stacks)
    same = voxels.shape == beside.voxels.shape and np.allclose(stacks[0].affine, beside.affine, atol=GRID_TOLERANCE_MM)
    return Volume(voxels, stacks[0].affine) if same else None


def unweighted_frames(frames: Sequence[Frame]) -> list[Frame]:
    """Those of the lowest b-value, at most B0_LIMIT, as it was asked for."""
    low = [(f, f.b_value) for f in frames if f.b_value is not None and shows(f, SequenceKind.DWI)]
    lowest = min((b for _, b in low), default=0.0)
    return [f for f, b in low if b <= min(lowest + SAME_LOW_B, B0_LIMIT)]


def lowest_b(frames: Sequence[Frame]) -> float | None:
    """The b-value of what ``unweighted_of`` takes, s/mm2."""
    return min((f.b_value for f in frames if f.b_value is not None and f.b_value <= B0_LIMIT), default=None)


# --- geometry ---


def stack_of(frames: Sequence[Frame]) -> Stack:
    """Frames sorted along their normal, with the affine; see :func:`volume_of` for what is refused."""
    if len(frames) < MIN_SLICES:
        raise NotAssessable("too_few_slices", f"{len(frames)} slices; at least {MIN_SLICES} are needed")
    _check_one_grid(frames)
    row, column, normal = _axes(frames)
    positions = np.array([f.position for f in frames], float)
    heights = positions @ normal
    order = np.argsort(heights, kind="stable")
    step = _check_spacing(heights[order])
    _check_shear(positions[order], normal)
    spacing = frames[0].spacing
    assert spacing is not None  # noqa: S101 - _check_one_grid
    affine = np.eye(4)
    affine[:3, 0] = row * spacing[1]
    affine[:3, 1] = column * spacing[0]
    affine[:3, 2] = normal * step
    affine[:3, 3] = _origin(positions[order], normal, step)
    return Stack(tuple(frames[int(n)] for n in order), affine)


def _check_one_grid(frames: Sequence[Frame]) -> None:
    if any(f.position is None or f.orientation is None or f.spacing is None for f in frames):
        lacking = sum(f.position is None or f.orientation is None or f.spacing is None for f in frames)
        raise NotAssessable(
            "no_geometry", f"{lacking} of {len(frames)} images state no position, orientation or spacing"
        )
    if any(not (f.pixels.rows and f.pixels.columns) for f in frames):
        raise NotAssessable("no_geometry", "an image has no rows or no columns")
    if any(v <= 0 for f in frames for v in f.spacing or ()):
        raise NotAssessable("no_geometry", "the pixel spacing is not positive")
    matrices = sorted({(f.pixels.rows, f.pixels.columns) for f in frames})
    if len(matrices) > 1:
        raise NotAssessable(
            "mixed_geometry",
            f"{len(matrices)} matrices in one series: " + ", ".join(f"{r}x{c}" for r, c in matrices[:4]),
        )
    spacings = np.array([f.spacing for f in frames])
    if float(np.ptp(spacings, axis=0).max()) > 1e-3:
        low, high = spacings.min(), spacings.max()
        raise NotAssessable("mixed_geometry", f"pixel spacings between {low:g} and {high:g} mm in one series")


def _axes(frames: Sequence[Frame]) -> tuple[FloatArray, FloatArray, FloatArray]:
    cosines = np.array([f.orientation for f in frames], float)
    spread = float(np.abs(cosines - cosines[0]).max())
    if spread > 0.01:
        raise NotAssessable(
            "mixed_orientation", f"image orientations differ by up to {spread:.2f} in their direction cosines"
        )
    row, column = cosines[0, :3], cosines[0, 3:]
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    if max(abs(length - 1) for length in lengths) > 0.01 or abs(float(row @ column)) > COSINE_TOLERANCE:
        raise NotAssessable("no_geometry", "the direction cosines are not two perpendicular unit vectors")
    row = row / lengths[0]
    column = column - row * float(row @ column)
    column = column / np.linalg.norm(column)
    return row, column, np.cross(row, column)


def _check_spacing(heights: FloatArray) -> float:
    """The regular step between sorted heights in mm."""
    gaps = np.diff(heights)
    usual = float(np.median(gaps))
    if usual < 1e-3 or bool(np.any(gaps < DUPLICATE_GAP * usual)):
        count = int(np.sum(gaps < max(DUPLICATE_GAP * usual, 1e-3)))
        raise NotAssessable("duplicate_slices", f"{count} slice positions are occupied more than once")
    if bool(np.any(gaps > MISSING_GAP * usual)):
        holes = int(np.sum(gaps > MISSING_GAP * usual))
        raise NotAssessable(
            "missing_slices", f"{holes} gaps of up to {gaps.max():.1f} mm between slices {usual:.1f} mm apart"
        )
    index = np.arange(len(heights))
    step, start = np.polyfit(index, heights, 1)
    off = float(np.abs(heights - (start + step * index)).max())
    if off > min(POSITION_TOLERANCE_MM, POSITION_TOLERANCE_FRACTION * usual):
        raise NotAssessable("uneven_spacing", f"slices lie up to {off:.2f} mm off an even spacing of {step:.2f} mm")
    return float(step)


def _check_shear(positions: FloatArray, normal: FloatArray) -> None:
    sideways = positions - np.outer(positions @ normal, normal)
    drift = float(np.linalg.norm(sideways - sideways[0], axis=1).max())
    if drift > SHEAR_TOLERANCE_MM:
        raise NotAssessable("sheared_stack", f"slices drift sideways by {drift:.1f} mm: a sheared stack")


def _origin(positions: FloatArray, normal: FloatArray, step: float) -> FloatArray:
    """First position of the even grid, so that jitter is shared by all slices."""
    index = np.arange(len(positions))[:, None]
    origin: FloatArray = (positions - index * step * normal).mean(axis=0)
    return origin


# --- values ---


def load(stack: Stack) -> Voxels:
    """Displayed values (k, j, i), float32: every frame with its own rescale; padding becomes zero.

    Raises:
        NotAssessable: mixed_rescale when some frames lack the rescale that others have; lookup_table; absurd_values
            when a value is not finite, or no scanner writes figures of this size; pixel_sign when the head is below
            the air; and as ``load_planes``.
    """
    _check_one_rescale(stack.frames)
    voxels = load_planes([(f.pixels, f.number) for f in stack.frames])
    padding = np.isnan(voxels) if any(f.pixels.padding is not None for f in stack.frames) else None
    with np.errstate(over="ignore", invalid="ignore"):  # checked below
        slopes = np.array([f.slope for f in stack.frames]).astype(np.float32)[:, None, None]
        intercepts = np.array([f.intercept for f in stack.frames]).astype(np.float32)[:, None, None]
        if bool(np.any(slopes != 1)) or bool(np.any(intercepts != 0)):
            voxels *= slopes
            voxels += intercepts
    if padding is not None:
        voxels[padding] = 0.0
    _check_values(voxels)
    return voxels


def _check_displayed_alike(stacks: Sequence[Stack]) -> None:
    """Where each image may be displayed in a range of its own, different rescales lead back to no common scale."""
    frames = [frame for stack in stacks for frame in stack.frames]
    if any(f.for_display for f in frames) and len({(f.slope, f.intercept) for f in frames}) > 1:
        said = "rescales differ between the images, and lead to what was displayed, not to what was measured"
        raise NotAssessable("mixed_rescale", said)


def _check_one_rescale(frames: Sequence[Frame]) -> None:
    """A rescale that is lost from some of the images leaves them brighter or darker than the rest."""
    stated = {f.rescaled_by for f in frames}
    if LOOKUP_TABLE in stated:
        raise NotAssessable("lookup_table", "the values pass through a table: they are made for a screen")
    if UNREADABLE in stated:
        count = sum(f.rescaled_by == UNREADABLE for f in frames)
        raise NotAssessable("absurd_values", f"the rescale of {count} of {len(frames)} images is no number")
    if len(stated) > 1 and (EMPTY in stated or any((f.slope, f.intercept) != (1.0, 0.0) for f in frames)):
        count = sum(f.rescaled_by == frames[0].rescaled_by for f in frames)
        lacking = min(count, len(frames) - count)
        raise NotAssessable("mixed_rescale", f"{lacking} of {len(frames)} images lack the rescale of the others")


def _check_values(voxels: Voxels) -> None:
    low, high = float(voxels.min()), float(voxels.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise NotAssessable("absurd_values", "the rescaled values are not finite")
    size = max(-low, high)
    if size > LARGEST_VALUE:
        raise NotAssessable("absurd_values", f"values of up to {size:.2g}; at most {LARGEST_VALUE:g} is plausible")
    if low < -BELOW * size and _is_below_air(voxels, size):
        raise NotAssessable("pixel_sign", f"values down to {low:g} in the head and about 0 around it: a wrong sign")
    if low < high and size < SMALLEST_VALUE:
        raise NotAssessable("absurd_values", f"no value above {size:.2g}; at least {SMALLEST_VALUE:g} is plausible")


def _is_below_air(voxels: Voxels, size: float) -> bool:
    """Many values far below 0, not only one or two that stand for nothing, and many about 0."""
    below = voxels < -BELOW * size
    if np.count_nonzero(below) < BELOW_SHARE * voxels.size:
        return False
    air = bool(np.count_nonzero(np.abs(voxels) <= AIR * size) >= AIR_SHARE * voxels.size)
    return air and np.unique(voxels[below]).size >= _SEVERAL


def _reserve(stacks: Sequence[Stack], budget: Budget | None) -> None:
    """Take what the stacks need from the budget before one of them is decoded."""
    if budget is not None:
        budget.take_decoded(sum(decoded_bytes(frame.pixels for frame in stack.frames) for stack in stacks))


def _matrix(stack: Stack) -> tuple[int, int, int]:
    pixels = stack.frames[0].pixels
    return len(stack.frames), pixels.rows, pixels.columns


def _mean(stacks: Sequence[Stack]) -> Voxels:
    """The mean of repeats; one of them is held at a time."""
    total = load(stacks[0])
    for stack in stacks[1:]:
        total += load(stack)
    return total / np.float32(len(stacks))


def _geometric_mean(stacks: Sequence[Stack]) -> Voxels:
    """The trace-weighted image is the geometric mean over diffusion directions; one of them is held at a time."""
    if len({_matrix(stack) for stack in stacks}) > 1:
        raise NotAssessable("mixed_geometry", "the diffusion directions have different sizes")
    logs = sum(np.log(np.maximum(load(stack), 1e-6)) for stack in stacks) / len(stacks)
    return np.asarray(np.exp(logs), np.float32)
