"""Frames that make one volume in, those of them that belong together out, and a sentence about each other one.

A series may hold a planning image, a slice that was repeated because the patient moved, the same image twice, or a
slice of another head. Such a frame is set aside, and the rest is measured. Of two whole runs that lie in one another
the later one is taken.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
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
SIDEWAYS_MM, FAR_SIDEWAYS_MM = 0.5, 2.0  # off the others within the slice: jitter, and another stack
OFF_SLICES, OFF_SLICES_MM = 0.3, 0.5  # of the distance between slices, and in mm: what the geometry takes as even
# Of two images at one place that of this head is as like the slices around it (correlation), and the other one is less
# like them by this. Of 12 real heads, 2 to 8 mm apart, with slices of each other's: 0.31 in the median
LIKE, LESS_LIKE = 0.5, 0.15


def _temporal(frame: Frame) -> int:
    return frame.time_key[0]


def _acquisition(frame: Frame) -> int:
    return frame.time_key[1]


def _moment(frame: Frame) -> Any:
    return frame.acquired_at


def _instance(frame: Frame) -> Any:
    return frame.instance


_WHEN: tuple[Callable[[Frame], Any], ...] = (_temporal, _acquisition, _moment)


@dataclass(frozen=True)
class LeftOut:
    """Sentences about images of a series that are not measured. strays: those that seem to be of another head."""

    said: list[str] = field(default_factory=list)
    strays: list[str] = field(default_factory=list)

    def add(self, more: LeftOut) -> None:
        self.said.extend(more.said)
        self.strays.extend(more.strays)


def together(frames: Sequence[Frame], *, later_is_better: bool = True) -> tuple[list[Frame], LeftOut]:
    """The frames of one stack without copies, earlier repeats, an earlier run, lone images of another geometry or
    another head, and what was left out. Frames that cannot be told apart stay: the geometry refuses them.

    Args:
        later_is_better: a second run repeats the first one. Of T1 it may show what a contrast agent does.

    Raises:
        NotAssessable: duplicate_slices: two runs lie in one another, and none may be taken; and as ``load_planes``.
    """
    kept, said = _of_one_geometry(list(frames))
    kept, more = _without_copies(kept)
    kept, beside = _on_the_slices(kept)
    kept, unlike = _like_their_neighbours(kept)
    kept, again = _latest(kept)
    kept, runs = _one_run(kept, later_is_better=later_is_better)
    return kept, LeftOut([*said, *more, *again, *runs], [*beside, *unlike])


def _of_one_geometry(frames: list[Frame]) -> tuple[list[Frame], tuple[str, ...]]:
    """Those of the orientation and matrix that most frames have."""
    known = [frame for frame in frames if frame.orientation is not None]
    if len(known) < len(frames):
        return frames, ()
    groups: list[list[Frame]] = []
    for frame in frames:
        alike = next((group for group in groups if in_one_plane(group[0], frame)), None)
        groups.append([frame]) if alike is None else alike.append(frame)
    largest = max(groups, key=len, default=[])
    strays = len(frames) - len(largest)
    if not 0 < strays <= MOST_STRAY * len(frames) or has_hole(largest):
        return frames, ()
    return largest, (f"{strays} of {len(frames)} images have another orientation or size and are left out",)


def in_one_plane(one: Frame, other: Frame) -> bool:
    """Whether both have one direction and one size."""
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


def _on_the_slices(frames: list[Frame]) -> tuple[list[Frame], tuple[str, ...]]:
    """Those that lie on the even grid of most of them. A stack that is uneven as a whole stays as it is."""
    if len(frames) < 4 or any(f.position is None or f.orientation is None for f in frames):
        return frames, ()
    off = _off_sideways(frames) | _off_between(frames)
    kept = [frame for n, frame in enumerate(frames) if n not in off]
    if not 0 < len(off) <= MOST_STRAY * len(frames) or has_hole(kept) or _ends_of_one(frames, off):
        return frames, ()
    return kept, (f"{len(off)} of {len(frames)} images lie beside the slices of the others and are left out",)


def _off_sideways(frames: Sequence[Frame]) -> set[int]:
    """Far off within the slice, where the others lie close to one another."""
    cosines = np.array(frames[0].orientation)
    sideways = np.array([f.position for f in frames]) @ np.stack([cosines[:3], cosines[3:]]).T
    off = np.linalg.norm(sideways - np.median(sideways, axis=0), axis=1)
    if bool(np.any((off > SIDEWAYS_MM) & (off <= FAR_SIDEWAYS_MM))):
        return set()
    return {int(n) for n in np.flatnonzero(off > FAR_SIDEWAYS_MM)}


def _off_between(frames: Sequence[Frame]) -> set[int]:
    """Between the slices that most of them lie on."""
    heights = _heights(frames)
    gaps = np.diff(np.unique(np.round(heights, 2)))
    if gaps.size < 3:
        return set()
    step = float(np.median(gaps))
    best = max((_lie_on(heights, float(start), step) for start in heights), key=lambda on: int(on.sum()))
    if int(best.sum()) > 2:
        index = np.round((heights[best] - heights[best][0]) / step)
        exact, start = np.polyfit(index, heights[best], 1)
        best = _lie_on(heights, float(start), float(exact)) if exact > 0 else best
    return {int(n) for n in np.flatnonzero(~best)}


def _lie_on(heights: Any, start: float, step: float) -> Any:
    rest = np.abs(heights - start - step * np.round((heights - start) / step))
    return rest <= min(OFF_SLICES * step, OFF_SLICES_MM)


def _ends_of_one(frames: Sequence[Frame], off: set[int]) -> bool:
    """Whether two of them or more are the end of the stack: then its slices are uneven, and none is a stray."""
    order = [int(n) for n in np.argsort(_heights(frames), kind="stable")]
    return set(order[:2]) <= off or set(order[-2:]) <= off


def _like_their_neighbours(frames: list[Frame]) -> tuple[list[Frame], tuple[str, ...]]:
    """Of several images at one place the one that continues the slices around it, where that is clear everywhere."""
    places = _at_one_place(frames)
    shared = [group for place, group in places.items() if place and len(group) > 1]
    if not shared or len(shared) > MOST_REPEATED * len(places) or any(f.orientation is None for f in frames):
        return frames, ()
    single = sorted((group[0] for place, group in places.items() if place and len(group) == 1), key=_height)
    dropped: set[int] = set()
    for group in shared:
        around = [
            *[frame for frame in single if _height(frame) < _height(group[0])][-1:],
            *[frame for frame in single if _height(frame) > _height(group[0])][:1],
        ]
        likeness = [_likeness(frame, around) for frame in group]
        best = max(likeness)
        if best < LIKE or sum(best - one < LESS_LIKE for one in likeness) > 1:
            return frames, ()
        dropped |= {id(frame) for frame, one in zip(group, likeness, strict=True) if one < best}
    said = f"{len(dropped)} of {len(frames)} images show something else than the slices around them and are left out"
    return [frame for frame in frames if id(frame) not in dropped], (said,)


def _height(frame: Frame) -> float:
    return float(_heights([frame])[0])


def _likeness(frame: Frame, around: Sequence[Frame]) -> float:
    """Correlation of the image with the mean of those around it; 0 when they cannot be compared."""
    planes = [load_planes([(one.pixels, one.number)])[0] * one.slope for one in (frame, *around)]
    if not around or len({plane.shape for plane in planes}) > 1:
        return 0.0
    own, other = np.nan_to_num(planes[0]).ravel(), np.nan_to_num(np.mean(planes[1:], axis=0)).ravel()
    if own.std() == 0 or other.std() == 0:
        return 0.0
    return float(np.corrcoef(own, other)[0, 1])


def lie_one_above_another(parts: Sequence[Sequence[Frame]]) -> bool:
    """Whether the parts make one stack without a gap, of which each holds slices that follow one another."""
    frames = [frame for part in parts for frame in part]
    if not all(parts) or any(f.position is None or f.orientation is None for f in frames):
        return False
    if not all(in_one_plane(frames[0], frame) for frame in frames) or has_hole(frames):
        return False
    heights, ends = _heights(frames), np.cumsum([len(part) for part in parts])
    spans = sorted((float(at.min()), float(at.max())) for at in np.split(heights, ends[:-1]))
    return all(below[1] < above[0] - SAME_PLACE_MM for below, above in pairwise(spans))


def has_hole(frames: Sequence[Frame]) -> bool:
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
