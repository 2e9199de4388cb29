"""The worklist in a real browser: keys, rows that move while the page is open, a lost connection, saved views."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.listener.web.browser.conftest import Served, sideways_px, violations
from tests.listener.web.stored import StoredStudy

pytestmark = pytest.mark.server

FIRST = "#rows .row >> nth=0"


def order(page: Page) -> list[str]:
    found: list[str] = page.eval_on_selector_all("#rows .row", "rows => rows.map(row => row.dataset.uid)")
    return found


def focused(page: Page) -> str | None:
    uid: str | None = page.evaluate("document.activeElement.closest('.row')?.dataset.uid ?? null")
    return uid


def open_list(page: Page, path: str = "/") -> None:
    """Opened, and connected to the events."""
    with page.expect_response("**/events"):
        page.goto(path)


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("width", [1280, 390])
def test_no_rule_of_accessibility_is_broken(page: Page, axe: str, theme: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.goto("/?g=p1&g=p2&g=not_assessable&g=waiting&g=no_pattern")
    page.get_by_label("Theme").select_option(theme)
    assert violations(page, axe) == []
    assert sideways_px(page) == 0
    page.goto("/?g=failed")
    assert violations(page, axe) == []


def test_a_reader_walks_the_list_by_keys(page: Page) -> None:
    page.goto("/")
    listed = order(page)
    page.keyboard.press("j")
    assert focused(page) == listed[0]
    page.keyboard.press("ArrowDown")
    assert focused(page) == listed[1]
    page.keyboard.press("k")
    page.keyboard.press("k")
    assert focused(page) == listed[0]
    page.keyboard.press("End")
    assert focused(page) == listed[-1]
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(rf"/studies/{re.escape(listed[0])}$"))
    page.go_back()
    page.keyboard.press("n")
    assert focused(page) == listed[1], "the first one was opened"


def test_a_search_by_keys_and_back(page: Page) -> None:
    page.goto("/")
    page.keyboard.press("/")
    page.keyboard.type("mrn-1003")
    with page.expect_navigation():  # to its end: the next page listens for keys
        page.keyboard.press("Enter")
    expect(page.locator("#rows .row")).to_have_count(1)
    assert "1003" not in page.url
    expect(page.locator(".bar")).to_contain_text("“mrn-1003”")
    page.keyboard.press("c")
    expect(page.locator(".bar")).to_contain_text("no filter")


def test_a_study_arrives_and_rises_while_the_page_is_open(page: Page, served: Served) -> None:
    open_list(page)
    served.store(StoredStudy("7.1", "MRN-7001", minutes=600))
    expect(page.locator(FIRST)).to_have_attribute("data-uid", "7.1")
    expect(page.locator("#said")).to_contain_text("The list changed")
    served.store(StoredStudy("7.2", "MRN-7002", category=None))
    expect(page.locator("#s-7\\.2 .badge")).to_have_text("not looked at")


def test_the_row_with_the_focus_never_moves(page: Page, served: Served) -> None:
    open_list(page)
    for _ in range(2):
        page.keyboard.press("j")
    uid = focused(page)
    place = order(page).index(str(uid))
    top = page.evaluate("document.activeElement.closest('.row').getBoundingClientRect().top")
    served.store(StoredStudy("7.3", "MRN-7003", minutes=700))
    expect(page.locator(FIRST)).to_have_attribute("data-uid", "7.3")
    assert focused(page) == uid
    assert order(page).index(str(uid)) == place
    assert page.evaluate("document.activeElement.closest('.row').getBoundingClientRect().top") == top
    page.keyboard.press("k")
    assert order(page).index(str(uid)) == place + 1, "it takes its place when the focus has left"


def leave_focus(page: Page, where: str) -> None:
    if where == "nowhere":
        page.evaluate("document.activeElement.blur()")
    else:
        page.get_by_label(where).focus()


@pytest.mark.parametrize("where", ["nowhere", "Theme"])
@pytest.mark.parametrize(
    ("path", "focus"), [("/?g=failed", ".nothing a"), ("/?g=p3", ".tallies a.on")], ids=["empty list", "number"]
)
def test_what_has_the_focus_is_drawn_when_the_focus_leaves(
    page: Page, served: Served, path: str, focus: str, where: str
) -> None:
    open_list(page, path)
    page.locator(focus).focus()
    number = page.locator("#list .tallies a.g-p3")
    before = number.inner_text()
    with page.expect_response(re.compile("/rows")):
        served.store(StoredStudy(f"7.5{len(path)}{len(where)}", "MRN-7005", category="possible", priority="P3"))
    page.wait_for_timeout(200)  # nothing to wait for: the page leaves what has the focus
    assert number.inner_text() == before
    assert page.locator(focus).evaluate("one => one === document.activeElement")
    leave_focus(page, where)
    expect(number).not_to_have_text(before)


def test_the_connection_is_lost_and_regained(page: Page, served: Served) -> None:
    open_list(page)
    page.evaluate("window.stillTheSamePage = true")
    page.context.set_offline(True)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.locator("#stale")).to_contain_text("may be old")
    served.store(StoredStudy("7.4", "MRN-7004", minutes=800))
    page.context.set_offline(False)
    expect(page.locator(FIRST)).to_have_attribute("data-uid", "7.4")
    expect(page.locator("#stale")).to_be_hidden()
    assert page.evaluate("window.stillTheSamePage") is True


def test_a_view_is_saved_and_removed(page: Page) -> None:
    page.goto("/?g=p1&sort=newest")
    page.get_by_role("button", name="Save this view").wait_for()  # keys work then
    page.keyboard.press("s")
    page.get_by_label("Its name").fill("<b>night</b>")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="<b>night</b>")).to_have_attribute("aria-current", "page")
    page.goto("/")
    page.get_by_role("link", name="<b>night</b>").click()
    expect(page).to_have_url(re.compile(r"\?g=p1&sort=newest$"))
    page.get_by_role("button", name="Remove the view <b>night</b>").click()
    expect(page.get_by_role("link", name="<b>night</b>")).to_have_count(0)
