"""Clocks of one study in, one clock out: a series that a workstation made may state its times in UTC beside the
scanner's local ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

from workers.moments import minutes_ahead, parse_time
from workers.reading.values import frame_moments, text

UTC_MINUTES = 0


def offset_of(ds: Any) -> int | None:
    """Minutes that the clock of ``acquisition_moment`` is ahead of UTC; None: not stated.

    A zone behind AcquisitionDateTime, or behind the times of frames, is that of AcquisitionTime only where the object
    states no other time.
    """
    around = minutes_ahead(text(ds, "TimezoneOffsetFromUTC"))
    if around is not None:
        return around
    if parse_time(text(ds, "AcquisitionTime")) is not None:
        return None
    return minutes_ahead(text(ds, "AcquisitionDateTime") or next(iter(frame_moments(ds)), ""))


def to_one_clock(offsets: Sequence[int | None]) -> list[int | None]:
    """Minutes to add to each clock, so that all can be compared; None: this one cannot be.

    A clock without a zone is that of the zone which most others state. UTC beside clocks without a zone leaves open how
    far they are apart.

    Args:
        offsets: of each clock from UTC, in minutes; None: not stated.
    """
    stated = Counter(one for one in offsets if one is not None)
    local = Counter({one: count for one, count in stated.items() if one != UTC_MINUTES}).most_common(1)
    if not local:
        open_too = None in offsets
        return [None if one == UTC_MINUTES and open_too else 0 for one in offsets]
    home = local[0][0]
    return [0 if one is None else home - one for one in offsets]


def moved(day: date | None, at: time, minutes: int) -> tuple[date | None, time]:
    """The moment on another clock. Without a day the time of day alone moves."""
    if not minutes:
        return day, at
    try:
        found = datetime.combine(day or date(2000, 1, 1), at) + timedelta(minutes=minutes)
    except OverflowError:
        return day, at
    return (None if day is None else found.date()), found.time()
