"""The objects of one study in, groups of them that are one series out, and which of the groups hold two contrasts.

SeriesInstanceUID decides, except where a gateway gave each slice, or each part of a series, a UID of its own: such
objects are joined when everything that describes the acquisition is equal, and parts when they make one stack.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from triage.model import SkippedSeries
from workers.reading.contrasts import mixed_contrasts
from workers.reading.objects import ReadObject
from workers.reading.values import integer, number, strings, text, value_of
from workers.reading.volume import MIN_SLICES

# what the slices of one series have in common; echo time and b-value may differ within one
_TEXTS = (
    "SOPClassUID", "Modality", "Manufacturer", "SeriesDescription", "ProtocolName",
    "SequenceName", "MRAcquisitionType", "ContrastBolusAgent", "SeriesNumber",
)  # fmt: skip
_LISTS = ("ImageType", "ScanningSequence", "SequenceVariant", "ScanOptions")
EVEN = 0.1  # of the step between slices
_NUMBERS = (
    "RepetitionTime",
    "InversionTime",
    "FlipAngle",
    "Rows",
    "Columns",
    "SliceThickness",
    "MagneticFieldStrength",
)


def series_of(objects: Sequence[ReadObject]) -> dict[str, list[ReadObject]]:
    """The objects by series. A joined one has the UID of its first object by instance number."""
    groups: dict[str, list[ReadObject]] = defaultdict(list)
    for one in objects:
        groups[one.series].append(one)
    lone = [group[0] for group in groups.values() if len(group) == 1 and len(group[0].frames) == 1]
    if len(lone) >= MIN_SLICES:
        for key, together in _acquisitions(lone).items():
            if len(together) >= MIN_SLICES and key[0]:
                _join(groups, together)
    for parts in _parts_of_one(groups):
        _join(groups, [one for part in parts for one in part])
    return dict(groups)


def _join(groups: dict[str, list[ReadObject]], together: Sequence[ReadObject]) -> None:
    for uid in {one.series for one in together}:
        del groups[uid]
    joined = sorted(together, key=lambda one: (_number_of(one) or 0.0, one.series))
    groups[joined[0].series] = joined


def _number_of(one: ReadObject) -> float | None:
    return number(value_of(one.header, "InstanceNumber"))


def _parts_of_one(groups: Mapping[str, list[ReadObject]]) -> Iterator[list[list[ReadObject]]]:
    """Groups that a router made of one series: all that describes the acquisition is equal, no two of their objects
    have one number, and their slices make one even stack. Runs of one protocol are numbered anew or lie in each
    other."""
    alike: dict[tuple[Any, ...], list[list[ReadObject]]] = defaultdict(list)
    for group in groups.values():
        if len(group) > 1 and all(len(one.frames) == 1 and one.series == group[0].series for one in group):
            alike[_scan(group[0])].append(group)
    for key, parts in alike.items():
        if len(parts) < 2 or not key[0]:
            continue
        together = [one for part in parts for one in part]
        numbers = {_number_of(one) for one in together}
        numbered = None not in numbers and len(numbers) == len(together)
        if numbered and all(_scan(one) == key for one in together) and _one_stack(parts):
            yield parts


def _scan(one: ReadObject) -> tuple[Any, ...]:
    return (*_acquisition(one), text(one.header, "FrameOfReferenceUID"))


def _one_stack(parts: Sequence[Sequence[ReadObject]]) -> bool:
    """Whether the slices of all parts lie at even steps. Parts that lie in one another are runs of their own when their
    slices would overlap."""
    frames = [[one.frames[0] for one in part] for part in parts]
    first = frames[0][0]
    normal = np.cross(np.array(first.orientation)[:3], np.array(first.orientation)[3:])
    heights = [sorted(float(np.dot(frame.position or (), normal)) for frame in part) for part in frames]
    steps = np.diff(sorted(height for part in heights for height in part))
    step = float(np.median(steps))
    if step <= 0 or np.abs(steps - step).max() > EVEN * step:
        return False
    ordered = sorted(heights)
    apart = all(lower[-1] < upper[0] for lower, upper in pairwise(ordered))
    return apart or first.thickness_mm is None or first.thickness_mm <= (1 + EVEN) * step


def joined_notices(groups: Mapping[str, list[ReadObject]]) -> tuple[str, ...]:
    """What a reader should know: results refer to these series by the UID of the first."""
    counts = [(len({one.series for one in group}), len(group)) for group in groups.values()]
    return tuple(
        f"{series} series hold {'one slice each' if series == objects else 'parts'} of one acquisition: measured as one"
        for series, objects in counts
        if series > 1
    )


def _acquisitions(lone: Sequence[ReadObject]) -> dict[tuple[Any, ...], list[ReadObject]]:
    """The objects by what tells acquisitions apart. Frames of reference do where objects share them; an anonymiser may
    have given each object its own."""
    frames = Counter(text(one.header, "FrameOfReferenceUID") for one in lone)
    spoiled = max(frames.values()) == 1
    alike: dict[tuple[Any, ...], list[ReadObject]] = defaultdict(list)
    for one in lone:
        frame = "" if spoiled else text(one.header, "FrameOfReferenceUID")
        alike[(*_acquisition(one), frame)].append(one)
    return alike


def _acquisition(one: ReadObject) -> tuple[Any, ...]:
    """What tells acquisitions apart. The first value is empty when nothing says that images are of one."""
    header, frame = one.header, one.frames[0]
    orientation = tuple(round(v, 2) + 0.0 for v in frame.orientation or ())
    spacing = tuple(round(v, 4) for v in frame.spacing or ())
    return (
        orientation if spacing and frame.position is not None else (),
        spacing,
        *(text(header, keyword) for keyword in _TEXTS),
        *(strings(header, keyword) for keyword in _LISTS),
        *(number(value_of(header, keyword)) for keyword in _NUMBERS),
    )


def refused_whole(groups: Mapping[str, list[ReadObject]]) -> list[SkippedSeries]:
    """The groups that cannot be measured as they are, and why: two contrasts that nothing takes apart, objects that
    describe another number of frames than they hold, or parts of an object that was cut and is not all there."""
    refused, lacking = [], _lacking_parts([one for group in groups.values() for one in group])
    for uid, group in groups.items():
        if said := next(filter(None, map(_miscounted, group)), None):
            refused.append(SkippedSeries(uid, "incomplete_header", said))
        elif said := next(
            (lacking[c] for one in group if (c := text(one.header, "ConcatenationUID")) in lacking), None
        ):
            refused.append(SkippedSeries(uid, "missing_slices", said))
        elif said := mixed_contrasts([frame for one in group for frame in one.frames]):
            refused.append(SkippedSeries(uid, "mixed_contrasts", f"one series holds two contrasts: {said}"))
    return refused


def _miscounted(one: ReadObject) -> str | None:
    stated = integer(value_of(one.header, "NumberOfFrames"))
    described = value_of(one.header, "PerFrameFunctionalGroupsSequence")
    if not described or stated is None or stated == len(described):
        return None
    return f"an object holds {stated} images, and its header describes {len(described)}"


def _lacking_parts(objects: Sequence[ReadObject]) -> dict[str, str]:
    """What is missing of each concatenation, which is one object in several (PS3.3 C.7.6.16.2.2.4). The last part may
    lack without a gap between the slices. The parts of one may be of different series here: one for each contrast."""
    there: dict[str, set[int]] = defaultdict(set)
    totals: dict[str, int] = defaultdict(int)
    for one in objects:
        uid, part = text(one.header, "ConcatenationUID"), integer(value_of(one.header, "InConcatenationNumber"))
        if uid and part is not None:
            there[uid].add(part)
            totals[uid] = max(totals[uid], integer(value_of(one.header, "InConcatenationTotalNumber")) or 0)
    return {
        uid: f"{len(parts)} of {totals[uid]} parts of an object are there"
        for uid, parts in there.items()
        if len(parts) < totals[uid]
    }
