"""One volume in, what is wrong with it as an image of a head out.

Headers do not tell a derived copy (blank slices, an outline drawn into it) from the images that it was made of. A
volume with a fault is measured only when the study holds no better one of its kind.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from triage.model import SequenceKind, StudyImages, Volume, Voxels
from triage.sequences.quality import quality_of, shortcomings

# An adult brain is 120-140 mm high; the same limit as for headers, here for slices that show something
HEAD_MM = 100.0
# A scanner image of a head has hundreds of values; masks, outlines and maps in few colours have not
FEWEST_VALUES = 32
# Something drawn: so many voxels of exactly the highest value, far above what comes next. Tissue that saturates the
# scanner's range has values close below it.
DRAWN_VOXELS = 50
DRAWN_TIMES = 1.5
# Cut off at the highest value, by a window for display or by the scanner's range: that value has so many times the
# voxels of each value below it. Of 24 real FLAIR, T2 and DWI series not one repeats its highest value
CUT_TIMES = 5.0
CUT_NEAR = 0.9  # of the highest value: from here on values lie below it
FEWEST_NEAR = 8  # of these values; fewer are no scanner image
HEAD_SHARE = 0.2  # of the highest value: above it lies the head
# of the head; less is vessels and fat, and no surface that is measured
CUT_SHARE = 0.002
# codes of images that are passed over, by how doubtful they are (doubts_about)
DOUBTS = ("", "poor_image", "image")
_BRIGHT_PERCENTILE = 99.9  # of what is below the highest value: vessels and fat are few


def image_faults(volume: Volume) -> tuple[str, ...]:
    """Sentences; none: the volume may be a whole scanner image. What is wrong for the measurement is not asked here."""
    voxels = volume.voxels
    shown = np.flatnonzero([_shows_something(plane) for plane in voxels])
    said = list(coverage_faults(volume))
    if not shown.size:
        return tuple(said)
    values = voxels[shown[shown.size // 2]]
    distinct = len(np.unique(values))
    if distinct < FEWEST_VALUES:
        said.append(f"the middle slice has only {distinct} values")
    if _is_drawn_on(voxels):
        said.append("something is drawn into the images")
    if (cut := cut_share(voxels)) > CUT_SHARE:
        said.append(f"{100 * cut:.1f} % of the head have exactly the highest value: cut off")
    return tuple(said)


def cut_share(voxels: Voxels) -> float:
    """The share of the head whose values were cut off at the highest one; 0.0: none were."""
    finite = voxels[np.isfinite(voxels)]
    top = float(finite.max()) if finite.size else 0.0
    count = int(np.count_nonzero(finite == top))
    if top <= 0.0 or count < CUT_SHARE * HEAD_SHARE * finite.size:
        return 0.0
    near = finite[(finite >= CUT_NEAR * top) & (finite < top)]
    values = len(np.unique(near))
    if values < FEWEST_NEAR or count < CUT_TIMES * near.size / values:
        return 0.0
    return count / int(np.count_nonzero(finite > HEAD_SHARE * top))


def coverage_faults(volume: Volume) -> tuple[str, ...]:
    """Sentences; none: every slice shows something, and together they are as high as a head."""
    shown = np.flatnonzero([_shows_something(plane) for plane in volume.voxels])
    if not shown.size:
        return ("all slices are empty",)
    between = empty_between(volume)
    height_mm = shown.size * volume.spacing_mm[2]
    said = f"only {shown.size} of {len(volume.voxels)} slices show something: {height_mm:.0f} mm"
    return (*(() if between is None else (between,)), *((said,) if height_mm < HEAD_MM else ()))


def empty_between(volume: Volume) -> str | None:
    """A sentence when slices show nothing and others above and below them do."""
    shown = np.flatnonzero([_shows_something(plane) for plane in volume.voxels])
    between = int(shown[-1] - shown[0] + 1 - shown.size) if shown.size else 0
    return f"{between} of {len(volume.voxels)} slices are empty between others" if between else None


def shown_part(volume: Volume) -> Volume:
    """The volume without empty slices at its ends: nothing was acquired there, and their border is no edge."""
    first, last = _first_and_last(volume)
    if last - first + 1 == len(volume.voxels):
        return volume
    return _slices(volume, first, last)


def shown_images(images: StudyImages) -> StudyImages:
    """The study with each volume without empty slices at its ends; itself when there are none.

    The image without diffusion weighting stays on the grid of the DWI.
    """
    volumes = {kind: shown_part(volume) for kind, volume in images.volumes.items()}
    if all(volumes[kind] is volume for kind, volume in images.volumes.items()):
        return images
    b0, dwi = images.dwi_b0, images.volumes.get(SequenceKind.DWI)
    b0 = None if b0 is None or dwi is None else _slices(b0, *_first_and_last(dwi))
    return replace(images, volumes=volumes, dwi_b0=b0)


def _first_and_last(volume: Volume) -> tuple[int, int]:
    """Of the slices that show something; of all when none does."""
    shown = np.flatnonzero([_shows_something(plane) for plane in volume.voxels])
    return (int(shown[0]), int(shown[-1])) if shown.size else (0, len(volume.voxels) - 1)


def _slices(volume: Volume, first: int, last: int) -> Volume:
    affine = volume.affine.copy()
    affine[:3, 3] += first * affine[:3, 2]
    return Volume(np.ascontiguousarray(volume.voxels[first : last + 1]), affine)


def flair_doubts(flair: Volume | None) -> tuple[str, ...]:
    """Why a pattern that is not seen in this FLAIR may be there all the same."""
    empty = None if flair is None else empty_between(flair)
    return () if empty is None else (f"in the FLAIR {empty}",)


def doubts_about(volume: Volume, *, alone: bool, diffusion: bool = False) -> tuple[int, tuple[str, ...]]:
    """How doubtful an image is (0 not at all, 1 poor, 2 with a fault), and why.

    Args:
        alone: it is the only one of its kind, so that nothing hangs on how poor it is.
        diffusion: echo-planar images and their maps are noisy and bent by nature: only what they cover is asked.
    """
    if diffusion:
        faults = coverage_faults(volume)
        return 2 * bool(faults), faults
    faults = image_faults(volume)
    if faults or alone:
        return 2 * bool(faults), faults
    poor = shortcomings(quality_of(volume))
    return int(bool(poor)), poor


def _shows_something(plane: Voxels) -> bool:
    finite = plane[np.isfinite(plane)]
    return bool(finite.size) and bool(finite.min() < finite.max())


def _is_drawn_on(voxels: Voxels) -> bool:
    finite = voxels[np.isfinite(voxels)]
    top = finite.max()
    below = finite[finite < top]
    if finite.size - below.size < DRAWN_VOXELS or not below.size:
        return False
    return bool(top > DRAWN_TIMES * max(np.percentile(below, _BRIGHT_PERCENTILE), 0.0))
