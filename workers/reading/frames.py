"""DICOM headers in, what one frame and one series say out. Knows classic, enhanced multi-frame and the vendors'
private elements.

No pixel is read here. Values that a header gets wrong are treated as absent; nothing of the patient's identity is
ever put into a message.
"""

from __future__ import annotations

from collections.abc import Iterable, MutableSequence, Sequence
from dataclasses import dataclass
from datetime import date, time
from pathlib import Path
from typing import Any

import numpy as np

from triage.model import Patient, SeriesHeader, Study
from workers.reading.pixels import PixelData

Vector = tuple[float, ...]

GE_B_VALUE_BIAS = 1_000_000_000  # GE adds 1e9 to (0043,1039) since DV25 (dcm2niix issue 602)


@dataclass(frozen=True)
class Frame:
    """One two-dimensional image inside one file. Lengths in mm, LPS; ``None`` where the header does not say.

    position: centre of the first voxel; orientation: direction cosines of increasing column index, then of increasing
    row index;
    spacing: (between rows, between columns).
    """

    pixels: PixelData
    number: int  # 0-based index in its file
    position: Vector | None
    orientation: Vector | None
    spacing: Vector | None
    thickness_mm: float | None
    slope: float
    intercept: float
    b_value: float | None
    direction: str  # "isotropic" | "directional" | ""
    gradient: Vector | None
    echo_time_ms: float | None
    time_key: tuple[int, ...]  # temporal position, acquisition number: only used to tell repeats apart
    image_type: tuple[str, ...]
    component: str  # MAGNITUDE | PHASE | ...
    units: str  # UCUM code of the real world value mapping when its slope was used, else ""


def value_of(ds: Any, key: Any) -> Any:
    """``ds.get(key)``, or None where the stored value does not fit its VR: pydicom converts on access."""
    try:
        return ds.get(key)
    except Exception:  # noqa: BLE001, RUF100 - conversion raises whatever the value provokes
        return None


def first_item(ds: Any, key: str) -> Any:
    """The first item of a sequence, or None where there is none (or something that is no sequence)."""
    items = value_of(ds, key)
    return items[0] if isinstance(items, MutableSequence) and items and hasattr(items[0], "get") else None


def text(ds: Any, keyword: str) -> str:
    value = value_of(ds, keyword)
    return "" if value is None else str(value).strip()


def texts(ds: Any, keyword: str) -> tuple[str, ...]:
    value = value_of(ds, keyword)
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


# --- functional groups ---


class Private:
    """One dataset with its private blocks looked up once: creator name -> block."""

    def __init__(self, ds: Any) -> None:
        self._ds = ds
        self._blocks = {
            (tag.group, str(ds[tag].value).strip().upper()): tag.element
            for tag in ds.keys()  # noqa: SIM118 - iterating the dataset would convert every element
            if tag.group % 2 and 0x10 <= tag.element <= 0xFF
        }

    def get(self, group: int, creator: str, element: int) -> Any:
        """The value, or None."""
        block = self._blocks.get((group, creator.upper()))
        found = None if block is None else value_of(self._ds, (group, (block << 8) | element))
        return None if found is None else found.value

    def __bool__(self) -> bool:
        return bool(self._blocks)


class Groups:
    """Looks a macro up in the frame's own functional groups, then the shared ones, then the top level of the object."""

    def __init__(self, top: Any, places: Sequence[Any] = (), private: Sequence[Private] = ()) -> None:
        self._top = top
        self._places = places
        self.private_places = private

    def get(self, macro: str, keyword: str) -> Any:
        for place in self._places:
            item = first_item(place, macro) if macro else None
            found = None if item is None else value_of(item, keyword)
            if found is not None:
                return found
        return value_of(self._top, keyword)

    def item(self, macro: str) -> Any:
        for place in (*self._places, self._top):
            found = first_item(place, macro)
            if found is not None:
                return found
        return None

    def private(self, group: int, creator: str, element: int) -> Any:
        """A private value from the object, its groups, or one sequence level below (Siemens XA)."""
        for place in self.private_places:
            found = place.get(group, creator, element)
            if found is not None and found != "":
                return found
        return None


