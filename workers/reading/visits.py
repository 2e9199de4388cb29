"""Headers of one study in, the visits that its images were acquired in out: de-identification and archives put two
visits under one StudyInstanceUID.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, time, timedelta
from typing import Any

from triage.errors import NotAssessable
from workers.identities import CLEAR_SHARE, parse_date
from workers.reading.values import parse_time, strings, text

# Between two images of one visit. Sequences are repeated the next morning; two visits for comparison lie days apart.
VISIT_GAP = timedelta(hours=36)


def of_other_visits(headers: Sequence[Any]) -> dict[int, str]:
    """Positions of the headers whose images are not of the study's visit, and the date of theirs.

    An image without a date of its own belongs to the study. Computed images are dated by when they were computed, and
    have no vote.

    Raises:
        NotAssessable: ``two_visits``: no visit holds two thirds of the images.
    """
    dated = sorted((when, number) for number, header in enumerate(headers) if (when := _acquired(header)) is not None)
    visits: list[list[tuple[datetime, int]]] = []
    for when, number in dated:
        if not visits or when - visits[-1][-1][0] > VISIT_GAP:
            visits.append([])
        visits[-1].append((when, number))
    if len(visits) < 2:
        return {}
    largest = max(visits, key=len)
    days = " and ".join(str(visit[0][0].date()) for visit in visits[:4])
    if len(largest) < CLEAR_SHARE * len(dated):
        raise NotAssessable("two_visits", f"one study UID holds the images of {len(visits)} visits, of {days}")
    return {
        number: str(visit[0][0].date())
        for visit in visits
        for _, number in visit
        if visit is not largest and _states_its_own_date(headers[number])
    }


def _states_its_own_date(header: Any) -> bool:
    """A study date alone may be a slip of one header: the study is what most objects say."""
    return any(text(header, key) for key in ("AcquisitionDateTime", "AcquisitionDate", "SeriesDate"))


def _acquired(header: Any) -> datetime | None:
    """When an acquired image was acquired, as far as its header says; noon when it states no time."""
    if header.get("Rows") is None or "DERIVED" in {token.upper() for token in strings(header, "ImageType")}:
        return None
    both = text(header, "AcquisitionDateTime")
    written = [(both[:8], both[8:])]
    written += [(text(header, f"{of}Date"), text(header, f"{of}Time")) for of in ("Acquisition", "Series", "Study")]
    for day, at in written:
        found = parse_date(day)
        if found is not None:
            return datetime.combine(found, parse_time(at) or time(12))
    return None
