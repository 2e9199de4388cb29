"""Text that was typed and not sent, in a real browser: the session ends, the text is too long, the study is gone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.listener.web.browser.conftest import Served
from tests.listener.web.serving import serving
from tests.listener.web.signing import PASSWORD, QUICK
from tests.listener.web.stored import StoredStudy
from workers.access_ports import Account, Role
from workers.config import parse
from workers.container import open_accounts
from workers.index.node_index import open_node_index

pytestmark = pytest.mark.server

UID, NOTE = "1.2.9.1", "motion <b>artefact</b>, ملاحظة"
UNSENT = "What you wrote here was not sent"


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The application with two accounts and one study."""
    store = {"state_dir": str(tmp_path_factory.mktemp("state")), "min_free_bytes": 0}
    settings = parse({"store": store, "web": {"port": 0}})
    index, now = open_node_index(settings), datetime.now(UTC)
    for name in ("ada", "bob"):
        account = Account(name, Role.READER, now, password_hash=QUICK.made(PASSWORD))
        open_accounts(settings).add_account(account)
    with serving(settings) as url:
        served = Served(url, index, settings)
        served.store(StoredStudy(UID, "MRN-1"))
        yield served
    index.close()


@pytest.fixture
def page(chromium: Browser, ward: Served) -> Iterator[Page]:
    """At the study, signed in as ada."""
    context = chromium.new_context(base_url=ward.url, viewport={"width": 1280, "height": 800})
    opened = context.new_page()
    opened.goto(f"/studies/{UID}")
    sign_in(opened, "ada")
    yield opened
    context.close()


def sign_in(page: Page, name: str) -> None:
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_label("Note")).to_be_visible()
    page.wait_for_load_state()


def at(page: Page, selector: str) -> dict[str, float]:
    box = page.locator(selector).first.bounding_box()
    assert box is not None
    return dict(box)


def end_session(page: Page) -> None:
    """As a lock, an administrator, or the end of the day does."""
    page.context.clear_cookies(name="icansee-session")
    page.context.clear_cookies(name="__Host-icansee-session")


def test_a_note_outlives_the_session(page: Page) -> None:
    page.keyboard.press("n")
    page.keyboard.type(NOTE)
    end_session(page)
    page.keyboard.press("Escape")
    page.keyboard.press("d")
    expect(page.get_by_role("alert")).to_contain_text("Sign in first")
    page.get_by_role("link", name="Sign in").click()
    sign_in(page, "ada")
    expect(page.get_by_label("Note")).to_have_value(NOTE)
    expect(page.locator(".acts")).to_contain_text(UNSENT)
    for width in (1280, 640, 390):
        page.set_viewport_size({"width": width, "height": 800})
        assert at(page, "#act-note")["width"] > 250, "the field keeps its room"
    page.keyboard.press("d")
    expect(page.locator(".said")).to_contain_text(NOTE)
    expect(page.get_by_label("Note")).to_have_value("")
    page.reload()
    expect(page.locator(".acts")).not_to_contain_text(UNSENT)


def test_the_account_keeps_how_keys_act(page: Page, chromium: Browser, ward: Served) -> None:
    """On the page of a study, too: no act by a key that was switched off."""
    before = page.locator(".said li").count()
    page.get_by_role("button", name="Keys").click()
    with page.expect_response("**/api/session/keys") as kept:
        page.get_by_label("Keys with a letter").select_option("never")
    assert kept.value.status == 204
    page.keyboard.press("Escape")
    elsewhere = chromium.new_context(base_url=ward.url).new_page()
    elsewhere.goto(f"/studies/{UID}")
    sign_in(elsewhere, "ada")
    for one in (page, elsewhere):
        one.keyboard.press("y")
        one.keyboard.press("a")
        one.reload()
        assert one.locator(".said li").count() == before
        assert not one.locator(".acts kbd").first.is_visible(), "no key is shown that does nothing"
    elsewhere.context.close()
    page.get_by_role("button", name="Keys").click()
    with page.expect_response("**/api/session/keys"):
        page.get_by_label("Keys with a letter").select_option("alone")
    page.keyboard.press("Escape")
    page.keyboard.press("y")
    expect(page.locator(".said li")).to_have_count(before + 1)


def test_nobody_else_sees_it_and_signing_out_forgets_it(page: Page) -> None:
    page.get_by_label("Note").fill("of ada")
    end_session(page)
    page.reload()
    sign_in(page, "bob")
    expect(page.get_by_label("Note")).to_have_value("")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Password")).to_be_visible()
    page.goto(f"/studies/{UID}")
    sign_in(page, "ada")
    expect(page.get_by_label("Note")).to_have_value("")