def groups_of(ds: Any) -> list[Groups]:
    """One lookup per frame; what the frames share is prepared once."""
    per_frame = value_of(ds, "PerFrameFunctionalGroupsSequence") or ()
    shared = (value_of(ds, "SharedFunctionalGroupsSequence") or ())[:1]
    common = [p for p in (Private(ds), *(q for place in shared for q in _private_below(place))) if p]
    # not NumberOfFrames: only frames with functional groups have a place, and a hostile count would fill the memory
    count = max(len(per_frame), 1)
    found = []
    for n in range(count):
        own = per_frame[n : n + 1]
        found.append(Groups(ds, [*own, *shared], [*common, *(p for place in own for p in _private_below(place) if p)]))
    return found


def _private_below(place: Any) -> list[Private]:
    tags = [t for t in place.keys() if t.group % 2 and t.element > 0xFF]  # noqa: SIM118 - as in Private
    nested = [place[t].value[0] for t in tags if place[t].VR == "SQ" and place[t].value]
    return [Private(ds) for ds in (place, *nested, *(value_of(place, "MRImageFrameTypeSequence") or ())[:1])]


def frames_of(ds: Any, pixels: PixelData) -> list[Frame]:
    """Every frame of one object."""
    return [_frame(groups, pixels, n) for n, groups in enumerate(groups_of(ds))]


def _frame(groups: Groups, pixels: PixelData, n: int) -> Frame:
    transform, units = _value_mapping(groups)
    b_value, direction, gradient = diffusion_of(groups)
    frame_type = groups.get("MRImageFrameTypeSequence", "FrameType") or groups.get("", "ImageType") or ()
    return Frame(
        pixels=pixels,
        number=n,
        position=numbers(groups.get("PlanePositionSequence", "ImagePositionPatient"), 3),
        orientation=numbers(groups.get("PlaneOrientationSequence", "ImageOrientationPatient"), 6),
        spacing=numbers(groups.get("PixelMeasuresSequence", "PixelSpacing"), 2),
        thickness_mm=number(groups.get("PixelMeasuresSequence", "SliceThickness")),
        slope=transform[0],
        intercept=transform[1],
        b_value=b_value,
        direction=direction,
        gradient=gradient,
        echo_time_ms=_echo_time(groups),
        time_key=_time_key(groups),
        image_type=(frame_type,) if isinstance(frame_type, str) else tuple(str(t) for t in frame_type),
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
    """(slope, intercept) from stored to displayed value. Philips' private scale slope is one factor per volume and is
    left out: every intensity comparison is normalised anyway. A real world value mapping is used for its units only
    when it agrees in kind (maps).
    """
    mapping = groups.item("RealWorldValueMappingSequence")
    units = ""
    code = None if mapping is None else first_item(mapping, "MeasurementUnitsCodeSequence")
    if code is not None:
        units = text(code, "CodeValue")
    slope = number(groups.get("PixelValueTransformationSequence", "RescaleSlope"))
    intercept = number(groups.get("PixelValueTransformationSequence", "RescaleIntercept"))
    if units.endswith(("m2/s", "m2.s-1")):
        mapped = number(value_of(mapping, "RealWorldValueSlope")), number(value_of(mapping, "RealWorldValueIntercept"))
        if mapped[0]:
            return (mapped[0], mapped[1] or 0.0), units
    return (slope if slope else 1.0, intercept or 0.0), ""


# --- diffusion ---


def diffusion_of(groups: Groups) -> tuple[float | None, str, Vector | None]:
    """(b-value in s/mm2, directionality, gradient) from the standard elements, else the vendor's private ones."""
    b_value = number(groups.get("MRDiffusionSequence", "DiffusionBValue"))
    if b_value is None:
        b_value = _private_b_value(groups)
    stated = str(groups.get("MRDiffusionSequence", "DiffusionDirectionality") or "")
    philips = str(groups.private(0x2001, "Philips Imaging DD 001", 0x04) or "").strip().upper()
    if stated == "ISOTROPIC" or philips == "I":
        return b_value, "isotropic", None
    gradient = _gradient(groups)
    return b_value, "directional" if stated in ("DIRECTIONAL", "BMATRIX") or gradient else "", gradient


def _gradient(groups: Groups) -> Vector | None:
    nested = groups.get("MRDiffusionSequence", "DiffusionGradientDirectionSequence")
    found = numbers(value_of(nested[0], "DiffusionGradientOrientation"), 3) if nested else None
    found = found or numbers(groups.get("", "DiffusionGradientOrientation"), 3)
    found = found or numbers(groups.private(0x0019, "SIEMENS MR HEADER", 0x0E), 3)
    return tuple(round(v, 3) for v in found) if found and any(found) else None


_B_VALUE_PLACES = (
    (0x0019, "SIEMENS MR HEADER", 0x0C),
    (0x2001, "Philips Imaging DD 001", 0x03),
    (0x0065, "Image Private Header", 0x09),  # UIH: b-value as played out (dcm2niix UIH notes)
    (0x0043, "GEMS_PARM_01", 0x39),
)


def _private_b_value(groups: Groups) -> float | None:
    for place in _B_VALUE_PLACES if groups.private_places else ():
        found = number(groups.private(*place))
        if found is not None:
            return float(int(found) % GE_B_VALUE_BIAS) if found >= GE_B_VALUE_BIAS else found
    return None


# --- the series' header ---


def series_header(datasets: Sequence[Any], frames: Iterable[Frame] | None = None) -> SeriesHeader:
    """The facts one series is recognised by.

    Args:
        datasets: headers of all objects of one series, at least one; classic or enhanced.
        frames: their frames when the caller already has them.
    """
    first = datasets[0]
    listed = list(frames) if frames is not None else [f for ds in datasets for f in _frames_if_image(ds)]
    groups = groups_of(first)[0]
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
        series_number=_integer(value_of(first, "SeriesNumber")),
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
        rows=_integer(value_of(first, "Rows")),
        columns=_integer(value_of(first, "Columns")),
        pixel_spacing_mm=(spacing[0], spacing[1]) if spacing else None,
        instance_count=len(datasets),
        frame_count=len(listed),
        acquisition_time=min((t for t in map(_acquisition_time, datasets) if t), default=None),
        orientation=orientation_name([f.orientation for f in listed if f.orientation]),
        vendor=_vendor_facts(groups, listed),
    )


