"""The process `icansee deliver` as it is: a stored decision reaches a folder, also after it was killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.listener.commands.cli_runner import Icansee
from tests.listener.commands.test_studies import UID, receive
from tests.patience import PATIENCE_S


def start(icansee: Icansee) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "listener.commands.main", "deliver"],
        cwd=icansee.folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    )


HEAVY = ("SimpleITK", "scipy", "numpy", "highdicom", "pydicom", "PIL")


def test_it_starts_without_the_core_and_renders_a_document_without_image_libraries(icansee: Icansee) -> None:
    out = icansee.folder / "out"
    out.mkdir()
    destination = {"name": "share", "kind": "folder", "path": str(out), "outputs": ["document"]}
    icansee.configure(results={"destinations": [destination], "backfill_s": 1e9})
    process = start(icansee)
    ready = icansee.folder / "state" / "run" / "deliver.json"
    try:
        until(ready.is_file)
        assert loaded(process.pid, HEAVY) == []
        receive(icansee)
        until((out / UID / "r1-full" / "document.json").is_file)
        assert loaded(process.pid, ("SimpleITK", "highdicom", "PIL")) == []
    finally:
        process.terminate()
        code = process.wait(PATIENCE_S)
    assert code == 0
    assert not ready.exists()


def loaded(pid: int, libraries: tuple[str, ...]) -> list[str]:
    """Those of the libraries that the process has in its memory; pure Python ones do not show."""
    maps = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8")
    return [name for name in libraries if f"/{name}" in maps]


@pytest.mark.parametrize("killed", [False, True])
def test_a_decision_reaches_a_folder(icansee: Icansee, killed: bool) -> None:
    out = icansee.folder / "out"
    destination = {"name": "share", "kind": "folder", "path": str(out), "outputs": ["document"]}
    # the decision of the test is of long ago
    icansee.configure(results={"destinations": [destination], "first_pause_s": 0.1, "backfill_s": 1e9})
    receive(icansee)
    process = start(icansee)
    try:
        if killed:  # while the share is not mounted
            until(lambda: "does not exist" in icansee("deliveries", "list").out)
            process.send_signal(signal.SIGKILL)
            process.wait(PATIENCE_S)
            process = start(icansee)
        out.mkdir()
        file = out / UID / "r1-full" / "document.json"
        until(file.is_file)
        until(lambda: " done " in icansee("deliveries", "list").out)
    finally:
        process.terminate()
        code = process.wait(PATIENCE_S)
    assert code == 0
    assert json.loads(file.read_text(encoding="utf-8"))["study"]["study_instance_uid"] == UID


def test_an_output_that_nobody_makes_is_refused_by_name(icansee: Icansee) -> None:
    destination = {"name": "share", "kind": "folder", "path": "/", "outputs": ["csv"]}
    icansee.configure(results={"destinations": [destination]})
    answer = icansee("deliver")
    assert answer.code == 2
    assert "csv is no output; there are document" in answer.err


def until(holds: object, within_s: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if callable(holds) and holds():
            return
        time.sleep(0.1)
    raise AssertionError("it did not happen")
