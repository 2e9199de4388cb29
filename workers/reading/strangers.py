"""Series in, without the few images that are of another kind than the stack of each: captures, and planning images.

They have another timing, or no place, and would refuse the whole series. Whatever may be a slice of the stack stays.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from triage.model import SkippedSeries
from workers.reading.contrasts import mixed_contrasts
from workers.reading.frames import Frame
from workers.reading.objects import ReadObject
from workers.reading.stray_frames import MOST_STRAY, has_hole, in_one_plane
from workers.reading.values import text
from workers.reading.volume import MIN_SLICES

OTHER_IMAGE = "other_image"


def without_strangers(
    groups: Mapping[str, list[ReadObject]], vouched: Collection[Path] = ()
) -> tuple[dict[str, list[ReadObject]], tuple[SkippedSeries, ...]]:
    """The objects by series, and those that were left out.

    Args:
        vouched: files that a human restored to the study. They stay.
    """
    kept, left = dict(groups), []
    for uid, group in groups.items():
        strange = _strangers(group)
        if not strange or any(one.path in vouched for one in strange):
            continue
        kept[uid] = [one for one in group if one not in strange]
        said = f"{len(strange)} of {len(group)} objects of a series are captures or planning images beside its stack"
        left.append(SkippedSeries(uid, OTHER_IMAGE, said, len(strange)))
    return kept, tuple(left)


def _strangers(group: Sequence[ReadObject]) -> list[ReadObject]:
    """Objects of one image each, of another class without a place, or of another plane or size and another timing."""
    frames = [frame for one in group for frame in one.frames]
    lone = [one for one in group if len(one.frames) == 1]
    planes: list[list[ReadObject]] = []
    placeless = [one for one in lone if not _has_place(one.frames[0])]
    for one in lone:
        if _has_place(one.frames[0]):
            alike = next((some for some in planes if in_one_plane(some[0].frames[0], one.frames[0])), None)
            planes.append([one]) if alike is None else alike.append(one)
            if len(planes) > len(group) * MOST_STRAY + 1:
                return []
    few = [one for some in planes if len(some) < MIN_SLICES for one in some]
    stack = [one for some in planes if len(some) >= MIN_SLICES for one in some]
    strange = [*few, *placeless]
    if not stack or not 0 < len(strange) <= MOST_STRAY * len(frames):
        return []
    classes = Counter(text(one.header, "SOPClassUID") for one in stack)
    if any(text(one.header, "SOPClassUID") in classes for one in placeless):
        return []  # a slice that lost its place
    of_stack = [frame for one in stack for frame in one.frames]
    if has_hole(of_stack) or (not placeless and (not mixed_contrasts(frames) or mixed_contrasts(of_stack))):
        return []
    return strange


def _has_place(frame: Frame) -> bool:
    return frame.position is not None and frame.orientation is not None
