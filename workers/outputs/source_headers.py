"""Image files of one study in, what renderers need of their headers out. No pixel is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from triage.errors import NotAssessable
from workers.moments import DATES_OF_A_STUDY, first_date, plain_time
from workers.outputs.sources import HEADER_KEYWORDS, SourceFrame, SourceInstance, SourceSeries, SourceStudy
from workers.reading.groups import Groups, groups_of
from workers.reading.study import read_header
from workers.reading.values import number, text, value_of, vector_of

_DATES = ("StudyDate", "PatientBirthDate")


def source_study(
    paths: Iterable[Path], kinds: Mapping[str, str], belongs: Mapping[str, str] | None = None
) -> SourceStudy:
    """One study.

    Args:
        paths: its files, any order; one that cannot be read is left out.
        kinds: series UID -> kind, of the series that count.
        belongs: series UID of a slice -> the series that it is measured with, where each slice has a UID of its own.

    Raises:
        OSError: a file cannot be read now.
    """
    header: dict[str, str] = {}
    series: dict[str, list[Any]] = {}
    for path in paths:
        try:
            ds = read_header(path)
        except NotAssessable:
            continue
        for keyword in HEADER_KEYWORDS:
            if not header.get(keyword) and (value := _stated(ds, keyword)):
                header[keyword] = value
        own = text(ds, "SeriesInstanceUID")
        uid = (belongs or {}).get(own, own)
        if uid in kinds:
            series.setdefault(uid, []).append(ds)
    return SourceStudy(header, tuple(_series(uid, kinds[uid], some) for uid, some in sorted(series.items())))


def _stated(ds: Any, keyword: str) -> str:
    """The text of an element. Dates and times in the form of the standard, however the header writes them: results
    and messages repeat them."""
    if keyword == "StudyTime":
        return plain_time(text(ds, keyword))
    if keyword not in _DATES:
        return text(ds, keyword)
    day = first_date(text(ds, one) for one in (DATES_OF_A_STUDY if keyword == "StudyDate" else (keyword,)))
    return "" if day is None else f"{day:%Y%m%d}"


def _series(uid: str, kind: str, headers: list[Any]) -> SourceSeries:
    first = headers[0]
    instances = sorted((_instance(ds, uid) for ds in headers), key=lambda one: one.sop_instance_uid)
    return SourceSeries(
        uid,
        kind,
        text(first, "Modality"),
        text(first, "SeriesDescription"),
        text(first, "FrameOfReferenceUID"),
        tuple(instances),
    )


def _instance(ds: Any, series: str) -> SourceInstance:
    own = text(ds, "SeriesInstanceUID")
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
        planes=tuple(map(_plane, groups_of(ds))) if "PerFrameFunctionalGroupsSequence" in ds else (),
        series_instance_uid="" if own == series else own,
    )


def _plane(groups: Groups) -> SourceFrame:
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
    )


def _pair(ds: Any, *keywords: str) -> tuple[float, ...]:
    """The first value of each; nothing unless both are there."""
    return _both(*(value_of(ds, keyword) for keyword in keywords))


def _both(*values: Any) -> tuple[float, ...]:
    found = [number(value) for value in values]
    return tuple(one for one in found if one is not None) if None not in found else ()
