"""One FLAIR series in, digests of its acquisition out: two studies that share one hold the same images.

Noise makes two acquisitions differ in every plane, so equal pixels are one acquisition, whatever UIDs and dates say.
Pixels that were brightened or rescaled still have their order. A copy with other pixels (compressed with loss,
filtered) still has its device, its time and its place.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np

from triage.errors import NotAssessable
from workers.reading.frames import Frame
from workers.reading.pixels import load_planes
from workers.reading.spokesman import most_common
from workers.reading.values import acquisition_moment, text

PLANES = 5  # are looked at; a copy that lacks some slices still shares one of them
DISTINCT_VALUES = 16  # fewer are no image of a head: an empty plane equals any other
_DEVICE = ("Manufacturer", "ManufacturerModelName", "DeviceSerialNumber")
MIDDLE = (0.25, 0.75)  # of the stack; its ends hold air


def acquisition_of(headers: Sequence[Any], frames: Sequence[Frame]) -> frozenset[str]:
    """Digests of some planes, and of their places and the time on the device. No UID and no name of a file counts.

    Args:
        headers: of the objects of the series. frames: of the series.

    Raises:
        Transient: the files cannot be read now.
    """
    chosen = _chosen([frame for frame in frames if frame.position is not None])
    moment = _device_and_moment(headers)
    found = {_digest("acquired", moment, *_place(frame)) for frame in chosen if moment}
    if serial := _serial_and_moment(headers):  # copies that were turned, cropped or interpolated lie elsewhere
        found.add(_digest("acquired on", serial))
    for frame in chosen:
        try:
            plane = load_planes([(frame.pixels, frame.number)])[0]
        except NotAssessable:
            continue
        values = np.nan_to_num(plane)
        distinct, order = np.unique(values, return_inverse=True)
        if len(distinct) >= DISTINCT_VALUES:
            found.add(_digest("pixels", values.shape, values.tobytes()))
            found.add(_digest("order", values.shape, order.astype(np.int32).tobytes()))
    return frozenset(found)


def acquired_on(headers: Sequence[Any]) -> date | None:
    """AcquisitionDate, the earliest of the series; None: not stated."""
    return min((day for day, _ in map(_stamp, headers) if day is not None), default=None)


def _chosen(frames: Sequence[Frame]) -> list[Frame]:
    """The same planes of every copy, also when slices are missing: the digest of its place decides about each plane."""
    low, high = (round(share * len(frames)) for share in MIDDLE)
    middle = sorted(frames, key=lambda frame: (_height(frame), frame.position or ()))[low : max(high, low + 1)]
    return sorted(middle, key=lambda frame: _digest(*_place(frame)))[:PLANES]


def _height(frame: Frame) -> float:
    """Along the normal, mm."""
    position = np.array(frame.position, float)
    if frame.orientation is None:
        return float(position[-1])
    return float(np.cross(frame.orientation[:3], frame.orientation[3:]) @ position)


def _place(frame: Frame) -> tuple[Any, ...]:
    """Where a plane lies, as writers with few decimals still say it."""
    position = tuple(round(v, 1) + 0.0 for v in frame.position or ())
    orientation = tuple(round(v, 2) + 0.0 for v in frame.orientation or ())
    return position, orientation, frame.pixels.rows, frame.pixels.columns


def _device_and_moment(headers: Sequence[Any]) -> str:
    """Device, and date and time of the first image; empty when one of them is not stated."""
    device = "|".join(most_common(text(header, key) for header in headers) or "" for key in _DEVICE)
    moment = _moment(headers)
    return f"{device}|{moment}" if moment and device.strip("|") else ""


def _serial_and_moment(headers: Sequence[Any]) -> str:
    """The very device, and when: no two acquisitions share these. Empty when one of them is not stated."""
    serial, moment = most_common(text(header, "DeviceSerialNumber") for header in headers), _moment(headers)
    return f"{serial}|{moment}" if moment and serial else ""


def _moment(headers: Sequence[Any]) -> str:
    """Date and time of the first image; empty when one of them is not stated. Midnight sharp is what
    de-identification leaves."""
    stamps = [(day, at) for day, at in map(_stamp, headers) if day is not None and at is not None]
    day, at = min(stamps, default=(None, ""))
    return f"{day}|{at}" if at.strip("0:") else ""


def _stamp(header: Any) -> tuple[date | None, str | None]:
    """Date and time of one acquisition, to the second."""
    day, at = acquisition_moment(header)
    return day, None if at is None else at.strftime("%H:%M:%S")


def _digest(*values: Any) -> str:
    digest = hashlib.sha256()
    for value in values:
        digest.update(value if isinstance(value, bytes) else repr(value).encode())
    return digest.hexdigest()[:32]
