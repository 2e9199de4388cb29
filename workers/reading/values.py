"""DICOM elements in, plain values out. A value that the header gets wrong is treated as absent."""

from __future__ import annotations

from collections.abc import Iterator, MutableSequence
from datetime import date, time
from typing import Any

import numpy as np
from pydicom.multival import MultiValue

from workers.identities import printable
from workers.moments import parse_date, parse_moment, parse_time

Vector = tuple[float, ...]


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
    """As it may be shown: without control and bidirectional characters. Several values as ``plain_text`` gives them."""
    return printable(plain_text(value_of(ds, keyword))).strip()


def plain_text(value: Any) -> str:
    """A value as text; several are divided by backslashes, as in the file. Private elements without a known VR arrive
    as bytes."""
    if value is None:
        return ""
    if isinstance(value, MultiValue):
        return "\\".join(str(one).strip(" \0") for one in value)
    return value.decode("latin-1").strip(" \0") if isinstance(value, (bytes, bytearray)) else str(value).strip(" \0")


def strings(ds: Any, keyword: str) -> tuple[str, ...]:
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


def vector_of(value: Any, count: int) -> Vector | None:
    if value is None or isinstance(value, (str, bytes)) or len(value) != count:
        return None
    found = tuple(number(v) for v in value)
    return None if any(v is None for v in found) else tuple(v for v in found if v is not None)


def integer(value: Any) -> int | None:
    found = number(value)
    return None if found is None else int(found)


def acquisition_moment(ds: Any) -> tuple[date | None, time | None]:
    """Date and time of the acquisition in the object's own zone, as far as they are stated; of an enhanced object that
    states no time those of its earliest frame."""
    zone = text(ds, "TimezoneOffsetFromUTC")
    day, at = parse_moment(text(ds, "AcquisitionDateTime"), zone)
    day, at = parse_date(text(ds, "AcquisitionDate")) or day, parse_time(text(ds, "AcquisitionTime")) or at
    if at is not None:
        return day, at
    of_frames = [(on, since) for on, since in (parse_moment(one, zone) for one in frame_moments(ds)) if on and since]
    return min(of_frames, default=(day, at))


def frame_moments(ds: Any) -> Iterator[str]:
    """When each frame of an enhanced object was acquired, as it is written."""
    groups = value_of(ds, "PerFrameFunctionalGroupsSequence")
    for own in groups if isinstance(groups, MutableSequence) else ():
        item = first_item(own, "FrameContentSequence")
        if item is not None and (said := text(item, "FrameAcquisitionDateTime")):
            yield said
