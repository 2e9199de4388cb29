"""Headers of one series in, the facts that it is recognised by out."""

from __future__ import annotations

from collections.abc import Iterable, MutableSequence, Sequence
from dataclasses import replace
from datetime import date, time
from pathlib import Path
from typing import Any

import numpy as np

from triage.model import SeriesHeader
from triage.sequences.words import names_agent
from workers.reading.display_copy import has_eight_bits
from workers.reading.frames import Frame, frames_of, inversion_time
from workers.reading.groups import Groups, groups_of
from workers.reading.pixels import PixelData
from workers.reading.spokesman import main_frame, most_common, spokesman
from workers.reading.values import (
    Vector,
    acquisition_moment,
    integer,
    number,
    plain_text,
    strings,
    text,
    value_of,
)
from workers.reading.zones import moved, offset_of, to_one_clock

UNNAMED_AGENT = "an agent whose name is not stated"

# An echo needs longer, of ultrashort gradient echoes, too. As seconds a repetition time is never longer than this
SHORTEST_ECHO_MS, SHORTEST_SPIN_ECHO_MS, LONGEST_TR_S = 0.012, 1.0, 30.0

# digitised or captured pictures, and what a workstation draws (PS3.3 C.8.6.1)
_FROM_A_SCREEN = frozenset({"DV", "DI", "DF", "WSD", "SD", "SI", "DRW"})


def series_header(datasets: Sequence[Any], frames: Sequence[Sequence[Frame]] | None = None) -> SeriesHeader:
    """The facts one series is recognised by: those of most of its images, in whatever order they come.

    Args:
        datasets: headers of all objects of one series, at least one; classic or enhanced.
        frames: those of each of them when the caller already has them.
    """
    of_each = frames if frames is not None else [_frames_if_image(ds) for ds in datasets]
    listed = [frame for some in of_each for frame in some]
    speaks = spokesman(datasets, of_each)
    first, groups = datasets[speaks], _groups_of(datasets[speaks], of_each[speaks])
    day, at = _first_acquired(datasets, of_each)
    header = SeriesHeader(
        series_instance_uid=min(text(ds, "SeriesInstanceUID") for ds in datasets),
        sop_class_uid=text(first, "SOPClassUID"),
        modality=text(first, "Modality"),
        manufacturer=text(first, "Manufacturer"),
        model_name=text(first, "ManufacturerModelName"),
        station_name=text(first, "StationName"),
        software_versions="\\".join(strings(first, "SoftwareVersions")),
        magnetic_field_strength_t=_tesla(first),
        series_number=integer(value_of(first, "SeriesNumber")),
        series_description=text(first, "SeriesDescription"),
        protocol_name=text(first, "ProtocolName"),
        sequence_name=text(first, "SequenceName") or text(first, "PulseSequenceName"),
        scanning_sequence=_scanning_sequence(first, groups),
        sequence_variant=_listed("SequenceVariant", first, groups),
        scan_options=_listed("ScanOptions", first, groups),
        image_type=strings(first, "ImageType"),
        acquisition_contrast=str(groups.get("MRImageFrameTypeSequence", "AcquisitionContrast") or "").upper(),
        mr_acquisition_type=text(first, "MRAcquisitionType"),
        repetition_time_ms=number(groups.get("MRTimingAndRelatedParametersSequence", "RepetitionTime")),
        echo_time_ms=max((f.echo_time_ms for f in listed if f.echo_time_ms is not None), default=None),
        inversion_time_ms=inversion_time(groups),
        flip_angle_deg=number(groups.get("MRTimingAndRelatedParametersSequence", "FlipAngle")),
        echo_train_length=integer(groups.get("MRTimingAndRelatedParametersSequence", "EchoTrainLength")),
        b_values=tuple(sorted({round(f.b_value, 1) for f in listed if f.b_value is not None and f.b_value >= 0})),
        contrast_agent=_contrast_agent(datasets, of_each),
        slice_thickness_mm=most_common(frame.thickness_mm for frame in listed),
        rows=integer(value_of(first, "Rows")),
        columns=integer(value_of(first, "Columns")),
        pixel_spacing_mm=_spacing(listed),
        instance_count=len(datasets),
        frame_count=len(listed),
        acquisition_time=at,
        acquisition_date=day,
        orientation=orientation_name([f.orientation for f in listed if f.orientation]),
        vendor=_vendor_facts(groups, listed),
    )
    return _in_milliseconds(header)


def _in_milliseconds(header: SeriesHeader) -> SeriesHeader:
    """Converters that take their figures from BIDS write seconds; no sequence has such times in milliseconds."""
    tr, te, ti = header.repetition_time_ms, header.echo_time_ms, header.inversion_time_ms
    spin_echo = "SE" in header.scanning_sequence or "IR" in header.scanning_sequence
    shortest = SHORTEST_SPIN_ECHO_MS if spin_echo and "GR" not in header.scanning_sequence else SHORTEST_ECHO_MS
    if tr is None or te is None or not 0.0 < te < shortest or tr > LONGEST_TR_S:
        return header
    in_ms = None if ti is None else 1000.0 * ti
    return replace(header, repetition_time_ms=1000.0 * tr, echo_time_ms=1000.0 * te, inversion_time_ms=in_ms)


def _groups_of(ds: Any, frames: Sequence[Frame]) -> Groups:
    """Those of a frame that is like most: a part of an enhanced object need not begin with the object's first one."""
    found = groups_of(ds)
    number = main_frame(frames)
    return found[number if number < len(found) else 0]


def _spacing(frames: Sequence[Frame]) -> tuple[float, float] | None:
    spacing = most_common(frame.spacing for frame in frames)
    return (spacing[0], spacing[1]) if spacing else None


