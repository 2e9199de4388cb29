"""The page of a patient and the page of the node: what they say, and what can be done there."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from listener.web.app import create_app
from listener.web.operations import PROBLEM_WORDS, percentiles, seconds_words, state_counts, troubles
from listener.web.patient import courses_of, curves_of, studies_of
from tests.fakes import NOON
from tests.listener.web.signing import Secured
from tests.listener.web.stored import StoredStudy, a_document, store
from tests.listener.web.test_pages import check_nothing_runs, with_text
from tests.listener.web.visible import content, words
from triage.infusions import Infusion
from workers.access_ports import Role
from workers.ports import ConflictRow, PatientKey
from workers.result_settings import ResultsSettings

INFUSION = date(2026, 3, 3)


def a_point(day: int, value: float | None, protocol: str | None = "same", baseline: str = "1.1") -> dict[str, Any]:
    return {
        "study_instance_uid": f"1.{day}",
        "study_date": (INFUSION + timedelta(days=day)).isoformat(),
        "days_after_infusion": day,
        "value": value,
        "uncertainty": None if value is None else 1.5,
        "stage": "full",
        "protocol": protocol,
        "baseline_study_instance_uid": baseline,
    }


def trending(*points: dict[str, Any], region: str = "thalamus_left") -> dict[str, Any]:
    trend = {"region": region, "quantity": "flair_change_percent", "unit": "%", "points": list(points)}
    return {"evolution": {"patterns": [], "trend": [trend]}}


@pytest.mark.parametrize(
    ("points", "drawn", "not_drawn"),
    [
        pytest.param(
            [a_point(2, 9.5), a_point(7, 20.0)], ['class="band"', ">infusion<"], ['class="change"'], id="plain"
        ),
        pytest.param(
            [a_point(2, 9.5), a_point(7, 20.0, "different")], ["other protocol", 'class="other"'], [], id="protocol"
        ),
        pytest.param([a_point(2, 9.5), a_point(7, 20.0, "same", "1.2")], ["other baseline"], [], id="baseline"),
        pytest.param(
            [a_point(2, None), a_point(7, 20.0)], ["1 point,", 'class="spread"'], ["nan", "1 points"], id="not measured"
        ),
        pytest.param([a_point(2, 0.0)], ['class="zero"'], ["nan", "Infinity"], id="one point without a change"),
    ],
)
def test_a_curve(points: list[dict[str, Any]], drawn: list[str], not_drawn: list[str]) -> None:
    (curve,) = curves_of([trending(*points)], [INFUSION])
    assert curve.title == "thalamus L, FLAIR change"
    for text in drawn:
        assert text in curve.drawing
    for text in not_drawn:
        assert text not in curve.drawing


def of_scanner(document: dict[str, Any], day: int, station: str) -> dict[str, Any]:
    scanner = {"manufacturer": "GE", "model": "SIGNA", "station": station, "field_strength_t": 3.0}
    series = [{"used_as": "flair", "scanner": scanner if station else None}]
    return {**document, "study": {"study_instance_uid": f"1.{day}"}, "series": series}


@pytest.mark.parametrize(
    ("stations", "changed"),
    [
        pytest.param(("MR1", "MR1"), "", id="noop: the same one"),
        pytest.param(("MR1", "MR2"), "other scanner", id="another one"),
        pytest.param(("", "MR2"), "", id="not known before"),
    ],
)
def test_a_change_of_scanner_is_marked(stations: tuple[str, str], changed: str) -> None:
    newest = trending(a_point(2, 9.5), a_point(7, 20.0))
    (curve,) = curves_of([of_scanner({}, 2, stations[0]), of_scanner(newest, 7, stations[1])], [INFUSION])
    assert ("other scanner" in curve.drawing) == bool(changed)
    assert f"; GE SIGNA, {stations[1]}, 3 T" in curve.points[-1]


def test_scanners_stand_on_the_page_and_in_the_api(tmp_path: Path) -> None:
    site = Secured(tmp_path)
    for number, ratio in enumerate([1.25, 1.27, 1.23, 1.26, 1.24, 1.25] * 3):
        made = of_scanner({}, 7, "<b>MR2</b>") | {"tissue_ratio": ratio + (0.2 if number > 11 else 0.0)}
        day = NOON.date() - timedelta(days=14 - 7 * (number // 6))
        store(site.index, StoredStudy(f"3.{number}", "P9", day=day, changes=made | {"study": {}}), now=NOON)
    page = site.signed_in(Role.ADMINISTRATOR).page("/operations").text
    check_nothing_runs(page)
    assert "GE SIGNA, &lt;b&gt;MR2&lt;/b&gt;, 3 T" in page
    assert "ratio unusual in 3 of 3 weeks" in page
    (found,) = site.signed_in(Role.ADMINISTRATOR).get("/api/node").json()["scanners"]
    assert (found["studies"], found["flagged"], found["unusual_share"]) == (18, 18, False)
    assert [week["unusual"] for week in found["weeks"]] == [True] * 3


def test_noop_nothing_was_measured() -> None:
    assert curves_of([trending(a_point(2, None)), {}], []) == []


def patient(tmp_path: Path, **changes: Any) -> Secured:
    site = Secured(tmp_path)
    kept = {"1.1": {"category": "not_assessable", "priority": "unchanged", "reasons": ("no_baseline: none",)}}
    for uid, day in (("1.0", date(2026, 2, 10)), ("1.1", date(2026, 2, 20)), ("1.2", date(2026, 3, 10))):
        baseline = {"study_instance_uid": "1.1", "study_date": "2026-02-20", "reason": "latest before the infusion"}
        rejected = [{"study_instance_uid": "1.0", "reason": "no_flair: none"}]
        made = (
            {"baseline": {**baseline, "rejected": rejected}} if uid == "1.2" else {"baseline": None, "evolution": None}
        )
        study = StoredStudy(uid, "P1", day=day, changes=made | changes, **kept.get(uid, {}))  # type: ignore[arg-type]
        store(site.index, study, now=NOON)
    site.index.add_infusion(PatientKey("P1"), Infusion(INFUSION), now=NOON)
    store(site.index, StoredStudy("2.1", "SOMEBODY-ELSE"), now=NOON)
    return site


def test_a_patient_over_time(tmp_path: Path) -> None:
    page = patient(tmp_path).signed_in(Role.READER).page("/studies/1.2/patient").text
    check_nothing_runs(page)
    said = " ".join(words(content(page)))
    for text in (
        "Infusion: 2026-03-03",
        "the baseline: latest before the infusion",
        "not used as baseline: no_flair: none",
        "thalamus L, FLAIR change",
        "present, suspected, worse",
    ):
        assert text in said
    assert "SOMEBODY-ELSE" not in said
    assert "P1" not in page[: page.index("<main")], "no patient in the title"


def test_the_api_says_of_a_patient_what_the_page_says(tmp_path: Path) -> None:
    browser = patient(tmp_path).signed_in(Role.READER)
    found = browser.get("/api/studies/1.2/patient").json()
    assert (found["patient_id"], found["infusions"]) == ("P1", ["2026-03-03"])
    assert [one["title"] for one in found["curves"]] == ["thalamus L, FLAIR change"]
    assert [one["part"] for one in found["studies"]] == [
        "the newest decision",
        "the baseline: latest before the infusion",
        "not used as baseline: no_flair: none",
    ]
    assert found["courses"][0]["found"][-1] == "present, suspected, worse"
    assert browser.get("/api/studies/9.9/patient").status_code == 404


def test_an_unknown_study_has_no_patient(tmp_path: Path) -> None:
    assert patient(tmp_path).signed_in(Role.READER).page("/studies/9.9/patient").status_code == 404


def test_hostile_texts_stay_texts(tmp_path: Path) -> None:
    hostile = '<img src=x onerror="alert(1)">'
    documents = {"1.2": with_text(a_document(StoredStudy("1.2")), hostile)}
    rows = patient(tmp_path).index.studies_with_id("P1")
    assert studies_of(rows, documents)
    assert courses_of(rows, documents)[1]
    drawn = trending(a_point(2, 1.0, hostile), region=hostile)
    assert "<img" not in curves_of([drawn], [])[0].drawing


def test_the_node_says_what_is_wrong_and_what_to_do(tmp_path: Path) -> None:
    site = patient(tmp_path)
    page = site.signed_in(Role.ADMINISTRATOR).page("/operations")
    said = " ".join(words(content(page.text)))
    assert "The process worker gives no sign of life" in said
    assert "50 % of studies within 5 min" in said
    assert "Nobody gets results" in said
    assert site.signed_in(Role.READER).page("/operations").status_code == 403


def test_the_node_says_what_was_kept_aside_and_names_no_patient(tmp_path: Path) -> None:
    site = patient(tmp_path)
    aside = ConflictRow("1.2/a.dcm", "1.9", "1.8", "1.2", NOON, "SCANNER<1>", patient_id="SOMEBODY")
    site.index.record_conflicts([aside, replace(aside, path="1.2/b.dcm", same_images=True)])
    page = site.signed_in(Role.SERVICE).page("/operations").text
    check_nothing_runs(page)
    said = " ".join(words(content(page)))
    for text in ("1.2/a.dcm", "other content under a known UID", "corrected headers, the same image", "SCANNER<1>"):
        assert text in said
    assert "SOMEBODY" not in page
    assert "Roster of infusions" not in page, "it is not for this role"


def test_the_node_says_which_weeks_are_unusual_and_which_rule_is_wrong(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("rules: [{name: broken, when: 'x +'}]", encoding="utf-8")
    site = patient(tmp_path)
    settings = site.settings.model_copy(update={"results": ResultsSettings(rules=rules)})
    client = TestClient(create_app(replace(site.site, settings=settings, accounts=None)), base_url="http://127.0.0.1")
    said = " ".join(words(content(client.get("/operations").text)))
    assert "rules.yaml" in said
    assert "too few" in said


@pytest.mark.parametrize(("number", "status"), [("1", 404), ("x", 404), ("", 404), ("9" * 40, 404)])
def test_what_no_delivery_has_is_not_retried(tmp_path: Path, number: str, status: int) -> None:
    browser = Secured(tmp_path).signed_in(Role.ADMINISTRATOR)
    csrf = browser.get("/api/session").json()["csrf"]
    answer = browser.post("/operations/retry", data={"number": number, "csrf": csrf})
    assert answer.status_code == status


@pytest.mark.parametrize(
    ("seconds", "shown"), [(None, "–"), (0.4, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "120 min"), (7200, "2 h")]
)
def test_a_duration(seconds: float | None, shown: str) -> None:
    assert seconds_words(seconds) == shown


def test_percentiles() -> None:
    assert percentiles([]) == {}
    assert percentiles([30.0]) == {"50 %": "30 s", "90 %": "30 s", "99 %": "30 s"}
    assert percentiles([float(n) for n in range(1, 101)]) == {"50 %": "50 s", "90 %": "90 s", "99 %": "99 s"}


def test_every_problem_has_words() -> None:
    assert [one.name for one in troubles(["disk", "worker", "disk"])] == ["disk", "worker"]
    assert "worker" in troubles(["worker"])[0].words
    assert all(words and advice for words, advice in PROBLEM_WORDS.values())
    assert troubles([]) == []


def test_studies_are_counted_by_state() -> None:
    assert state_counts({("ready", "", ""): 2, ("assessed", "possible", "P2"): 3, ("ready", "x", "P1"): 1}) == {
        "assessed": 3,
        "ready": 3,
    }
