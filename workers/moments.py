"""Dates and times as objects, archives and messages write them in, plain values out. One parser for all of them.

The forms of PS3.5 section 6.2 (DA, TM, DT), those before 1993, and ISO 8601 as routers and web archives write it. What
could mean two days (03/04/2024), a range or anything else is no date.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta, timezone

FIRST_YEAR = 1850  # before it nobody who is examined was born; programs write year 1 for "none"
END_OF_DAY = time.max  # 24:00 is the end of its day, not its beginning

# what says the day of a study; each stands in for those before it where they are missing
DATES_OF_A_STUDY = ("StudyDate", "AcquisitionDate", "AcquisitionDateTime", "SeriesDate", "ContentDate")

_ZONE = r"(?:\s?(?P<zone>Z|[+-](?:0\d|1[0-4]):?[0-5]\d))?"
_CLOCK = r"\d{2}(?::?\d{2}(?::?\d{2}(?:[.,]\d*)?)?)?"
_MOMENT = re.compile(
    r"(?:(?P<y>\d{4})(?P<m>\d{2})(?P<d>\d{2})|(?P<y2>\d{4})(?P<sep>[./-])(?P<m2>\d{1,2})(?P=sep)(?P<d2>\d{1,2}))"
    rf"(?:[T ]?(?P<clock>{_CLOCK}))?{_ZONE}",
    re.ASCII,
)
_TIME = re.compile(
    r"(?:(?P<h>\d{1,2})[:.](?P<m>\d{2})(?:[:.](?P<s>\d{2})(?:[.,](?P<f>\d*))?)?"
    r"|(?P<h2>\d{2})(?:(?P<m2>\d{2})(?P<s2>\d{2})?)?(?:[.,](?P<f2>\d*))?)" + _ZONE,
    re.ASCII,
)


def parse_date(text: str) -> date | None:
    """The day of a date, or of a date with a time behind it, as it is written; None: no single day is stated."""
    return parse_moment(text)[0]


def parse_time(text: str) -> time | None:
    """The local time of day as it is written, without its zone; None: it is none. 24:00 is END_OF_DAY."""
    found = _TIME.fullmatch(text.strip(" \0"))
    if found is None:
        return None
    parts = [found[name] or found[f"{name}2"] for name in ("h", "m", "s", "f")]
    hour, minute, second = (int(part or 0) for part in parts[:3])
    if (hour, minute, second) == (24, 0, 0):
        return END_OF_DAY
    try:  # a leap second is the last one of its minute
        return time(hour, minute, 59 if second == 60 else second, int((parts[3] or "")[:6].ljust(6, "0")))
    except ValueError:
        return None


def parse_moment(text: str, local_zone: str = "") -> tuple[date | None, time | None]:
    """Day and time of a date with a time.

    Args:
        local_zone: offset from UTC of the dates around it (0008,0201). A moment that states another one is brought to
            it; otherwise it is taken as it is written.
    """
    found = _MOMENT.fullmatch(text.strip(" \0"))
    if found is None:
        return None, None
    year, month, day = (int(found[name] or found[f"{name}2"]) for name in ("y", "m", "d"))
    try:
        written = date(year, month, day)
    except ValueError:
        return None, None
    if year < FIRST_YEAR:
        return None, None
    at = parse_time(found["clock"] or "")
    own, local = _zone(found["zone"]), _zone(local_zone.strip(" \0"))
    if at is None or own is None or local is None:
        return written, at
    try:
        moved = datetime.combine(written, at, own).astimezone(local)
    except OverflowError:  # 31 December 9999 stands for "no date" and has no other zone
        return written, at
    return moved.date(), moved.time()


def minutes_ahead(text: str) -> int | None:
    """Minutes ahead of UTC, as a zone ("+0900"), or a moment with a zone behind it, states; None: it states none."""
    bare = text.strip(" \0")
    found = _MOMENT.fullmatch(bare)
    zone = _zone(bare if found is None else found["zone"])
    return None if zone is None else int(zone.utcoffset(None).total_seconds() // 60)


def plain_time(text: str) -> str:
    """A time as DICOM writes it, HHMMSS.FFFFFF or a part of it, so that texts can be compared; "" when it is none."""
    bare = text.strip(" \0")
    at = parse_time(bare)
    if at is None:
        return ""
    if at != END_OF_DAY and re.fullmatch(r"\d{2}(?:\d{2}(?:\d{2}(?:\.\d+)?)?)?", bare, re.ASCII):
        return bare
    return at.strftime("%H%M%S") + (f".{at.microsecond:06}" if at.microsecond else "")


def first_date(texts: Iterable[str]) -> date | None:
    """The first text that is a date."""
    return next((day for day in map(parse_date, texts) if day is not None), None)


def _zone(text: str | None) -> timezone | None:
    if text == "Z":
        return UTC
    found = re.fullmatch(r"([+-])(0\d|1[0-4]):?([0-5]\d)", text or "", re.ASCII)
    if found is None:
        return None
    offset = timedelta(hours=int(found[2]), minutes=int(found[3]))
    return timezone(-offset if found[1] == "-" else offset)
