"""The frame of every page in a real browser: theme, keys, narrow and enlarged windows, rules of accessibility."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

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
