"""One object's header in, its frames out: classic and enhanced multi-frame objects, with the vendors' private elements.

No pixel is read here. A value that the header gets wrong is treated as absent. No message names the patient.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from workers.moments import parse_moment
from workers.reading.groups import Groups, groups_of
from workers.reading.pixels import PixelData
from workers.reading.values import (
    Vector,
    acquisition_moment,
    first_item,
    integer,
    number,
    plain_text,
    text,
    value_of,
    vector_of,
)

LOOKUP_TABLE = "ModalityLUTSequence"  # instead of a slope
UNREADABLE, EMPTY = "no number", "empty or 0"  # of a rescale that is stated
_RESCALE = "PixelValueTransformationSequence"
LONGEST_OBJECT = timedelta(hours=8)  # as the pause between two visits (visits.py)
GE_B_VALUE_BIAS = 1_000_000_000  # GE adds 1e9 to (0043,1039) since DV25 (dcm2niix issue 602)


@dataclass(frozen=True)
class Frame:
    """One two-dimensional image inside one file. Lengths in mm, LPS; ``None`` where the header does not say.

    position: centre of the first voxel; orientation: direction cosines of increasing column index, then of increasing
    row index;
    spacing: (between rows, between columns).
    slope, intercept: stored -> displayed value. comparable: the same pair from a stored value to one that other images
    of the scan can be compared with, where the scanner states it. rescaled_by: the element that the first pair comes
    from, "" when the header states none. for_display: that pair differs between images of one scan, and nothing leads
    back from it.
    """

    pixels: PixelData
    number: int  # 0-based index in its file
    position: Vector | None
    orientation: Vector | None
    spacing: Vector | None
    thickness_mm: float | None
    slope: float
    intercept: float
    comparable: tuple[float, float] | None
    rescaled_by: str
    for_display: bool
    b_value: float | None
    direction: str  # "isotropic" | "directional" | ""
    gradient: Vector | None
    echo_time_ms: float | None
    repetition_time_ms: float | None
    inversion_time_ms: float | None
    time_key: tuple[int, ...]  # temporal position, acquisition number: only used to tell repeats apart
    acquired_at: tuple[date, time] | None  # the day is date.min where only the time is stated
    instance: int | None  # number of a classic object in its series
    image_type: tuple[str, ...]
    component: str  # MAGNITUDE | PHASE | ...
    units: str  # UCUM code of the real world value mapping when its slope was used, else ""
    echo_number: int | None = None  # of a classic object
    agent: bool | None = None  # whether a contrast agent was given by then, where the functional groups say so


def frames_of(ds: Any, pixels: PixelData) -> list[Frame]:
    """Every frame of one object."""
    found = groups_of(ds)
    said = acquisition_moment(ds), integer(value_of(ds, "InstanceNumber")) if len(found) == 1 else None
    return [_frame(groups, pixels, n, said) for n, groups in enumerate(found)]


def _frame(
    groups: Groups, pixels: PixelData, n: int, said: tuple[tuple[date | None, time | None], int | None]
) -> Frame:
    transform, rescaled_by, units = _value_mapping(groups)
    compared = _comparable(groups, transform)
    b_value, direction, gradient = diffusion_of(groups)
    frame_type = groups.get("MRImageFrameTypeSequence", "FrameType") or groups.get("", "ImageType") or ()
    return Frame(
        pixels=pixels,
        number=n,
        position=vector_of(groups.get("PlanePositionSequence", "ImagePositionPatient"), 3),
        orientation=vector_of(groups.get("PlaneOrientationSequence", "ImageOrientationPatient"), 6),
        spacing=vector_of(groups.get("PixelMeasuresSequence", "PixelSpacing"), 2),
        thickness_mm=number(groups.get("PixelMeasuresSequence", "SliceThickness")),
        slope=transform[0],
        intercept=transform[1],
        comparable=compared,
        rescaled_by=rescaled_by,
        for_display=compared is None and rescaled_by == "RescaleSlope" and _displays_each(groups),
        b_value=b_value,
        direction=direction,
        gradient=gradient,
        echo_time_ms=_echo_time(groups),
        repetition_time_ms=number(groups.get("MRTimingAndRelatedParametersSequence", "RepetitionTime")),
        inversion_time_ms=inversion_time(groups),
        time_key=_time_key(groups),
        acquired_at=_acquired_at(groups, said[0]),
        instance=said[1],
        image_type=(frame_type,) if isinstance(frame_type, str) else tuple(str(t) for t in frame_type),
        component=str(groups.get("MRImageFrameTypeSequence", "ComplexImageComponent") or ""),
        units=units,
        echo_number=integer(groups.get("", "EchoNumbers")),
        agent=_agent_given(groups),
    )


def _agent_given(groups: Groups) -> bool | None:
    given, phase = (
        plain_text(groups.get("ContrastBolusUsageSequence", f"ContrastBolusAgent{what}")).upper()
        for what in ("Administered", "Phase")
    )
    return given != "NO" and phase != "PRE_CONTRAST" if given or phase else None


def inversion_time(groups: Groups) -> float | None:
    """ms; that of the modifiers first."""
    found = number(groups.get("MRModifierSequence", "InversionTimes"))
    return found if found is not None else number(groups.get("", "InversionTime"))


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


def _acquired_at(groups: Groups, of_object: tuple[date | None, time | None]) -> tuple[date, time] | None:
    """A frame's own moment, where it is not hours off that of its object: anonymisers move one and leave the other."""
    for converted in groups.converted:
        if (found := acquisition_moment(converted))[1] is not None:
            of_object = found[0] or of_object[0], found[1]
            break
    own = groups.get("FrameContentSequence", "FrameAcquisitionDateTime")
    day, at = parse_moment(str(own), plain_text(groups.get("", "TimezoneOffsetFromUTC"))) if own else of_object
    if at is None or (own and _hours_off((day, at), of_object)):
        day, at = of_object
    return None if at is None else (day or date.min, at)


