"""The viewer by keys, by buttons and by touch: what is enlarged is moved, every kind of pictures gets its window."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, CDPSession, Page

from tests.listener.web.browser.conftest import Served, violations
from tests.listener.web.browser.test_study import facts, opened, viewed, wait_for, wait_until
from tests.patience import PATIENCE_S

__all__ = ["viewed"]  # the fixture

pytestmark = pytest.mark.server


def pan(page: Page) -> tuple[int, int]:
    right, below = facts(page)["pan"].split()
    return int(right), int(below)


def zoom(page: Page) -> float:
    return float(facts(page)["zoom"])


def enlarged(page: Page, times: int = 4) -> Page:
    for _ in range(times):
        page.keyboard.press("+")
    wait_for(page, "zoom", f"{1.25**times:.2f}")
    return page


@pytest.mark.parametrize(
    ("key", "right", "below"),
    [("Shift+ArrowRight", -1, 0), ("Shift+ArrowLeft", 1, 0), ("Shift+ArrowDown", 0, -1), ("Shift+ArrowUp", 0, 1)],
)
def test_what_is_enlarged_is_moved_by_keys(page: Page, viewed: Served, key: str, right: int, below: int) -> None:
    opened(page)
    before = facts(page)["slice"]
    page.keyboard.press(key)
    assert pan(page) == (0, 0), "noop: all is seen"
    enlarged(page)
    page.keyboard.press(key)
    wait_until(lambda: pan(page) != (0, 0))
    moved = pan(page)
    assert [(one > 0) - (one < 0) for one in moved] == [right, below]
    for _ in range(60):
        page.keyboard.press(key)
    page.locator(".panels").focus()
    page.keyboard.press(key)
    edge = pan(page)
    page.keyboard.press(key)
    assert pan(page) == edge, "the edge of the picture stays outside"
    assert facts(page)["slice"] == before
    page.keyboard.press("0")
    wait_for(page, "pan", "0 0")


def shades(page: Page, volume: str) -> int:
    """The sum of what a canvas shows."""
    total: int = page.evaluate(
        """async name => {
          await new Promise(requestAnimationFrame);
          await new Promise(requestAnimationFrame);
          const c = document.querySelector(`figure[data-volume=${name}] canvas`);
          return c.getContext('2d').getImageData(0, 0, c.width, c.height).data.reduce((sum, one) => sum + one, 0);
        }""",
        volume,
    )
    return total


@pytest.mark.parametrize(
    ("presses", "group", "changed", "same"),
    [
        pytest.param(0, "scan", "followup", "dwi", id="noop: FLAIR at first"),
        pytest.param(1, "dwi", "dwi", "followup", id="diffusion"),
        pytest.param(2, "adc", "adc", "dwi", id="ADC"),
        pytest.param(3, "contrast", "t1_gd", "adc", id="contrast"),
        pytest.param(4, "scan", "followup", "dwi", id="and round again"),
    ],
)
def test_keys_change_the_window_of_every_kind_of_pictures(
    page: Page, viewed: Served, presses: int, group: str, changed: str, same: str
) -> None:
    page.set_viewport_size({"width": 1280, "height": 2600})
    opened(page)
    for _ in range(presses):
        page.keyboard.press("w")
    wait_for(page, "group", group)
    assert page.locator(f"figure[data-volume={changed}].chosen").count() == 1
    assert page.locator(f"figure[data-volume={same}].chosen").count() == 0
    before = shades(page, changed), shades(page, same)
    for _ in range(8):
        page.keyboard.press(".")
    wait_until(lambda: shades(page, changed) > before[0])
    assert shades(page, same) == before[1]
    if presses:
        assert page.locator("#said").inner_text().startswith("Window keys change")
    page.keyboard.press("W")
    wait_until(lambda: facts(page)["group"] != group)


def test_the_pictures_that_were_clicked_get_the_window(page: Page, viewed: Served) -> None:
    opened(page)
    page.locator("figure[data-volume=baseline_adc] canvas").click()
    wait_for(page, "group", "adc")


def test_everything_goes_without_dragging_and_without_keys(page: Page, viewed: Served, axe: str) -> None:
    """WCAG 2.5.7 and 2.1.4."""
    page.set_viewport_size({"width": 1280, "height": 2600})
    opened(page)
    page.get_by_text("Window, zoom, move").click()
    page.get_by_label("Window of").select_option("dwi")
    wait_for(page, "group", "dwi")
    before = shades(page, "dwi")
    for _ in range(8):
        page.get_by_role("button", name="brighter").click()
    wait_until(lambda: shades(page, "dwi") > before)
    for _ in range(4):
        page.get_by_role("button", name="larger").click()
    page.locator("button[data-move='-1 0']").click()
    wait_until(lambda: pan(page)[0] > 0)
    assert violations(page, axe) == []


@pytest.fixture
def touched(chromium: Browser, served: Served) -> Iterator[Page]:
    context = chromium.new_context(base_url=served.url, viewport={"width": 390, "height": 844}, has_touch=True)
    context.set_default_timeout(PATIENCE_S * 1000)
    yield context.new_page()
    context.close()


def touch(session: CDPSession, kind: str, *points: tuple[float, float]) -> None:
    at = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
    session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": at})


def middle_of(page: Page, volume: str) -> tuple[float, float]:
    canvas = page.locator(f"figure[data-volume={volume}] canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_two_fingers_zoom_and_one_moves(touched: Page, viewed: Served) -> None:
    page = opened(touched)
    session = page.context.new_cdp_session(page)
    x, y = middle_of(page, "followup")
    touch(session, "touchStart", (x - 15, y), (x + 15, y))
    for apart in range(16, 46, 3):
        touch(session, "touchMove", (x - apart, y), (x + apart, y))
    touch(session, "touchEnd")
    wait_until(lambda: zoom(page) > 2)
    assert pan(page) == (0, 0), "what lay between the fingers lies between them"
    enlarged_by = zoom(page)
    touch(session, "touchStart", (x, y))
    for step in range(0, 40, 4):
        touch(session, "touchMove", (x - step, y))
    touch(session, "touchEnd")
    wait_until(lambda: pan(page)[0] < 0)
    assert zoom(page) == enlarged_by
    touch(session, "touchStart", (x - 45, y), (x + 45, y))
    for apart in range(45, 3, -3):
        touch(session, "touchMove", (x - apart, y), (x + apart, y))
    touch(session, "touchEnd")
    wait_for(page, "zoom", "1.00")
    assert pan(page) == (0, 0)


def test_a_tap_is_a_click_and_one_finger_scrolls_the_page(touched: Page, viewed: Served) -> None:
    page = opened(touched)
    session = page.context.new_cdp_session(page)
    x, y = middle_of(page, "followup")
    before = page.evaluate("scrollY")
    touch(session, "touchStart", (x, y))
    for step in range(0, 120, 10):
        touch(session, "touchMove", (x, y - step))
    touch(session, "touchEnd")
    wait_until(lambda: page.evaluate("scrollY") > before)
    assert (zoom(page), pan(page)) == (1.0, (0, 0))
    page.locator("figure[data-volume=dwi] canvas").tap()
    wait_for(page, "group", "dwi")
