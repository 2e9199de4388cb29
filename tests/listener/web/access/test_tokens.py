"""Personal tokens: what a program can ask with one, and what it cannot."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from httpx import Response

from listener.web.access.people import LONGEST_DAYS, SignedIn, Workplace, made_token
from listener.web.access.tokens import FRESH
from tests.listener.web.signing import PAGE, Browser, Secured, csrf_in
from triage.errors import Misconfigured
from workers.access_ports import Account, Role, TokenScope, disabled
from workers.audit.journal import journal_file

READ, ACT, NODE, METRICS = (
    TokenScope.STUDIES_READ,
    TokenScope.STUDIES_ACT,
    TokenScope.NODE_READ,
    TokenScope.METRICS,
)


@pytest.fixture
def secured(tmp_path: Path) -> Secured:
    return Secured(tmp_path)


def token_of(secured: Secured, role: Role, *scopes: TokenScope, days: int = 30) -> str:
    text, stored = made_token(role.value, "a test", scopes, days, secured.clock.now())
    secured.accounts.add_token(stored)
    return text


def ask(secured: Secured, token: str, path: str, method: str = "GET", **more: object) -> Response:
    return secured.browser().request(method, path, headers={"Authorization": f"Bearer {token}"}, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("role", "scopes", "path", "status"),
    [
        (Role.READER, (READ,), "/api/studies", 200),
        (Role.READER, (ACT,), "/api/studies", 403),
        (Role.READER, (METRICS,), "/metrics", 403),  # the account may not either
        (Role.SERVICE, (METRICS,), "/metrics", 200),
        (Role.SERVICE, (METRICS,), "/operations", 403),
        (Role.SERVICE, (NODE,), "/metrics", 403),
        (Role.ADMINISTRATOR, (METRICS,), "/api/studies", 403),
        (Role.ADMINISTRATOR, tuple(TokenScope), "/api/studies", 200),
        (Role.ADMINISTRATOR, tuple(TokenScope), "/api/tokens", 403),  # a token makes no token
        (Role.ADMINISTRATOR, tuple(TokenScope), "/tokens", 403),
        (Role.SERVICE, tuple(TokenScope), "/api/studies", 403),
    ],
)
def test_a_token_can_what_its_account_can_and_its_scopes_name(
    secured: Secured, role: Role, scopes: tuple[TokenScope, ...], path: str, status: int
) -> None:
    assert ask(secured, token_of(secured, role, *scopes), path).status_code == status


@pytest.mark.parametrize(
    "authorization",
    ["Bearer ", "Bearer icansee_0_0", "Basic cmVhZGVyOng=", "bearer  x", "Token x", "Bearer a b c", "é", ""],
)
def test_what_is_no_token_opens_nothing(secured: Secured, authorization: str) -> None:
    browser = secured.signed_in(Role.READER)
    header = {"Authorization": authorization.encode("latin-1")}
    answer = browser.get("/api/studies", headers=header)  # type: ignore[arg-type]
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer"), "the cookie does not help"


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(["Bearer {good}", "Bearer {good}"], id="twice"),
        pytest.param(["Bearer {good}", "Basic x"], id="with another"),
        pytest.param(["Basic x", "Bearer {good}"], id="behind another"),
        pytest.param(["Negotiate x"], id="of a proxy"),
    ],
)
def test_one_authorization_and_no_other(secured: Secured, said: list[str]) -> None:
    good = token_of(secured, Role.READER, READ)
    headers = [("Authorization", one.format(good=good)) for one in said]
    answer = secured.browser().get("/api/studies", headers=headers)  # type: ignore[arg-type]
    assert (answer.status_code, "once" in answer.text) == (401, True)


class TestTokenAndSession:
    """A request with both is the token's alone: its rights neither add to those of the session nor fall back to it."""

    def ask(self, secured: Secured, scopes: tuple[TokenScope, ...], method: str, path: str, **more: object) -> Response:
        browser, token = secured.signed_in(Role.ADMINISTRATOR), token_of(secured, Role.READER, *scopes)
        headers = {"Authorization": f"Bearer {token}", **more.pop("headers", {})}  # type: ignore[dict-item]
        return browser.request(method, path, headers=headers, **more)  # type: ignore[arg-type]

    def test_the_role_is_that_of_the_token(self, secured: Secured) -> None:
        assert self.ask(secured, (READ,), "GET", "/api/studies").status_code == 200
        last = json.loads(journal_file(secured.settings).read_text(encoding="ascii").splitlines()[-1])
        assert (last["who"], "token" in last) == ("reader", True)
        assert self.ask(secured, (READ, NODE), "GET", "/operations").status_code == 403, "the session could"
        assert self.ask(secured, (ACT,), "GET", "/api/studies").status_code == 403, "the session could"
        assert self.ask(secured, (READ,), "GET", "/api/session").status_code == 403

    def test_a_token_against_forged_requests_helps_no_session(self, secured: Secured) -> None:
        """What the token may not do is not done by the session behind it, with whatever the page sends."""
        browser = secured.signed_in(Role.ADMINISTRATOR)
        csrf = {"X-CSRF-Token": browser.get("/api/session").json()["csrf"], "Origin": browser.own}
        body = {"kind": "acknowledge"}
        asked = self.ask(secured, (READ,), "POST", "/api/studies/1.2.3/acts", json=body, headers=csrf)
        assert asked.status_code == 403

    def test_no_other_page_may_send_the_header(self, secured: Secured) -> None:
        asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST",
                 "Access-Control-Request-Headers": "authorization"}  # fmt: skip
        answer = secured.signed_in(Role.READER).options("/api/studies/1.2.3/acts", headers=asked)
        assert answer.status_code == 405
        assert not [name for name in answer.headers if name.startswith("access-control")]


