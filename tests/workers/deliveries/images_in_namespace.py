"""Runs inside a network namespace of its own: Orthanc binds every address. A study that no worker looks at, and one
whose triage failed, come in; `icansee deliver` sends their images to Orthanc and to dcmtk, and is killed in the middle.
What both hold is written down."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from pydicom import Dataset
from pydicom.encaps import encapsulate

from tests.patience import PATIENCE_S
from tests.workers.priors.in_namespace import ORTHANC_DICOM, ORTHANC_HTTP, ask, orthanc, until
from tests.workers.reading.data_sets import EXPLICIT, IMPLICIT, STUDY, a_data_set, encoded, put
from workers.config import Settings, parse
from workers.container import node_index, open_deliveries
from workers.delivery_ports import DeliveryState
from workers.files.store import open_files
from workers.ports import StudyIndex

STORESCP = 14246
JPEG_2000 = "1.2.840.10008.1.2.4.90"
IN_EACH_SERIES = 30
RULES = """
unmatched: keep
rules:
  - name: images at once
    at: arrival
    when: modalities == ["MR"]
    forward: [{images: study, to: [store, dcmtk, stow]}]
"""


def images() -> list[tuple[Dataset, str]]:
    """Three series of one study, each in a transfer syntax of its own."""
    some = []
    for series, syntax in enumerate((EXPLICIT, IMPLICIT, JPEG_2000)):
        for number in range(IN_EACH_SERIES):
            uids = {"SOPInstanceUID": f"{STUDY}.{series}.{number}", "SeriesInstanceUID": f"{STUDY}.{series}"}
            data_set = a_data_set(number, NumberOfFrames=None, **uids)
            if syntax == JPEG_2000:
                data_set.PixelData = encapsulate([b"\xff\x4f" + bytes([number]) * 1000])
                data_set["PixelData"].VR = "OB"
                data_set["PixelData"].is_undefined_length = True
            some.append((data_set, syntax))
    return some


def receive(settings: Settings, index: StudyIndex, some: list[tuple[Dataset, str]]) -> None:
    files = open_files(settings)
    index.record_instances([put(files, data_set, syntax).row for data_set, syntax in some])


def triage_fails(index: StudyIndex) -> None:
    now = datetime.now(UTC)
    assert index.mark_ready(STUDY, now=now, reason="test")
    claim = index.claim(STUDY, owner="worker", now=now, lease_s=60)
    assert claim is not None
    index.fail(claim, reason="the engine failed", retry_at=None, now=now)


def deliver(folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "listener.commands.main", "deliver", "--config", str(folder / "config.yaml")]
    with (folder / "deliver.log").open("ab") as log:
        return subprocess.Popen(command, stderr=log, stdout=log)


def held() -> int:
    return int(ask("/statistics")["CountInstances"])


def text_of(path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{ORTHANC_HTTP}{path}", timeout=PATIENCE_S) as answer:
        return str(answer.read().decode())


def main(folder: Path) -> None:
    node = {"kind": "dicom", "host": "127.0.0.1", "outputs": ["images"]}
    destinations: list[dict[str, Any]] = [
        {**node, "name": "store", "ae_title": "ORTHANC", "port": ORTHANC_DICOM},
        {**node, "name": "dcmtk", "ae_title": "DCMTK", "port": STORESCP},
        {**node, "name": "dead", "ae_title": "DEAD", "port": STORESCP + 1},
        {"kind": "stow", "name": "stow", "url": f"http://127.0.0.1:{ORTHANC_HTTP}/dicom-web", "outputs": ["images"]},
    ]
    (folder / "rules.yaml").write_text(RULES.replace("stow]", "stow, dead]"), encoding="utf-8")
    raw = {
        "store": {"state_dir": str(folder / "state")},
        "results": {"destinations": destinations, "rules": str(folder / "rules.yaml"), "first_pause_s": 0.2},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(raw), encoding="utf-8")
    settings = parse(raw)
    index, some = node_index(settings), images()
    out = folder / "dcmtk"
    out.mkdir()
    store = ["/usr/bin/storescp", "+xa", "+B", "-od", str(out), str(STORESCP)]
    with orthanc(folder), subprocess.Popen(store) as storescp:
        try:
            answer = _sent(folder, settings, index, some)
        finally:
            storescp.terminate()
    answer["same_bytes"] = sum(
        (out / f"MR.{data_set.SOPInstanceUID}").read_bytes().endswith(encoded(data_set, syntax))
        for data_set, syntax in some
    )
    answer["dcmtk"] = len(list(out.iterdir()))
    (folder / "answer.json").write_text(json.dumps(answer), encoding="utf-8")


def _sent(folder: Path, settings: Settings, index: StudyIndex, some: list[tuple[Dataset, str]]) -> dict[str, Any]:
    deliveries = open_deliveries(settings)
    process = deliver(folder)
    until(deliveries.all_known, "the destinations are not known")
    receive(settings, index, some[:-1])
    triage_fails(index)
    until(lambda: held() >= 10, "no image arrives")
    process.send_signal(signal.SIGKILL)
    process.wait(PATIENCE_S)
    at_the_kill = held()
    process = deliver(folder)
    receive(settings, index, some[-1:])  # one more comes late
    open_ones = (DeliveryState.PLANNED, DeliveryState.SENDING)
    try:
        until(
            lambda: held() == len(some) and not _to_the_living(deliveries.listed(states=open_ones)),
            "images are missing",
        )
        # the dead one is tried again and again
        rows = [one for one in deliveries.listed() if (one.destination, one.state) != ("dead", DeliveryState.SENDING)]
    finally:
        process.terminate()
        code = process.wait(PATIENCE_S)
    syntaxes = {text_of(f"/instances/{one}/metadata/TransferSyntax") for one in ask("/instances")}
    return {
        "code": code,
        "at_the_kill": at_the_kill,
        "orthanc": held(),
        "decisions": len(index.assessments(STUDY)),
        "states": sorted({(one.destination, one.state.value) for one in rows}),
        "syntaxes": sorted(syntaxes),
    }


def _to_the_living(rows: list[Any]) -> list[Any]:
    return [one for one in rows if one.destination != "dead"]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
