"""Sign-in through an identity provider, npm's oidc-provider, in a real browser."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests import npm
from tests.listener.web.browser.conftest import violations
from tests.listener.web.serving import serving
from workers.access_ports import Accounts, Role
from workers.config import Settings
from workers.container import open_accounts
from workers.settings import StoreSettings
from workers.web_settings import ProviderSettings, WebSettings

pytestmark = pytest.mark.server

PEER = "oidc-provider@9.13.3"
ROLES = {"readers": "reader", "chiefs": "administrator"}


@dataclass(frozen=True)
class Guarded:
    """The application at ``url`` with nothing but the provider to sign in with."""

    url: str
    issuer: str
    accounts: Accounts


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    folder = tmp_path_factory.mktemp("provider")
    npm.installed(folder, PEER)
    command = ["node", Path(__file__).with_name("provider.mjs"), folder]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, text=True, **pipes) as node:  # type: ignore[call-overload]
        issuer = f"http://127.0.0.1:{int(node.stdout.readline())}"
        provider = ProviderSettings(issuer=issuer, client_id="icansee", roles=ROLES)
        store = StoreSettings(state_dir=folder / "state", min_free_bytes=0)
        settings = Settings(store=store, web=WebSettings(port=0, provider=provider))
        with serving(settings) as url:
            node.stdin.write(f"{url}/login/back\n")
            node.stdin.flush()
            yield Guarded(url, issuer, open_accounts(settings))
        node.terminate()


@pytest.fixture
def stranger(chromium: Browser, guarded: Guarded) -> Iterator[Page]:
    """A page of somebody who has not signed in. The pages of the provider ask for a font elsewhere: it gets none."""
    context = chromium.new_context(base_url=guarded.url)
    own = (guarded.url, guarded.issuer)
    context.route(lambda url: not url.startswith(own), lambda route: route.abort())
    yield context.new_page()
    context.close()


def sign_in(page: Page, name: str) -> None:
    """From our page to the provider, through its two pages, and back."""
    page.get_by_role("link", name="Sign in with the hospital account").click()
    page.get_by_placeholder("Enter any login").fill(name)
    page.get_by_placeholder("and password").fill("anything")
    page.get_by_role("button", name="Sign-in").click()
    page.get_by_role("button", name="Continue").click()


def test_a_member_of_a_group_comes_in_with_its_role(stranger: Page, guarded: Guarded, axe: str) -> None:
    stranger.goto("/operations")
    expect(stranger.get_by_role("heading", name="Sign in")).to_be_visible()
    assert violations(stranger, axe) == []
    sign_in(stranger, "chiefs@clinic")
    expect(stranger.get_by_role("heading", name="Operations")).to_be_visible()
    expect(stranger.get_by_text("chiefs@clinic (administrator)")).to_be_visible()
    account = guarded.accounts.account("chiefs@clinic")
    assert account is not None
    assert (account.role, account.subject) == (Role.ADMINISTRATOR, f"{guarded.issuer} chiefs@clinic")
    assert account.password_hash is None
    names = {cookie.get("name") for cookie in stranger.context.cookies(guarded.url)}
    assert "icansee-session" in names
    assert "icansee-flow" not in names, "the cookie of the way is gone"


def test_who_is_in_no_group_stays_outside(stranger: Page, guarded: Guarded) -> None:
    stranger.goto("/")
    sign_in(stranger, "visitors@clinic")
    expect(stranger.get_by_role("alert")).to_contain_text("You have no role here")
    assert guarded.accounts.account("visitors@clinic") is None
    stranger.goto("/")
    expect(stranger.get_by_role("heading", name="Sign in")).to_be_visible()


def test_who_says_no_at_the_provider_stays_outside(stranger: Page) -> None:
    stranger.goto("/")
    stranger.get_by_role("link", name="Sign in with the hospital account").click()
    stranger.get_by_role("link", name="Cancel").click()
    expect(stranger.get_by_role("alert")).to_contain_text("refused the sign-in")


def test_the_next_person_at_a_shared_workplace_is_asked_again(stranger: Page) -> None:
    """The session at the provider is still there: without the question the next person would be the last one."""
    stranger.goto("/")
    sign_in(stranger, "readers@clinic")
    stranger.get_by_role("button", name="Sign out").click()
    sign_in(stranger, "chiefs@other")
    expect(stranger.get_by_text("chiefs@other (administrator)")).to_be_visible()
