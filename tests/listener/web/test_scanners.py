"""Scanners: a drift of the ratio of grey to white matter is seen, and an unusual share of flagged studies."""

from __future__ import annotations

from datetime import date, timedelta
from xml.etree import ElementTree

import pytest

from listener.web.scanners import MOST, UNNAMED, ScannerLine, scanner_facts, scanner_lines
from workers.worklist_ports import ScannerDay

MONDAY = date(2026, 3, 2)
SPREAD = 0.04  # of single scans about the mean of their day


def a_day(week: int, mean: float, *, scans: int = 6, name: str = "MR1", flagged: int = 0) -> ScannerDay:
    """Half of the scans lie one spread above the mean, half below."""
    squares = scans * (mean**2 + SPREAD**2)
    return ScannerDay(name, MONDAY + timedelta(weeks=week, days=2), scans, flagged, scans, scans * mean, squares)


def unusual(line: ScannerLine) -> list[int]:
    return [number for number, week in enumerate(line.weeks) if week.unusual]


@pytest.mark.parametrize(
    ("means", "expected"),
    [
        pytest.param([1.25] * 8, [], id="noop: nothing moves"),
        pytest.param([1.25, 1.27, 1.24, 1.26, 1.23, 1.25, 1.24, 1.26], [], id="weeks scatter"),
        pytest.param([1.25] * 7 + [1.40], [7], id="a step"),
        pytest.param([1.15, 1.18, 1.21, 1.24, 1.27, 1.30, 1.33, 1.36], [0, 1, 6, 7], id="a slow drift"),
    ],
)
def test_a_drift_is_seen(means: list[float], expected: list[int]) -> None:
    (line,) = scanner_lines([a_day(week, mean) for week, mean in enumerate(means)])
    assert unusual(line) == expected
    assert [week.scans for week in line.weeks] == [6] * 8


def test_too_few_scans_have_no_limits() -> None:
    (few,) = scanner_lines([a_day(0, 1.2, scans=4), a_day(1, 1.4, scans=4)])
    assert [week.low for week in few.weeks] == [None, None]
    (one,) = scanner_lines([*(a_day(week, 1.25) for week in range(4)), a_day(5, 1.6, scans=2)])
    assert one.weeks[-1].low is None, "a week of two scans"


def test_scans_that_are_all_alike_have_a_least_spread() -> None:
    days = [ScannerDay("MR1", MONDAY + timedelta(weeks=one), 6, 0, 6, 6 * 1.25, 6 * 1.25**2) for one in range(4)]
    assert unusual(scanner_lines(days)[0]) == []


def test_a_scanner_with_other_findings() -> None:
    days = [ScannerDay(f"MR{number}", MONDAY, 40, 4) for number in range(4)] + [ScannerDay("MR9", MONDAY, 40, 24)]
    found = {line.scanner: line.unusual_share for line in scanner_lines(days)}
    assert found == {"MR0": False, "MR1": False, "MR2": False, "MR3": False, "MR9": True}
    (few,) = scanner_lines([ScannerDay("MR1", MONDAY, 4, 4)])
    assert (few.share, few.share_low) == (1.0, None)


def test_what_was_not_measured() -> None:
    assert scanner_lines([]) == []
    (line,) = scanner_lines([ScannerDay("", MONDAY, 0, 0)])
    assert (line.scanner, line.share, line.weeks, line.drawing) == (UNNAMED, None, (), "")


def test_the_drawing_has_a_point_for_each_week_and_no_markup_of_the_scanner() -> None:
    hostile = '"><script>alert(1)</script>'
    (line,) = scanner_lines([a_day(week, mean, name=hostile) for week, mean in enumerate([1.25] * 7 + [1.4])])
    drawing = ElementTree.fromstring(line.drawing)  # noqa: S314 - made by ourselves
    assert [one.attrib["class"] for one in drawing.findall("circle")] == ["good"] * 7 + ["bad"]
    assert hostile in drawing.attrib["aria-label"]
    assert "<script>" not in line.drawing


def test_what_the_api_states() -> None:
    (line,) = scanner_lines([a_day(week, 1.25, flagged=1) for week in range(4)])
    found = scanner_facts(line)
    assert "drawing" not in found
    assert (found["share"], found["unusual_share"], found["weeks"][0]["unusual"]) == (
        pytest.approx(1 / 6),
        False,
        False,
    )


def test_names_without_end_are_one_line() -> None:
    many = [a_day(week, 1.25, name=f"anonymous {week}", scans=6) for week in range(MOST + 30)]
    lines = scanner_lines([*many, a_day(0, 1.25, name="MR1", scans=7)])
    assert len(lines) == MOST + 1
    assert "MR1" in {line.scanner for line in lines}
    assert (lines[-1].scanner, lines[-1].studies, lines[-1].weeks) == ("31 other names", 31 * 6, ())
    assert sum(line.studies for line in lines) == 6 * (MOST + 30) + 7