def test_a_long_note_is_refused_and_not_cut(page: Page) -> None:
    before = page.locator(".said li").count()
    page.get_by_label("Note").fill("x" * 5000)
    page.get_by_role("button", name="Agree", exact=False).first.click()
    message = page.get_by_label("Note").evaluate("one => one.validationMessage")
    assert message == "5000 characters: at most 2000 are taken."
    expect(page.get_by_label("Note")).to_have_value("x" * 5000)
    buttons, note = at(page, ".acts .buttons button"), at(page, "#act-note")
    assert buttons["y"] - note["y"] < 10, "the buttons stay at the top of a long note"
    assert note["height"] < 250
    assert page.locator(".said li").count() == before
    page.get_by_label("Note").fill("")


def test_the_note_goes_with_the_word_on_one_finding_by_keys_alone(page: Page) -> None:
    page.keyboard.press("n")
    page.keyboard.type("thalami only")
    for key in ("Escape", "A", "y"):
        page.keyboard.press(key)
    expect(page.locator(".said")).to_contain_text("accept pattern A, on revision 1: thalami only")
    expect(page.get_by_label("Note")).to_have_value("")
    expect(page.locator(".said")).not_to_contain_text("agree, on revision 1: thalami only")


def test_noop_an_empty_note_leaves_nothing_behind(page: Page) -> None:
    page.get_by_label("Note").fill("y")
    page.get_by_label("Note").fill("")
    assert page.evaluate("Object.keys(sessionStorage).filter(key => key.startsWith('icansee-draft'))") == []


def test_a_study_that_is_gone_has_a_page(page: Page) -> None:
    answer = page.goto("/studies/9.9.9")
    assert answer is not None
    assert answer.status == 404
    expect(page.get_by_role("alert")).to_have_text("No such study.")
    page.get_by_role("main").get_by_role("link", name="Worklist").click()
    expect(page.locator("#rows .row")).to_have_count(1)


@pytest.fixture
def short_lock(chromium: Browser, tmp_path: Path) -> Iterator[Page]:
    """At the study, signed in; a session is locked after three seconds."""
    settings = parse({"store": {"state_dir": str(tmp_path), "min_free_bytes": 0}, "web": {"port": 0, "idle_lock_s": 3}})
    index = open_node_index(settings)
    account = Account("ada", Role.READER, datetime.now(UTC), password_hash=QUICK.made(PASSWORD))
    open_accounts(settings).add_account(account)
    with serving(settings) as url:
        Served(url, index, settings).store(StoredStudy(UID, "MRN-1"))
        context = chromium.new_context(base_url=url)
        opened = context.new_page()
        opened.goto(f"/studies/{UID}")
        sign_in(opened, "ada")
        yield opened
        context.close()
    index.close()


def test_a_page_that_nobody_uses_shows_nothing_any_more(short_lock: Page) -> None:
    short_lock.get_by_label("Note").fill(NOTE)
    expect(short_lock.get_by_role("heading", name="Locked")).to_be_visible()
    assert "MRN-1" not in short_lock.content()
    short_lock.get_by_label("Password").fill(PASSWORD)
    short_lock.keyboard.press("Enter")
    expect(short_lock.get_by_label("Note")).to_have_value(NOTE)


def test_a_page_that_nobody_uses_hides_what_it_shows_while_the_server_is_away(short_lock: Page) -> None:
    short_lock.context.set_offline(True)
    expect(short_lock.get_by_label("Note")).to_be_hidden()


def test_noop_a_page_in_use_stays(short_lock: Page) -> None:
    for step in range(30):
        short_lock.mouse.move(100 + step, 100)
        short_lock.wait_for_timeout(200)
    expect(short_lock.get_by_label("Note")).to_be_visible()


def test_noop_a_page_stays_while_another_one_of_the_session_is_used(short_lock: Page) -> None:
    short_lock.evaluate(
        "window.hiddenOnce = false; new MutationObserver(() => { window.hiddenOnce = true; })"
        ".observe(document.getElementById('content'), { attributes: true, attributeFilter: ['hidden'] })"
    )
    other = short_lock.context.new_page()
    other.goto(f"/studies/{UID}")
    for step in range(30):
        other.mouse.move(100 + step, 100)
        other.wait_for_timeout(200)
    assert short_lock.evaluate("window.hiddenOnce") is False  # and it was not loaded again
