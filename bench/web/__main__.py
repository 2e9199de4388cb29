"""How quick the worklist is with many studies: first byte, interactive, a decision on the screen, idle pages.

`python -m bench.web` needs Chromium (scripts/test-peers.sh). Server and browser share the machine, as a node and
a reader's browser would not: the figures are upper limits.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa
from playwright.sync_api import Browser, Page, sync_playwright

from bench.beside import assessing
from tests.listener.web.serving import serving
from tests.listener.web.stored import StoredStudy, store
from workers.config import Settings
from workers.index.node_index import NodeIndex, open_node_index
from workers.index.schema import WRITES, assessments, instances, open_engine, series, studies
from workers.settings import StoreSettings, WebSettings

CHROMIUM = "/usr/bin/chromium"
REPEATS = 15
STORED = 100  # studies that are decided as a node does it; the others are copies of their rows
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
CALLS = (("no_pattern", "unchanged"), ("not_assessable", "unchanged"), ("possible", "P3"), ("possible", "P2"))
WEIGHTS = (14, 3, 2, 1)
SERVER = "import sys; from pathlib import Path; from bench.web.__main__ import served; served(Path(sys.argv[1]))"
DRAWN = "new Promise(done => requestAnimationFrame(() => setTimeout(done)))"


def settings_in(folder: Path) -> Settings:
    return Settings(store=StoreSettings(state_dir=folder, min_free_bytes=0), web=WebSettings(port=0))


def served(folder: Path) -> None:
    """The web application of the folder, until it is killed; its address on standard output."""
    with serving(settings_in(folder)) as url:
        print(url, flush=True)
        threading.Event().wait()


def fill(settings: Settings, index: NodeIndex, number: int) -> None:
    """Studies of all kinds with decisions, and one P1 in a hundred. Most are copies of the rows of the first ones: a
    node takes minutes to decide 10,000."""
    drawn, now = random.Random(1), datetime.now(UTC)
    for one in range(min(number, STORED)):
        category, priority = drawn.choices(CALLS, WEIGHTS)[0]
        if one % 100 == 0:
            category, priority = "neurotoxicity_suspected", "P1"
        study = StoredStudy(
            f"1.3.{one}", f"MRN-{drawn.randrange(99999)}", category=category, priority=priority, images=1,
            minutes=drawn.randrange(500_000), row={"patient_name": f"Name{one}^Given"},
        )  # fmt: skip
        store(index, study, now=now)
    engine = open_engine(settings.index_url)
    with engine.connect().execution_options(**{WRITES: True}) as connection, connection.begin():
        for table in (instances, series, studies, assessments):
            rows = [dict(row) for row in connection.execute(sa.select(table)).mappings()]
            copies = [_copied(row, copy) for copy in range(1, number // STORED) for row in rows]
            connection.execute(table.insert(), copies)
    engine.dispose()


def _copied(row: Mapping[str, Any], copy: int) -> dict[str, Any]:
    """The row as one of another study and patient, some hours older."""
    number, found = int(row["study_instance_uid"].split(".")[2]) + copy * STORED, dict(row)
    for name in row:
        if name.endswith("_uid") and name.startswith(("study", "series", "sop")) and not name.startswith("sop_class"):
            found[name] = row[name].replace(row["study_instance_uid"], f"1.3.{number}", 1)
        elif name == "patient_id":
            found[name] = f"{row[name]}-{copy}"
        elif name == "patient_name":
            found[name] = f"Name{number}^Given"
        elif isinstance(row[name], datetime):
            found[name] = row[name] - timedelta(hours=copy)
    return found


@contextmanager
def server(folder: Path) -> Iterator[tuple[str, int]]:
    """Its address and its process ID."""
    process = subprocess.Popen([sys.executable, "-c", SERVER, str(folder)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip(), process.pid
    finally:
        process.terminate()
        process.wait(10)


def cpu_s(pid: int) -> float:
    """Processor time of a process up to now."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def report(what: str, values: list[float], limit: float) -> None:
    ordered = sorted(values)
    print(f"{what:<44} median {statistics.median(ordered):6.0f} ms, worst {ordered[-1]:6.0f} ms, asked {limit:.0f} ms")


