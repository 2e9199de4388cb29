"""The objects of one study in, which of them are of its latest visit out.

De-identification and some routers put two visits of a patient under one StudyInstanceUID. The earlier images must not
be measured as if they were of now.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from typing import Any

from workers.identities import VISIT_IMAGES, StudyFacts
from workers.moments import parse_date, parse_time
from workers.reading.values import acquisition_moment, integer, strings, text, value_of
from workers.reading.zones import moved, offset_of, to_one_clock

# An examination does not pause for longer; the next visit of a patient is on another day.
LONGEST_PAUSE = timedelta(hours=8)
ONE_DAY = timedelta(days=1)  # a study over midnight keeps the date on which it began
OTHER_VISIT = "other_visit"


@dataclass(frozen=True)
class Visits:
    """latest: positions of the objects of the latest visit, in the order given. earlier: position -> first day of its
    visit. began: first moment of the latest visit; None: there is one visit only, or nothing is dated."""

    latest: tuple[int, ...]
    earlier: Mapping[int, date]
    began: datetime | None

    @property
    def days(self) -> tuple[date, ...]:
        """First day of each earlier visit."""
        return tuple(sorted(set(self.earlier.values())))


@dataclass(frozen=True)
class _Stamp:
    day: date
    at: time | None


def visits_of(headers: Sequence[Any]) -> Visits:
    """Tell the visits apart: by a pause of more than LONGEST_PAUSE in the acquisition, without times by the day.

    An object without a date, a derived one that does not say when it was acquired, and fewer than VISIT_IMAGES images
    with a date of their own go with their series, else with the visit of their study date, else with the latest visit.
    """
    stamps = _on_one_clock([_stamp(header) for header in headers], headers)
    begins = _beginnings([stamp for stamp in stamps if stamp is not None])
    found = {n: _visit(stamp, begins) for n, stamp in enumerate(stamps) if stamp is not None}
    images: Counter[int] = Counter()
    for n, visit in found.items():
        images[visit] += integer(value_of(headers[n], "NumberOfFrames")) or 1
    visits = [visit for visit in sorted(images) if images[visit] >= VISIT_IMAGES]
    if len(visits) < 2:
        return Visits(tuple(range(len(headers))), {}, None)
    begins = [begins[visit] for visit in visits]
    number = {n: visits.index(visit) for n, visit in found.items() if visit in visits}
    undated = [n for n in range(len(headers)) if n not in number]
    of_series = _by(number, headers, "SeriesInstanceUID")
    of_day = _by(number, headers, "StudyDate")
    last = len(begins) - 1
    for n in undated:
        known = of_series.get(text(headers[n], "SeriesInstanceUID"))
        number[n] = known if known is not None else of_day.get(text(headers[n], "StudyDate"), last)
    latest = tuple(n for n in range(len(headers)) if number[n] == last)
    earlier = {n: begins[visit].date() for n, visit in sorted(number.items()) if visit != last}
    return Visits(latest, earlier, begins[-1])


def facts_of_latest(study: StudyFacts, latest: StudyFacts, began: datetime) -> StudyFacts:
    """The patient of the study, with the date, time and accession number of the latest visit.

    A study date that is not that of the acquisition was given to both visits: the day of the acquisition counts.
    """
    day, at = latest.study_date, latest.study_time
    if day is None or abs(day - began.date()) > ONE_DAY:
        day, at = began.date(), began.strftime("%H%M%S") if began.time() != time() else ""
    return replace(study, study_date=day, study_time=at, accession_number=latest.accession_number)


def _stamp(header: Any) -> _Stamp | None:
    """When the object was acquired, by the first pair of elements that states a day. Midnight sharp is no time: it is
    what de-identification leaves."""
    if header.get("Rows") is None:
        return None  # reports and presentations: what they state of an acquisition is not theirs
    moments = [acquisition_moment(header)]
    if not _is_derived(header):
        moments += [
            (parse_date(text(header, f"{level}Date")), parse_time(text(header, f"{level}Time")))
            for level in ("Series", "Content", "Study")
        ]
    for day, at in moments:
        if day is not None:
            return _Stamp(day, at if at is not None and at != time() else None)
    return None


def _on_one_clock(stamps: Sequence[_Stamp | None], headers: Sequence[Any]) -> list[_Stamp | None]:
    """Of an object whose clock cannot be compared with the others nothing is known."""
    timed = [n for n, stamp in enumerate(stamps) if stamp is not None and stamp.at is not None]
    shifts = dict(zip(timed, to_one_clock([offset_of(headers[n]) for n in timed]), strict=True))
    found: list[_Stamp | None] = list(stamps)
    for n, minutes in shifts.items():
        stamp = stamps[n]
        if minutes == 0 or stamp is None or stamp.at is None:
            continue
        if minutes is None:
            found[n] = None
            continue
        day, at = moved(stamp.day, stamp.at, minutes)
        found[n] = _Stamp(day or stamp.day, at)
    return found


def _is_derived(header: Any) -> bool:
    """It may have been made after the visit: reports, presentations, captures, maps."""
    other = text(header, "Modality") not in ("MR", "")
    return other or strings(header, "ImageType")[:1] == ("DERIVED",)


def _beginnings(stamps: Sequence[_Stamp]) -> list[datetime]:
    """First moment of each visit, in order."""
    timed = sorted({datetime.combine(s.day, s.at) for s in stamps if s.at is not None})
    begins = timed[:1] + [later for sooner, later in pairwise(timed) if later - sooner > LONGEST_PAUSE]
    days = {moment.date() for moment in timed}
    begins += [datetime.combine(day, time()) for day in {s.day for s in stamps if s.at is None} - days]
    return sorted(begins)


def _visit(stamp: _Stamp, begins: Sequence[datetime]) -> int:
    """The last visit that began before; of an object without a time the first one of its day, else the one before."""
    if stamp.at is not None:
        moment = datetime.combine(stamp.day, stamp.at)
        return sum(begin <= moment for begin in begins) - 1
    same = [n for n, begin in enumerate(begins) if begin.date() == stamp.day]
    return same[0] if same else max(sum(begin.date() <= stamp.day for begin in begins) - 1, 0)


def _by(number: Mapping[int, int], headers: Sequence[Any], keyword: str) -> dict[str, int]:
    """The visit in which each value of the element occurs most, of equally many the latest."""
    votes: dict[str, Counter[int]] = {}
    for n, visit in number.items():
        if value := text(headers[n], keyword):
            votes.setdefault(value, Counter())[visit] += 1
    return {value: max(count, key=lambda visit: (count[visit], visit)) for value, count in votes.items()}
