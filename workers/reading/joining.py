"""The objects of one study in, groups of them that are one series out, and which of the groups hold two contrasts.

SeriesInstanceUID decides, except where a gateway gave each slice a UID of its own: such objects are joined when
everything that describes the acquisition is equal.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

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
    if len(lone) < MIN_SLICES:
        return dict(groups)
    for key, together in _acquisitions(lone).items():
        if len(together) >= MIN_SLICES and key[0]:
            for one in together:
                del groups[one.series]
            joined = sorted(
                together, key=lambda one: (number(value_of(one.header, "InstanceNumber")) or 0.0, one.series)
            )
            groups[joined[0].series] = joined
    return dict(groups)


def joined_notices(groups: Mapping[str, list[ReadObject]]) -> tuple[str, ...]:
    """What a reader should know: results refer to these series by the UID of the first."""
    counts = [len({one.series for one in group}) for group in groups.values()]
    return tuple(
        f"{count} series hold one slice each of one acquisition: measured as one" for count in counts if count > 1
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
