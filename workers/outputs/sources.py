"""What renderers need of the headers of the images behind a decision, and its stored form ``sources.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from workers.identities import printable

FILE_NAME = "sources.json"
Header = Mapping[str, str]  # DICOM keyword (of HEADER_KEYWORDS) -> text as it may be shown
PATIENT_KEYWORDS = ("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex")
ORDER_KEYWORDS = (
    "StudyID", "AccessionNumber", "ReferringPhysicianName", "PlacerOrderNumberImagingServiceRequest",
    "FillerOrderNumberImagingServiceRequest",
)  # fmt: skip
HEADER_KEYWORDS = (
    *PATIENT_KEYWORDS, "StudyInstanceUID", "StudyDate", "StudyTime", *ORDER_KEYWORDS, "StudyDescription",
    "TimezoneOffsetFromUTC", "Manufacturer", "InstitutionName",
)  # fmt: skip


@dataclass(frozen=True)
class SourceFrame:
    """One frame of an enhanced object; its number is its place, counted from 1. Fields as those of SourceInstance.

    used: it is of this series, and not of another one under the same UID.
    """

    position: tuple[float, ...]
    orientation: tuple[float, ...]
    spacing: tuple[float, ...]
    thickness_mm: float | None = None
    window: tuple[float, ...] = ()
    rescale: tuple[float, ...] = ()
    used: bool = True

    @property
    def placed(self) -> bool:
        """It says where it lies."""
        return bool(self.position and self.orientation and self.spacing)


@dataclass(frozen=True)
class SourceInstance:
    """One image object. Lengths in mm, LPS; empty, or None, where the header does not say, as in enhanced objects.

    window: centre and width for display, in units after the rescaling (slope, intercept). planes: of an enhanced
    object, each of its frames. series_instance_uid: its own, where each slice has one; empty: that of its series.
    """

    sop_class_uid: str
    sop_instance_uid: str
    frames: int
    position: tuple[float, ...]
    orientation: tuple[float, ...]
    rows: int
    columns: int
    spacing: tuple[float, ...]
    thickness_mm: float | None = None
    window: tuple[float, ...] = ()
    rescale: tuple[float, ...] = ()
    planes: tuple[SourceFrame, ...] = ()
    series_instance_uid: str = ""

    @property
    def pictures(self) -> tuple[SourceFrame, ...]:
        """Its two-dimensional images: its frames, or itself."""
        own = (self.position, self.orientation, self.spacing, self.thickness_mm, self.window, self.rescale)
        return self.planes or (SourceFrame(*own),)


SEXES = ("M", "F", "O")  # PS3.3 C.7.1.1
FEWEST_PICTURES = 2  # of a volume
ALIKE = 0.001  # scanners round direction cosines and spacing differently from slice to slice


@dataclass(frozen=True)
class SourcePicture:
    """One two-dimensional image of a series. number: place of its object, from 0. frame: from 1; None: the object has
    no frames."""

    number: int
    frame: int | None
    instance: SourceInstance
    plane: SourceFrame

    @property
    def alone(self) -> SourceInstance:
        """Its object, as if it held this image only and no frames."""
        of = self.plane
        return replace(
            self.instance,
            frames=1,
            planes=(),
            position=of.position,
            orientation=of.orientation,
            spacing=of.spacing,
            thickness_mm=of.thickness_mm,
            window=of.window,
            rescale=of.rescale,
        )


@dataclass(frozen=True)
class SourceSeries:
    """One series. kind: a value of ``triage.model.SequenceKind``."""

    series_instance_uid: str
    kind: str
    modality: str
    description: str
    frame_of_reference_uid: str
    instances: tuple[SourceInstance, ...]

    @property
    def pictures(self) -> tuple[SourcePicture, ...]:
        """Its own two-dimensional images, in the order of its objects and their frames."""
        return tuple(
            SourcePicture(number, frame if instance.planes else None, instance, one)
            for number, instance in enumerate(self.instances)
            for frame, one in enumerate(instance.pictures, 1)
            if one.used
        )

    @property
    def parallel(self) -> tuple[SourcePicture, ...]:
        """Those of its images that say where they lie and are alike in direction, spacing and size; the most."""
        groups: list[list[SourcePicture]] = []
        for one in (one for one in self.pictures if one.plane.placed):
            own = next((some for some in groups if _on_one_grid(some[0], one)), None)
            if own is None:
                groups.append([one])
            else:
                own.append(one)
        most: list[SourcePicture] = max(groups, key=len, default=[])
        return tuple(most)

    @property
    def placed(self) -> bool:
        """Most of its images say where they lie, in parallel planes: an object can refer to them one by one.

        A lone image is no volume.
        """
        return len(self.parallel) >= max(FEWEST_PICTURES, len(self.pictures) / 2)

    @property
    def is_plain(self) -> bool:
        """Its images are all parallel, and classic objects of one series or the frames of one object."""
        if len(self.parallel) < sum(len(one.pictures) for one in self.instances) or any(
            one.series_instance_uid for one in self.instances
        ):
            return False
        return len(self.instances) == 1 or not any(one.planes for one in self.instances)


def _on_one_grid(one: SourcePicture, other: SourcePicture) -> bool:
    if (one.instance.rows, one.instance.columns) != (other.instance.rows, other.instance.columns):
        return False
    mine, theirs = ((*of.plane.orientation, *of.plane.spacing) for of in (one, other))
    return all(abs(a - b) <= ALIKE for a, b in zip(mine, theirs, strict=True))


@dataclass(frozen=True)
class SourceStudy:
    """One study. header: empty when no object could be read; series: those that count."""

    header: Header
    series: tuple[SourceSeries, ...]

    def first(self, kind: str) -> SourceSeries | None:
        """The series of that kind with the most instances."""
        some = [one for one in self.series if one.kind == kind]
        return max(some, key=lambda one: len(one.instances)) if some else None


@dataclass(frozen=True)
class Sources:
    """The images behind one decision. revision: of the follow-up, 0 without a node.

    previous: revision and stage of the decision of the same study before this one.
    """

    followup: SourceStudy
    baseline: SourceStudy | None
    revision: int = 0
    previous: tuple[int, str] | None = None


def first_value(text: str) -> str:
    """The first value of a header that has several, divided by backslashes."""
    return text.partition("\\")[0].strip()


def plain_sex(text: str) -> str:
    """M, F or O; "" for whatever else a header states."""
    return text.upper() if text.upper() in SEXES else ""


def sources_to_json(sources: Sources) -> bytes:
    return (json.dumps(asdict(sources), indent=1, ensure_ascii=False) + "\n").encode()


def sources_from_json(content: bytes) -> Sources:
    """The inverse of ``sources_to_json``.

    Raises:
        ValueError, KeyError, TypeError: it is something else.
    """
    row = json.loads(content)
    previous = row["previous"]
    return Sources(
        _study(row["followup"]),
        None if row["baseline"] is None else _study(row["baseline"]),
        int(row["revision"]),
        None if previous is None else (int(previous[0]), str(previous[1])),
    )


def with_headers(content: bytes) -> bool:
    """Whether stored sources hold the headers of the study, and not only which decision they are of."""
    try:
        return bool(sources_from_json(content).followup.header)
    except (ValueError, KeyError, TypeError):
        return False


def sources_of(document: Mapping[str, Any], evidence: Mapping[str, bytes]) -> Sources:
    """The stored sources; without headers, what the document says of its patient and study, without any series."""
    stored = sources_from_json(evidence[FILE_NAME]) if FILE_NAME in evidence else Sources(SourceStudy({}, ()), None)
    if stored.followup.header:
        return stored
    study = document["study"]
    header = {
        "PatientID": printable(study["patient_id"] or ""),
        "StudyInstanceUID": study["study_instance_uid"],
        "StudyDate": (study["study_date"] or "").replace("-", ""),
    }
    return replace(stored, followup=SourceStudy(header, ()), baseline=None)


def _study(row: Mapping[str, Any]) -> SourceStudy:
    header = {key: printable(str(value)) for key, value in row["header"].items()}
    return SourceStudy(header, tuple(map(_series, row["series"])))


def _series(row: Mapping[str, Any]) -> SourceSeries:
    said = printable(str(row["description"]))
    return SourceSeries(**{**row, "description": said, "instances": tuple(map(_instance, row["instances"]))})


def _instance(row: Mapping[str, Any]) -> SourceInstance:
    return SourceInstance(
        **_tuples(row) | {"planes": tuple(SourceFrame(**_tuples(one)) for one in row.get("planes", ()))}
    )


def _tuples(row: Mapping[str, Any]) -> dict[str, Any]:
    names = ("position", "orientation", "spacing", "window", "rescale")
    return {**row, **{key: tuple(row.get(key, ())) for key in names}}
