"""The frame of every page in a real browser: theme, keys, narrow and enlarged windows, rules of accessibility."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.listener.web.browser.conftest import sideways_px, violations

pytestmark = pytest.mark.server


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_no_rule_of_accessibility_is_broken(page: Page, axe: str, theme: str) -> None:
    page.goto("/")
    page.get_by_label("Theme").select_option(theme)
    assert violations(page, axe) == []
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Keys").click()
    assert violations(page, axe) == []


def test_the_page_is_dark_until_somebody_chooses_otherwise(page: Page) -> None:
    page.emulate_media(color_scheme="light")
    page.goto("/")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_label("Theme").select_option("light")
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert dark != light
    while not any(cookie.get("value") == "light" for cookie in page.context.cookies()):
        page.wait_for_timeout(20)  # the browser stores a cookie a little later
    page.goto("/")
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == light
    page.get_by_label("Theme").select_option("auto")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == light, "as the browser prefers"
    page.emulate_media(color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark


def test_the_keys_are_listed_by_a_key(page: Page) -> None:
    page.goto("/")
    page.keyboard.press("?")
    assert page.get_by_role("dialog", name="Keys").is_visible()
    page.keyboard.press("Escape")
    assert not page.get_by_role("dialog", name="Keys").is_visible()


def test_keys_in_the_list_of_keys_change_nothing(page: Page) -> None:
    """The choice of how keys act stands there: who scrolls the list must not choose."""
    page.goto("/")
    page.keyboard.press("?")
    for key in ("ArrowDown", "o", "n", "ArrowUp", "PageDown"):
        page.keyboard.press(key)
    assert page.get_by_label("Keys with a letter").input_value() == "on"
    assert page.evaluate("document.documentElement.dataset.keys") == "on"
    assert page.get_by_role("dialog", name="Keys").is_visible()


def choose(page: Page, words: str) -> None:
    """In the help that the button opens."""
    page.get_by_role("button", name="Keys").click()
    page.get_by_label("Keys with a letter").select_option(words)
    page.keyboard.press("Escape")


@pytest.mark.parametrize(
    ("words", "use", "acting", "still"),
    [
        pytest.param("alone", "on", "s", "Alt+s", id="noop: as at first"),
        pytest.param("only with Alt", "alt", "Alt+s", "s", id="with Alt"),
        pytest.param("never", "off", None, "s", id="never"),
        pytest.param("never", "off", None, "Alt+s", id="never, also with Alt"),
    ],
)
def test_single_keys_are_as_the_person_wants(page: Page, words: str, use: str, acting: str | None, still: str) -> None:
    """WCAG 2.1.4: somebody who speaks to the machine would act on a study by a word. It is kept in this browser."""
    page.goto("/")
    choose(page, words)
    for _ in range(2):
        assert page.evaluate("document.documentElement.dataset.keys") == use
        page.keyboard.press(still)
        page.keyboard.press("Shift+?" if use == "off" else "F1")
        assert page.locator("dialog[open]").count() == 0
        page.keyboard.press("ArrowDown")
        assert page.evaluate("document.activeElement.closest('.row') !== null"), "arrows act always"
        if acting is not None:
            page.keyboard.press(acting)
            assert page.get_by_role("dialog", name="Save this view").is_visible()
            page.keyboard.press("Escape")
        page.goto("/")


def test_two_keys_in_a_row_go_with_alt_too(page: Page) -> None:
    page.goto("/")
    choose(page, "only with Alt")
    page.keyboard.press("g")
    page.keyboard.press("o")
    page.keyboard.press("Alt+g")
    page.keyboard.press("Alt+o")
    expect(page.get_by_role("heading", name="Operations")).to_be_visible()
    assert page.evaluate("document.documentElement.dataset.keys") == "alt", "on every page"


def test_the_first_tab_leads_past_the_navigation(page: Page) -> None:
    page.goto("/")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"


@pytest.mark.parametrize(("width", "height"), [(390, 844), (640, 400)], ids=["390 px", "1280 px at 200 %"])
def test_no_page_is_scrolled_sideways(page: Page, width: int, height: int) -> None:
    page.set_viewport_size({"width": width, "height": height})
    page.goto("/")
    assert sideways_px(page) == 0