class TestFreshSignIn:
    """A token outlives the session: whoever sits before a page that somebody left open makes none."""

    def asked(self, browser: Browser) -> list[int]:
        headers = {"X-CSRF-Token": browser.get("/api/session").json()["csrf"], "Origin": browser.own}
        body = {"label": "script", "scopes": ["studies:read"], "days": 7}
        form = browser.submit("/tokens", {"label": "my script", "days": "30", "studies:read": "on"})
        return [browser.post("/api/tokens", json=body, headers=headers).status_code, form.status_code]

    @pytest.mark.parametrize("by_provider", [False, True], ids=["a password", "the identity provider"])
    def test_the_password_is_asked_for_once_more(self, secured: Secured, by_provider: bool) -> None:
        browser = secured.signed_in(Role.READER)
        if by_provider:
            done = secured.people.admitted("idp 1", "mina", Role.READER, Workplace("10.0.0.1"))
            assert isinstance(done, SignedIn)
            browser.cookies.set("icansee-session", done.session)
        assert "Make the token" in browser.page("/tokens").text
        assert self.asked(browser) == [201, 200], "noop: just signed in"
        secured.clock.advance(FRESH.total_seconds())
        assert self.asked(browser) == [201, 200]
        secured.clock.advance(1)
        assert self.asked(browser) == [403, 403]
        page = browser.page("/tokens").text
        assert "Make the token" not in page
        assert "/login?next=/tokens&amp;again=1" in page

    def test_signing_in_again_is_enough(self, secured: Secured) -> None:
        browser = secured.signed_in(Role.READER)
        secured.clock.advance(FRESH.total_seconds() + 1)
        page = browser.page("/login?next=/tokens&again=1")
        assert "Sign in again" in page.text
        assert "Locked" not in page.text
        assert browser.page("/login?next=/tokens").headers["location"] == "/tokens", "noop: nobody asked for it"
        before = browser.cookies["icansee-session"]
        fields = {"name": "reader", "password": "correct horse battery", "next": "/tokens"}
        assert browser.submit("/login", fields, csrf=csrf_in(page.text)).headers["location"] == "/tokens"
        assert self.asked(browser) == [201, 200]
        assert secured.people.of_session(before) is None


def test_a_token_ends(secured: Secured) -> None:
    token = token_of(secured, Role.READER, READ, days=2)
    secured.clock.advance(2 * 86_400 - 1)
    assert ask(secured, token, "/api/studies").status_code == 200
    secured.clock.advance(1)
    assert ask(secured, token, "/api/studies").status_code == 401


def test_a_closed_account_has_no_tokens(secured: Secured) -> None:
    token = token_of(secured, Role.READER, READ)
    account = secured.accounts.account("reader")
    assert account is not None
    disabled(account, secured.accounts)
    assert ask(secured, token, "/api/studies").status_code == 401
    secured.accounts.change_account(account)
    assert ask(secured, token, "/api/studies").status_code == 401, "opened again, the old token stays ended"


def test_a_program_needs_no_token_against_forged_requests(secured: Secured) -> None:
    body = {"kind": "acknowledge"}
    answer = ask(secured, token_of(secured, Role.READER, ACT), "/api/studies/1.2.3/acts", "POST", json=body)
    assert answer.status_code == 404, "there is no such study: it was asked"
    read_only = ask(secured, token_of(secured, Role.READER, READ), "/api/studies/1.2.3/acts", "POST", json=body)
    assert read_only.status_code == 403


def test_use_is_noted_and_stands_in_the_journal(secured: Secured) -> None:
    token = token_of(secured, Role.READER, READ)
    ask(secured, token, "/api/studies")
    (stored,) = secured.accounts.tokens("reader")
    assert stored.used_at == secured.clock.now()
    last = json.loads(journal_file(secured.settings).read_text(encoding="ascii").splitlines()[-1])
    assert (last["who"], last["token"], last["did"]) == ("reader", stored.key, "GET /api/studies")
    assert token not in journal_file(secured.settings).read_text(encoding="ascii")


