"""Signing in and out, sessions and their lock, as a browser meets them."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urljoin, urlsplit

import pytest

from listener.web.access.cookies import hashed, read
from listener.web.access.people import accounts_mark
from listener.web.access.sign_in import own_path
from listener.web.app import create_app
from tests.listener.web.signing import PAGE, PASSWORD, QUICK, Secured, csrf_in
from triage.errors import Misconfigured
from workers.access_ports import Account, Role, disabled
from workers.web_settings import WebSettings


@pytest.fixture
def secured(tmp_path: Path) -> Secured:
    return Secured(tmp_path)


def test_sign_in_and_out(secured: Secured) -> None:
    browser = secured.browser()
    answer = browser.page("/studies/1.2.3")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=/studies/1.2.3")
    answer = browser.sign_in("Reader ", next="/studies/1.2.3")
    assert (answer.status_code, answer.headers["location"]) == (303, "/studies/1.2.3")
    page = browser.page("/")
    assert page.status_code == 200
    assert "reader (reader)" in page.text
    assert browser.get("/api/session").json()["name"] == "reader"
    token = browser.cookies["icansee-session"]
    assert browser.submit("/logout", csrf=csrf_in(page.text)).status_code == 303
    assert browser.page("/").status_code == 303
    browser.cookies.set("icansee-session", token)
    assert browser.page("/").status_code == 303, "the session itself is gone, not only the cookie"


@pytest.mark.parametrize(
    ("name", "password"),
    [
        pytest.param("reader", "wrong horse battery", id="wrong password"),
        pytest.param("nobody", PASSWORD, id="unknown name"),
        pytest.param("", "", id="nothing"),
        pytest.param("reader", "", id="no password"),
        pytest.param("gone", PASSWORD, id="disabled"),
        pytest.param("outside", "", id="has no password"),
        pytest.param("reader' OR 1=1 --", PASSWORD, id="a name that is code"),
        pytest.param("reader", PASSWORD + "x" * 5000, id="a long password"),
    ],
)
def test_who_is_not_let_in(secured: Secured, name: str, password: str) -> None:
    now = secured.clock.now()
    gone = Account("gone", Role.READER, now, password_hash=QUICK.made(PASSWORD), disabled=True)
    secured.accounts.add_account(gone)
    secured.accounts.add_account(Account("outside", Role.READER, now, subject="idp 1"))
    browser = secured.browser()
    answer = browser.sign_in(name, password)
    assert answer.status_code == 401
    assert "The name or the password is wrong." in answer.text, "the same words for every cause"
    assert "icansee-session" not in browser.cookies


def test_a_program_is_told_to_sign_in(secured: Secured) -> None:
    answer = secured.browser().get("/api/studies")
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert answer.json() == {"detail": "sign in first"}


def test_only_hashes_are_stored(secured: Secured) -> None:
    browser = secured.signed_in(Role.READER)
    token = browser.cookies["icansee-session"]
    assert secured.accounts.session(token) is None
    assert secured.accounts.session(hashed(token)) is not None
    assert PASSWORD not in str(secured.accounts.account("reader"))


def test_a_new_sign_in_gets_a_new_session(secured: Secured) -> None:
    """Session fixation: what somebody planted before the sign-in is worth nothing after it."""
    browser = secured.browser()
    browser.cookies.set("icansee-session", "planted", domain="127.0.0.1")
    browser.cookies.set("icansee-visitor", "planted too", domain="127.0.0.1")
    browser.sign_in("reader")
    first = browser.cookies["icansee-session"]
    assert first != "planted"
    browser.sign_in("reader")
    assert browser.cookies["icansee-session"] != first
    first = browser.cookies["icansee-session"]
    secured.clock.advance(secured.settings.web.idle_lock_s)
    browser.sign_in("reader")
    assert browser.cookies["icansee-session"] != first
    assert [one.token_hash for one in secured.accounts.sessions("reader")] == [
        hashed(browser.cookies["icansee-session"])
    ]


def test_cookies_over_tls_belong_to_this_host_alone(tmp_path: Path) -> None:
    secured = Secured(tmp_path, web=WebSettings(host="10.0.0.5", proxies=("127.0.0.1",)))
    browser = secured.browser(base_url="https://10.0.0.5")
    answer = browser.sign_in("reader")
    cookies = answer.headers.get_list("set-cookie")
    assert [cookie.partition("=")[0] for cookie in cookies] == ["__Host-icansee-session", "__Host-icansee-device"]
    for cookie in cookies:
        assert "; Path=/; HttpOnly; SameSite=Lax; Secure" in cookie
        assert "Domain" not in cookie
    assert browser.page("/").status_code == 200
    plain = secured.browser(base_url="http://10.0.0.5")
    plain.cookies.set("icansee-session", browser.cookies["__Host-icansee-session"])
    assert plain.page("/").status_code == 200, "the same session by its plain name, as on loopback"


@pytest.mark.parametrize(
    "other",
    [
        pytest.param("plain=1", id="noop: a plain one"),
        pytest.param('prefs={"theme": "x", "n": [1]}', id="JSON"),
        pytest.param("a[b]=1", id="a bracket"),
        pytest.param("name=Müller", id="umlaut"),
        pytest.param('x="a, b"', id="quotes"),
        pytest.param("=; alone;;", id="no name, no value"),
    ],
)
def test_cookies_of_other_applications_of_the_host_take_none_of_ours_away(secured: Secured, other: str) -> None:
    for header in (f"{other}; icansee-session=abc", f"icansee-session=abc; {other}"):
        assert read(header, secure=False) == {"icansee-session": "abc"}
    token = secured.signed_in(Role.READER).cookies["icansee-session"]
    header = f"{other}; icansee-session={token}".encode("latin-1")
    assert secured.browser().get("/api/session", headers={b"Cookie": header}).status_code == 200


def test_an_unused_page_locks_and_its_owner_unlocks_it(secured: Secured) -> None:
    browser = secured.signed_in(Role.READER)
    for _ in range(10):
        secured.clock.advance(600)
        assert browser.page("/").status_code == 200, "somebody reads"
    secured.clock.advance(600)
    assert browser.page("/", acts=False).status_code == 200, "the page loads itself again"
    secured.clock.advance(300)
    assert browser.page("/", acts=False).status_code == 303, "and keeps nothing open by that"
    page = browser.page("/login").text
    assert "Locked" in page
    assert 'value="reader"' in page
    assert browser.sign_in("reader", "wrong horse battery").status_code == 401
    assert browser.sign_in("reader").status_code == 303
    assert browser.page("/").status_code == 200


def test_a_sign_of_activity_keeps_a_page_open(secured: Secured) -> None:
    browser = secured.signed_in(Role.READER)
    csrf = browser.get("/api/session").json()["csrf"]
    for _ in range(4):
        secured.clock.advance(600)
        answer = browser.post("/api/session/activity", headers={"X-CSRF-Token": csrf, "Origin": browser.own})
        assert answer.status_code == 204


def test_a_session_ends_for_good(secured: Secured) -> None:
    browser = secured.signed_in(Role.READER)
    for _ in range(71):
        secured.clock.advance(600)
        assert browser.page("/").status_code == 200
    secured.clock.advance(600)
    assert browser.page("/").status_code == 303
    assert "Locked" not in browser.page("/login").text


def test_a_disabled_account_is_out_at_once(secured: Secured) -> None:
    browser = secured.signed_in(Role.READER)
    account = secured.accounts.account("reader")
    assert account is not None
    disabled(account, secured.accounts)
    assert browser.get("/api/studies").status_code == 401


def test_a_changed_role_counts_at_once(secured: Secured) -> None:
    browser = secured.signed_in(Role.READER)
    secured.accounts.change_account(Account("reader", Role.SERVICE, secured.clock.now()))
    assert browser.get("/api/studies").status_code == 403


class TestWithoutAccounts:
    def test_noop_on_loopback_nobody_has_to_sign_in(self, tmp_path: Path) -> None:
        browser = Secured(tmp_path, with_accounts=False).browser()
        assert browser.page("/").status_code == 200
        assert "Sign out" not in browser.page("/").text
        session = browser.get("/api/session").json()
        assert (session["name"], session["role"]) == ("this machine", "administrator")

    def test_with_the_first_account_the_page_closes(self, tmp_path: Path) -> None:
        secured = Secured(tmp_path, with_accounts=False)
        browser = secured.browser()
        assert browser.page("/").status_code == 200
        secured.accounts.add_account(Account("mina", Role.READER, secured.clock.now()))
        assert browser.page("/").status_code == 303

    def test_accounts_that_were_lost_do_not_open_the_page(self, tmp_path: Path) -> None:
        secured = Secured(tmp_path, with_accounts=False)
        accounts_mark(secured.settings).touch()
        browser = secured.browser()
        assert browser.page("/").status_code == 303
        assert "the index was lost" in browser.page("/login").text

    @pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP"])
    def test_a_proxy_on_this_machine_shows_nothing(self, tmp_path: Path, header: str) -> None:
        browser = Secured(tmp_path, with_accounts=False).browser()
        answer = browser.get("/api/studies", headers={header: "10.9.9.9"})
        assert (answer.status_code, "icansee users add" in answer.text) == (403, True)

    @pytest.mark.parametrize(
        "web",
        [
            pytest.param(WebSettings(host="10.0.0.5", plain_http=True), id="bound beyond loopback"),
            pytest.param(WebSettings(proxies=("127.0.0.1",)), id="a proxy in front"),
            pytest.param(WebSettings(allowed_hosts=("worklist.clinic",)), id="a name that others use"),
        ],
    )
    def test_beyond_loopback_it_stays_closed_until_there_is_one(self, tmp_path: Path, web: WebSettings) -> None:
        secured = Secured(tmp_path, web=web, with_accounts=False)
        name = web.allowed_hosts[0] if web.allowed_hosts else web.host
        browser = secured.browser(base_url=f"http://{name}")
        assert browser.page("/").headers["location"] == "/login?next=/"
        assert browser.get("/api/studies").status_code == 401
        assert "icansee users add NAME --role administrator" in browser.page("/login").text
        assert "accounts" in browser.get("/healthz").json()["problems"]
        secured.accounts.add_account(Account("mina", Role.READER, secured.clock.now(), QUICK.made(PASSWORD)))
        assert "accounts" not in browser.get("/healthz").json()["problems"]
        assert browser.sign_in("mina").status_code == 303
        assert browser.page("/").status_code == 200

    def test_beyond_loopback_it_does_not_start_without_a_place_for_accounts(self, tmp_path: Path) -> None:
        site = Secured(tmp_path).site
        settings = site.settings.model_copy(update={"web": WebSettings(host="10.0.0.5", plain_http=True)})
        with pytest.raises(Misconfigured, match="icansee users add"):
            create_app(type(site)(settings, site.index, site.results, site.ping_broker))


def test_passwords_do_not_travel_in_clear() -> None:
    with pytest.raises(ValueError, match=r"web\.tls"):
        WebSettings(host="10.0.0.5")


def test_the_index_is_away(secured: Secured) -> None:
    browser = secured.signed_in(Role.READER)
    secured.accounts.away = True
    assert browser.get("/api/studies").status_code == 503
    assert "cannot be reached" in browser.page("/").text
    assert browser.get("/static/style.css").status_code == 200, "nobody asks who it is"
    assert browser.get("/healthz").json()["problems"] != []
    secured.accounts.away = False
    assert browser.page("/").status_code == 200


@pytest.mark.parametrize(
    ("wanted", "path"),
    [
        ("/", "/"),
        ("/studies/1.2.3", "/studies/1.2.3"),
        ("/?filter=P1&sort=age", "/?filter=P1&sort=age"),
        ("https://evil.example/", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/a\r\nSet-Cookie: x=y", "/"),
        ("", "/"),
        ("/" + "a" * 700, "/"),
        ("/\u2029", "/"),
    ],
)
def test_the_sign_in_leads_to_this_site_only(wanted: str, path: str) -> None:
    assert own_path(wanted) == path


ADDRESSES = [
    pytest.param("/", id="noop: the plain list"),
    pytest.param("/?g=p1&g=not_assessable&sort=newest&unread=1", id="filters"),
    pytest.param(f"/?g=p1&find=0123456789abcdef01234567&after={'1' * 256}", id="the place of a window"),
    pytest.param("/studies/1.2.3?version=r1-full", id="an older decision"),
    pytest.param("/studies/1.2.3/patient", id="a patient"),
]


@pytest.mark.parametrize("path", ADDRESSES)
def test_after_the_lock_the_same_address_stands_there(secured: Secured, path: str) -> None:
    browser = secured.signed_in(Role.READER)
    secured.clock.advance(secured.settings.web.idle_lock_s)
    to = browser.page(path, acts=False).headers["location"]
    page = browser.page(to)
    assert "Locked" in page.text
    wanted = html.unescape(page.text.partition('name="next" value="')[2].partition('"')[0])
    assert browser.sign_in("reader", next=wanted).headers["location"] == path


@pytest.mark.parametrize(
    "path",
    [
        "//evil.example",
        "//evil.example/?a=b",
        "/\\evil.example",
        "/%0d%0aSet-Cookie:x=y",
        "/?next=https://evil.example",
        "/%2f%2fevil.example",
        "/..//evil.example",
        "/login?next=//evil.example",
    ],
)
def test_no_address_leads_elsewhere_after_the_sign_in(secured: Secured, path: str) -> None:
    """Also when the gate itself wrote it."""
    browser = secured.browser()
    answer = browser.get(f"http://127.0.0.1{path}", headers=PAGE)
    if answer.status_code != 303:
        return  # nobody is asked to sign in for it
    wanted = parse_qs(urlsplit(answer.headers["location"]).query).get("next", ["/"])[0]
    to = browser.sign_in("reader", next=wanted).headers["location"]
    assert urlsplit(urljoin("http://127.0.0.1/login", to)).netloc == "127.0.0.1"
    assert "\r" not in to
    assert "\n" not in to


def test_a_form_that_the_lock_refused_leads_back_to_its_page(secured: Secured) -> None:
    browser = secured.signed_in(Role.READER)
    csrf = browser.get("/api/session").json()["csrf"]
    secured.clock.advance(secured.settings.web.idle_lock_s)
    headers = {**PAGE, "Origin": browser.own, "Referer": f"{browser.own}/studies/1.2.3?version=r1-full"}
    answer = browser.post("/studies/1.2.3/acts", data={"kind": "agree", "csrf": csrf}, headers=headers)
    assert answer.status_code == 401
    assert "/studies/1.2.3%3Fversion%3Dr1-full" in answer.text


@pytest.mark.parametrize(
    ("role", "first", "links"),
    [
        (Role.READER, "/", ["/", "/agreement"]),
        (Role.ADMINISTRATOR, "/", ["/", "/agreement", "/operations"]),
        (Role.SERVICE, "/operations", ["/operations"]),
    ],
)
def test_the_navigation_offers_what_a_role_may_open(secured: Secured, role: Role, first: str, links: list[str]) -> None:
    assert "Pages" not in secured.browser().page("/login").text, "noop: a visitor may open none"
    browser = secured.browser()
    assert browser.sign_in(role.value, next="/").headers["location"] == first
    page = browser.page(first)
    assert page.status_code == 200
    nav = page.text.partition("<nav")[2].partition("</nav>")[0]
    assert re.findall(r'href="([^"]+)"', nav) == links
    assert not {401, 403} & {browser.page(link).status_code for link in links}
    assert f'class="brand" href="{first}"' in page.text


def test_keys_are_kept_by_account(secured: Secured, tmp_path: Path) -> None:
    browser, other = secured.signed_in(Role.READER), secured.signed_in(Role.ADMINISTRATOR)
    assert 'data-keys="on"' in browser.page("/").text, "noop"
    headers = {"X-CSRF-Token": browser.get("/api/session").json()["csrf"], "Origin": browser.own}
    assert browser.post("/api/session/keys", json={"keys": "alt"}, headers=headers).status_code == 204
    assert browser.post("/api/session/keys", json={"keys": "x"}, headers=headers).status_code == 422
    browser.cookies.set("icansee-keys", "off")
    assert 'data-keys="alt"' in secured.signed_in(Role.READER).page("/").text, "at every workplace"
    assert 'data-keys="alt"' in browser.page("/").text, "the account is asked before the browser"
    assert 'data-keys="on"' in other.page("/").text
    nobody = Secured(tmp_path / "nobody", with_accounts=False).browser()
    nobody.cookies.set("icansee-keys", "off")
    assert 'data-keys="off"' in nobody.page("/").text
    nobody.cookies.set("icansee-keys", '"><script>')
    assert 'data-keys="on"' in nobody.page("/").text
    csrf = {"X-CSRF-Token": nobody.get("/api/session").json()["csrf"], "Origin": nobody.own}
    assert nobody.post("/api/session/keys", json={"keys": "alt"}, headers=csrf).status_code == 409


def test_a_sign_in_page_shows_what_was_typed_as_text(secured: Secured) -> None:
    page = secured.browser().sign_in('"><script>alert(1)</script>').text
    assert "<script>" not in page
    later = secured.browser().get("/login", params={"next": '/"><script>'}, headers=PAGE)
    assert "<script>" not in later.text


def test_the_hash_is_made_anew_when_the_parameters_grew(secured: Secured) -> None:
    from argon2 import PasswordHasher

    old = PasswordHasher(time_cost=2, memory_cost=8, parallelism=1).hash(PASSWORD)
    secured.accounts.change_account(Account("reader", Role.READER, secured.clock.now(), password_hash=old))
    secured.signed_in(Role.READER)
    account = secured.accounts.account("reader")
    assert account is not None
    assert account.password_hash != old
    assert secured.clock.now() - timedelta(days=1) < account.created_at
