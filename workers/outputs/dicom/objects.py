"""What all DICOM results share: derived UIDs, series per kind, the patient and study of the follow-up, bytes."""

from __future__ import annotations

import hashlib
import io
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from pydicom import Dataset, FileDataset, FileMetaDataset, dcmwrite
from pydicom.config import IGNORE
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian

from workers.identities import printable
from workers.output_kinds import DICOM_KINDS
from workers.outputs.beside import site_zone
from workers.outputs.output import EvidenceFiles
from workers.outputs.sources import (
    FILE_NAME,
    SourceFrame,
    Sources,
    SourceSeries,
    SourceStudy,
    first_value,
    plain_sex,
    sources_of,
    with_headers,
)
from workers.plain_text import without_hidden

_LONG = ("LT", "ST", "UT")
_TEXTS = (*_LONG, "PN", "LO", "SH", "UC", "CS")
MANUFACTURER, MODEL, SERIAL = "ICANSee", "ICANSee", "1"
MEDIA_TYPE = "application/dicom"
FIRST_SERIES_NUMBER = 9900  # scanners number from 1; PACS sort results behind the images
# kind -> description of its series; its number is FIRST_SERIES_NUMBER and its place here
SERIES = {name: kind.description for name, kind in DICOM_KINDS.items()}
COPIED = (
    "PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyDate",
    "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName", "StudyDescription", "TimezoneOffsetFromUTC",
)  # fmt: skip
OPTIONAL = ("IssuerOfPatientID", "StudyDescription", "TimezoneOffsetFromUTC")  # of these: type 3
OFFSET = re.compile(r"[+-](0\d|1[0-4])[0-5]\d")


@dataclass(frozen=True)
class DicomResult:
    """One decision, for the renderers of one kind."""

    document: Mapping[str, Any]
    sources: Sources
    evidence: EvidenceFiles

    @property
    def stage(self) -> str:
        return str(self.document["stage"])

    @property
    def version(self) -> str:
        return str(self.document["versions"].get("icansee", "0"))

    def uid(self, kind: str, part: str = "object") -> str:
        """The same study, revision, stage, kind and part give the same UID."""
        return derived_uid(self.sources, self.sources.revision, self.stage, kind, part)

    def decided_at(self) -> tuple[str, str]:
        """DICOM date and time of the decision; of the study in documents that do not say it.

        In the zone that the object states, which is that of the images, since all times of an object are in its zone.
        When they state none, the object states none, and its times are local: in the zone of the site, or else UTC.
        """
        said = self.document.get("decided_at")
        if said:
            when = datetime.fromisoformat(said)
            stated = self.sources.followup.header.get("TimezoneOffsetFromUTC", "")
            own = _zone(stated) if OFFSET.fullmatch(stated) else site_zone(self.evidence)
            when = when.astimezone(own or UTC)
            return when.strftime("%Y%m%d"), when.strftime("%H%M%S")
        header = self.sources.followup.header
        return header.get("StudyDate") or "19000101", (header.get("StudyTime") or "000000")[:6]

    def equipment(self, kind: str) -> dict[str, Any]:
        """The arguments that every builder of highdicom takes."""
        return {
            "series_instance_uid": self.uid(kind, "series"),
            "series_number": series_number(kind),
            "sop_instance_uid": self.uid(kind),
            "instance_number": 1,
            "manufacturer": MANUFACTURER,
        }


def _zone(offset: str) -> timezone:
    minutes = int(offset[1:3]) * 60 + int(offset[3:])
    return timezone(timedelta(minutes=-minutes if offset.startswith("-") else minutes))


def result_of(document: Mapping[str, Any], evidence: EvidenceFiles) -> DicomResult:
    return DicomResult(document, sources_of(document, evidence), evidence)


def series_number(kind: str) -> int:
    return FIRST_SERIES_NUMBER + list(SERIES).index(kind) + 1


def derived_uid(sources: Sources, revision: int, stage: str, kind: str, part: str) -> str:
    study = sources.followup.header["StudyInstanceUID"]
    text = "|".join((MANUFACTURER, study, str(revision), stage, kind, part))
    return f"2.25.{int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], 'big')}"


def has_headers(_document: Mapping[str, Any], evidence: EvidenceFiles) -> bool:
    """Whether the headers of the images are known: whose it is, and of which study."""
    return with_headers(evidence.get(FILE_NAME, b""))


def measured_series(study: SourceStudy) -> SourceSeries | None:
    """What was measured first of all: the FLAIR, and without one the diffusion images."""
    return study.first("flair") or study.first("dwi")


def stubs(study: SourceStudy, series: SourceSeries) -> list[Dataset]:
    """The images of a series as headers without pixels, to refer to."""
    return [_stub(study, series, number) for number in range(len(series.instances))]


def picture_stubs(study: SourceStudy, series: SourceSeries) -> list[tuple[Dataset, int | None]]:
    """The same, each frame of an enhanced object as a header of its own, with the number of the frame."""
    found = []
    for one in series.pictures:
        alone = replace(series, instances=(one.alone,))
        ds = _stub(study, alone, 0) if one.frame else _stub(study, series, one.number)
        found.append((ds, one.frame))
    return found


