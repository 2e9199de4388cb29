"""How long the study page takes in Chromium: first picture, all volumes, slices a second; and what its files cost.

A head of 256 x 256 x 150 voxels with noise is made here, stored as an assessment would, and served by the application
of `icansee web` on a free port. `--url` and `--study` measure a running node instead.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np

from bench.beside import assessing

CHROMIUM = "/usr/bin/chromium"
SHAPE = (150, 256, 256)  # k, j, i at 1 mm
UID = "1.2.826.0.1.3680043.10.1"
NAMES = {1: "white_matter_left", 2: "white_matter_right", 9: "thalamus_left", 10: "thalamus_right", 3: "pons"}
SCROLL = """async () => {
  const slider = document.querySelector('input[name=slice]'), number = 100, from = Math.floor(slider.max / 4);
  const start = performance.now();
  for (let n = 0; n < number; n++) {
    slider.value = from + n % (slider.max / 2);
    slider.dispatchEvent(new Event('input'));
    await new Promise(requestAnimationFrame);
  }
  return 1000 * number / (performance.now() - start);
}"""
MARKS = "Object.fromEntries(performance.getEntriesByType('mark').map(one => [one.name, one.startTime / 1000]))"


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--runs", type=int, default=5)
    asked.add_argument("--url", help="of a running node, e.g. http://127.0.0.1:8042")
    asked.add_argument("--study", help="UID of a study of that node")
    asked.add_argument("--beside", action="store_true", help="an assessment runs on the same machine")
    options = asked.parse_args()
    if options.url:
        measure(options.url, options.study, options.runs)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with assessing(folder) if options.beside else nullcontext():
            serve(folder / "state", options.runs)


def serve(state_dir: Path, runs: int) -> None:
    from tests.listener.web.serving import serving
    from workers.config import Settings
    from workers.settings import StoreSettings, WebSettings

    settings = Settings(store=StoreSettings(state_dir=state_dir, min_free_bytes=0), web=WebSettings(port=0))
    store(settings)
    with serving(settings) as url:
        measure(url, UID, runs)


def store(settings: Any) -> None:
    """One decided study with its files."""
    from triage.report.document import to_document
    from workers.container import open_results
    from workers.index.node_index import open_node_index
    from workers.outputs.evidence.files import maps_of
    from workers.outputs.evidence.volumes import write_volumes
    from workers.ports import InstanceRow

    outcome, now = an_outcome(), datetime.now(UTC)
    document = to_document(outcome.assessment) | {"decided_at": now.isoformat(timespec="seconds")}
    index = open_node_index(settings)
    index.record_instances([InstanceRow(f"{UID}.9", "1.2", "1.2", f"{UID}.2", UID, "bench/1.dcm", 1, now)])
    index.mark_ready(UID, now=now, reason="bench")
    claim = index.claim(UID, owner="bench", now=now, lease_s=600)
    assert claim is not None
    index.save_assessment(claim, stage="full", document=document, now=now)
    index.complete(claim, now=now)
    index.close()
    open_results(settings).write(UID, 1, outcome, document)
    maps = maps_of(outcome)
    with tempfile.TemporaryDirectory() as folder:
        started, used = time.perf_counter(), time.process_time()
        written = write_volumes(Path(folder), outcome, maps)
        passed, used = time.perf_counter() - started, time.process_time() - used
        size = sum(path.stat().st_size for path in written) / 1e6
    print(f"files of the viewer: {passed:.2f} s ({used:.2f} s of processor), {size:.1f} MB")


def an_outcome() -> Any:
    """A pair of heads with noise, regions and a difference, as an assessment ends with."""
    from triage.assessment import Assessed
    from triage.model import Patient, Study, Volume
    from triage.report.evidence import Evidence
    from workers.studies import refusals

    affine = np.eye(4)
    affine[:3, 3] = [-128, -128, -75]
    k, j, i = (np.arange(n, dtype=np.float32) - n / 2 for n in SHAPE)
    radius = (k[:, None, None] / 65) ** 2 + (j[None, :, None] / 85) ** 2 + (i[None, None, :] / 65) ** 2
    noise = np.random.default_rng(1)
    brain = radius < 1
    labels = np.where(brain, np.where(i > 0, 1, 2), 0).astype(np.uint8)
    labels[60:90, 118:138, 112:126], labels[60:90, 118:138, 130:144] = 10, 9

    def head(rise: float) -> Volume:
        voxels = 100 * brain + 60 * ((radius > 1.1) & (radius < 1.25)) + noise.normal(0, 6, SHAPE)
        return Volume((voxels * np.where(labels > 8, 1 + rise, 1)).astype(np.float32), affine)

    change = Volume((np.log1p(0.2) * (labels > 8) + noise.normal(0, 0.02, SHAPE)).astype(np.float32), affine)
    evidence = Evidence(
        head(0.2), head(0.0), Volume(labels, affine), NAMES, change, np.eye(4), np.eye(4),
        masks={"new_lesions": Volume((labels == 9).astype(np.uint8), affine)},
    )  # fmt: skip
    study = Study(UID, Patient("BENCH"), date(2026, 1, 8), None)
    refused = refusals.outcome(study, code="bench", message="a made head", infusion_date=None, versions={})
    return Assessed(replace(refused.assessment, registration=None), evidence)


def measure(url: str, uid: str, runs: int) -> None:
    from playwright.sync_api import sync_playwright

    first, everything, rates = list[float](), list[float](), list[float]()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        for _ in range(runs + 1):
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.goto(f"{url}/studies/{uid}")
            while page.evaluate("document.getElementById('viewer').dataset.state") != "ready":
                time.sleep(0.05)
            marks = page.evaluate(MARKS)
            first.append(marks["viewer-first"])
            everything.append(marks["viewer-all"])
            rates.append(page.evaluate(SCROLL))
            page.close()
        browser.close()
    for words, values, unit in (
        ("first picture", first[1:], "s"),
        ("all three volumes", everything[1:], "s"),
        ("scroll", rates[1:], "slices/s"),
    ):
        print(f"{words}: median {statistics.median(values):.2f} {unit} ({min(values):.2f} to {max(values):.2f})")


if __name__ == "__main__":
    main()
