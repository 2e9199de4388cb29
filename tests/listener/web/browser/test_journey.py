"""A night on call in one piece, by keyboard alone: sign in, a study rises, is opened, judged and acknowledged; its
patient over time; a dead delivery is tried again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.listener.web.browser.conftest import Served
from tests.listener.web.browser.test_study import FIGURES, facts, wait_for, wait_until
from tests.listener.web.serving import serving
from tests.listener.web.signing import PASSWORD, QUICK
from tests.listener.web.stored import StoredStudy
from tests.workers.outputs.evidence.evidence_builders import ORIENTATIONS, an_outcome
from tests.workers.outputs.evidence.test_volumes import with_series
from workers.access_ports import Account, Role
from workers.config import Settings, parse
from workers.container import open_accounts, open_deliveries, open_results
from workers.delivery_ports import Decided, Delivery, DeliveryState
from workers.index.node_index import open_node_index

pytestmark = pytest.mark.server

UID, NOTE = "1.2.9.1", "artefact <b>of</b> the shunt"
PACS = {"name": "pacs", "kind": "dicom", "ae_title": "PACS", "host": "10.1.2.3", "outputs": ["sr"]}


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Served]:
    """The application with one account, one earlier study and one dead delivery."""
    store = {"state_dir": str(tmp_path), "min_free_bytes": 0}
    settings = parse({"store": store, "web": {"port": 0}, "results": {"destinations": [PACS]}})
    index, now = open_node_index(settings), datetime.now(UTC)
    open_accounts(settings).add_account(Account("ada", Role.ADMINISTRATOR, now, password_hash=QUICK.made(PASSWORD)))
    _fail_a_delivery(settings, now)
    with serving(settings) as url:
        served = Served(url, index, settings)
        served.store(StoredStudy("1.2.9.0", "MRN-1", category="no_pattern", priority="unchanged", minutes=300))
        yield served
    index.close()


def _fail_a_delivery(settings: Settings, now: datetime) -> None:
    deliveries = open_deliveries(settings)
    deliveries.register(["pacs"], since=now)
    deliveries.add([Delivery(Decided("1.2.9.0", 1, "full"), "sr", "pacs", due_at=now)], now=now)
    taken = deliveries.take("pacs", owner="test", now=now, for_s=60, longest_s=300)
    assert taken is not None
    deliveries.settle(replace(taken, state=DeliveryState.DEAD, failure="0xA700 out of resources"), now=now)


@pytest.fixture
def page(chromium: Browser, ward: Served) -> Iterator[Page]:
    context = chromium.new_context(base_url=ward.url, viewport={"width": 1280, "height": 800})
    yield context.new_page()
    context.close()


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def arrive(ward: Served) -> None:
    """A study with figures and volumes."""
    ward.store(StoredStudy(UID, "MRN-2", changes={"measurements": FIGURES}, row={"patient_name": "Doe^Jo"}))
    outcome = with_series(an_outcome(np.asarray(ORIENTATIONS["sagittal"])))
    open_results(ward.settings).write(UID, 1, outcome, ward.index.assessment(UID))


def test_a_night_on_call(page: Page, ward: Served) -> None:
    page.goto("/")
    page.keyboard.type("ada")
    press(page, "Tab")
    page.keyboard.type(PASSWORD)
    with page.expect_response("**/events"):  # of the list; the page of the sign-in has none
        press(page, "Enter")
    expect(page.locator("#rows .row")).to_have_count(1)
    arrive(ward)
    expect(page.locator("#rows .row >> nth=0")).to_have_attribute("data-uid", UID)
    press(page, "j", "Enter")
    expect(page).to_have_url(re.compile(rf"/studies/{re.escape(UID)}$"))
    expect(page.locator(".verdict")).to_contain_text("Doe, Jo")
    _look(page)
    _judge(page)
    press(page, "t")
    expect(page.get_by_role("heading", name="Regions over time")).to_be_visible()
    _retry(page)
    press(page, "g", "w")
    expect(page.locator(f".row[data-uid='{UID}'] .c-ack")).to_contain_text("ada")


def _look(page: Page) -> None:
    """Slices, outlines, and from a number to its slice."""
    wait_for(page, "state", "ready")
    before = facts(page)["slice"]
    press(page, "k")
    wait_until(lambda: facts(page)["slice"] == str(int(before) + 1))
    press(page, "o")
    expect(page.locator("input[data-shown=regions]")).not_to_be_checked()
    press(page, "e")
    expect(page.locator("button.jump[aria-current]")).to_have_text("left thalamus")


def _judge(page: Page) -> None:
    """A disagreement with a note, then the acknowledgement."""
    press(page, "n")
    page.keyboard.type(NOTE)
    press(page, "Escape", "d")
    expect(page.locator(".said")).to_contain_text(f"ada – disagree, on revision 1: {NOTE}")
    expect(page.locator(".verdict")).not_to_contain_text("Acknowledged")
    page.wait_for_load_state()
    press(page, "a")
    expect(page.locator(".verdict")).to_contain_text("Acknowledged by ada")
    page.wait_for_load_state()


def _retry(page: Page) -> None:
    page.wait_for_load_state()
    press(page, "g", "o")
    dead = page.get_by_role("region", name="Dead letters")
    expect(dead).to_contain_text("0xA700 out of resources")
    dead.get_by_role("button", name=re.compile("^Retry")).focus()
    press(page, "Enter")
    expect(page.get_by_role("status").filter(has_text="again")).to_be_visible()
    expect(dead).to_have_count(0)
    page.wait_for_load_state()
