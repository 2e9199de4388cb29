"""Saved views and the search of the API: what an account keeps is its own, and the rows are those of the page."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from listener.web.view_routes import MOST_VIEWS
from tests.fake_worklist import InMemoryViews
from tests.listener.web.signing import Browser, Secured
from tests.listener.web.stored import StoredStudy, store
from workers.access_ports import Role
from workers.worklist_ports import Deadlines, Group, KeptView


@pytest.fixture
def secured(tmp_path: Path) -> Secured:
    made = Secured(tmp_path, views=InMemoryViews())
    store(made.index, StoredStudy("1.1", "A", row={"patient_name": "Müller^Änne"}), now=made.clock.now())
    store(made.index, StoredStudy("1.2", "B", category="possible", priority="P2", minutes=90), now=made.clock.now())
    return made


def asked(browser: Browser, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    token = browser.get("/api/session").json()["csrf"]
    return browser.request(method, path, json=body, headers={"X-CSRF-Token": token, "Origin": browser.own})


def test_a_view_is_kept_for_its_account_and_for_nobody_else(secured: Secured) -> None:
    reader, other = secured.signed_in(Role.READER), secured.signed_in(Role.ADMINISTRATOR)
    assert reader.get("/api/views").json() == [], "noop"
    answer = reader.submit("/views", {"words": "<i>my night</i>", "query": "g=p1&find=abc&after=1.2&sort=newest&x=1"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/?g=p1&sort=newest")
    (kept,) = secured.signed_in(Role.READER).get("/api/views").json()
    assert kept == {"number": 1, "words": "<i>my night</i>", "query": "g=p1&sort=newest"}
    page = reader.page("/").text
    assert "&lt;i&gt;my night&lt;/i&gt;" in page
    assert "<i>my" not in page
    assert other.get("/api/views").json() == []
    assert asked(other, "DELETE", "/api/views/1").status_code == 404
    assert asked(reader, "DELETE", "/api/views/1").status_code == 204
    assert reader.get("/api/views").json() == []


@pytest.mark.parametrize("number", ["1", "x", "", "9" * 40])
def test_a_form_that_drops_a_view_goes_back_to_its_list(secured: Secured, number: str) -> None:
    reader = secured.signed_in(Role.READER)
    asked(reader, "POST", "/api/views", {"words": "one", "query": "g=p2"})
    answer = reader.submit("/views/drop", {"number": number, "back": "g=p1&next=//evil"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/?g=p1")
    assert len(reader.get("/api/views").json()) == (0 if number == "1" else 1)


@pytest.mark.parametrize(
    ("words", "kept"), [("  a\tb ", "a b"), ("\x07", "unnamed"), ("a\u202eb", "a b"), ("王小东", "王小东")]
)
def test_a_name_is_plain(secured: Secured, words: str, kept: str) -> None:
    assert asked(secured.signed_in(Role.READER), "POST", "/api/views", {"words": words}).json()["words"] == kept


def test_views_are_counted(secured: Secured) -> None:
    reader = secured.signed_in(Role.READER)
    for number in range(MOST_VIEWS):
        assert secured.site.views is not None
        secured.site.views.keep_view(KeptView("reader", str(number), ""))
    assert asked(reader, "POST", "/api/views", {"words": "more"}).status_code == 409
    assert asked(reader, "POST", "/api/views", {"words": "1", "query": "g=p1"}).status_code == 201


@pytest.mark.parametrize(
    ("body", "uids"),
    [
        pytest.param({}, ["1.1", "1.2"], id="noop: everything"),
        pytest.param({"find": "müller"}, ["1.1"], id="a name"),
        pytest.param({"groups": ["p2"]}, ["1.2"], id="a group"),
        pytest.param({"arrived": "1h"}, ["1.1"], id="arrived"),
        pytest.param({"after": "1.1"}, ["1.2"], id="behind"),
        pytest.param({"sort": "oldest", "limit": 1}, ["1.2"], id="cut"),
        pytest.param({"find": "a\u0000b"}, [], id="hostile"),
    ],
)
def test_the_api_lists_what_the_page_lists(secured: Secured, body: dict[str, Any], uids: list[str]) -> None:
    answer = asked(secured.signed_in(Role.READER), "POST", "/api/worklist", body)
    assert answer.status_code == 200
    found = answer.json()
    assert [row["study_instance_uid"] for row in found["rows"]] == uids
    assert found["total"] == 2
    assert found["after"] == ("1.2" if body.get("limit") else None)


def test_a_row_names_its_deadline_on_the_page_and_in_the_api(tmp_path: Path) -> None:
    made = Secured(tmp_path, deadlines=Deadlines({Group.P1: 60.0, Group.P2: 60.0}))
    store(made.index, StoredStudy("1.1", minutes=55), now=made.clock.now())
    store(made.index, StoredStudy("1.2", minutes=125, category="possible", priority="P2"), now=made.clock.now())
    store(made.index, StoredStudy("1.3", category="no_pattern", priority="unchanged"), now=made.clock.now())
    reader = made.signed_in(Role.READER)
    page = reader.page("/").text
    assert ">in 5 min</time>" in page
    assert '<time class="due late"' in page
    assert ">late by 1 h 05</time>" in page
    rows = asked(reader, "POST", "/api/worklist", {}).json()["rows"]
    due = {row["study_instance_uid"]: row["deadline"] for row in rows}
    assert due["1.3"] is None
    assert due["1.1"] == (made.clock.now() + timedelta(minutes=5)).isoformat().replace("+00:00", "Z")
