"""Decisions of the last weeks in, how many were flagged and whether a week is unusual out. Pure.

A p-chart: the share of flagged studies of each week against the share of all weeks, with limits of three standard
deviations of a binomial count (Shewhart). It shows that something changed, not what.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo

WEEKS = 12
SIGMAS = 3.0
FEWEST = 5  # assessable studies of a week; with fewer the limits say nothing


@dataclass(frozen=True)
class WeekOfFlags:
    """Monday of the week, assessable studies, how many were flagged, and the limits of the share; None: too few."""

    monday: date
    studies: int
    flagged: int
    low: float | None
    high: float | None

    @property
    def share(self) -> float:
        return self.flagged / self.studies

    @property
    def unusual(self) -> bool:
        return self.low is not None and self.high is not None and not self.low <= self.share <= self.high


def weeks_of(decisions: Iterable[tuple[datetime, bool]], zone: tzinfo | None) -> list[WeekOfFlags]:
    """Weeks with decisions, the newest first.

    Args:
        decisions: when a study was decided, and whether it was flagged.
        zone: of the site; None: of this machine.
    """
    found: dict[date, list[bool]] = {}
    for (at, flagged), times in Counter(decisions).items():
        day = at.astimezone(zone).date()
        found.setdefault(day - timedelta(days=day.weekday()), []).extend([flagged] * times)
    number = sum(len(one) for one in found.values())
    share = sum(sum(one) for one in found.values()) / number if number else 0.0
    return [_week(monday, found[monday], share) for monday in sorted(found, reverse=True)]


def _week(monday: date, flags: list[bool], share: float) -> WeekOfFlags:
    if len(flags) < FEWEST:
        return WeekOfFlags(monday, len(flags), sum(flags), None, None)
    spread = SIGMAS * math.sqrt(share * (1.0 - share) / len(flags))
    return WeekOfFlags(monday, len(flags), sum(flags), max(0.0, share - spread), min(1.0, share + spread))
