"""Image files of one study in, what renderers need of their headers out.

No pixel is read, except where several images are at one place: then those count that were measured.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from triage.errors import NotAssessable
from triage.model import SequenceKind
from workers.moments import DATES_OF_A_STUDY, first_date, plain_time
from workers.outputs.sources import (
    HEADER_KEYWORDS,
    ORDER_KEYWORDS,
    SourceFrame,
    SourceInstance,
    SourceSeries,
    SourceStudy,
    first_value,
)
from workers.reading.groups import Groups, groups_of
from workers.reading.limits import Budget
from workers.reading.members import as_measured, counts_of
from workers.reading.objects import ReadObject, objects_of
from workers.reading.values import number, text, value_of, vector_of
from workers.reading.volume import without_strays


@dataclass(frozen=True)
class UsedSeries:
    """A series that counts. objects: how many it had when it was measured."""

    kind: str
    objects: int


_DATES = ("StudyDate", "PatientBirthDate")


def source_study(
    paths: Iterable[Path], used: Mapping[str, UsedSeries], *, vouched: Collection[Path] = ()
) -> SourceStudy:
    """One study.

    Args:
        paths: its files, any order; one that cannot be read is left out. All of them, unless each series that counts
            has the objects that were measured, and no others.
        used: series UID, as the document names it -> what is known of it; the series that count.
        vouched: files of which somebody knows that they count.

    Raises:
        Transient, OSError: a file cannot be read now.
        NotAssessable: a code of the limits, mixed_patients.
        Misconfigured: the files belong to more than one study.
    """
    try:
        objects = objects_of(paths, None, vouched, Budget()).kept
    except NotAssessable as error:
        if error.code != "no_images":
            raise
        return SourceStudy({}, ())
    groups = as_measured(objects, vouched).groups
    series = [(known.kind, some) for uid, known in sorted(used.items()) if (some := _group(uid, known, groups))]
    own = {one.path for _, group in series for one in group}
    header: dict[str, str] = {}
    for one in sorted(objects, key=lambda one: one.path not in own):
        for keyword in HEADER_KEYWORDS:
            if not header.get(keyword) and (value := _stated(one.header, keyword)):
                header[keyword] = value
    return SourceStudy(header, tuple(_series(kind, group) for kind, group in series))


def _group(uid: str, known: UsedSeries, groups: Mapping[str, list[ReadObject]]) -> list[ReadObject]:
    """The objects of a series without those that its volume was made without.

    When they are not as many as were measured none is referred to: a wrong reference is worse than none. Of slices
    with a UID each the one that has that of the series is left.
    """
    found = next((name for name, some in groups.items() if any(one.series == uid for one in some)), "")
    name = uid if uid in groups else found
    group = groups.get(name, [])
    if counts_of(groups).get(name) != known.objects:
        a_uid_each = len(group) == len({one.series for one in group})
        return [one for one in group if one.series == uid] if a_uid_each else []
    return _without_strays(group) if known.kind == SequenceKind.FLAIR else group  # nothing else is outlined


def _without_strays(group: list[ReadObject]) -> list[ReadObject]:
    try:
        kept = set(map(id, without_strays([frame for one in group for frame in one.frames], SequenceKind.FLAIR)))
    except NotAssessable:  # it was measured as something else
        return group
    own = [replace(one, frames=[frame for frame in one.frames if id(frame) in kept]) for one in group]
    return [new for one, new in zip(group, own, strict=True) if new.frames or not one.frames]


def _stated(ds: Any, keyword: str) -> str:
    """The text of an element. Dates and times in the form of the standard, however the header writes them: results
    and messages repeat them. Of several names or numbers of an order the first: no message has a place for more."""
    if keyword == "StudyTime":
        return plain_time(text(ds, keyword))
    if keyword in ("PatientName", *ORDER_KEYWORDS):
        return first_value(text(ds, keyword))
    if keyword not in _DATES:
        return text(ds, keyword)
    day = first_date(text(ds, one) for one in (DATES_OF_A_STUDY if keyword == "StudyDate" else (keyword,)))
    return "" if day is None else f"{day:%Y%m%d}"


def _series(kind: str, group: Sequence[ReadObject]) -> SourceSeries:
    """Under a UID that the objects state: the document may name a part of a series by one that is made."""
    first, uid = group[0].header, group[0].series
    instances = sorted((_instance(one, uid) for one in group), key=lambda one: one.sop_instance_uid)
    return SourceSeries(
        uid,
        kind,
        text(first, "Modality"),
        text(first, "SeriesDescription"),
        _most(text(one.header, "FrameOfReferenceUID") for one in group),
        tuple(instances),
    )


def _most(values: Iterable[str]) -> str:
    """The value that most state; "" when none does."""
    counts = Counter(filter(None, values))
    return min(counts, key=lambda value: (-counts[value], value), default="")


def _instance(one: ReadObject, series: str) -> SourceInstance:
    ds, own = one.header, {frame.number for frame in one.frames}
    planes = groups_of(ds) if "PerFrameFunctionalGroupsSequence" in ds else []
    return SourceInstance(
        sop_class_uid=text(ds, "SOPClassUID"),
        sop_instance_uid=text(ds, "SOPInstanceUID"),
        frames=int(number(value_of(ds, "NumberOfFrames")) or 1),
        position=vector_of(value_of(ds, "ImagePositionPatient"), 3) or (),
        orientation=vector_of(value_of(ds, "ImageOrientationPatient"), 6) or (),
        rows=int(number(value_of(ds, "Rows")) or 0),
        columns=int(number(value_of(ds, "Columns")) or 0),
        spacing=vector_of(value_of(ds, "PixelSpacing"), 2) or (),
        thickness_mm=number(value_of(ds, "SliceThickness")),
        window=_pair(ds, "WindowCenter", "WindowWidth"),
        rescale=_pair(ds, "RescaleSlope", "RescaleIntercept"),
        planes=tuple(_plane(groups, used=number in own) for number, groups in enumerate(planes)),
        series_instance_uid="" if one.series == series else one.series,
    )


def _plane(groups: Groups, *, used: bool) -> SourceFrame:
    window = ("WindowCenter", "WindowWidth")
    return SourceFrame(
        position=vector_of(groups.get("PlanePositionSequence", "ImagePositionPatient"), 3) or (),
        orientation=vector_of(groups.get("PlaneOrientationSequence", "ImageOrientationPatient"), 6) or (),
        spacing=vector_of(groups.get("PixelMeasuresSequence", "PixelSpacing"), 2) or (),
        thickness_mm=number(groups.get("PixelMeasuresSequence", "SliceThickness")),
        window=_both(*(groups.get("FrameVOILUTSequence", keyword) for keyword in window)),
        rescale=_both(
            *(groups.get("PixelValueTransformationSequence", key) for key in ("RescaleSlope", "RescaleIntercept"))
        ),
        used=used,
    )


def _pair(ds: Any, *keywords: str) -> tuple[float, ...]:
    """The first value of each; nothing unless both are there."""
    return _both(*(value_of(ds, keyword) for keyword in keywords))


def _both(*values: Any) -> tuple[float, ...]:
    found = [number(value) for value in values]
    return tuple(one for one in found if one is not None) if None not in found else ()