class TestPage:
    def made(self, browser: Browser, **fields: str) -> Response:
        return browser.submit("/tokens", {"label": "my script", "days": "30", "studies:read": "on", **fields})

    def test_it_is_made_shown_once_and_revoked(self, secured: Secured) -> None:
        browser = secured.signed_in(Role.READER)
        answer = self.made(browser)
        text = answer.text.partition('<code class="token">')[2].partition("<")[0]
        assert ask(secured, text, "/api/studies").status_code == 200
        page = browser.page("/tokens").text
        assert "my script" in page
        assert text not in page
        (stored,) = secured.accounts.tokens("reader")
        assert browser.submit("/tokens/end", {"key": stored.key}).headers["location"] == "/tokens?ended=1"
        assert ask(secured, text, "/api/studies").status_code == 401

    @pytest.mark.parametrize(
        "fields",
        [
            {"label": " "},
            {"label": "x" * 101},
            {"days": "0"},
            {"days": str(LONGEST_DAYS + 1)},
            {"days": "²"},
            {"days": "-1"},
            {"studies:read": ""},
        ],
    )
    def test_noop_what_is_refused_makes_nothing(self, secured: Secured, fields: dict[str, str]) -> None:
        browser = secured.signed_in(Role.READER)
        assert self.made(browser, **fields).status_code == 422
        assert secured.accounts.tokens("reader") == []

    def test_nobody_ends_the_token_of_somebody_else(self, secured: Secured) -> None:
        token_of(secured, Role.READER, READ)
        (stored,) = secured.accounts.tokens("reader")
        browser = secured.signed_in(Role.ADMINISTRATOR)
        browser.submit("/tokens/end", {"key": stored.key})
        csrf = browser.get("/api/session").json()["csrf"]
        answer = browser.delete(f"/api/tokens/{stored.key}", headers={"X-CSRF-Token": csrf, "Origin": browser.own})
        assert answer.status_code == 404
        assert secured.accounts.tokens("reader") == [stored]

    def test_the_same_by_the_api(self, secured: Secured) -> None:
        browser = secured.signed_in(Role.READER)
        headers = {"X-CSRF-Token": browser.get("/api/session").json()["csrf"], "Origin": browser.own}
        body = {"label": "script", "scopes": ["studies:read"], "days": 7}
        answer = browser.post("/api/tokens", json=body, headers=headers)
        assert answer.status_code == 201
        assert ask(secured, answer.json()["token"], "/api/studies").status_code == 200
        (listed,) = browser.get("/api/tokens").json()
        assert {"token", "token_hash"} & set(listed) == set()
        assert listed["used_at"] is not None
        assert browser.delete(f"/api/tokens/{listed['key']}", headers=headers).status_code == 204
        assert browser.get("/api/tokens").json() == []

    def test_a_label_is_text(self, secured: Secured) -> None:
        browser = secured.signed_in(Role.READER)
        self.made(browser, label="<script>alert(1)</script>")
        assert "<script>alert" not in browser.page("/tokens").text

    def test_noop_on_a_node_without_accounts(self, tmp_path: Path) -> None:
        browser = Secured(tmp_path, with_accounts=False).browser()
        assert "nothing needs a token" in browser.get("/tokens", headers=PAGE).text
        assert browser.get("/api/tokens").status_code == 409
        assert browser.get("/api/studies", headers={"Authorization": "Bearer x"}).status_code == 401


def test_the_page_of_the_api_names_every_call(secured: Secured) -> None:
    page = secured.signed_in(Role.SERVICE).page("/api").text
    for path in secured.app.openapi()["paths"]:
        if path.startswith("/api/"):
            assert f" {path}</code>" in page
    assert "metrics</td>" in page


def test_every_call_of_the_api_says_what_it_does(secured: Secured) -> None:
    paths = secured.app.openapi()["paths"]
    silent = [
        f"{method} {path}"
        for path, methods in paths.items()
        for method, said in methods.items()
        if path.startswith("/api/") and not said.get("description")
    ]
    assert silent == []


@pytest.mark.parametrize("days", [0, LONGEST_DAYS + 1])
def test_no_token_lives_for_ever(secured: Secured, days: int) -> None:
    with pytest.raises(Misconfigured, match="days"):
        made_token("reader", "x", [READ], days, secured.clock.now())


def test_an_account_that_is_not_there_has_none(secured: Secured) -> None:
    assert secured.people.of_token("icansee_0_0") is None
    assert secured.accounts.add_account(Account("reader2", Role.READER, secured.clock.now()))
    assert secured.accounts.tokens("reader2") == []