def _frames_if_image(ds: Any) -> list[Frame]:
    return frames_of(ds, PixelData(Path())) if value_of(ds, "Rows") is not None else []


def _integer(value: Any) -> int | None:
    found = number(value)
    return None if found is None else int(found)


def _tesla(ds: Any) -> float | None:
    """Some scanners state gauss."""
    found = number(value_of(ds, "MagneticFieldStrength"))
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
    item = first_item(ds, "ContrastBolusAgentSequence")
    return agent or (text(item, "CodeMeaning") if item is not None else "")


def _acquisition_time(ds: Any) -> time | None:
    stamp = text(ds, "AcquisitionDateTime")
    return parse_time(text(ds, "AcquisitionTime")) or (parse_time(stamp[8:14]) if len(stamp) >= 10 else None)


def _vendor_facts(groups: Groups, frames: Sequence[Frame]) -> dict[str, str]:
    facts = {
        "ge_pulse_sequence": groups.private(0x0019, "GEMS_ACQU_01", 0x9C),
        "ge_internal_sequence": groups.private(0x0019, "GEMS_ACQU_01", 0x9E),
        "philips_technique": groups.private(0x2001, "Philips Imaging DD 001", 0x20),
        "siemens_sequence": groups.private(0x0021, "SIEMENS MR SDI 02", 0x77),
        "mosaic_images": groups.private(0x0019, "SIEMENS MR HEADER", 0x0A)
        if "MOSAIC" in (groups.get("", "ImageType") or ())
        else None,
        "angio_flag": groups.get("", "AngioFlag"),
        "time_of_flight": groups.get("", "TimeOfFlightContrast"),
        "phase_contrast": groups.get("", "PhaseContrast"),
        "complex_component": groups.get("MRImageFrameTypeSequence", "ComplexImageComponent"),
        "volume_calculation": groups.get("MRImageFrameTypeSequence", "VolumeBasedCalculationTechnique"),
        "isotropic": "YES" if any(f.direction == "isotropic" for f in frames) else None,
    }
    return {name: _as_text(value) for name, value in facts.items() if value not in (None, "", b"")}


def _as_text(value: Any) -> str:
    return value.decode("ascii", "replace").strip(" \x00") if isinstance(value, bytes) else str(value).strip()


def orientation_name(orientations: Sequence[Vector]) -> str:
    """axial | coronal | sagittal | oblique | mixed, or "" when unknown. Up to 41 degrees off still counts (cos 41 deg
    = 0.75).
    """
    if not orientations:
        return ""
    normals = np.array([np.cross(o[:3], o[3:]) for o in {tuple(round(v, 2) for v in o) for o in orientations}])
    if bool(np.any(np.abs(normals @ normals[0]) < 0.9)):
        return "mixed"
    mean = np.abs(normals[0])
    names = ("sagittal", "coronal", "axial")
    return names[int(np.argmax(mean))] if mean.max() >= 0.75 else "oblique"
