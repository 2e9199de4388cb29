"""Series in, those that hold several under one UID taken apart by physics and geometry, out.

Gateways and de-identification give two series one UID, and some consoles put reformats beside what they are made of.
Where timing, contrast agent, technique or geometry tell the images apart, and each part is a whole stack, each part is
a series of its own: the rules of recognition and choice see it as such. Where nothing tells them apart the series stays
whole, and is refused later.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, time
from itertools import combinations, pairwise
from typing import Any

import numpy as np

from triage.model import SequenceKind, SeriesHeader
from triage.sequences import words
from triage.sequences.facts import is_inversion_recovery
from triage.sequences.identify import identify
from workers.reading.contrasts import SAME_TR_RATIO
from workers.reading.frames import Frame
from workers.reading.limits import Budget
from workers.reading.objects import ReadObject
from workers.reading.selection import maps_in, place_of
from workers.reading.series import agent_of, series_header
from workers.reading.spokesman import main_type
from workers.reading.stray_frames import OVERLAP
from workers.reading.values import strings, text
from workers.reading.volume import MIN_SLICES

SAME_TI_RATIO = 1.5  # FLAIR, T1-FLAIR and STIR are further apart; MP2RAGE too, whose second image is no T1
SAME_DIRECTION = 0.05  # of direction cosines; reformats are turned by more
SAME_SPACING_MM = 0.02
LEAST_OVERLAP = 0.5  # of the shorter part, in extent and in places: slabs of one series lie above each other
LONGEST_UID = 64
MOST_PARTS = 16  # and grids; radial and rotated planes have more, and are one series
# the part that keeps the UID, by which a result is referred to; then the larger one
_FIRST = (SequenceKind.FLAIR, SequenceKind.DWI, SequenceKind.ADC, SequenceKind.T1, SequenceKind.T1_GD, SequenceKind.T2)
_NEVER = date.max, time.max  # nothing says when

Groups = Mapping[str, Sequence[ReadObject]]


def taken_apart(groups: Groups, budget: Budget | None = None) -> tuple[dict[str, list[ReadObject]], tuple[str, ...]]:
    """The same groups, with parts in the place of those that can be taken apart, and what was done.

    A part holds objects with those frames only that are its own. The main one keeps the UID of the series; another has
    that UID with a number behind, which no object states. The order of the files has no part in which UID is whose.

    Raises:
        NotAssessable: too_slow.
    """
    parts = {}
    for uid, group in groups.items():
        parts[uid] = _parts(group)
        if budget is not None:
            budget.check_time()
    taken = {*groups, *(one.series for group in groups.values() for one in group)}
    names = {uid: _uids(uid, len(parts[uid]), taken) for uid in sorted(parts)}
    found = {name: part for uid in parts for name, part in zip(names[uid], parts[uid], strict=True)}
    said = []
    for some in parts.values():
        if len(some) > 1:
            sizes = ", ".join(str(sum(len(one.frames) for one in part)) for part in some)
            said.append(f"one series UID holds {len(some)} series of {sizes} images: each is looked at by itself")
    return found, tuple(said)


def header_of_part(header: SeriesHeader, frames: Sequence[Frame], siblings: Sequence[SeriesHeader]) -> SeriesHeader:
    """The header of a series; of a part with its own type of image, and without the names of another part.

    A name of an inversion sequence that stands above two parts is that of the one that states an inversion time.

    Args:
        siblings: the headers of all parts, itself included.
    """
    if len(siblings) < 2:
        return header
    header = replace(header, image_type=main_type(frames) or header.image_type)
    if header.inversion_time_ms or not any(other.inversion_time_ms for other in siblings):
        return header
    if not (is_inversion_recovery(header) or words.says(words.FLAIR, header)):
        return header
    own = tuple(word for word in header.scanning_sequence if word != "IR")
    return replace(header, series_description="", protocol_name="", sequence_name="", scanning_sequence=own, vendor={})


def _uids(uid: str, count: int, taken: set[str]) -> list[str]:
    """The UID of each part. Those that are made are free, and taken afterwards."""
    found, number = [uid], 2
    while len(found) < count:
        made = _uid_of_part(uid, number)
        number += 1
        if made not in taken:
            found.append(made)
            taken.add(made)
    return found


def _uid_of_part(uid: str, number: int) -> str:
    end = f".{number}"
    return uid[: LONGEST_UID - len(end)].rstrip(".") + end


def _parts(group: Sequence[ReadObject]) -> list[list[ReadObject]]:
    whole = [list(group)]
    pairs = [(one, frame) for one in group for frame in one.frames]
    if len(pairs) < 2 * MIN_SLICES:
        return whole
    split: dict[tuple[Any, ...], list[tuple[ReadObject, Frame]]] = defaultdict(list)
    frames = [frame for _, frame in pairs]
    trs, tis = _steps(map(_tr, frames), SAME_TR_RATIO), _steps(map(_ti, frames), SAME_TI_RATIO)
    techniques = {id(one): _technique(one) for one in group}
    grids = _Grids()
    for one, frame in sorted(pairs, key=_place):
        key = _class_of(_tr(frame), trs), _class_of(_ti(frame), tis), grids.number_of(frame)
        split[*key, *techniques[id(one)], frame.agent, maps_in(frame)].append((one, frame))
        if len(split) > MOST_PARTS or grids.count > MOST_PARTS:
            return whole
    apart = [run for part in split.values() for run in _runs(part)]
    if len(apart) < 2 or not _are_whole([[frame for _, frame in part] for part in apart]):
        return whole
    return sorted(map(_objects, apart), key=_rank)


def _runs(part: list[tuple[ReadObject, Frame]]) -> list[list[tuple[ReadObject, Frame]]]:
    """Whole runs of FLAIR or T2, each acquired after the one before: a contrast agent may lie between them, which the
    order of the series of the study tells. Of T1 nothing tells which is before it."""
    if any(frame.acquired_at is None or frame.position is None or frame.b_value is not None for _, frame in part):
        return [part]
    seen: Counter[tuple[Any, ...]] = Counter()
    runs: dict[int, list[tuple[ReadObject, Frame]]] = defaultdict(list)
    for one, frame in sorted(part, key=lambda pair: (pair[1].acquired_at or _NEVER, _place(pair))):
        what = place_of(frame), frame.echo_time_ms, frame.image_type
        runs[seen[what]].append((one, frame))
        seen[what] += 1
    found = list(runs.values())
    times = [[frame.acquired_at or _NEVER for _, frame in run] for run in found]
    whole = len(found) > 1 and len({len(run) for run in found}) == 1
    if not whole or any(max(sooner) >= min(later) for sooner, later in pairwise(times)):
        return [part]
    objects = _objects(part)
    kind = identify(series_header([one.header for one in objects], [one.frames for one in objects])).kind
    return found if kind in (SequenceKind.FLAIR, SequenceKind.T2) else [part]


def _place(pair: tuple[ReadObject, Frame]) -> tuple[str, int]:
    """In an order that is not that of the files."""
    return text(pair[0].header, "SOPInstanceUID"), pair[1].number


def _tr(frame: Frame) -> float | None:
    return frame.repetition_time_ms


def _ti(frame: Frame) -> float | None:
    return frame.inversion_time_ms


def _technique(one: ReadObject) -> tuple[Any, ...]:
    """What else differs between series, and not within one: echo times, b-values and types of image may."""
    return _has_agent(one), tuple(sorted(strings(one.header, "ScanningSequence")))


def _has_agent(one: ReadObject) -> bool:
    return words.names_agent(agent_of(one.header, one.frames))


class _Grids:
    """The orientations, spacings and matrices seen, each with a number."""

    def __init__(self) -> None:
        self._seen: list[Frame] = []
        self._known: dict[tuple[Any, ...], int] = {}

    @property
    def count(self) -> int:
        return len(self._seen)

    def number_of(self, frame: Frame) -> int:
        """That of its grid; a new one is added."""
        stated = frame.orientation, frame.spacing, frame.pixels.rows, frame.pixels.columns
        if stated not in self._known:
            alike = next((n for n, other in enumerate(self._seen) if _same_grid(frame, other)), self.count)
            if alike == self.count:
                self._seen.append(frame)
            self._known[stated] = alike
        return self._known[stated]


def _same_grid(one: Frame, other: Frame) -> bool:
    return (
        (one.pixels.rows, one.pixels.columns) == (other.pixels.rows, other.pixels.columns)
        and _close(one.orientation, other.orientation, SAME_DIRECTION)
        and _close(one.spacing, other.spacing, SAME_SPACING_MM)
    )


def _close(one: Sequence[float] | None, other: Sequence[float] | None, tolerance: float) -> bool:
    if one is None or other is None:
        return one is other
    return all(abs(a - b) <= tolerance for a, b in zip(one, other, strict=True))


def _steps(values: Iterable[float | None], ratio: float) -> list[float]:
    """The times at which another group of times begins, in order."""
    return [later for sooner, later in pairwise(sorted({v for v in values if v})) if later > ratio * sooner]


def _class_of(value: float | None, steps: Sequence[float]) -> int:
    """The place of a time among the groups of times; -1: none is stated."""
    return bisect_right(steps, value) if value else -1


def _are_whole(parts: Sequence[Sequence[Frame]]) -> bool:
    """Whether each part is a stack without the others."""
    if any(len(part) < MIN_SLICES or any(f.position is None or not f.orientation for f in part) for part in parts):
        return False
    return all(_are_two(one, other) for one, other in combinations(parts, 2))


def _are_two(one: Sequence[Frame], other: Sequence[Frame]) -> bool:
    """Whether two parts are two series, rather than slices of one that lie above or between each other."""
    if not _close(one[0].orientation, other[0].orientation, SAME_DIRECTION):
        return True
    cosines = np.array(one[0].orientation)
    normal = np.cross(cosines[:3], cosines[3:])
    a, b = (np.unique(np.round(np.array([f.position for f in part], float) @ normal, 1)) for part in (one, other))
    common = min(a[-1], b[-1]) - max(a[0], b[0])
    if common < LEAST_OVERLAP * min(np.ptp(a), np.ptp(b)):
        return False
    gap = float(np.median(np.diff(np.unique(np.concatenate([a, b])))))
    thickness = one[0].thickness_mm
    between = thickness is not None and gap < OVERLAP * thickness
    return between or np.intersect1d(a, b).size >= LEAST_OVERLAP * min(a.size, b.size)


def _objects(pairs: Sequence[tuple[ReadObject, Frame]]) -> list[ReadObject]:
    frames: dict[int, list[Frame]] = defaultdict(list)
    objects = {id(one): one for one, _ in pairs}
    for one, frame in pairs:
        frames[id(one)].append(frame)
    return [replace(objects[key], frames=some) for key, some in frames.items()]


def _rank(part: Sequence[ReadObject]) -> tuple[Any, ...]:
    """The kind, the size, before the contrast agent, the time; then the UIDs, so that no two parts are equal."""
    frames = [frame for one in part for frame in one.frames]
    header = series_header([one.header for one in part], [one.frames for one in part])
    header = replace(header, image_type=main_type(frames))
    kind = identify(header).kind
    return (
        _FIRST.index(kind) if kind in _FIRST else len(_FIRST),
        -len(frames),
        any(map(_has_agent, part)),
        min((frame.acquired_at for frame in frames if frame.acquired_at is not None), default=_NEVER),
        min(_place((one, frame)) for one in part for frame in one.frames),
    )
