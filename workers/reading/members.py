"""Objects of one study in, the objects and frames of each series as it is measured out.

A series is not always what has one UID: slices with a UID each are joined, several series under one UID are taken
apart, and what another scan made is left out. Whoever refers to the images of a measurement asks here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from workers.reading.joining import joined_notices, series_of
from workers.reading.limits import Budget
from workers.reading.objects import ReadObject
from workers.reading.other_scans import OtherScans, one_scan_each
from workers.reading.splitting import taken_apart
from workers.reading.strangers import without_strangers


@dataclass(frozen=True)
class MeasuredObjects:
    """groups: by the UID that the document names; each object has those frames only that are of the series.

    scans: what was left out. notices: what a reader should know of series that were joined or taken apart.
    """

    groups: dict[str, list[ReadObject]]
    scans: OtherScans
    notices: tuple[str, ...]


def counts_of(groups: Mapping[str, Sequence[ReadObject]]) -> dict[str, int]:
    """Objects of each series, in the order given; one that several hold counts for the first."""
    found, seen = dict[str, int](), set[Path]()
    for uid, group in groups.items():
        own = {one.path for one in group} - seen
        seen |= own
        found[uid] = len(own)
    return found


def as_measured(
    objects: Sequence[ReadObject], vouched: Collection[Path] = (), budget: Budget | None = None
) -> MeasuredObjects:
    """The series of one study.

    Args:
        objects: all of the study that are measured (``objects_of``).
        vouched: files that a human restored to the study. They stay.

    Raises:
        NotAssessable: too_slow.
    """
    joined = series_of(objects)
    of_one_kind, strangers = without_strangers(joined, vouched)
    parts, parted = taken_apart(of_one_kind, budget)
    groups, scans = one_scan_each(parts, vouched)
    said = (*(one.message for one in strangers), *scans.said)
    scans = replace(scans, strays=(*strangers, *scans.strays), said=said)
    return MeasuredObjects(groups, scans, (*joined_notices(joined), *parted, *scans.restored))
