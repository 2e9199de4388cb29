"""Requests that a page of somebody else makes in the browser of a person who is signed in."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.listener.web.signing import PASSWORD, Secured
from workers.access_ports import Role

OWN = "http://127.0.0.1"
PATH = "/api/session/activity"


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Secured:
    return Secured(tmp_path_factory.mktemp("site"))


CASES = [
    pytest.param({"Origin": OWN, "Sec-Fetch-Site": "same-origin"}, True, 204, id="noop: our own page"),
    pytest.param({}, True, 204, id="a browser that says nothing, with the token"),
    pytest.param({"Origin": OWN, "Sec-Fetch-Site": "same-origin"}, False, 403, id="no token"),
    pytest.param({}, False, 403, id="nothing at all"),
    pytest.param({"Origin": "https://evil.example"}, True, 403, id="another origin"),
    pytest.param({"Origin": "http://127.0.0.1:9999"}, True, 403, id="another port"),
    pytest.param({"Origin": "https://127.0.0.1"}, True, 403, id="another scheme"),
    pytest.param({"Origin": "null"}, True, 403, id="a sandboxed frame"),
    pytest.param({"Sec-Fetch-Site": "cross-site"}, True, 403, id="cross-site"),
    pytest.param({"Sec-Fetch-Site": "same-site"}, True, 403, id="a sister site"),
    pytest.param({"Origin": OWN, "Sec-Fetch-Site": "cross-site"}, True, 403, id="they contradict each other"),
]


@pytest.mark.parametrize(("headers", "with_token", "status"), CASES)
def test_a_signed_in_person(secured: Secured, headers: dict[str, str], with_token: bool, status: int) -> None:
    browser = secured.signed_in(Role.READER)
    token = {"X-CSRF-Token": browser.get("/api/session").json()["csrf"]} if with_token else {}
    assert browser.post(PATH, headers={**headers, **token}).status_code == status


@pytest.mark.parametrize(("headers", "with_token", "status"), CASES)
def test_a_node_without_accounts(tmp_path: Path, headers: dict[str, str], with_token: bool, status: int) -> None:
    """A program on this machine needs no token; a browser does."""
    browser = Secured(tmp_path, with_accounts=False).browser()
    browser.page("/")
    token = {"X-CSRF-Token": browser.get("/api/session").json()["csrf"]} if with_token else {}
    expected = 204 if not headers else status
    assert browser.post(PATH, headers={**headers, **token}).status_code == expected


def test_the_token_of_somebody_else(secured: Secured) -> None:
    other = secured.signed_in(Role.ADMINISTRATOR).get("/api/session").json()["csrf"]
    browser = secured.signed_in(Role.READER)
    assert browser.post(PATH, headers={"X-CSRF-Token": other, "Origin": OWN}).status_code == 403


def test_nobody_is_signed_in_by_another_page(secured: Secured) -> None:
    """Login CSRF: a victim must not work under the attacker's name."""
    fields = {"name": "reader", "password": PASSWORD}
    browser = secured.browser()
    browser.page("/login")
    assert browser.post("/login", data=fields, headers={"Origin": "https://evil.example"}).status_code == 403
    assert browser.post("/login", data=fields).status_code == 403
    strangers = secured.browser().page("/login").text.split('name="csrf" value="')[1][:64]
    assert browser.post("/login", data={**fields, "csrf": strangers}).status_code == 403


def test_a_rebound_name_gets_nothing(secured: Secured) -> None:
    """DNS rebinding: a page of evil.example whose name now means this machine."""
    browser = secured.signed_in(Role.READER)
    for path in ("/", "/login", "/api/studies", "/healthz", "/static/style.css"):
        assert browser.get(path, headers={"Host": "evil.example"}).status_code == 400


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        pytest.param(b"x" * ((1 << 20) + 1), "application/octet-stream", 413, id="too large"),
        pytest.param("csrf=ü".encode(), "application/x-www-form-urlencoded", 400, id="no ASCII"),
        pytest.param(b"&".join(b"a=1" for _ in range(200)), "application/x-www-form-urlencoded", 400, id="many fields"),
        pytest.param(b"--x", "multipart/form-data; boundary=x", 403, id="another kind of form has no token"),
        pytest.param(b"csrf=a&csrf=b", "application/x-www-form-urlencoded", 403, id="two tokens"),
        pytest.param(b"csrf=%FF%FE", "application/x-www-form-urlencoded", 400, id="no text"),
    ],
)
def test_bodies_that_are_refused(secured: Secured, body: bytes, kind: str, status: int) -> None:
    browser = secured.signed_in(Role.READER)
    answer = browser.post(PATH, content=body, headers={"Origin": OWN, "Content-Type": kind})
    assert answer.status_code == status
