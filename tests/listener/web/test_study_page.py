"""Documents in, the parts of the study page out: values, limits, what changed, what was not assessed, links."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from listener.web import study_figures, study_versions
from listener.web.study_limits import FIELDS, limit_of
from listener.web.study_page import Around, full_follows, links_of, pending_words, person_of, read_by
from listener.web.study_versions import clock_words
from tests.fake_index import InMemoryIndex
from tests.fakes import an_instance
from tests.listener.web.stored import StoredStudy, a_document, store
from triage.settings import TriageSettings
from workers.delivery_ports import Acknowledgement, Decided
from workers.ports import StudyState
from workers.web_settings import WebSettings

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


def a_figure(value: float | None, sd: float | None = 1.5, unit: str = "%", **changes: Any) -> dict[str, Any]:
    place = {"region": "thalamus_left", "quantity": "flair_change_percent", "reason": None, "baseline_value": None}
    return place | {"value": value, "uncertainty": sd, "unit": unit, "assessable": value is not None} | changes


@pytest.mark.parametrize(
    ("figure", "words"),
    [
        pytest.param(a_figure(17.24), "+17.2 ± 1.5 %", id="rise"),
        pytest.param(a_figure(-3.0, None), "−3.0 %", id="fall, no spread"),
        pytest.param(a_figure(741.4, 12.0, "um2/s"), "741 ± 12 um2/s", id="ADC"),
        pytest.param(a_figure(0.7512, None, "mL"), "0.75 mL", id="volume"),
        pytest.param(a_figure(1.2, 0.1, "1"), "1.20 ± 0.10", id="ratio"),
        pytest.param(a_figure(None), "not measured", id="not measured"),
    ],
)
def test_a_figure_has_the_digits_that_mean_something(figure: dict[str, Any], words: str) -> None:
    assert study_figures.value_words(figure) == words


@pytest.mark.parametrize(
    ("figure", "limit", "bar"),
    [
        pytest.param(a_figure(25.0, 5.0), 8.0, {"from": 50, "to": 75, "low": 70, "high": 80, "limit": 58}, id="rise"),
        pytest.param(a_figure(-25.0, 5.0), None, {"from": 25, "to": 50, "low": 20, "high": 30}, id="fall"),
        pytest.param(a_figure(900.0, 0.0), None, {"from": 50, "to": 100, "low": 100, "high": 100}, id="off the scale"),
        pytest.param(a_figure(2.0, 1.0, "mL"), None, None, id="noop: no percent"),
        pytest.param(a_figure(None), 8.0, None, id="not measured"),
    ],
)
def test_a_bar_stands_for_its_figure(figure: dict[str, Any], limit: float | None, bar: dict[str, float] | None) -> None:
    assert study_figures.bar(figure, limit) == bar


@pytest.mark.parametrize("key", FIELDS, ids=str)
def test_every_limit_is_one_of_its_pattern(key: tuple[str, str]) -> None:
    same, other = (limit_of(*key, protocol, TriageSettings()) for protocol in ("same", "different"))
    assert same is not None
    assert other is not None
    assert abs(other) >= abs(same)


def test_noop_a_figure_without_a_limit() -> None:
    assert limit_of("thalamus_left", "volume_ml", "same", TriageSettings()) is None


def test_what_changed_between_two_decisions() -> None:
    before = a_document(StoredStudy("1.2", category="possible", priority="P3"))
    now = a_document(StoredStudy("1.2", priority="P1"))
    now["versions"] = before["versions"] | {"config_sha256": "11ee"}
    now["baseline"] = None
    now["findings"] = [one | {"presence": "present", "strength": "strong"} for one in before["findings"]]
    said = study_versions.changes(before, now)
    assert said[:2] == ["category: possible → neurotoxicity suspected", "priority: P3 → P1"]
    assert "pattern A: suspected → strong" in said
    assert "baseline: 2026-02-20 → none" in said
    assert "configuration: 00ff → 11ee" in said
    assert study_versions.changes(now, now) == ["the figures only"]


def test_what_was_not_assessed_has_its_reason() -> None:
    document = a_document(StoredStudy("1.2"))
    document["measurements"] = [
        a_figure(None, reason="coverage: cut"),
        a_figure(None, reason="coverage: cut", region="pons"),
    ]
    document["findings"], document["series"] = [], []
    document["ignored"] = [
        {"series_instance_uid": None, "objects": 1, "code": "not_dicom", "message": "1 files: no DICOM"}
    ]
    assert study_figures.not_assessed(document) == [
        {"reason": "coverage: cut", "what": ["left thalamus (FLAIR change)", "pons (FLAIR change)"]},
        {"reason": "1 files: no DICOM", "what": ["objects of the study"]},
    ]


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        pytest.param("https://pacs/?s={study_instance_uid}", "https://pacs/?s=1.2", id="study"),
        pytest.param("https://pacs/{accession_number}", "https://pacs/A%2F1%26x%3D2", id="quoted"),
        pytest.param("https://pacs/", "https://pacs/", id="noop: no field"),
    ],
)
def test_links_to_other_viewers(address: str, expected: str) -> None:
    document = a_document(StoredStudy("1.2"))
    assert links_of({"PACS": address}, document, "A/1&x=2") == [("PACS", expected)]


def test_a_link_that_lacks_its_facts_is_left_out() -> None:
    document = a_document(StoredStudy("1.2", changes={"baseline": None}))
    viewers = {"one": "https://p/{accession_number}", "two": "https://p/{baseline_study_instance_uid}"}
    assert links_of(viewers, document, "") == []


@pytest.mark.parametrize(
    ("address", "why"),
    [
        pytest.param("javascript:alert(1)", "must begin with", id="a script"),
        pytest.param("https://p/{patient.name}", "is none of", id="unknown field"),
        pytest.param("https://p/{study_instance_uid", "viewers.PACS", id="open brace"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_by_name(address: str, why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        WebSettings(viewers={"PACS": address})


@pytest.mark.parametrize(
    ("when", "shown"),
    [
        ("2026-03-10T12:00:00+00:00", "2026-03-10 13:00 CET"),
        (datetime(2026, 7, 1, 12, 0, tzinfo=UTC), "2026-07-01 14:00 CEST"),
        ("some time ago", "some time ago"),
        (None, ""),
    ],
)
def test_a_time_is_that_of_the_site(when: datetime | str | None, shown: str) -> None:
    assert clock_words(when, ZoneInfo("Europe/Berlin")) == shown


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        pytest.param({"patient_name": "Doe^Jo", "birth_date": date(1980, 1, 2), "sex": "F"},
                     {"name": "Doe, Jo", "born": "born 1980-01-02", "sex": "female"}, id="known"),
        pytest.param({}, {"name": "", "born": "", "sex": ""}, id="noop: nothing is stated"),
    ],
)  # fmt: skip
def test_who_lies_in_the_scanner(facts: dict[str, Any], expected: dict[str, str]) -> None:
    index = InMemoryIndex()
    index.record_instances([an_instance("1.2", 1, **facts)])
    assert person_of(index.study("1.2")) == expected
    assert person_of(None) == {"name": "", "born": "", "sex": ""}


AT = datetime(2026, 3, 10, 3, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("acknowledged", "expected"),
    [
        pytest.param([("ada", 0)], [("ada", "2026-03-10 03:00 UTC")], id="at once"),
        pytest.param(
            [("ada", 1), ("bob", 1), ("ada", 9)],
            [("ada", "2026-03-10 03:01 UTC"), ("bob", "2026-03-10 03:01 UTC")],
            id="two at once: both are named, each once",
        ),
        pytest.param([("ada", -1)], [], id="before the newest decision"),
        pytest.param([], [], id="noop: nobody"),
    ],
)
def test_who_has_acknowledged(acknowledged: list[tuple[str, int]], expected: list[tuple[str, str]]) -> None:
    found = [Acknowledgement("1.2", by, AT + timedelta(minutes=after)) for by, after in acknowledged]
    versions = [
        {"revision": 1, "stage": "full", "created_at": AT - timedelta(hours=1)},
        {"revision": 2, "stage": "full", "created_at": AT},
    ]
    assert read_by(Around(versions=versions, acknowledged=found, zone=ZoneInfo("UTC"))) == expected
    older = [replace(one, sequence=Decided("1.2", 2, "first_look").sequence) for one in found]
    assert read_by(Around(versions=versions, acknowledged=older)) == [], "later, and of the decision before it"
    assert read_by(Around(acknowledged=found)) == []


@pytest.mark.parametrize(
    ("changes", "words", "follows"),
    [
        pytest.param({}, "", True, id="noop: nothing is pending"),
        pytest.param(None, "", True, id="not measured: the index does not know the study"),
        pytest.param(
            {"state": StudyState.FAILED, "failure": "quarantined: time"}, "quarantined: time", False, id="failed"
        ),
        pytest.param(
            {"state": StudyState.RECEIVING, "revision": 2}, "Newer images or facts arrive", False, id="arriving"
        ),
        pytest.param({"state": StudyState.READY, "revision": 2}, "Newer images or facts wait", False, id="waiting"),
        pytest.param(
            {"state": StudyState.READY, "revision": 2, "lease_until": NOW + timedelta(minutes=1)},
            "Newer images or facts are being looked at",
            False,
            id="at work",
        ),
        pytest.param({"state": StudyState.REMOVED}, "The images of this study were deleted", True, id="deleted"),
    ],
)
def test_the_page_says_what_the_decision_does_not_hold(
    changes: dict[str, Any] | None, words: str, follows: bool
) -> None:
    index = InMemoryIndex()
    store(index, StoredStudy("1.1"), now=NOW)
    row = index.study("1.1")
    assert row is not None
    row = None if changes is None else replace(row, **changes)
    assert words in pending_words(row, NOW)
    assert bool(pending_words(row, NOW)) is bool(words)
    assert full_follows(row) is follows
