"""A trend of the document in, a small drawing out: inline SVG for the page, one line of text for the terminal. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from html import escape
from typing import Any

WIDTH, HEIGHT, MARGIN = 220, 64, 8
BARS = "▁▂▃▄▅▆▇█"
Known = tuple[float, float, float, Mapping[str, Any]]  # place in time, value, uncertainty, the point


def known_points(series: Mapping[str, Any]) -> list[Known]:
    """Measured points in order of time, placed by days after infusion, else by date, else by number."""
    out = []
    for number, point in enumerate(series["points"]):
        if point["value"] is not None:
            out.append((_when(point, number), float(point["value"]), float(point["uncertainty"] or 0.0), point))
    return out


def _when(point: Mapping[str, Any], number: int) -> float:
    if point["study_date"]:
        return float(date.fromisoformat(point["study_date"]).toordinal())
    return float(number)


def svg(series: Mapping[str, Any]) -> str:
    """Values with bars of one sd over time, and the zero line; hollow: acquired by another protocol than the baseline.

    No script.
    """
    points = known_points(series)
    if not points:
        return ""
    x, y = _scales(points)
    zero = f'<line x1="0" y1="{y(0.0):.1f}" x2="{WIDTH}" y2="{y(0.0):.1f}" stroke="#8c959f" stroke-dasharray="2 3"/>'
    path = " ".join(f"{x(when):.1f},{y(value):.1f}" for when, value, _, _ in points)
    marks = "".join(_mark(x(when), y(value), y(value - sd), y(value + sd), point) for when, value, sd, point in points)
    label = escape(f"{series['region']} {series['quantity']}: {line(series)}")
    return (
        f'<svg role="img" aria-label="{label}" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}">{zero}'
        f'<polyline points="{path}" fill="none" stroke="#2f81f7"/>{marks}</svg>'
    )


def _scales(points: Sequence[Known]) -> tuple[Any, Any]:
    times = [when for when, _, _, _ in points]
    low = min(0.0, *(value - sd for _, value, sd, _ in points))
    high = max(0.0, *(value + sd for _, value, sd, _ in points))
    long, tall = max(max(times) - min(times), 1.0), max(high - low, 1e-6)

    def x(when: float) -> float:
        return MARGIN + (WIDTH - 2 * MARGIN) * (when - min(times)) / long

    def y(value: float) -> float:
        return HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * (value - low) / tall

    return x, y


def _mark(x: float, y: float, low: float, high: float, point: Mapping[str, Any]) -> str:
    fill = "none" if point["protocol"] == "different" else "#2f81f7"
    title = escape(words(point))
    return (
        f'<line x1="{x:.1f}" y1="{low:.1f}" x2="{x:.1f}" y2="{high:.1f}" stroke="#8c959f"/>'
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{fill}" stroke="#2f81f7"><title>{title}</title></circle>'
    )


def words(point: Mapping[str, Any]) -> str:
    """One point for a reader: date, day, value, how it was measured."""
    day = point["days_after_infusion"]
    when = str(point["study_date"] or "undated") + ("" if day is None else f" (day {day:+d})")
    if point["value"] is None:
        return f"{when}: not measured"
    spread = "" if point["uncertainty"] is None else f" ± {point['uncertainty']:.1f}"
    how = ", ".join(
        part
        for part in (point["stage"], f"{point['protocol']} protocol" if point["protocol"] else "single scan")
        if part
    )
    return f"{when}: {point['value']:+.1f}{spread} ({how})"


def line(series: Mapping[str, Any]) -> str:
    """Bars and figures in one line of text; a gap where nothing was measured."""
    values = [point["value"] for point in series["points"]]
    known = [float(value) for value in values if value is not None]
    low, high = min([0.0, *known]), max([0.0, *known])
    tall = max(high - low, 1e-6)
    bars = "".join(" " if v is None else BARS[round((float(v) - low) / tall * (len(BARS) - 1))] for v in values)
    figures = " → ".join("?" if v is None else f"{float(v):+.1f}" for v in values)
    return f"{bars} {figures} {series['unit']}"
