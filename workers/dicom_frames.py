"""DICOM headers in, what one frame and one series say out. Knows classic, enhanced multi-frame and the vendors' private elements.

No pixel is read here. Values that a header gets wrong are treated as absent; nothing of the patient's identity is ever put into a message.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, time
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset

from triage.model import Patient, SeriesHeader, Study

Vector = tuple[float, ...]

GE_B_VALUE_BIAS = 1_000_000_000  # GE adds 1e9 to (0043,1039) since DV25 (dcm2niix issue 602)
ENHANCED = frozenset({"1.2.840.10008.5.1.4.1.1.4.1", "1.2.840.10008.5.1.4.1.1.4.3", "1.2.840.10008.5.1.4.1.1.4.4"})


@dataclass(frozen=True)
class Frame:
    """One two-dimensional image inside one file. Lengths in mm, LPS; ``None`` where the header does not say.

    position: centre of the first voxel; orientation: direction cosines of increasing column index, then of increasing row index;
    spacing: (between rows, between columns).
    """

    path: Path
    number: int  # 0-based index in its file
    rows: int
    columns: int
    bytes_per_voxel: int
    position: Vector | None
    orientation: Vector | None
    spacing: Vector | None
    thickness_mm: float | None
    slope: float
    intercept: float
    padding: float | None
    inverted: bool  # MONOCHROME1
    b_value: float | None
    direction: str  # "isotropic" | "directional" | ""
    gradient: Vector | None
    echo_time_ms: float | None
    time_key: tuple[int, ...]  # temporal position, acquisition number: only used to tell repeats apart
    image_type: tuple[str, ...]
    component: str  # MAGNITUDE | PHASE | ...
    units: str  # UCUM code of the real world value mapping, "" when none
    tokens: tuple[str, ...] = ()


def text(ds: Any, keyword: str) -> str:
    value = ds.get(keyword)
    return "" if value is None else str(value).strip()


def texts(ds: Any, keyword: str) -> tuple[str, ...]:
    value = ds.get(keyword)
    if value is None or value == "":
        return ()
    return tuple(str(v) for v in value) if not isinstance(value, str) else (value,)


def number(value: Any) -> float | None:
    """A finite float, the first one of a list, or None."""
    if isinstance(value, (bytes, bytearray)):
        return _from_bytes(bytes(value))
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if not isinstance(value, (str, int, float)) and hasattr(value, "__len__"):
        return number(value[0]) if len(value) else None
    try:
        result = float(value)
    except (TypeError, ValueError):
        return None
    return result if np.isfinite(result) else None


def _from_bytes(value: bytes) -> float | None:
    """Private elements of implicit files arrive as bytes: a decimal string, or a little-endian float or double."""
    try:
        return float(value.decode("ascii").split("\\")[0].strip(" \x00"))
    except (UnicodeDecodeError, ValueError):
        pass
    if len(value) not in (4, 8):
        return None
    result = float(np.frombuffer(value, "<f4" if len(value) == 4 else "<f8")[0])
    return result if np.isfinite(result) else None


def numbers(value: Any, count: int) -> Vector | None:
    if value is None or isinstance(value, (str, bytes)) or len(value) != count:
        return None
    found = tuple(number(v) for v in value)
    return None if any(v is None for v in found) else tuple(v for v in found if v is not None)


def private(ds: Any, group: int, creator: str, element: int) -> Any:
    """The value of a private element by its creator's name, or None."""
    for block in range(0x10, 0x100):
        name = ds.get((group, block))
        if name is None:
            if block > 0x1F:
                return None
            continue
        if str(name.value).strip().upper() == creator.upper():
            found = ds.get((group, (block << 8) | element))
            if found is not None:
                return found.value
    return None


def parse_date(value: str) -> date | None:
    try:
        return date(int(value[:4]), int(value[4:6]), int(value[6:8])) if len(value) >= 8 else None
    except ValueError:
        return None