def _frames_if_image(ds: Any) -> list[Frame]:
    return frames_of(ds, PixelData(Path())) if value_of(ds, "Rows") is not None else []


def _tesla(ds: Any) -> float | None:
    """Some scanners state gauss."""
    found = number(value_of(ds, "MagneticFieldStrength"))
    return found / 10000.0 if found is not None and found > 100 else found


def _listed(keyword: str, ds: Any, groups: Groups) -> tuple[str, ...]:
    return next(filter(None, (strings(one, keyword) for one in (ds, *groups.converted))), ())


def _scanning_sequence(ds: Any, groups: Groups) -> tuple[str, ...]:
    """ScanningSequence, or the same words from the enhanced attributes."""
    classic = _listed("ScanningSequence", ds, groups)
    if classic:
        return classic
    echo = {"GRADIENT": ("GR",), "SPIN": ("SE",), "BOTH": ("SE", "GR")}.get(text(ds, "EchoPulseSequence"), ())
    planar = ("EP",) if text(ds, "EchoPlanarPulseSequence") == "YES" else ()
    inverted = ("IR",) if str(groups.get("MRModifierSequence", "InversionRecovery") or "") == "YES" else ()
    return (*echo, *inverted, *planar)


def _contrast_agent(datasets: Sequence[Any], frames: Sequence[Sequence[Frame]]) -> str:
    """What the objects state: any of them may name the agent."""
    stated = sorted({agent_of(ds, some) for ds, some in zip(datasets, frames, strict=True)})
    return next((one for one in stated if names_agent(one)), next(filter(None, stated), ""))


def agent_of(ds: Any, frames: Sequence[Frame]) -> str:
    """The agent's name as it is written. De-identification removes names, and leaves the dose or the time.

    Args:
        frames: those of the object that are meant. Some of an enhanced object may have been acquired before the agent.
    """
    listed = _items(ds, "ContrastBolusAgentSequence")
    usage = [frame.agent for frame in frames if frame.agent is not None] or _usage(ds)
    if usage and not any(usage):
        return ""
    name = text(ds, "ContrastBolusAgent") or next(filter(None, (text(one, "CodeMeaning") for one in listed)), "")
    if name.strip(" -."):
        return name
    return UNNAMED_AGENT if any(usage) or any(_has_dose(one) for one in (ds, *listed)) else name


def _usage(ds: Any) -> list[bool]:
    """Of each statement in the functional groups of an enhanced object, whether the agent was given by then."""
    places = [*_items(ds, "SharedFunctionalGroupsSequence"), *_items(ds, "PerFrameFunctionalGroupsSequence")]
    items = [one for place in places for one in _items(place, "ContrastBolusUsageSequence")]
    stated = [(text(one, "ContrastBolusAgentAdministered"), text(one, "ContrastBolusAgentPhase")) for one in items]
    return [given != "NO" and phase != "PRE_CONTRAST" for given, phase in stated if given or phase]


def _items(ds: Any, key: str) -> list[Any]:
    found = value_of(ds, key)
    return [one for one in found if hasattr(one, "get")] if isinstance(found, MutableSequence) else []


def _has_dose(ds: Any) -> bool:
    doses = (number(value_of(ds, keyword)) for keyword in ("ContrastBolusVolume", "ContrastBolusTotalDose"))
    stated = (text(ds, "ContrastBolusStartTime"), text(ds, "ContrastBolusIngredient"))
    return any((dose or 0.0) > 0.0 for dose in doses) or any(stated)


def _first_acquired(datasets: Sequence[Any], frames: Sequence[Sequence[Frame]]) -> tuple[date | None, time | None]:
    """Date and time of the first acquisition; the date only when each image with a time states one."""
    of_frames = [frame.acquired_at for some in frames for frame in some if frame.acquired_at is not None]
    stamps = [(None if day == date.min else day, at) for day, at in of_frames]
    if not stamps:
        stamps = [(day, at) for day, at in map(acquisition_moment, datasets) if at is not None]
    if not stamps:
        return None, None
    dated = [(day, at) for day, at in stamps if day is not None]
    return min(dated) if len(dated) == len(stamps) else (None, min(at for _, at in stamps))


def on_one_clock(headers: Sequence[SeriesHeader], objects: Iterable[Sequence[Any]]) -> list[SeriesHeader]:
    """The same headers with times that can be compared: a series whose clock cannot be has none.

    Args:
        objects: the headers of the objects of each of them.
    """
    offsets = [next((one for one in map(offset_of, some) if one is not None), None) for some in objects]
    found = []
    for header, minutes in zip(headers, to_one_clock(offsets), strict=True):
        at = header.acquisition_time
        if at is None or minutes == 0:
            found.append(header)
            continue
        day, at = (None, None) if minutes is None else moved(header.acquisition_date, at, minutes)
        found.append(replace(header, acquisition_date=day, acquisition_time=at))
    return found


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
        "captured": "YES" if _is_captured(groups) else None,
        "lossy": "YES" if any(frame.pixels.lossy for frame in frames) else None,
        "eight_bits": "YES" if frames and all(map(has_eight_bits, frames)) else None,
    }
    return {name: plain_text(value) for name, value in facts.items() if value not in (None, "", b"")}


def _is_captured(groups: Groups) -> bool:
    """Whether an object of a class of images was made of a screen: 8 bits, and text in it or a conversion stated
    (PS3.3 C.8.6.1)."""
    bits = integer(groups.get("", "BitsStored")) or integer(groups.get("", "BitsAllocated")) or 16
    converted = plain_text(groups.get("", "ConversionType")).upper() in _FROM_A_SCREEN
    return bits <= 8 and (converted or plain_text(groups.get("", "BurnedInAnnotation")).upper() == "YES")


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
