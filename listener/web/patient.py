"""Rows and documents of one patient in, what the patient's page shows out: curves, the course of each pattern, every
study and why it was used or not. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from html import escape
from itertools import pairwise
from typing import Any

from listener.web.lines import call_words, day_words
from listener.web.study_figures import quantity_title
from triage.report.headline import headline_of, named_region, pattern_title, scanner_words
from workers.ports import StudyRow

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 420, 190, 44, 10, 16, 26  # of a curve, pixels
TICKS = 4
FINE_SCALE = 5  # percent from end to end
SHORTEST_DAYS = 7  # of the scale of time

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Measured:
    """One point of a curve. day: date as a number. spread: one standard deviation. other: acquired by another protocol
    than its baseline. against: the baseline that it was compared with; None: single scan. scanner: in words; "": not
    known."""

    day: int
    value: float
    spread: float
    other: bool
    against: str | None
    words: str
    scanner: str = ""


@dataclass(frozen=True)
class Curve:
    """One region and quantity over time. drawing: SVG without script and style."""

    title: str
    unit: str
    drawing: str
    points: tuple[str, ...]


@dataclass(frozen=True)
class PatientStudy:
    """One study and the part it has in the decision on the newest one. uid None: it has no decision, and no page."""

    uid: str
    decided: bool
    study_date: str
    day: str
    call: str
    finding: str
    state: str
    part: str
    scanner: str


def studies_of(rows: Sequence[StudyRow], documents: Mapping[str, Document]) -> list[PatientStudy]:
    """Every study, the newest first. documents: study UID -> present decision."""
    newest = next(
        (documents[row.study_instance_uid] for row in reversed(rows) if row.study_instance_uid in documents), None
    )
    baseline = (newest or {}).get("baseline") or {}
    refused = {one["study_instance_uid"]: one["reason"] for one in baseline.get("rejected") or ()}
    found = []
    for row in reversed(rows):
        uid, document = row.study_instance_uid, documents.get(row.study_instance_uid)
        part = "the newest decision" if document is not None and document is newest else ""
        if uid == baseline.get("study_instance_uid"):
            part = f"the baseline: {baseline.get('reason', '')}"
        elif uid in refused:
            part = f"not used as baseline: {refused[uid]}"
        decided = document is not None
        found.append(
            PatientStudy(
                uid=uid,
                decided=decided,
                study_date=row.study_date.isoformat() if row.study_date else "no date",
                day=day_words(document["study"]["days_after_infusion"]) if document is not None else "",
                call=call_words(row.category or "not looked at", before_treatment=row.before_treatment),
                finding=_why(row, document),
                state=row.state.value,
                part=part,
                scanner="" if document is None else scanner_words(document),
            )
        )
    return found


def _why(row: StudyRow, document: Document | None) -> str:
    """The first reason of the decision; of a scan before treatment what is old in it, too."""
    if row.before_treatment and document is not None:
        return headline_of(document).finding
    return row.reasons[0] if row.reasons else row.failure or ""


def courses_of(rows: Sequence[StudyRow], documents: Mapping[str, Document]) -> tuple[list[str], list[list[str]]]:
    """The dates of the decided studies, and for each pattern its title and what was found at each date."""
    decided = [documents[row.study_instance_uid] for row in rows if row.study_instance_uid in documents]
    names = sorted({one["pattern"] for document in decided for one in document.get("findings") or ()})
    dates = [str(document["study"]["study_date"] or "no date") for document in decided]
    return dates, [[pattern_title(name), *(_found(one, name) for one in decided)] for name in names]


def _found(document: Document, name: str) -> str:
    finding = next((one for one in document.get("findings") or () if one["pattern"] == name), None)
    if finding is None:
        return "not judged"
    courses = {one["pattern"]: one["state"] for one in (document.get("evolution") or {}).get("patterns") or ()}
    said = [finding["presence"], finding["strength"] or "", courses.get(name, "").replace("_", " ")]
    return ", ".join(part for part in said if part)


def curves_of(documents: Sequence[Document], infusions: Sequence[date]) -> list[Curve]:
    """The trends of the newest document that has some; all on one scale of time."""
    trends = next((t for one in reversed(documents) if (t := (one.get("evolution") or {}).get("trend"))), ())
    scanners = {(one.get("study") or {}).get("study_instance_uid"): scanner_words(one) for one in documents}
    series = [(one, points) for one in trends if (points := _points(one, scanners))]
    if not series:
        return []
    days = [point.day for _, points in series for point in points] + [day.toordinal() for day in infusions]
    span = (min(days), max(*days, min(days) + SHORTEST_DAYS))
    return [
        Curve(
            title=f"{named_region(one['region'])}, {quantity_title(one['quantity'])}",
            unit=one["unit"],
            drawing=_drawing(points, span, sorted(infusions)),
            points=tuple(point.words for point in points),
        )
        for one, points in series
    ]


def _points(trend: Mapping[str, Any], scanners: Mapping[Any, str]) -> list[Measured]:
    """scanners: study UID -> its scanner in words."""
    found = []
    for one in trend["points"]:
        if one["value"] is None or not one["study_date"]:
            continue
        spread = float(one["uncertainty"] or 0.0)
        day = one["days_after_infusion"]
        when = one["study_date"] + ("" if day is None else f", {day_words(day)}")
        how = f", {one['protocol']} protocol" if one["protocol"] else ", single scan"
        scanner = scanners.get(one["study_instance_uid"], "")
        found.append(
            Measured(
                date.fromisoformat(one["study_date"]).toordinal(),
                float(one["value"]),
                spread,
                one["protocol"] == "different",
                one.get("baseline_study_instance_uid"),
                f"{when}: {one['value']:+.1f} ± {spread:.1f} {trend['unit']}{how}"
                + (f"; {scanner}" if scanner else ""),
                scanner,
            )
        )
    return sorted(found, key=lambda point: point.day)


def _drawing(points: Sequence[Measured], span: tuple[int, int], infusions: Sequence[date]) -> str:
    low = min(0.0, *(point.value - point.spread for point in points))
    high = max(0.0, *(point.value + point.spread for point in points)) or 1.0
    first = infusions[0].toordinal() if infusions else span[0]

    def x(day: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (day - span[0]) / (span[1] - span[0])

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * (value - low) / (high - low)

    parts = [f'<line class="zero" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(0):.1f}" y2="{y(0):.1f}"/>']
    for value in (low, high):
        parts.append(
            f'<text class="tick" x="{LEFT - 5}" y="{y(value) + 4:.1f}" text-anchor="end">'
            f"{_tick(value, high - low)}</text>"
        )
    step = -(-(span[1] - span[0]) // TICKS)  # whole days, rounded up
    for day in range(span[0], span[1] + 1, step):
        where = "end" if day == span[1] else "middle"
        parts.append(
            f'<text class="tick" x="{x(day):.1f}" y="{HEIGHT - 8}" text-anchor="{where}">{day - first:+d} d</text>'
        )
    for day in (one.toordinal() for one in infusions):
        parts.append(f'<line class="infusion" x1="{x(day):.1f}" x2="{x(day):.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
        parts.append(f'<text class="infusion" x="{x(day) + 3:.1f}" y="{TOP - 3}">infusion</text>')
    parts += _changes(points, x)
    above = [f"{x(point.day):.1f},{y(point.value + point.spread):.1f}" for point in points]
    below = [f"{x(point.day):.1f},{y(point.value - point.spread):.1f}" for point in reversed(points)]
    parts.append(f'<polygon class="band" points="{" ".join([*above, *below])}"/>')
    line = " ".join(f"{x(point.day):.1f},{y(point.value):.1f}" for point in points)
    parts.append(f'<polyline class="line" points="{line}"/>')
    for point in points:
        kind, at = "other" if point.other else "same", f"{x(point.day):.1f}"
        ends = f'y1="{y(point.value - point.spread):.1f}" y2="{y(point.value + point.spread):.1f}"'
        parts.append(f'<line class="spread" x1="{at}" x2="{at}" {ends}/>')  # a single point has no band
        parts.append(
            f'<circle class="{kind}" cx="{at}" cy="{y(point.value):.1f}" r="4">'
            f"<title>{escape(point.words)}</title></circle>"
        )
    label = escape(f"{_count(len(points))}, last {points[-1].words}")
    return f'<svg class="curve" role="img" aria-label="{label}" viewBox="0 0 {WIDTH} {HEIGHT}">{"".join(parts)}</svg>'


def _count(points: int) -> str:
    return "1 point" if points == 1 else f"{points} points"


def _tick(value: float, span: float) -> str:
    """Zero has no sign. A scale of a few percent has a decimal."""
    digits = 0 if span >= FINE_SCALE else 1
    return f"{value:+.{digits}f}" if round(value, digits) else "0"


def _changes(points: Sequence[Measured], x: Any) -> list[str]:
    """Where another scanner, protocol or baseline begins: values on its two sides say less about each other. A scanner
    that is not known is no other one."""
    found = []
    for before, after in pairwise(points):
        changed = {
            "scanner": before.scanner and after.scanner and before.scanner != after.scanner,
            "protocol": before.other != after.other,
            "baseline": before.against != after.against,
        }
        why = ", ".join(name for name, is_so in changed.items() if is_so)
        if why:
            at = x((before.day + after.day) / 2)
            anchor, aside = ("start", 3) if at < WIDTH / 2 else ("end", -3)
            found.append(f'<line class="change" x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
            found.append(
                f'<text class="change" x="{at + aside:.1f}" y="{HEIGHT - BOTTOM - 4}" text-anchor="{anchor}">'
                f"other {why}</text>"
            )
    return found
