"""Volumes -> classic MR Image Storage files with the vendor's header, one series per folder.

Voxel values are stored as unsigned 16 bit. Geometry: affine (4, 4), voxel index (i, j, k) -> DICOM patient LPS mm; each
slice k is one instance. UIDs are 2.25.<integer> derived from names, so that the same patient written twice has the same
UIDs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from simulation.protocols import Private, Scanner
from simulation.vendors import SCANNERS, protocol
from triage.errors import Misconfigured
from triage.model import Affine, SequenceKind, Volume

MR_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.4"
EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
IMPLEMENTATION_CLASS_UID = "2.25.219563387446013718829053271420136721"
Stored = npt.NDArray[np.uint16]  # (k, j, i)


@dataclass(frozen=True)
class PatientIdentity:
    patient_id: str
    name: str
    birth_date: date | None = None
    sex: str = ""
    weight_kg: float | None = None


@dataclass(frozen=True)
class StudyIdentity:
    """One session. frame_of_reference_uid: shared by all series of the session."""

    study_instance_uid: str
    frame_of_reference_uid: str
    started: datetime
    study_id: str = "1"
    accession_number: str = ""
    description: str = "MR BRAIN W WO CONTRAST"


@dataclass(frozen=True)
class SeriesPlan:
    """One series to write. header: DICOM keyword -> value, added to every instance; slope, intercept: stored value ->
    real value."""

    series_instance_uid: str
    number: int
    started: datetime
    header: Mapping[str, object]
    seconds: int = 120
    private: tuple[Private, ...] = ()
    slope: float | None = None
    intercept: float = 0.0
    thickness_mm: float | None = None


@dataclass(frozen=True, eq=False)
class Stack:
    """One slice stack of a series. voxels: uint16 (k, j, i); b: diffusion weighting in s/mm2, None when not
    diffusion."""

    voxels: Stored
    b: float | None = None
    sequence_name: str | None = None
    extra: Mapping[str, object] = field(default_factory=dict)


def uid(*names: object) -> str:
    """A 2.25 UID (PS3.5 Annex B.2) from names; a name-based UUID (version 5 layout) of their hash."""
    digest = bytearray(hashlib.sha256("/".join(str(n) for n in names).encode()).digest()[:16])
    digest[6] = (digest[6] & 0x0F) | 0x50
    digest[8] = (digest[8] & 0x3F) | 0x80
    return f"2.25.{int.from_bytes(digest, 'big')}"


def write_series(
    out: Path,
    stacks: Sequence[Stack],
    affine: Affine,
    *,
    patient: PatientIdentity,
    study: StudyIdentity,
    plan: SeriesPlan,
    scanner: Scanner,
) -> list[Path]:
    """Write every slice of every stack into ``out``; returns the files in instance order."""
    out.mkdir(parents=True, exist_ok=True)
    total = sum(s.voxels.shape[0] for s in stacks)
    base = _identified(patient=patient, study=study, plan=plan, scanner=scanner)
    _set(base, _pixel_header(stacks[0].voxels, affine, total, plan))
    _set(base, plan.header)
    _set_private(base, plan.private)
    files: list[Path] = []
    for stack in stacks:
        _set(base, {**stack.extra, **({"SequenceName": stack.sequence_name} if stack.sequence_name else {})})
        _set_private(base, _diffusion(scanner.vendor, stack.b))
        for k in range(stack.voxels.shape[0]):
            number = len(files) + 1
            taken = plan.started + timedelta(seconds=plan.seconds * (number - 1) / total)
            _set_instance(base, uid(plan.series_instance_uid, number), number, taken)
            _set_slice(base, stack.voxels[k], affine, k)
            path = out / f"IM{number:05d}.dcm"
            base.save_as(path, enforce_file_format=True)
            files.append(path)
    return files


def write_volume(
    volume: Volume,
    out: Path,
    *,
    kind: SequenceKind,
    patient: PatientIdentity,
    study: StudyIdentity,
    vendor: str = "siemens",
    dimensions: str = "2d",
    series_number: int = 1,
    header: Mapping[str, object] | None = None,
    gap_mm: float = 0.0,
) -> list[Path]:
    """Any Volume (oblique LPS affines included) as a classic MR series whose header says ``kind`` as that vendor would.

    Voxels that are whole numbers in 0..65535 are stored as they are; others with the RescaleSlope that uses all 16
    bits, so that the error is at most range/131070. header: DICOM keyword -> value overriding the vendor's. gap_mm:
    part of the slice spacing that is gap.
    """
    planned = protocol(vendor, dimensions)
    if kind.value not in planned.sequences:
        raise Misconfigured(f"kind must be one of {', '.join(planned.sequences)}, got {kind.value!r}")
    sequence = planned.sequences[kind.value]
    _check_orthogonal(volume.affine)
    stored, slope, intercept = to_stored(volume.voxels)
    plan = SeriesPlan(
        series_instance_uid=uid(study.study_instance_uid, kind.value, series_number),
        number=series_number,
        started=study.started + timedelta(minutes=3 * series_number),
        header={**sequence.header, "MRAcquisitionType": sequence.geometry.acquisition, **(header or {})},
        private=sequence.private,
        slope=slope,
        intercept=intercept,
        thickness_mm=volume.spacing_mm[2] - gap_mm,
    )
    b = sequence.weighting.b if kind is SequenceKind.DWI else None
    return write_series(
        out, [Stack(stored, b=b)], volume.affine, patient=patient, study=study, plan=plan, scanner=SCANNERS[vendor]
    )


def to_stored(voxels: npt.NDArray[Any]) -> tuple[Stored, float | None, float]:
    """Real values -> (uint16, slope, intercept). slope None: stored values are the real values."""
    values = np.asarray(voxels, dtype=np.float64)
    if not np.isfinite(values).all():
        raise ValueError("voxels must be finite")
    low, high = float(values.min()), float(values.max())
    if low >= 0 and high <= 65535 and np.array_equal(values, np.rint(values)):
        return values.astype(np.uint16), None, 0.0
    intercept = min(low, 0.0)
    slope = float(f"{(high - intercept) / 65535.0:.9e}") or 1.0  # as many digits as a DS of 16 characters carries
    stored = np.clip(np.rint((values - intercept) / slope), 0, 65535)
    return stored.astype(np.uint16), slope, intercept


def _check_orthogonal(affine: Affine) -> None:
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    error = float(np.abs(axes.T @ axes - np.eye(3)).max())
    if error > 1e-3:
        raise ValueError(f"affine columns must be orthogonal to 1e-3 (a DICOM stack has no shear), got {error:.2g}")


# -- the dataset -----------------------------------------------------------------------------------


def _identified(*, patient: PatientIdentity, study: StudyIdentity, plan: SeriesPlan, scanner: Scanner) -> Any:
    """A dataset with everything above the image: patient, study, series, equipment."""
    from pydicom.dataset import Dataset, FileMetaDataset

    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = MR_IMAGE_STORAGE
    ds.file_meta.TransferSyntaxUID = EXPLICIT_LITTLE_ENDIAN
    ds.file_meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    ds.file_meta.ImplementationVersionName = "ICANSEE_SIM"
    for part in (_patient_header(patient), _study_header(study), _series_header(plan), _equipment_header(scanner)):
        _set(ds, part)
    return ds


def _patient_header(patient: PatientIdentity) -> dict[str, object]:
    header: dict[str, object] = {
        "SpecificCharacterSet": "ISO_IR 100",
        "PatientName": patient.name,
        "PatientID": patient.patient_id,
        "PatientSex": patient.sex,
        "PatientBirthDate": "" if patient.birth_date is None else f"{patient.birth_date:%Y%m%d}",
    }
    if patient.weight_kg is not None:
        header["PatientWeight"] = patient.weight_kg
    return header


def _study_header(study: StudyIdentity) -> dict[str, object]:
    return {
        "StudyInstanceUID": study.study_instance_uid,
        "StudyDate": f"{study.started:%Y%m%d}",
        "StudyTime": f"{study.started:%H%M%S}",
        "StudyID": study.study_id,
        "AccessionNumber": study.accession_number,
        "StudyDescription": study.description,
        "ReferringPhysicianName": "",
        "FrameOfReferenceUID": study.frame_of_reference_uid,
        "PositionReferenceIndicator": "",
    }


def _series_header(plan: SeriesPlan) -> dict[str, object]:
    return {
        "SOPClassUID": MR_IMAGE_STORAGE,
        "Modality": "MR",
        "BurnedInAnnotation": "NO",
        "SeriesInstanceUID": plan.series_instance_uid,
        "SeriesNumber": plan.number,
        "AcquisitionNumber": 1,
        "SeriesDate": f"{plan.started:%Y%m%d}",
        "SeriesTime": f"{plan.started:%H%M%S}",
        "InstanceCreationDate": f"{plan.started:%Y%m%d}",
        "PatientPosition": "HFS",
        "BodyPartExamined": "HEAD",
        "ImagedNucleus": "1H",
        "NumberOfAverages": 1,
    }


def _equipment_header(scanner: Scanner) -> dict[str, object]:
    return {
        "Manufacturer": scanner.manufacturer,
        "ManufacturerModelName": scanner.model_name,
        "StationName": scanner.station_name,
        "SoftwareVersions": scanner.software_versions,
        "DeviceSerialNumber": scanner.device_serial_number,
        "InstitutionName": scanner.institution,
        "ReceiveCoilName": scanner.coil,
        "MagneticFieldStrength": scanner.field_t,
        "ImagingFrequency": 42.577478 * scanner.field_t,
    }


def _pixel_header(voxels: Stored, affine: Affine, total: int, plan: SeriesPlan) -> dict[str, object]:
    """Geometry, pixel format and display window of a stack (k, j, i) of a series with ``total`` instances."""
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    rows, columns = voxels.shape[1:]
    axes = affine[:3, :2] / spacing[:2]
    top = float(np.percentile(voxels, 99.5)) * (plan.slope or 1.0) + plan.intercept
    header: dict[str, object] = {
        "ImageOrientationPatient": tuple(float(v) for v in axes.T.ravel()),
        "PixelSpacing": (float(spacing[1]), float(spacing[0])),
        "SliceThickness": float(spacing[2]) if plan.thickness_mm is None else plan.thickness_mm,
        "SpacingBetweenSlices": float(spacing[2]),
        "ImagesInAcquisition": total,
        "AcquisitionMatrix": [0, columns, rows, 0],
        "InPlanePhaseEncodingDirection": "COL",
        "PercentSampling": 100.0,
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": rows,
        "Columns": columns,
        "BitsAllocated": 16,
        "BitsStored": 16,
        "HighBit": 15,
        "PixelRepresentation": 0,
        "WindowCenter": round(top / 2, 3),
        "WindowWidth": round(max(top, 1.0), 3),
    }
    if plan.slope is not None:
        header |= {"RescaleSlope": plan.slope, "RescaleIntercept": plan.intercept, "RescaleType": "US"}
    return header


def _set(ds: Any, values: Mapping[str, object]) -> None:
    """Assign by keyword; floats become decimal strings of at most 16 characters, tuples become multiple values."""
    for keyword, value in values.items():
        setattr(ds, keyword, [_plain(v) for v in value] if isinstance(value, tuple) else _plain(value))


def _plain(value: object) -> object:
    return _ds(value) if isinstance(value, float) else value


def _set_private(ds: Any, elements: Sequence[Private]) -> None:
    for p in elements:
        block = ds.private_block(p.group, p.creator, create=True)
        if p.element in block:
            del block[p.element]
        block.add_new(p.element, p.vr, p.value)


def _diffusion(vendor: str, b: float | None) -> tuple[Private, ...]:
    """b-value in s/mm2 where each vendor puts it in classic objects."""
    if b is None:
        return ()
    if vendor == "siemens":
        return (
            Private(0x0019, "SIEMENS MR HEADER", 0x0C, "IS", str(round(b))),
            Private(0x0019, "SIEMENS MR HEADER", 0x0D, "CS", "DIRECTIONAL" if b == 0 else "ISOTROPIC"),
        )
    if vendor == "ge":
        shown = 0 if b == 0 else 1_000_000_000 + round(b)  # GE adds 1e9 since DV24; readers take it modulo 1e5
        return (Private(0x0043, "GEMS_PARM_01", 0x39, "IS", [str(shown), "8", "0", "0"]),)
    return (
        Private(0x2001, "Philips Imaging DD 001", 0x03, "FL", float(b)),
        Private(0x2001, "Philips Imaging DD 001", 0x04, "CS", "I"),
    )


def _set_instance(ds: Any, sop_instance_uid: str, number: int, taken: datetime) -> None:
    """UID, number and time of one instance."""
    ds.file_meta.MediaStorageSOPInstanceUID = sop_instance_uid
    ds.SOPInstanceUID = sop_instance_uid
    ds.InstanceNumber = number
    ds.AcquisitionDate = ds.ContentDate = f"{taken:%Y%m%d}"
    ds.AcquisitionTime = ds.ContentTime = ds.InstanceCreationTime = f"{taken:%H%M%S}.{taken.microsecond:06d}"


def _set_slice(ds: Any, pixels: npt.NDArray[np.uint16], affine: Affine, k: int) -> None:
    """Position and pixels (rows, columns) of slice ``k``."""
    position = affine[:3, 3] + k * affine[:3, 2]
    normal = np.cross(affine[:3, 0], affine[:3, 1])
    ds.ImagePositionPatient = [_ds(v) for v in position]
    ds.SliceLocation = _ds(float(normal @ position / np.linalg.norm(normal)))
    ds.SmallestImagePixelValue, ds.LargestImagePixelValue = int(pixels.min()), int(pixels.max())
    ds.PixelData = np.ascontiguousarray(pixels, dtype="<u2").tobytes()
    ds["PixelData"].VR = "OW"


def _ds(value: Any) -> str:
    """A decimal string of at most 16 characters."""
    from pydicom.valuerep import format_number_as_ds

    return str(format_number_as_ds(float(value)))