def _hours_off(one: tuple[date | None, time | None], other: tuple[date | None, time | None]) -> bool:
    """Whether both are moments, and so far apart as images of one object are not."""
    (day, at), (other_day, other_at) = one, other
    if day is None or at is None or other_day is None or other_at is None:
        return False
    return abs(datetime.combine(day, at) - datetime.combine(other_day, other_at)) > LONGEST_OBJECT


def _value_mapping(groups: Groups) -> tuple[tuple[float, float], str, str]:
    """(slope, intercept) from stored to displayed value, the element they come from, and the unit.

    A real world value mapping is used for its units only when it agrees in kind (maps).
    """
    mapping = groups.item("RealWorldValueMappingSequence")
    units = ""
    code = None if mapping is None else first_item(mapping, "MeasurementUnitsCodeSequence")
    if code is not None:
        units = text(code, "CodeValue")
    if groups.item("ModalityLUTSequence") is not None:
        return (1.0, 0.0), LOOKUP_TABLE, ""
    slope = number(groups.get(_RESCALE, "RescaleSlope"))
    intercept = number(groups.get(_RESCALE, "RescaleIntercept"))
    if units.endswith(("m2/s", "m2.s-1")):
        mapped = number(value_of(mapping, "RealWorldValueSlope")), number(value_of(mapping, "RealWorldValueIntercept"))
        if mapped[0]:
            return (mapped[0], mapped[1] or 0.0), "RealWorldValueSlope", units
    return (slope if slope else 1.0, intercept or 0.0), _stated_rescale(groups, slope, intercept), ""


def _stated_rescale(groups: Groups, slope: float | None, intercept: float | None) -> str:
    """RescaleSlope, "" when it is not there, else what is wrong with it."""
    for keyword, value in (("RescaleSlope", slope), ("RescaleIntercept", intercept)):
        if value is None and plain_text(groups.written(_RESCALE, keyword)):
            return UNREADABLE
    if slope:
        return "RescaleSlope"
    return "" if groups.written(_RESCALE, "RescaleSlope") is None else EMPTY


def _comparable(groups: Groups, displayed: tuple[float, float]) -> tuple[float, float] | None:
    """Philips displays each image in a range of its own. Its private scale slope leads back to what was measured:
    (stored * slope + intercept) / (slope * scale slope), Chenevert et al., Transl Oncol 2014;7:65."""
    scale = number(groups.private(0x2005, "Philips MR Imaging DD 001", 0x0E)) if groups.private_places else None
    if scale is None or scale <= 0.0:
        return None
    return 1.0 / scale, displayed[1] / (displayed[0] * scale)


def _displays_each(groups: Groups) -> bool:
    """Whether the scanner may be one that displays each image in a range of its own: Philips, or one of no name."""
    maker = plain_text(groups.get("", "Manufacturer")).upper()
    return not maker or maker.startswith("PHILIPS")


# --- diffusion ---


def diffusion_of(groups: Groups) -> tuple[float | None, str, Vector | None]:
    """(b-value in s/mm2, directionality, gradient) from the standard elements, else the vendor's private ones."""
    b_value = number(groups.get("MRDiffusionSequence", "DiffusionBValue"))
    if b_value is None:
        b_value = _private_b_value(groups)
    stated = str(groups.get("MRDiffusionSequence", "DiffusionDirectionality") or "")
    philips = plain_text(groups.private(0x2001, "Philips Imaging DD 001", 0x04)).upper()
    if stated == "ISOTROPIC" or philips == "I":
        return b_value, "isotropic", None
    gradient = _gradient(groups)
    return b_value, "directional" if stated in ("DIRECTIONAL", "BMATRIX") or gradient else "", gradient


def _gradient(groups: Groups) -> Vector | None:
    nested = groups.get("MRDiffusionSequence", "DiffusionGradientDirectionSequence")
    found = vector_of(value_of(nested[0], "DiffusionGradientOrientation"), 3) if nested else None
    found = found or vector_of(groups.get("", "DiffusionGradientOrientation"), 3)
    found = found or vector_of(groups.private(0x0019, "SIEMENS MR HEADER", 0x0E), 3)
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
