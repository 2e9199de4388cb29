"""What the identity provider says counts only when it is signed, and meant for us and for this sign-in."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from listener.web.access.people import NotAdmitted, SignedIn, Workplace, made_token
from listener.web.access.provider import NotProved, ProvidedIdentity, Provider, ProviderSignIn
from listener.web.access.through_provider import Begun, Flows
from tests.fakes import FakeClock
from tests.listener.web.signing import Secured, csrf_in
from triage.errors import Transient
from workers.access_ports import Account, Role, TokenScope
from workers.web_settings import ProviderSettings, WebSettings

ISSUER, OURS = "https://login.example", "icansee"
KEY = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})
OTHER_KEY = RSAKey.generate_key(2048, {"kid": "two", "use": "sig", "alg": "RS256"})
SETTINGS = ProviderSettings(
    issuer=ISSUER,
    client_id=OURS,
    role_claim="realm.roles",
    roles={"readers": "reader", "chiefs": "administrator", "machines": "service"},
)
START = FakeClock().now()
SIGN_IN = ProviderSignIn("the state", "the nonce", "v" * 64, "https://icansee/login/back", START, anew=True)


class FakeProvider:
    """Answers as a provider does; a test says what is wrong with its answers."""

    def __init__(self, claims: Mapping[str, Any] | None = None, **answers: Any) -> None:
        self.claims, self.answers, self.keys = dict(claims or {}), answers, [KEY]
        self.asked: list[httpx.Request] = []

    def token(self) -> str:
        now = int(START.timestamp())
        usual = {"iss": ISSUER, "aud": OURS, "sub": "77", "nonce": "the nonce", "iat": now, "exp": now + 300}
        more = {"auth_time": now, "preferred_username": "mina", "realm": {"roles": ["readers", "others"]}}
        claims = {name: value for name, value in (usual | more | self.claims).items() if value is not None}
        return jwt.encode({"alg": "RS256", "kid": "one"}, claims, self.answers.get("signed_with", KEY))

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        name = request.url.path.rsplit("/", maxsplit=1)[-1]
        if name in self.answers:
            return httpx.Response(200, json=self.answers[name]) if name != "away" else httpx.Response(503)
        if name == "openid-configuration":
            places = {f"{place}_endpoint": f"{ISSUER}/{place}" for place in ("authorization", "token", "userinfo")}
            return httpx.Response(200, json={"issuer": ISSUER, "jwks_uri": f"{ISSUER}/keys", **places})
        if name == "keys":
            return httpx.Response(200, json={"keys": [key.as_dict(private=False) for key in self.keys]})
        return httpx.Response(200, json={"id_token": self.token(), "access_token": "a", "token_type": "Bearer"})

    def provider(self, settings: ProviderSettings = SETTINGS) -> Provider:
        return Provider(settings, now=lambda: START, client=httpx.Client(transport=httpx.MockTransport(self)))


def test_who_signed_in() -> None:
    fake = FakeProvider()
    assert fake.provider().identity("code", None, SIGN_IN) == ProvidedIdentity(f"{ISSUER} 77", "mina", Role.READER)
    (asked,) = [request for request in fake.asked if request.method == "POST"]
    said = parse_qs(asked.content.decode())
    assert (said["code"], said["code_verifier"], said["client_id"]) == (["code"], ["v" * 64], [OURS])


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        pytest.param({"iss": "https://evil.example"}, "not valid", id="another issuer"),
        pytest.param({"aud": "somebody else"}, "not valid", id="another audience"),
        pytest.param({"aud": [OURS, "other"], "azp": "other"}, "not valid", id="for us and others, given to another"),
        pytest.param({"nonce": "another"}, "not valid", id="of another sign-in"),
        pytest.param({"nonce": None}, "not valid", id="of no sign-in"),
        pytest.param({"exp": int(START.timestamp()) - 61}, "not valid", id="expired"),
        pytest.param({"exp": None}, "not valid", id="without an end"),
        pytest.param({"iat": int(START.timestamp()) + 3600}, "not valid", id="of the future"),
        pytest.param({"sub": None}, "not valid", id="nobody"),
        pytest.param({"sub": ""}, "who it was", id="an empty name"),
        pytest.param({"auth_time": None}, "does not say when.*switches on the claim auth_time", id="says no time"),
        pytest.param({"auth_time": "now"}, "not valid", id="no time"),
        pytest.param({"auth_time": int(START.timestamp()) - 3600}, "ask for the password", id="an old password"),
    ],
)
def test_a_token_that_does_not_count(claims: dict[str, Any], why: str) -> None:
    with pytest.raises(NotProved, match=why):
        FakeProvider(claims).provider().identity("code", None, SIGN_IN)


def test_a_session_at_the_provider_is_enough_where_the_site_says_so() -> None:
    old = FakeProvider({"auth_time": None})
    not_anew = ProviderSignIn("s", "the nonce", "v" * 64, "https://icansee/login/back", START, anew=False)
    assert old.provider().identity("code", None, not_anew).name == "mina"


NO_SHARED = SETTINGS.model_copy(update={"ask_again": False})


@pytest.mark.parametrize(
    ("settings", "auth_time", "believed"),
    [
        pytest.param(SETTINGS, 0, True, id="noop: asked just now"),
        pytest.param(SETTINGS, None, False, id="says nothing: a new token is no proof"),
        pytest.param(NO_SHARED, None, True, id="says nothing where its session is enough"),
        pytest.param(NO_SHARED, -3600, False, id="says that it did not ask"),
        pytest.param(NO_SHARED, 0, True, id="asked just now, where its session is enough"),
    ],
)
def test_a_locked_page_and_a_provider_that_says_no_time(
    settings: ProviderSettings, auth_time: int | None, believed: bool
) -> None:
    said = None if auth_time is None else int(START.timestamp()) + auth_time
    provider = FakeProvider({"auth_time": said}).provider(settings)
    if believed:
        assert provider.identity("code", None, SIGN_IN).name == "mina"
        return
    with pytest.raises(NotProved):
        provider.identity("code", None, SIGN_IN)


@pytest.mark.parametrize("supported", [None, False, True])
@pytest.mark.parametrize("anew", [False, True])
def test_the_time_is_asked_for_in_every_way_that_the_provider_knows(supported: bool | None, anew: bool) -> None:
    fake = FakeProvider()
    described = fake(httpx.Request("GET", f"{ISSUER}/openid-configuration")).json()
    fake.answers["openid-configuration"] = described | {"claims_parameter_supported": supported}
    said = parse_qs(urlsplit(fake.provider().address(replace(SIGN_IN, anew=anew))).query)
    assert (said.get("prompt"), said.get("max_age")) == ((["login"], ["0"]) if anew else (None, None))
    wanted = {"id_token": {"auth_time": {"essential": True}}} if supported and anew else None
    assert json.loads(said.get("claims", ["null"])[0]) == wanted


def forged(name: str) -> str:
    """joserfc makes no such token: this is what an attacker would send."""
    claims = FakeProvider().token().split(".")[1]
    if name == "none":
        return f"{_part({'alg': 'none'})}.{claims}."
    if name == "public key as secret":
        text = f"{_part({'alg': 'HS256', 'kid': 'one'})}.{claims}"
        digest = hmac.new(KEY.as_pem(private=False), text.encode(), hashlib.sha256).digest()
        return f"{text}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"
    return name


def _part(header: dict[str, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps(header).encode()).decode().rstrip("=")


@pytest.mark.parametrize("name", ["none", "public key as secret", "", "a.b.c", "no token", "." * 5000])
def test_a_forged_token_does_not_count(name: str) -> None:
    with pytest.raises(NotProved):
        FakeProvider(token={"id_token": forged(name)}).provider().identity("code", None, SIGN_IN)


def test_a_token_that_somebody_else_signed_does_not_count() -> None:
    with pytest.raises(NotProved):
        FakeProvider(signed_with=OTHER_KEY).provider().identity("code", None, SIGN_IN)


def test_new_keys_are_looked_for_once_in_a_while() -> None:
    fake, now = FakeProvider(), [START]
    provider = Provider(SETTINGS, now=lambda: now[0], client=httpx.Client(transport=httpx.MockTransport(fake)))
    provider.identity("code", None, SIGN_IN)
    fake.answers["signed_with"] = RSAKey.import_key(OTHER_KEY.as_dict(private=True) | {"kid": "one"})
    fake.keys = [fake.answers["signed_with"]]
    with pytest.raises(NotProved):
        provider.identity("code", None, SIGN_IN)
    now[0] += timedelta(seconds=61)
    assert provider.identity("code", None, SIGN_IN).name == "mina"
    assert len([one for one in fake.asked if one.url.path == "/keys"]) == 2


@pytest.mark.parametrize(
    ("groups", "role"),
    [
        (["readers"], Role.READER),
        ("readers", Role.READER),
        (["machines", "readers", "chiefs"], Role.ADMINISTRATOR),
        (["machines", "readers"], Role.READER),
        (["reader", "administrator"], None),  # our own words are no groups
        ([], None),
        ({"readers": True}, None),
        ([["readers"], 7, None], None),
        (7, None),
    ],
)
def test_the_role_comes_from_the_groups(groups: Any, role: Role | None) -> None:
    fake = FakeProvider({"realm": {"roles": groups}})
    assert fake.provider().identity("code", None, SIGN_IN).role is role


def test_groups_may_stand_beside_the_token() -> None:
    beside = {"sub": "77", "realm.roles": ["chiefs"]}
    fake = FakeProvider({"realm": None}, userinfo=beside)
    assert fake.provider().identity("code", None, SIGN_IN).role is Role.ADMINISTRATOR
    fake = FakeProvider({"realm": None}, userinfo=beside | {"sub": "78"})
    with pytest.raises(NotProved, match="two people"):
        fake.provider().identity("code", None, SIGN_IN)


def test_an_answer_of_another_provider_is_refused_before_anything_is_asked() -> None:
    fake = FakeProvider()
    with pytest.raises(NotProved, match="another provider"):
        fake.provider().identity("code", "https://evil.example", SIGN_IN)
    assert [one for one in fake.asked if one.method == "POST"] == []


@pytest.mark.parametrize(
    "described",
    [
        pytest.param({"issuer": "https://evil.example"}, id="another name"),
        pytest.param({"issuer": ISSUER, "authorization_endpoint": "http://login.example/a"}, id="in clear"),
        pytest.param({"issuer": ISSUER}, id="no addresses"),
        pytest.param([], id="no object"),
    ],
)
def test_a_provider_that_cannot_be_used(described: Any) -> None:
    with pytest.raises(Transient):
        FakeProvider(**{"openid-configuration": described}).provider().address(SIGN_IN)


def test_a_secret_of_ours_goes_in_the_header(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("se:cret\n", encoding="ascii")
    fake = FakeProvider()
    fake.provider(SETTINGS.model_copy(update={"client_secret_file": tmp_path / "secret"})).identity("c", None, SIGN_IN)
    (asked,) = [request for request in fake.asked if request.method == "POST"]
    assert asked.headers["authorization"] == httpx.BasicAuth(OURS, "se%3Acret")._auth_header
    assert b"client_id" not in asked.content


class TestFlows:
    BEGUN = Begun("token", datetime(2026, 3, 10, 8, tzinfo=UTC), True, "/studies/1.2.3?x=ü")

    def test_a_cookie_says_what_was_written(self) -> None:
        flows = Flows()
        assert flows.read(flows.written(self.BEGUN), self.BEGUN.asked_at) == self.BEGUN

    @pytest.mark.parametrize("cookie", [None, "", ".", "a.b.c.d.e", "ü", "x" * 9000])
    def test_noop_what_is_no_cookie_of_ours_says_nothing(self, cookie: str | None) -> None:
        assert Flows().read(cookie, self.BEGUN.asked_at) is None

    def test_a_cookie_that_somebody_changed_or_kept_says_nothing(self) -> None:
        flows, at = Flows(), self.BEGUN.asked_at
        cookie = flows.written(self.BEGUN)
        assert flows.read(cookie.replace(".1.", ".0."), at) is None, "somebody would not be asked for the password"
        assert flows.read(cookie, at + timedelta(seconds=601)) is None
        assert flows.read(cookie, at - timedelta(seconds=60)) is None, "the clock was set back"
        assert Flows().read(cookie, at) is None, "of another process"


class TestAdmitted:
    PLACE = Workplace("10.0.0.1")

    def test_the_account_is_made_once_and_follows_the_role(self, tmp_path: Path) -> None:
        secured = Secured(tmp_path)
        secured.people.admitted("i 1", "Mina", Role.READER, self.PLACE)
        assert secured.accounts.account("mina").role is Role.READER  # type: ignore[union-attr]
        secured.people.admitted("i 1", "mina.new", Role.SERVICE, self.PLACE)
        assert secured.accounts.account("mina").role is Role.SERVICE  # type: ignore[union-attr]
        assert secured.accounts.account("mina.new") is None

    def test_the_first_one_closes_the_page(self, tmp_path: Path) -> None:
        secured = Secured(tmp_path, with_accounts=False)
        assert not secured.people.had_accounts()
        secured.people.admitted("i 1", "mina", Role.READER, self.PLACE)
        assert secured.people.had_accounts()

    def test_an_account_that_waits_for_the_person(self, tmp_path: Path) -> None:
        secured = Secured(tmp_path)
        secured.accounts.add_account(Account("mina", Role.ADMINISTRATOR, secured.clock.now()))
        secured.people.admitted("i 1", "mina", Role.READER, self.PLACE)
        account = secured.accounts.account("mina")
        assert account is not None
        assert (account.subject, account.role) == ("i 1", Role.READER)

    @pytest.mark.parametrize(
        ("name", "role", "why"),
        [
            pytest.param("mina", None, "no role", id="no group"),
            pytest.param("reader", Role.ADMINISTRATOR, "somebody else", id="the name of an account with a password"),
            pytest.param("taken", Role.READER, "somebody else", id="the name of another person at the provider"),
            pytest.param("", Role.READER, "no name", id="no name"),
            pytest.param("Mïna <b>", Role.READER, "no name", id="no name of an account"),
        ],
    )
    def test_who_is_not_admitted(self, tmp_path: Path, name: str, role: Role | None, why: str) -> None:
        secured = Secured(tmp_path)
        taken = Account("taken", Role.READER, secured.clock.now(), subject="i 2", disabled=False)
        secured.accounts.add_account(taken)
        done = secured.people.admitted("i 1", name, role, self.PLACE)
        assert isinstance(done, NotAdmitted)
        assert why in done.why
        assert secured.accounts.account_of_subject("i 1") is None

    def test_who_has_lost_every_group_is_out_at_once(self, tmp_path: Path) -> None:
        secured = Secured(tmp_path)
        people, now = secured.people, secured.clock.now()
        done = people.admitted("i 1", "mina", Role.ADMINISTRATOR, self.PLACE)
        assert isinstance(done, SignedIn)
        text, token = made_token("mina", "mine", {TokenScope.NODE_CHANGE}, 366, now)
        secured.accounts.add_token(token)
        assert isinstance(people.admitted("i 2", "mina", None, self.PLACE), NotAdmitted)
        assert people.of_token(text) is not None, "noop: somebody else of that name"
        assert isinstance(people.admitted("i 1", "mina", None, self.PLACE), NotAdmitted)
        assert (people.of_session(done.session), people.of_token(text)) == (None, None)
        assert isinstance(people.admitted("i 1", "mina", Role.READER, self.PLACE), SignedIn), "and back, as a reader"

    def test_a_closed_account_stays_closed(self, tmp_path: Path) -> None:
        secured = Secured(tmp_path)
        gone = Account("gone", Role.READER, secured.clock.now(), subject="i 1", disabled=True)
        secured.accounts.add_account(gone)
        assert isinstance(secured.people.admitted("i 1", "gone", Role.READER, self.PLACE), NotAdmitted)


class TestRoutes:
    WEB = WebSettings(provider=SETTINGS)

    @pytest.fixture
    def secured(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Secured:
        client = httpx.Client(transport=httpx.MockTransport(FakeProvider()))
        monkeypatch.setattr(Provider, "_open", lambda _self: client)
        return Secured(tmp_path, web=self.WEB)

    def test_the_browser_is_sent_with_everything_that_ties_the_answer_to_it(self, secured: Secured) -> None:
        answer = secured.browser().page("/login/provider?next=/studies/1.2.3")
        said = parse_qs(urlsplit(answer.headers["location"]).query)
        assert said["code_challenge_method"] == ["S256"]
        assert said["prompt"] == ["login"]
        assert said["redirect_uri"] == ["http://127.0.0.1/login/back"]
        assert "1.2.3" not in answer.headers["location"]
        assert {"state", "nonce", "code_challenge"} <= set(said)

    @pytest.mark.parametrize("query", ["", "?code=x", "?code=x&state=y", "?error=access_denied&state=y", "?state=%00"])
    def test_an_answer_that_nobody_waits_for_opens_nothing(self, secured: Secured, query: str) -> None:
        answer = secured.browser().page(f"/login/back{query}")
        assert answer.status_code == 401
        assert "Please begin again" in answer.text
        browser = secured.browser()
        browser.page("/login/provider")
        assert browser.page(f"/login/back{query}").status_code == 401, "a way that began, and another state"

    def test_passwords_go_on_beside_it(self, secured: Secured) -> None:
        browser = secured.browser()
        assert "Sign in with the hospital account" in browser.page("/login").text
        assert csrf_in(browser.page("/login").text) is not None
        assert browser.sign_in("reader").status_code == 303

    def test_without_accounts_nothing_is_open(self, tmp_path: Path) -> None:
        secured = Secured(tmp_path, web=self.WEB, with_accounts=False)
        assert secured.browser().page("/").status_code == 303
        assert "users add" not in secured.browser().page("/login").text

    def test_noop_without_a_provider_both_lead_to_the_password(self, tmp_path: Path) -> None:
        secured = Secured(tmp_path)
        assert secured.browser().page("/login/provider").headers["location"] == "/login"
        assert secured.browser().page("/login/back?code=x&state=y").headers["location"] == "/login"
        assert "Sign in with" not in secured.browser().page("/login").text


@pytest.mark.parametrize(
    "wrong",
    [
        {"issuer": "http://login.example"},
        {"scopes": ("profile",)},
        {"roles": {}},
        {"roles": {"x": "king"}},
    ],
)
def test_settings_that_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"issuer|scopes|roles"):
        ProviderSettings.model_validate({"issuer": ISSUER, "client_id": OURS, "roles": {"a": "reader"}} | wrong)
