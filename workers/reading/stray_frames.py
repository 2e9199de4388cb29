"""Frames that make one volume in, those of them that belong together out, and a sentence about each other one.

A series may hold a planning image, a slice that was repeated because the patient moved, or the same image twice. Such a
frame is set aside, and the rest is measured. Of two whole runs that lie in one another the later one is taken.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from triage.errors import NotAssessable
from workers.reading.frames import Frame
from workers.reading.pixels import load_planes
from workers.reading.selection import place_of

MOST_STRAY = 0.25  # share of the frames that may be set aside; more of them is another series under the UID
MOST_REPEATED = 0.5  # share of the slices; more of them is another run
SAME_DIRECTION = 0.01  # of direction cosines
OVERLAP = 0.75  # slices closer than this share of their thickness overlap: two runs, or a 3-D slab resampled
HOLE = 1.5  # gaps this many times the usual one
SAME_PLACE_MM = 0.01  # images at one place are refused as such
RUNS = (2, 3)


def _temporal(frame: Frame) -> int:
    return frame.time_key[0]


def _acquisition(frame: Frame) -> int:
    return frame.time_key[1]


def _moment(frame: Frame) -> Any:
    return frame.acquired_at


def _instance(frame: Frame) -> Any:
    return frame.instance


_WHEN: tuple[Callable[[Frame], Any], ...] = (_temporal, _acquisition, _moment)


def together(frames: Sequence[Frame], *, later_is_better: bool = True) -> tuple[list[Frame], tuple[str, ...]]:
    """The frames of one stack without copies, earlier repeats, an earlier run and lone images of another geometry, and
    what was left out. Frames that cannot be told apart stay: the geometry refuses them.

    Args:
        later_is_better: a second run repeats the first one. Of T1 it may show what a contrast agent does.

    Raises:
        NotAssessable: duplicate_slices: two runs lie in one another, and none may be taken; and as ``load_planes``.
    """
    kept, said = _of_one_geometry(list(frames))
    kept, more = _without_copies(kept)
    kept, again = _latest(kept)
    kept, runs = _one_run(kept, later_is_better=later_is_better)
    return kept, (*said, *more, *again, *runs)


def _of_one_geometry(frames: list[Frame]) -> tuple[list[Frame], tuple[str, ...]]:
    """Those of the orientation and matrix that most frames have."""
    known = [frame for frame in frames if frame.orientation is not None]
    if len(known) < len(frames):
        return frames, ()
    groups: list[list[Frame]] = []
    for frame in frames:
        alike = next((group for group in groups if _alike(group[0], frame)), None)
        groups.append([frame]) if alike is None else alike.append(frame)
    largest = max(groups, key=len, default=[])
    strays = len(frames) - len(largest)
    if not 0 < strays <= MOST_STRAY * len(frames) or _has_hole(largest):
        return frames, ()
    return largest, (f"{strays} of {len(frames)} images have another orientation or size and are left out",)


def _alike(one: Frame, other: Frame) -> bool:
    off = np.abs(np.subtract(one.orientation or (), other.orientation or ()))
    same = (one.pixels.rows, one.pixels.columns) == (other.pixels.rows, other.pixels.columns)
    return same and off.size > 0 and float(off.max()) <= SAME_DIRECTION


def _at_one_place(frames: list[Frame]) -> dict[tuple[float, ...], list[Frame]]:
    places: dict[tuple[float, ...], list[Frame]] = defaultdict(list)
    for frame in frames:
        places[place_of(frame)].append(frame)
    return places


def _without_copies(frames: list[Frame]) -> tuple[list[Frame], tuple[str, ...]]:
    """Equal pixels at one place are one image, whatever their instance UIDs say."""
    shared = {place: group for place, group in _at_one_place(frames).items() if place and len(group) > 1}
    copies: set[int] = set()
    for group in shared.values():
        seen: set[bytes] = set()
        for frame in group:
            digest = _digest(frame)
            if digest in seen:
                copies.add(id(frame))
            seen.add(digest)
    if not copies:
        return frames, ()
    kept = [frame for frame in frames if id(frame) not in copies]
    return kept, (f"{len(copies)} of {len(frames)} images are there twice, under other instance UIDs",)


def _digest(frame: Frame) -> bytes:
    plane = load_planes([(frame.pixels, frame.number)])[0]
    return hashlib.sha256(repr((frame.slope, frame.intercept)).encode() + plane.tobytes()).digest()


def _latest(frames: list[Frame]) -> tuple[list[Frame], tuple[str, ...]]:
    """Of repeated slices the later ones: a slice is repeated when the first one failed. Only where one and the same
    fact says for every place which one is later."""
    places = _at_one_place(frames)
    repeated = [group for place, group in places.items() if place and len(group) > 1]
    if not repeated or len(repeated) > MOST_REPEATED * len(places):
        return frames, ()
    for fact in _WHEN:
        if all(_distinct([fact(frame) for frame in group]) for group in repeated):
            dropped = {id(frame) for group in repeated for frame in group if frame is not max(group, key=fact)}
            kept = [frame for frame in frames if id(frame) not in dropped]
            return kept, (f"{len(repeated)} slices were repeated: the later ones are taken",)
    return frames, ()


def _distinct(values: list[Any]) -> bool:
    return None not in values and len(set(values)) == len(values)


def _has_hole(frames: Sequence[Frame]) -> bool:
    """Whether a slice is missing, which may be one of those that would be set aside."""
    if any(frame.position is None for frame in frames):
        return True
    gaps = np.diff(np.unique(np.round(_heights(frames), 2)))
    return gaps.size == 0 or float(gaps.max()) > HOLE * float(np.median(gaps))


def _heights(frames: Sequence[Frame]) -> Any:
    """Along the normal of the first one, mm."""
    cosines = np.array(frames[0].orientation)
    return np.array([frame.position for frame in frames]) @ np.cross(cosines[:3], cosines[3:])


def _one_run(frames: list[Frame], *, later_is_better: bool) -> tuple[list[Frame], tuple[str, ...]]:
    """Of runs that lie in one another the later: their slices overlap, and every second (third) one is of another run.

    Raises:
        NotAssessable: duplicate_slices: the later one may not be taken.
    """
    thickness = frames[0].thickness_mm if frames else None
    if not thickness or any(f.position is None or f.orientation is None for f in frames):
        return frames, ()
    heights = _heights(frames)
    order = np.argsort(heights, kind="stable")
    if len(frames) < 4 or not SAME_PLACE_MM < float(np.median(np.diff(heights[order]))) < OVERLAP * thickness:
        return frames, ()
    sorted_frames = [frames[int(n)] for n in order]
    for count in RUNS:
        latest = _latest_run([sorted_frames[first::count] for first in range(count)])
        if latest is not None:
            said = f"{count} runs lie in one another: slices of {thickness:g} mm overlap"
            if not later_is_better:
                raise NotAssessable("duplicate_slices", f"{said}, and the later may show a contrast agent")
            return latest, (f"{said}; the later run is taken",)
    return frames, ()


def _latest_run(runs: list[list[Frame]]) -> list[Frame] | None:
    """The run that a fact calls the latest, of runs that are only numbered like each other any; None: it is one run."""
    for fact in (*_WHEN, _instance):
        values = [[fact(frame) for frame in run] for run in runs]
        if any(None in some for some in values):
            continue
        spans = sorted((min(some), max(some), number) for number, some in enumerate(values))
        if all(before[1] < after[0] for before, after in pairwise(spans)):
            return runs[spans[-1][2]]
    numbers = Counter(frame.instance for run in runs for frame in run if frame.instance is not None)
    return runs[-1] if numbers and all(count == len(runs) for count in numbers.values()) else None
