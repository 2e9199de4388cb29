"""Debian's Chromium against the real web application, which reads a small state folder. Nothing is downloaded by the
browser's driver, and no request may leave the machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests import npm
from tests.listener.web.serving import serving
from tests.listener.web.stored import StoredStudy, store
from tests.patience import PATIENCE_S
from workers.config import Settings
from workers.index.node_index import NodeIndex, open_node_index
from workers.result_settings import ResultsSettings
from workers.settings import StoreSettings, WebSettings

expect.set_options(timeout=PATIENCE_S * 1000)  # five seconds otherwise
CHROMIUM = "/usr/bin/chromium"  # scripts/test-peers.sh
AXE = "axe-core@4.10.3"
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
OFFLINE = "ERR_INTERNET_DISCONNECTED"  # a test has cut the connection itself
TODAY = date(2026, 3, 10)
STUDIES = (
    StoredStudy("1.2.3.1", "MRN-1001", minutes=12),
    StoredStudy("1.2.3.2", "MRN-1002", category="possible", priority="P2", minutes=44),
    StoredStudy("1.2.3.3", "MRN-1003", category="no_pattern", priority="unchanged", reasons=(), minutes=90),
    StoredStudy(
        "1.2.3.4",
        "MRN-1004",
        category="not_assessable",
        priority="unchanged",
        reasons=("no_flair: no FLAIR series was recognised",),
        minutes=30,
    ),
    StoredStudy("1.2.3.5", "MRN-1005", category=None, minutes=1),
    StoredStudy("1.2.3.6", "MRN-1001", day=TODAY - timedelta(days=4), category="possible", priority="P3", minutes=6000),
)


@dataclass(frozen=True)
class Served:
    """The web application at ``url``, and the index that it reads."""

    url: str
    index: NodeIndex
    settings: Settings

    def store(self, study: StoredStudy) -> None:
        """One more study arrives and is decided."""
        store(self.index, study, now=datetime.now(UTC))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The application with STUDIES, in a thread of this process. What a test adds stays until the end of its file: it
    has UIDs of its own. No file sees what another one added, whichever files a test process takes."""
    store_settings = StoreSettings(state_dir=tmp_path_factory.mktemp("state"), min_free_bytes=0)
    results = ResultsSettings(shadow_patterns=["B"])
    settings = Settings(store=store_settings, web=WebSettings(port=0), results=results)
    index = open_node_index(settings)
    assert isinstance(index, NodeIndex)
    for study in STUDIES:
        store(index, study, now=datetime.now(UTC))
    with serving(settings) as url:
        yield Served(url, index, settings)
    index.close()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Browser, served: Served) -> Iterator[Page]:
    """A page of its own profile. At the end: no request went elsewhere, and no error was in its console."""
    context = chromium.new_context(base_url=served.url, viewport={"width": 1280, "height": 800})
    context.set_default_timeout(PATIENCE_S * 1000)
    elsewhere, errors = list[str](), list[str]()
    context.on("request", lambda one: None if one.url.startswith(served.url) else elsewhere.append(one.url))
    opened = context.new_page()
    opened.on(
        "console", lambda one: errors.append(one.text) if one.type == "error" and OFFLINE not in one.text else None
    )
    opened.on("pageerror", lambda one: errors.append(str(one)))
    yield opened
    context.close()
    assert {urlsplit(url).netloc for url in elsewhere} == set(), "a request left the machine"
    assert errors == []


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The source of axe-core, which npm installs here."""
    folder = npm.installed(tmp_path_factory.mktemp("axe"), AXE)
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


def violations(page: Page, axe: str) -> list[str]:
    """What axe finds on the page that stands open, one line for each rule that is broken."""
    if not page.evaluate("typeof axe !== 'undefined'"):
        page.evaluate(axe)
    found = page.evaluate("tags => axe.run({runOnly: {type: 'tag', values: tags}})", WCAG)
    assert found["passes"], "axe has looked at nothing"
    return [f"{one['id']}: {[node['target'] for node in one['nodes']][:3]}" for one in found["violations"]]


def sideways_px(page: Page) -> int:
    """How far the page as a whole can be scrolled sideways."""
    width: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return width
