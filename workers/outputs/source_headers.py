"""Image files of one study in, what renderers need of their headers out. No pixel is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workers.moments import DATES_OF_A_STUDY, first_date, plain_time
from workers.outputs.sources import HEADER_KEYWORDS, SourceFrame, SourceInstance, SourceSeries, SourceStudy
from workers.reading.groups import Groups, groups_of
from workers.reading.members import as_measured, readable_objects
from workers.reading.objects import ReadObject
from workers.reading.values import number, text, value_of, vector_of


@dataclass(frozen=True)
class UsedSeries:
    """A series that counts. objects: how many it had when it was measured."""

    kind: str
    objects: int


_DATES = ("StudyDate", "PatientBirthDate")


def source_study(paths: Iterable[Path], used: Mapping[str, UsedSeries]) -> SourceStudy:
    """One study.

    Args:
        paths: its files, any order; one that cannot be read is left out.
        used: series UID, as the document names it -> what is known of it; the series that count.

    Raises:
        Transient, OSError: a file cannot be read now.
    """
    header: dict[str, str] = {}
    objects = readable_objects(paths)
    for one in objects:
        for keyword in HEADER_KEYWORDS:
            if not header.get(keyword) and (value := _stated(one.header, keyword)):
                header[keyword] = value
    groups = as_measured(objects)
    series = [(uid, known.kind, _group(uid, known, groups)) for uid, known in sorted(used.items())]
    return SourceStudy(header, tuple(_series(uid, kind, some) for uid, kind, some in series if some))


def _group(uid: str, known: UsedSeries, groups: Mapping[str, list[ReadObject]]) -> list[ReadObject]:
    """The objects of a series. Slices with a UID each that are not those that were measured are left alone: a wrong
    reference is worse than none."""
    group = groups.get(uid) or next((some for some in groups.values() if any(one.series == uid for one in some)), [])
    joined = len({one.series for one in group}) > 1
    return group if not joined or len(group) == known.objects else [one for one in group if one.series == uid]


def _stated(ds: Any, keyword: str) -> str:
    """The text of an element. Dates and times in the form of the standard, however the header writes them: results
    and messages repeat them."""
    if keyword == "StudyTime":
        return plain_time(text(ds, keyword))
    if keyword not in _DATES:
        return text(ds, keyword)
    day = first_date(text(ds, one) for one in (DATES_OF_A_STUDY if keyword == "StudyDate" else (keyword,)))
    return "" if day is None else f"{day:%Y%m%d}"


def _series(uid: str, kind: str, group: Sequence[ReadObject]) -> SourceSeries:
    first = group[0].header
    instances = sorted((_instance(one, uid) for one in group), key=lambda one: one.sop_instance_uid)
    return SourceSeries(
        uid,
        kind,
        text(first, "Modality"),
        text(first, "SeriesDescription"),
        text(first, "FrameOfReferenceUID"),
        tuple(instances),
    )


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
