"""The pages of a patient and of the node in a real browser: accessibility, both themes, narrow windows, keys."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.listener.web.browser.conftest import sideways_px, violations

pytestmark = pytest.mark.server


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("path", ["/studies/1.2.3.1/patient", "/operations", "/operations/roster", "/tokens", "/api"])
def test_no_rule_of_accessibility_is_broken(page: Page, axe: str, theme: str, path: str) -> None:
    page.goto(path)
    page.get_by_label("Theme").select_option(theme)
    assert violations(page, axe) == []
    page.set_viewport_size({"width": 390, "height": 844})
    assert sideways_px(page) == 0


def test_a_key_leads_to_the_node_and_back(page: Page) -> None:
    page.goto("/")
    page.keyboard.press("g")
    with page.expect_navigation():  # to its end: keys work when the modules are loaded; the address changes before
        page.keyboard.press("o")
    expect(page).to_have_url(re.compile("/operations$"))
    page.keyboard.press("g")
    page.keyboard.press("w")
    expect(page).to_have_url(re.compile(r":\d+/$"))


def test_a_roster_is_checked_before_it_is_taken_over(page: Page) -> None:
    page.goto("/operations")
    page.get_by_role("link", name="Roster of infusions").click()
    expect(page.get_by_role("button", name="Import")).to_be_disabled()
    expect(page.get_by_label("File")).to_be_visible()  # once its module listens
    lines = "patient_id,infusion_date\nMRN-1002,2026-03-01\n"
    page.get_by_label("File").set_input_files({"name": "r.csv", "mimeType": "text/csv", "buffer": lines.encode()})
    expect(page.get_by_label("Lines")).to_have_value(lines)
    page.get_by_role("button", name="Check").click()
    expect(page.get_by_role("status").filter(has_text="This would change: 1 patients, 1 first dates")).to_be_visible()
    page.get_by_role("button", name="Import").click()
    expect(page.get_by_role("status").filter(has_text="Stored: 1 patients")).to_be_visible()


def test_a_pattern_leaves_shadow_mode_by_keys_and_with_a_reason(page: Page) -> None:
    page.goto("/operations")
    for done, reason in (("Promoted", "40 of 41 agree"), ("Taken back", "too many")):
        page.get_by_label("Reason for pattern B").focus()
        page.keyboard.press("Enter")
        expect(page.get_by_text(reason)).to_have_count(0)  # the browser asks for the reason
        page.keyboard.type(reason)
        page.keyboard.press("Enter")
        expect(page.get_by_role("status").filter(has_text=done)).to_be_visible()
        expect(page.get_by_role("row", name="pattern B")).to_contain_text(f"by this machine: {reason}")


def test_a_small_picture_has_its_place(page: Page) -> None:
    page.goto("/")
    box = page.locator("#rows img >> nth=0").bounding_box()
    assert box is not None
    assert (round(box["width"]), round(box["height"])) == (50, 60)