def parse_time(value: str) -> time | None:
    """DICOM TM: HHMMSS.FFFFFF, possibly short."""
    digits, _, fraction = value.replace(":", "").partition(".")
    if not digits.isdigit() or len(digits) < 2:
        return None
    padded = digits.ljust(6, "0")
    try:
        return time(int(padded[:2]), int(padded[2:4]), min(int(padded[4:6]), 59), int(fraction[:6].ljust(6, "0") or 0))
    except ValueError:
        return None


def patient_of(ds: Any) -> Patient:
    """Identity as the header states it."""
    return Patient(
        patient_id=text(ds, "PatientID"),
        issuer=text(ds, "IssuerOfPatientID"),
        birth_date=parse_date(text(ds, "PatientBirthDate")),
        sex=text(ds, "PatientSex").upper(),
    )


def study_of(ds: Any) -> Study:
    """The study a header belongs to, without series."""
    return Study(
        study_instance_uid=text(ds, "StudyInstanceUID"),
        patient=patient_of(ds),
        study_date=parse_date(text(ds, "StudyDate")),
        study_time=parse_time(text(ds, "StudyTime")),
        accession_number=text(ds, "AccessionNumber"),
        study_description=text(ds, "StudyDescription"),
    )


# --- functional groups ---------------------------------------------------------------------------------------------------------------


class Groups:
    """Looks a macro up in the frame's own functional groups, then the shared ones, then the top level of the object."""

    def __init__(self, ds: Any, frame: int) -> None:
        per_frame = ds.get("PerFrameFunctionalGroupsSequence") or ()
        shared = ds.get("SharedFunctionalGroupsSequence") or ()
        self._places: list[Any] = [*per_frame[frame : frame + 1], *shared[:1]]
        self._top = ds

    def get(self, macro: str, keyword: str) -> Any:
        for place in self._places:
            items = place.get(macro)
            if items and items[0].get(keyword) is not None:
                return items[0].get(keyword)
        return self._top.get(keyword)

    def item(self, macro: str) -> Any:
        for place in (*self._places, self._top):
            items = place.get(macro)
            if items:
                return items[0]
        return None

    def datasets(self) -> list[Any]:
        """Where private elements may stand: the object, its groups, and one sequence level below (Siemens XA)."""
        nested = [e.value[0] for place in self._places for e in place if e.VR == "SQ" and e.tag.is_private and e.value]
        frame_types = [
            place.get("MRImageFrameTypeSequence")[0] for place in self._places if place.get("MRImageFrameTypeSequence")
        ]
        return [self._top, *self._places, *nested, *frame_types]


def frames_of(ds: Any, path: Path) -> list[Frame]:
    """Every frame of one object."""
    count = int(number(ds.get("NumberOfFrames")) or 1)
    return [_frame(ds, path, n) for n in range(count)]


