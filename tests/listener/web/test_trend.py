"""A trend in, SVG and text out: every point where it belongs, a gap where nothing was measured, nothing that is
markup."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest

from listener.web import pages, trend


def a_point(day: int, value: float | None, protocol: str | None = "same") -> dict[str, Any]:
    return {
        "study_instance_uid": f"1.{day}",
        "study_date": f"2026-03-{day:02d}",
        "days_after_infusion": day - 1,
        "value": value,
        "uncertainty": None if value is None else 1.5,
        "stage": "full",
        "protocol": protocol,
        "baseline_study_instance_uid": "1.1",
    }


def a_series(*points: dict[str, Any], region: str = "thalamus_left") -> dict[str, Any]:
    return {"region": region, "quantity": "flair_change_percent", "unit": "%", "points": list(points)}


RISING = a_series(a_point(2, 0.0), a_point(4, None), a_point(9, 12.0, "different"))


def circles(series: dict[str, Any]) -> list[ElementTree.Element]:
    return ElementTree.fromstring(trend.svg(series)).findall("circle")  # noqa: S314 - made by ourselves


def test_time_runs_to_the_right_and_more_is_higher() -> None:
    first, last = circles(RISING)
    assert float(first.attrib["cx"]) < float(last.attrib["cx"])
    assert float(first.attrib["cy"]) > float(last.attrib["cy"])
    assert (first.attrib["fill"] == "none", last.attrib["fill"] == "none") == (False, True)


@pytest.mark.parametrize(
    "series",
    [
        pytest.param(a_series(a_point(2, 5.0)), id="one point"),
        pytest.param(a_series(a_point(2, -5.0), a_point(3, -20.0)), id="falling"),
        pytest.param(a_series(a_point(2, 0.0), a_point(2, 0.0)), id="same day, nothing"),
        pytest.param(a_series({**a_point(2, 5.0), "study_date": None, "uncertainty": None}), id="undated"),
    ],
)
def test_every_point_lies_inside_the_drawing(series: dict[str, Any]) -> None:
    for circle in circles(series):
        assert 0 <= float(circle.attrib["cx"]) <= trend.WIDTH
        assert 0 <= float(circle.attrib["cy"]) <= trend.HEIGHT


def test_noop_nothing_measured_draws_nothing() -> None:
    assert trend.svg(a_series(a_point(2, None))) == ""
    assert trend.line(a_series(a_point(2, None))) == "  ? %"


def test_the_line_of_text() -> None:
    assert trend.line(RISING) == "▁ █ +0.0 → ? → +12.0 %"
    assert trend.words(RISING["points"][2]) == "2026-03-09 (day +8): +12.0 ± 1.5 (full, different protocol)"
    assert trend.words(RISING["points"][1]) == "2026-03-04 (day +3): not measured"


def test_nothing_in_a_series_is_markup() -> None:
    text = trend.svg(a_series(a_point(2, 1.0), region="<script>"))
    assert "<script>" not in text


def test_the_page_shows_course_look_alikes_and_what_was_there_before() -> None:
    from tests.triage.report.documents import an_assessment
    from triage.report.document import to_document

    page = pages.study(to_document(an_assessment()), has_picture=False)
    for words in ("<svg", "worse", "2026-03-05", "something else looks like this", "3 old lesions", "Before treatment"):
        assert words in page
    assert "<script" not in page[page.index("<main") :]


def test_noop_a_document_of_an_older_version_has_none_of_it() -> None:
    from tests.triage.report.documents import an_assessment
    from triage.report.document import to_document

    document = to_document(an_assessment())
    for key in ("evolution", "baseline_report", "look_alikes"):
        del document[key]
    page = pages.study(document, has_picture=False)
    assert '<svg role="img"' not in page, "no course is drawn"
    assert "Before treatment" not in page