def first_bytes(url: str, path: str) -> list[float]:
    with httpx.Client(base_url=url, timeout=60) as client:
        client.get(path)
        found = []
        for _ in range(REPEATS):
            started = time.perf_counter()
            with client.stream("GET", path) as answer:
                next(answer.iter_raw(1))
                found.append(1000 * (time.perf_counter() - started))
        return found


def interactive(browser: Browser, url: str) -> list[float]:
    """From the request to a page that has run its scripts and drawn a frame."""
    found = []
    for _ in range(REPEATS):
        page = browser.new_page(base_url=url)
        started = time.perf_counter()
        page.goto("/", wait_until="domcontentloaded")  # the modules have run
        page.evaluate(DRAWN)
        found.append(1000 * (time.perf_counter() - started))
        page.close()
    return found


# the clock of the page is that of the machine; the driver's own questions to the page would cost it a frame or two
SHOWN = """([uid]) => { window.shown = new Promise(done => {
  const look = () => document.querySelector(`#rows .row[data-uid="${uid}"].g-p1`) !== null;
  const seen = new MutationObserver(() => {
    if (!look()) return;
    seen.disconnect();
    requestAnimationFrame(() => setTimeout(() => done(Date.now())));
  });
  seen.observe(document.body, {subtree: true, childList: true, attributes: true, attributeFilter: ["class"]});
}); }"""


def on_screen(page: Page, index: NodeIndex) -> list[float]:
    """From the stored decision to the frame that shows its row."""
    found = []
    for number in range(REPEATS):
        uid = f"1.9.{number}"
        store(index, StoredStudy(uid, category=None, minutes=600_000 + number), now=datetime.now(UTC))
        page.wait_for_timeout(3000)
        page.evaluate(SHOWN, [uid])
        store(index, StoredStudy(uid, minutes=600_000 + number), now=datetime.now(UTC))
        started = 1000 * time.time()
        found.append(page.evaluate("shown") - started)
    return found


def idle_share(url: str, pid: int, pages: int, seconds: float) -> float:
    """Share of one core that the server takes while this many pages are open and nothing happens."""
    with httpx.Client(base_url=url, limits=httpx.Limits(max_connections=pages + 1), timeout=60) as client:
        streams = [client.stream("GET", "/events") for _ in range(pages)]
        for stream in streams:
            next(stream.__enter__().iter_raw(1))
        time.sleep(2)
        before, started = cpu_s(pid), time.perf_counter()
        time.sleep(seconds)
        share = (cpu_s(pid) - before) / (time.perf_counter() - started)
        for stream in streams:
            stream.__exit__(None, None, None)
        return share


def timed(what: str, act: Callable[[], None]) -> None:
    started = time.perf_counter()
    act()
    print(f"{what:<44} {time.perf_counter() - started:6.1f} s")


def main() -> None:
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr] # each figure as soon as it is known
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=10_000)
    parser.add_argument("--pages", type=int, default=50)
    parser.add_argument("--beside", action="store_true", help="an assessment runs on the same machine")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        index = open_node_index(settings_in(folder))
        timed(f"{asked.studies} studies stored", lambda: fill(settings_in(folder), index, asked.studies))
        beside = assessing(folder) if asked.beside else nullcontext()
        with beside, server(folder) as (url, pid), sync_playwright() as playwright:
            report("first byte, reading order", first_bytes(url, "/"), 100)
            report("first byte, by patient, second window", first_bytes(url, "/?sort=patient&after=1.3.7"), 100)
            share = idle_share(url, pid, asked.pages, 20.0)
            print(f"{f'{asked.pages} open pages, nothing happens':<44} {share:6.1%} of one core, asked 10 %")
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
            report("interactive", interactive(browser, url), 500)
            page = browser.new_page(base_url=url)
            page.goto("/")
            report("a decision on the screen", on_screen(page, index), 300)
            browser.close()
        index.close()


if __name__ == "__main__":
    main()