def _frame(ds: Any, path: Path, n: int) -> Frame:
    groups = Groups(ds, n)
    transform, units = _value_mapping(groups)
    b_value, direction, gradient = diffusion_of(ds, groups)
    frame_type = groups.get("MRImageFrameTypeSequence", "FrameType") or ds.get("ImageType") or ()
    return Frame(
        path=path,
        number=n,
        rows=int(number(ds.get("Rows")) or 0),
        columns=int(number(ds.get("Columns")) or 0),
        bytes_per_voxel=max(int(number(ds.get("BitsAllocated")) or 16) // 8, 1)
        * int(number(ds.get("SamplesPerPixel")) or 1),
        position=numbers(groups.get("PlanePositionSequence", "ImagePositionPatient"), 3),
        orientation=numbers(groups.get("PlaneOrientationSequence", "ImageOrientationPatient"), 6),
        spacing=numbers(groups.get("PixelMeasuresSequence", "PixelSpacing"), 2),
        thickness_mm=number(groups.get("PixelMeasuresSequence", "SliceThickness")),
        slope=transform[0],
        intercept=transform[1],
        padding=number(ds.get("PixelPaddingValue")),
        inverted=text(ds, "PhotometricInterpretation") == "MONOCHROME1",
        b_value=b_value,
        direction=direction,
        gradient=gradient,
        echo_time_ms=_echo_time(groups),
        time_key=_time_key(groups),
        image_type=tuple(str(t) for t in frame_type),
        component=str(groups.get("MRImageFrameTypeSequence", "ComplexImageComponent") or ""),
        units=units,
    )


def _echo_time(groups: Groups) -> float | None:
    effective = number(groups.get("MREchoSequence", "EffectiveEchoTime"))
    return effective if effective is not None else number(groups.get("MREchoSequence", "EchoTime"))


def _time_key(groups: Groups) -> tuple[int, ...]:
    position = number(groups.get("FrameContentSequence", "TemporalPositionIndex"))
    if position is None:
        position = number(groups.get("", "TemporalPositionIdentifier"))
    acquisition = number(groups.get("FrameContentSequence", "FrameAcquisitionNumber"))
    if acquisition is None:
        acquisition = number(groups.get("", "AcquisitionNumber"))
    return int(position or 0), int(acquisition or 0)


def _value_mapping(groups: Groups) -> tuple[tuple[float, float], str]:
    """(slope, intercept) from stored to displayed value. Philips' private scale slope is one factor per volume and is left out: every
    intensity comparison is normalised anyway. A real world value mapping is used for its units only when it agrees in kind (maps)."""
    mapping = groups.item("RealWorldValueMappingSequence")
    units = ""
    if mapping is not None and mapping.get("MeasurementUnitsCodeSequence"):
        units = text(mapping.MeasurementUnitsCodeSequence[0], "CodeValue")
    slope = number(groups.get("PixelValueTransformationSequence", "RescaleSlope"))
    intercept = number(groups.get("PixelValueTransformationSequence", "RescaleIntercept"))
    if units.endswith(("m2/s", "m2.s-1")):
        mapped = number(mapping.get("RealWorldValueSlope")), number(mapping.get("RealWorldValueIntercept"))
        if mapped[0]:
            return (mapped[0], mapped[1] or 0.0), units
    return (slope if slope else 1.0, intercept or 0.0), ""


# --- diffusion -----------------------------------------------------------------------------------------------------------------------


def diffusion_of(ds: Any, groups: Groups) -> tuple[float | None, str, Vector | None]:
    """(b-value in s/mm2, directionality, gradient) from the standard elements, else the vendor's private ones."""
    b_value = number(groups.get("MRDiffusionSequence", "DiffusionBValue"))
    if b_value is None:
        b_value = _private_b_value(ds, groups)
    stated = str(groups.get("MRDiffusionSequence", "DiffusionDirectionality") or "")
    philips = private(ds, 0x2001, "Philips Imaging DD 001", 0x04)
    gradient = _gradient(groups)
    if stated == "ISOTROPIC" or str(philips or "").strip().upper() == "I":
        return b_value, "isotropic", None
    if stated in ("DIRECTIONAL", "BMATRIX") or gradient is not None:
        return b_value, "directional", gradient
    return b_value, "", None


def _gradient(groups: Groups) -> Vector | None:
    nested = groups.get("MRDiffusionSequence", "DiffusionGradientDirectionSequence")
    found = numbers(nested[0].get("DiffusionGradientOrientation"), 3) if nested else None
    found = found or numbers(groups.get("", "DiffusionGradientOrientation"), 3)
    for where in groups.datasets() if found is None else ():
        found = numbers(private(where, 0x0019, "SIEMENS MR HEADER", 0x0E), 3)
        if found:
            break
    return tuple(round(v, 3) for v in found) if found and any(found) else None


def _private_b_value(ds: Any, groups: Groups) -> float | None:
    for where in groups.datasets():
        for group, creator, element in (
            (0x0019, "SIEMENS MR HEADER", 0x0C),
            (0x2001, "Philips Imaging DD 001", 0x03),
            (0x0065, "Image Private Header", 0x09),  # UIH: b-value as played out
        ):
            found = number(private(where, group, creator, element))
            if found is not None:
                return found
    ge = number(private(ds, 0x0043, "GEMS_PARM_01", 0x39))
    if ge is None:
        return None
    return float(int(ge) % GE_B_VALUE_BIAS) if ge >= GE_B_VALUE_BIAS else ge


# --- the series' header --------------------------------------------------------------------------------------------------------------


def series_header(datasets: Sequence[Any], frames: Iterable[Frame] | None = None) -> SeriesHeader:
    """The facts one series is recognised by.

    Args:
        datasets: headers of all objects of one series, at least one; classic or enhanced.
        frames: their frames when the caller already has them.
    """
    first = datasets[0]
    listed = list(frames) if frames is not None else [f for ds in datasets for f in _frames_if_image(ds)]
    groups = Groups(first, 0)
    echo_times = [f.echo_time_ms for f in listed if f.echo_time_ms is not None]
    b_values = sorted({round(f.b_value, 1) for f in listed if f.b_value is not None and f.b_value >= 0})
    spacing = listed[0].spacing if listed else None
    return SeriesHeader(
        series_instance_uid=text(first, "SeriesInstanceUID"),
        sop_class_uid=text(first, "SOPClassUID"),
        modality=text(first, "Modality"),
        manufacturer=text(first, "Manufacturer"),
        model_name=text(first, "ManufacturerModelName"),
        station_name=text(first, "StationName"),
        software_versions="\\".join(texts(first, "SoftwareVersions")),
        magnetic_field_strength_t=_tesla(first),
        series_number=_integer(first.get("SeriesNumber")),
        series_description=text(first, "SeriesDescription"),
        protocol_name=text(first, "ProtocolName"),
        sequence_name=text(first, "SequenceName") or text(first, "PulseSequenceName"),
        scanning_sequence=_scanning_sequence(first, groups),
        sequence_variant=texts(first, "SequenceVariant"),
        scan_options=texts(first, "ScanOptions"),
        image_type=texts(first, "ImageType"),
        acquisition_contrast=str(groups.get("MRImageFrameTypeSequence", "AcquisitionContrast") or "").upper(),
        mr_acquisition_type=text(first, "MRAcquisitionType"),
        repetition_time_ms=number(groups.get("MRTimingAndRelatedParametersSequence", "RepetitionTime")),
        echo_time_ms=max(echo_times, default=None),
        inversion_time_ms=_inversion_time(groups),
        flip_angle_deg=number(groups.get("MRTimingAndRelatedParametersSequence", "FlipAngle")),
        echo_train_length=_integer(groups.get("MRTimingAndRelatedParametersSequence", "EchoTrainLength")),
        b_values=tuple(b_values),
        contrast_agent=_contrast_agent(first),
        slice_thickness_mm=listed[0].thickness_mm if listed else None,
        rows=_integer(first.get("Rows")),
        columns=_integer(first.get("Columns")),
        pixel_spacing_mm=(spacing[0], spacing[1]) if spacing else None,
        instance_count=len(datasets),
        frame_count=len(listed),
        acquisition_time=min((t for t in map(_acquisition_time, datasets) if t), default=None),
        orientation=orientation_name([f.orientation for f in listed if f.orientation]),
        vendor=_vendor_facts(first, groups, listed),
    )


def _frames_if_image(ds: Any) -> list[Frame]:
    return frames_of(ds, Path()) if ds.get("Rows") is not None else []


def _integer(value: Any) -> int | None:
    found = number(value)
    return None if found is None else int(found)


def _tesla(ds: Any) -> float | None:
    """Some scanners state gauss."""
    found = number(ds.get("MagneticFieldStrength"))
    return found / 10000.0 if found is not None and found > 100 else found


def _inversion_time(groups: Groups) -> float | None:
    found = number(groups.get("MRModifierSequence", "InversionTimes"))
    return found if found is not None else number(groups.get("", "InversionTime"))


def _scanning_sequence(ds: Any, groups: Groups) -> tuple[str, ...]:
    """ScanningSequence, or the same words from the enhanced attributes."""
    classic = texts(ds, "ScanningSequence")
    if classic:
        return classic
    echo = {"GRADIENT": ("GR",), "SPIN": ("SE",), "BOTH": ("SE", "GR")}.get(text(ds, "EchoPulseSequence"), ())
    planar = ("EP",) if text(ds, "EchoPlanarPulseSequence") == "YES" else ()
    inverted = ("IR",) if str(groups.get("MRModifierSequence", "InversionRecovery") or "") == "YES" else ()
    return (*echo, *inverted, *planar)


def _contrast_agent(ds: Any) -> str:
    agent = text(ds, "ContrastBolusAgent")
    items = ds.get("ContrastBolusAgentSequence")
    return agent or (text(items[0], "CodeMeaning") if items else "")


def _acquisition_time(ds: Any) -> time | None:
    stamp = text(ds, "AcquisitionDateTime")
    return parse_time(text(ds, "AcquisitionTime")) or (parse_time(stamp[8:14]) if len(stamp) >= 10 else None)


def _vendor_facts(ds: Any, groups: Groups, frames: Sequence[Frame]) -> dict[str, str]:
    facts = {
        "ge_pulse_sequence": private(ds, 0x0019, "GEMS_ACQU_01", 0x9C),
        "ge_internal_sequence": private(ds, 0x0019, "GEMS_ACQU_01", 0x9E),
        "philips_technique": private(ds, 0x2001, "Philips Imaging DD 001", 0x20),
        "siemens_sequence": _first(private(d, 0x0021, "SIEMENS MR SDI 02", 0x77) for d in groups.datasets()),
        "mosaic_images": private(ds, 0x0019, "SIEMENS MR HEADER", 0x0A) if "MOSAIC" in texts(ds, "ImageType") else None,
        "angio_flag": ds.get("AngioFlag"),
        "time_of_flight": ds.get("TimeOfFlightContrast"),
        "phase_contrast": ds.get("PhaseContrast"),
        "complex_component": groups.get("MRImageFrameTypeSequence", "ComplexImageComponent"),
        "volume_calculation": groups.get("MRImageFrameTypeSequence", "VolumeBasedCalculationTechnique"),
        "isotropic": "YES" if any(f.direction == "isotropic" for f in frames) else None,
    }
    return {name: _as_text(value) for name, value in facts.items() if value not in (None, "", b"")}


def _first(values: Iterable[Any]) -> Any:
    return next((v for v in values if v not in (None, "")), None)


def _as_text(value: Any) -> str:
    return value.decode("ascii", "replace").strip(" \x00") if isinstance(value, bytes) else str(value).strip()


def orientation_name(orientations: Sequence[Vector]) -> str:
    """axial | coronal | sagittal | oblique | mixed, or "" when unknown. Up to 41 degrees off still counts (cos 41 deg = 0.75)."""
    if not orientations:
        return ""
    normals = np.array([np.cross(o[:3], o[3:]) for o in {tuple(round(v, 2) for v in o) for o in orientations}])
    if bool(np.any(np.abs(normals @ normals[0]) < 0.9)):
        return "mixed"
    mean = np.abs(normals[0])
    names = ("sagittal", "coronal", "axial")
    return names[int(np.argmax(mean))] if mean.max() >= 0.75 else "oblique"


__all__ = ["Dataset", "Frame", "frames_of", "patient_of", "series_header", "study_of"]
