"""The objects of each series in, those that were not acquired in the same scan out, and a sentence about them.

Whoever anonymises, imports or routes images may give a slice of another head the identity and the UIDs of a series.
What the scanner wrote about itself tells it apart: all images of one series have one frame of reference
(PS3.3 C.7.4.1) and come from one scanner, within minutes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from triage.model import SkippedSeries
from workers.reading.objects import ReadObject
from workers.reading.stray_frames import MOST_STRAY, lie_one_above_another
from workers.reading.values import acquisition_moment, number, text, value_of
from workers.reading.visits import LONGEST_PAUSE
from workers.reading.volume import MIN_SLICES

OTHER_SCAN, MIXED_SCANS = "other_scan", "mixed_scans"
# An anonymiser that gives each object a value of its own makes more of them. They say nothing.
MOST_VALUES = 3

_Fact = Callable[[Any], str]


def _stated(keyword: str) -> _Fact:
    return lambda header: text(header, keyword).casefold()


def _tesla(header: Any) -> str:
    found = number(value_of(header, "MagneticFieldStrength"))
    return f"{found:.2f}" if found else ""


_FACTS: tuple[tuple[str, _Fact], ...] = (
    ("frame of reference", _stated("FrameOfReferenceUID")),
    ("scanner", _stated("DeviceSerialNumber")),
    ("scanner", _stated("ManufacturerModelName")),
    ("scanner", _stated("Manufacturer")),
    ("field strength", _tesla),
)


@dataclass(frozen=True)
class OtherScans:
    """strays: objects that were left out, by reason. refused: series of which nothing says which scan is meant. said:
    a sentence for each reason. restored: a sentence for each series that holds images of two scans because a human
    says that they belong to it."""

    strays: tuple[SkippedSeries, ...]
    refused: tuple[SkippedSeries, ...]
    said: tuple[str, ...]
    restored: tuple[str, ...] = ()


def one_scan_each(
    groups: Mapping[str, list[ReadObject]], vouched: Collection[Path] = ()
) -> tuple[dict[str, list[ReadObject]], OtherScans]:
    """The objects by series without what another scan made, of each series of at least MIN_SLICES images.

    The scan of most images counts when it made three quarters of them; else that of the other series of the study.
    A series of slabs between which the table moved has several frames of reference as well. Nothing tells it from the
    halves of two heads (of 12 real heads, 9 % go on into one another as their own slices do), and it is refused.

    Args:
        vouched: files that a human restored to the study. They stay, and do not say which scan is meant: a series is
            refused only for the other images.
    """
    facts = [_stated_by(groups, fact) for _, fact in _FACTS]
    kept: dict[str, list[ReadObject]] = {}
    strays: list[SkippedSeries] = []
    refused: list[SkippedSeries] = []
    said: list[str] = []
    restored: list[str] = []
    for uid, group in groups.items():
        kept[uid] = group
        if _images(group) < MIN_SLICES:
            continue
        stays = {n for n, one in enumerate(group) if one.path in vouched}
        why, unclear = _others_of(uid, group, facts, stays)
        if unclear:
            refused.append(SkippedSeries(uid, MIXED_SCANS, f"one series holds the images of two scans: {unclear}"))
            continue
        restored += _restored(uid, facts, stays)
        kept[uid] = [one for n, one in enumerate(group) if n not in why]
        for reason, count in sorted(Counter(why.values()).items()):
            strays.append(SkippedSeries(uid, OTHER_SCAN, f"{count} objects of the series state {reason}", count))
            said.append(
                f"{count} of {len(group)} objects of a series state {reason} than the others; the rest is assessed"
            )
    return kept, OtherScans(tuple(strays), tuple(refused), tuple(said), tuple(restored))


def _images(group: Sequence[ReadObject]) -> int:
    return sum(len(one.frames) for one in group)


@dataclass(frozen=True)
class _Stated:
    """What the objects of a study state, by series, of one fact. own: series in which each has a value of its own."""

    values: Mapping[str, Sequence[str]]
    counts: Counter[str]
    own: frozenset[str]


def _stated_by(groups: Mapping[str, Sequence[ReadObject]], fact: _Fact) -> _Stated:
    """Each header is asked once, however many series there are."""
    values = {uid: [fact(one.header) for one in group] for uid, group in groups.items()}
    own = frozenset(uid for uid, some in values.items() if _each_its_own(some))
    return _Stated(values, Counter(value for some in values.values() for value in some), own)


def _restored(uid: str, facts: Sequence[_Stated], stays: Collection[int]) -> list[str]:
    """What a reader is told about a series whose images state two scans, where a human restored some of them."""
    for (name, _), stated in zip(_FACTS, facts, strict=True):
        values = stated.values[uid]
        if stays and uid not in stated.own and len({value for value in values if value}) > 1:
            count = f"{len(stays)} of {len(values)} objects"
            return [f"the {name} differs within a series: {count} were restored by a human and are measured with it"]
    return []


def _others_of(
    uid: str, group: Sequence[ReadObject], facts: Sequence[_Stated], stays: Collection[int]
) -> tuple[dict[int, str], str]:
    """Position of each object of another scan -> why; and what differs when nobody can say which scan is meant.

    Args:
        facts: those of _FACTS.
        stays: positions of objects that belong to the series, whatever they state.
    """
    found: dict[int, str] = {}
    differing: list[str] = []
    for (name, _), stated in zip(_FACTS, facts, strict=True):
        values = ["" if n in stays else value for n, value in enumerate(stated.values[uid])]
        if uid in stated.own and len(stated.own) > 1:
            continue
        own, unclear = _own(values, group, stated.counts)
        if unclear:
            differing.append(name)
        if own:
            found = {n: f"another {name}" for n, value in enumerate(values) if value and value != own} | found
    found = {n: why for n, why in (_at_other_times(group) | found).items() if n not in stays}
    if not differing and _cuts_the_stack(group, found):
        differing = [next(iter(found.values())).removeprefix("another ")]
    return ({}, f"their {differing[0]} differs") if differing else (found, "")


def _cuts_the_stack(group: Sequence[ReadObject], found: Mapping[int, str]) -> bool:
    """Whether what would be left is a part of a head: many images go, and they lie beyond those that stay."""
    gone = [frame for n in found for frame in group[n].frames]
    stay = [frame for n, one in enumerate(group) if n not in found for frame in one.frames]
    return len(gone) > MOST_STRAY * (len(gone) + len(stay)) and lie_one_above_another([stay, gone])


def _each_its_own(values: Sequence[str]) -> bool:
    """Whether each of several objects has a value of its own, which an anonymiser gave it."""
    return len(values) > 1 and len(set(values)) == len(values) and all(values)


def _own(values: Sequence[str], group: Sequence[ReadObject], of_study: Counter[str]) -> tuple[str, bool]:
    """The value of the scan that is meant, "" when all agree or nothing can be told; and whether it is a matter of
    two scans of which neither is that of the rest of the study."""
    images: Counter[str] = Counter()
    for value, one in zip(values, group, strict=True):
        if value:
            images[value] += max(1, len(one.frames))
    if not 1 < len(images) <= MOST_VALUES:
        return "", False
    most, count = images.most_common(1)[0]
    if images.total() - count <= MOST_STRAY * images.total():
        return most, False
    here = Counter(values)
    ranked = Counter({value: of_study[value] - here[value] for value in images}).most_common(2)  # in the other series
    if ranked[0][1] > ranked[1][1]:
        return ranked[0][0], False
    return "", True


def _at_other_times(group: Sequence[ReadObject]) -> dict[int, str]:
    """A few objects acquired more than LONGEST_PAUSE before or after most of the others."""
    moments: dict[int, datetime] = {}
    for n, one in enumerate(group):
        day, at = acquisition_moment(one.header)
        if day is not None and at is not None:
            moments[n] = datetime.combine(day, at)
    if not moments:
        return {}
    middle = sorted(moments.values())[len(moments) // 2]
    far = {n for n, moment in moments.items() if abs(moment - middle) > LONGEST_PAUSE}
    few = len(far) <= MOST_STRAY * len(moments)
    return dict.fromkeys(sorted(far), "another time of acquisition") if few else {}
