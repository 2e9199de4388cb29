"""Days of scanners in, how each scanner stands out: ratio of grey to white matter by week, flagged studies. Pure.

Shewhart's charts. Means of weeks against the mean of the scanner, with limits of three standard deviations as its scans
spread within a week: a slow drift and a step both lead out of them. The share of flagged studies against that of all
scanners, with limits of a binomial count.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, timedelta
from html import escape
from typing import Any

from listener.web.control import FEWEST, SIGMAS
from workers.worklist_ports import ScannerDay

FEWEST_SCANS = 3  # of a week; its mean is shown anyway
FEWEST_SPREAD = 10  # degrees of freedom of the spread within weeks; with fewer the limits say nothing
LEAST_SPREAD = 0.005  # smallest standard deviation of a scan; smaller shifts of the ratio move no finding
UNNAMED = "not named by its images"
MOST = 50  # are shown by name: who states a new name with each study must not make a page of thousands
WIDTH, HEIGHT, MARGIN = 220, 56, 8  # of a drawing, pixels


@dataclass(frozen=True)
class ScannerWeek:
    """Mean ratio of the scans of one week, and its limits; None: too few scans."""

    monday: date
    scans: int
    mean: float
    low: float | None
    high: float | None

    @property
    def unusual(self) -> bool:
        return self.low is not None and self.high is not None and not self.low <= self.mean <= self.high


@dataclass(frozen=True)
class ScannerLine:
    """One scanner. flagged of studies (assessable), share_low and share_high: limits of their share, None: too few.

    weeks: the oldest first. drawing: SVG without script and style; "" without two weeks.
    """

    scanner: str
    studies: int
    flagged: int
    share_low: float | None
    share_high: float | None
    weeks: tuple[ScannerWeek, ...]
    drawing: str

    @property
    def share(self) -> float | None:
        return self.flagged / self.studies if self.studies else None

    @property
    def unusual_share(self) -> bool:
        if self.share is None or self.share_low is None or self.share_high is None:
            return False
        return not self.share_low <= self.share <= self.share_high

    @property
    def unusual_weeks(self) -> int:
        return sum(week.unusual for week in self.weeks)


def scanner_lines(days: Iterable[ScannerDay]) -> list[ScannerLine]:
    """By name of the scanner. Those beyond the MOST with most decided studies are one line, the last."""
    found: dict[str, list[ScannerDay]] = {}
    for one in days:
        found.setdefault(one.scanner, []).append(one)
    every = [one for some in found.values() for one in some]
    number = sum(one.assessable for one in every)
    share = sum(one.flagged for one in every) / number if number else 0.0
    ranked = sorted(found, key=lambda name: (-sum(one.assessable for one in found[name]), name))
    lines = [_line(name, found[name], share) for name in sorted(ranked[:MOST])]
    if rest := ranked[MOST:]:
        # ratios of different scanners are not compared
        days = [replace(one, ratios=0, ratio_sum=0.0, ratio_squares=0.0) for name in rest for one in found[name]]
        lines.append(_line(f"{len(rest)} other names", days, share))
    return lines


def scanner_facts(line: ScannerLine) -> dict[str, Any]:
    """As the API states it."""
    weeks = [{**asdict(week), "unusual": week.unusual} for week in line.weeks]
    shown = {name: value for name, value in asdict(line).items() if name != "drawing"}
    return {**shown, "share": line.share, "unusual_share": line.unusual_share, "weeks": weeks}


def _line(name: str, days: Sequence[ScannerDay], share: float) -> ScannerLine:
    studies, flagged = sum(one.assessable for one in days), sum(one.flagged for one in days)
    low = high = None
    if studies >= FEWEST:
        spread = SIGMAS * math.sqrt(share * (1.0 - share) / studies)
        low, high = max(0.0, share - spread), min(1.0, share + spread)
    weeks = _weeks(days)
    return ScannerLine(name or UNNAMED, studies, flagged, low, high, weeks, _drawing(name or UNNAMED, weeks))


def _weeks(days: Sequence[ScannerDay]) -> tuple[ScannerWeek, ...]:
    sums: dict[date, tuple[int, float, float]] = {}
    for one in days:
        if one.ratios:
            monday = one.day - timedelta(days=one.day.weekday())
            number, total, squares = sums.get(monday, (0, 0.0, 0.0))
            sums[monday] = (number + one.ratios, total + one.ratio_sum, squares + one.ratio_squares)
    freedom = sum(number - 1 for number, _, _ in sums.values())
    scans = sum(number for number, _, _ in sums.values())
    mean = sum(total for _, total, _ in sums.values()) / scans if scans else 0.0
    within = sum(max(0.0, squares - total * total / number) for number, total, squares in sums.values())
    spread = max(LEAST_SPREAD, math.sqrt(within / freedom)) if freedom >= FEWEST_SPREAD else None
    return tuple(_week(monday, sums[monday], mean, spread) for monday in sorted(sums))


def _week(monday: date, sums: tuple[int, float, float], mean: float, spread: float | None) -> ScannerWeek:
    number, total, _ = sums
    if spread is None or number < FEWEST_SCANS:
        return ScannerWeek(monday, number, total / number, None, None)
    width = SIGMAS * spread / math.sqrt(number)
    return ScannerWeek(monday, number, total / number, mean - width, mean + width)


def _drawing(name: str, weeks: Sequence[ScannerWeek]) -> str:
    if len(weeks) < 2:
        return ""
    values = [one for week in weeks for one in (week.mean, week.low, week.high) if one is not None]
    low, tall = min(values), max(max(values) - min(values), 1e-6)
    first, long = weeks[0].monday, max((weeks[-1].monday - weeks[0].monday).days, 1)

    def place(week: ScannerWeek, value: float) -> tuple[str, str]:
        across = MARGIN + (WIDTH - 2 * MARGIN) * (week.monday - first).days / long
        return f"{across:.1f}", f"{HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * (value - low) / tall:.1f}"

    def path(kind: str, points: Iterable[tuple[str, str]]) -> str:
        return f'<polyline class="{kind}" points="{" ".join(",".join(one) for one in points)}"/>'

    parts = [path("limit", (place(one, one.low) for one in weeks if one.low is not None))]
    parts.append(path("limit", (place(one, one.high) for one in weeks if one.high is not None)))
    parts.append(path("line", (place(one, one.mean) for one in weeks)))
    for one in weeks:
        x, y = place(one, one.mean)
        kind = "bad" if one.unusual else "good"
        words = f"week of {one.monday}: {one.mean:.3f}, {one.scans} scans"
        parts.append(f'<circle class="{kind}" cx="{x}" cy="{y}" r="3"><title>{words}</title></circle>')
    label = escape(f"{name}: {len(weeks)} weeks, last {weeks[-1].mean:.3f}")
    return f'<svg class="chart" role="img" aria-label="{label}" viewBox="0 0 {WIDTH} {HEIGHT}">{"".join(parts)}</svg>'