def _stub(study: SourceStudy, series: SourceSeries, number: int) -> Dataset:
    instance = series.instances[number]
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    refer_to(ds, study)
    ds.SOPClassUID, ds.SOPInstanceUID = instance.sop_class_uid, instance.sop_instance_uid
    ds.SeriesInstanceUID = instance.series_instance_uid or series.series_instance_uid
    ds.FrameOfReferenceUID = series.frame_of_reference_uid
    ds.Modality, ds.InstanceNumber = series.modality, number + 1
    ds.Rows, ds.Columns = instance.rows, instance.columns
    ds.PositionReferenceIndicator = ""
    if instance.frames > 1 or instance.planes:
        ds.NumberOfFrames = instance.frames
    if instance.planes and series.is_plain and series.placed:
        ds.SharedFunctionalGroupsSequence = Sequence([_shared(instance.planes[0])])
        ds.PerFrameFunctionalGroupsSequence = Sequence([_own(one) for one in instance.planes])
    if instance.position and instance.orientation and instance.spacing:
        ds.ImagePositionPatient, ds.ImageOrientationPatient = list(instance.position), list(instance.orientation)
        ds.PixelSpacing, ds.SliceThickness = list(instance.spacing), instance.thickness_mm or _apart_mm(series)
    return ds


def _shared(frame: SourceFrame) -> Dataset:
    """What the frames of an enhanced object share (sources.SourceSeries.is_plain)."""
    orientation, measures, found = Dataset(), Dataset(), Dataset()
    orientation.ImageOrientationPatient = list(frame.orientation)
    measures.PixelSpacing, measures.SliceThickness = list(frame.spacing), frame.thickness_mm or 1.0
    found.PlaneOrientationSequence, found.PixelMeasuresSequence = Sequence([orientation]), Sequence([measures])
    return found


def _own(frame: SourceFrame) -> Dataset:
    position, found = Dataset(), Dataset()
    position.ImagePositionPatient = list(frame.position)
    found.PlanePositionSequence = Sequence([position])
    return found


def _apart_mm(series: SourceSeries) -> float:
    """Between the first two slices that lie apart, for images that do not say how thick they are."""
    positions = [one.position for one in series.instances if one.position]
    others = [math.dist(positions[0], one) for one in positions[1:]]
    return min((one for one in others if one > 0), default=1.0)


def fill_study(ds: Dataset, study: SourceStudy) -> None:
    """Patient and study modules: type 2 elements are empty where the header says nothing.

    Values are as the images state them, also those that are longer than the standard allows, so that an archive finds
    one patient. Each element has one value; a sex or an offset that the standard does not know is left out.
    """
    for keyword in COPIED:
        value = _single(keyword, study.header.get(keyword, ""))
        if value or keyword not in OPTIONAL:
            ds.add(DataElement(Tag(keyword), dictionary_VR(keyword), value, validation_mode=IGNORE))


def refer_to(ds: Dataset, study: SourceStudy) -> None:
    """The same modules with nothing but the UID of the study, in a header that is only referred to."""
    for keyword in COPIED:
        if keyword not in OPTIONAL:
            setattr(ds, keyword, "")
    ds.StudyInstanceUID = study.header["StudyInstanceUID"]


def _single(keyword: str, text: str) -> str:
    if keyword == "PatientSex":
        return plain_sex(text)
    if keyword == "TimezoneOffsetFromUTC":
        return text if OFFSET.fullmatch(text) else ""
    if keyword == "StudyDescription":
        return text.replace("\\", "/")  # several values are several words
    return first_value(text)


def _clean(ds: Dataset) -> None:
    """Take control and bidirectional characters out of every text; long texts keep their line ends.

    Most VRs forbid control characters (PS3.5 section 6.2), and the others change how a reader's screen shows the rest.
    The patient is found by the Study Instance UID all the same.
    """
    for element in ds:
        if element.VR == "SQ":
            for item in element.value:
                _clean(item)
        elif element.VR in _TEXTS and element.value:
            clean = without_hidden if element.VR in _LONG else printable
            several = isinstance(element.value, MultiValue)  # its text would be a repr, in which controls are escaped
            said = [str(one) for one in (element.value if several else (element.value,))]
            cleaned = [clean(one) for one in said]
            if cleaned != said:
                element.value = cleaned if several else cleaned[0]


def finished(ds: Dataset, result: DicomResult, kind: str) -> bytes:
    """The object as a file: study of the follow-up, series of the kind, times of the decision, no made-up UID."""
    fill_study(ds, result.sources.followup)
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SeriesDescription = SERIES[kind]
    day, time = result.decided_at()
    content = () if "PresentationCreationDate" in ds else ("Content",)  # presentation states have their own
    for prefix in (*content, "InstanceCreation", "Series"):
        setattr(ds, f"{prefix}Date", day)
        setattr(ds, f"{prefix}Time", time)
    for keyword in ("DateOfSecondaryCapture", "TimeOfSecondaryCapture"):
        if keyword in ds:
            setattr(ds, keyword, day if keyword.startswith("Date") else time)
    for item in ds.get("ContributingEquipmentSequence", ()):
        item.ContributionDateTime = day + time
    ds.ManufacturerModelName, ds.SoftwareVersions, ds.DeviceSerialNumber = MODEL, result.version, SERIAL
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    plain = Dataset()
    plain.update(ds)
    plain.file_meta = meta
    _clean(plain)
    target = io.BytesIO()
    dcmwrite(target, FileDataset(target, plain, file_meta=meta, preamble=b"\0" * 128), enforce_file_format=True)
    return target.getvalue()
