"""Studies that hang in a call that never returns, in the real urgent worker: the next one begins within seconds."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.patience import PATIENCE_S
from workers.queue.bell import CeleryBell, make_app
from workers.queue.broker import EmbeddedBroker
from workers.settings import NodeSettings, QueueSettings, StoreSettings

pytestmark = pytest.mark.server

WAITS_S = 120.0  # for a study behind one that hangs, which it does for 1,000 s

# ctypes.PyDLL keeps the interpreter locked during a call, as a library may
PROGRAM = """
import ctypes, sys
from pathlib import Path
from workers.config import Settings
from workers.queue.app import run_worker
from workers.queue.bell import ASSESS_STUDY, make_app
from workers.settings import QueueSettings, StoreSettings

folder, url = Path(sys.argv[1]), sys.argv[2]
settings = Settings(store=StoreSettings(state_dir=folder), queue=QueueSettings(url=url))
app = make_app(url, settings)

@app.task(name=ASSESS_STUDY, shared=False)
def assess(uid):
    (folder / uid).touch()
    if uid.startswith("hangs"):
        ctypes.PyDLL(None).sleep(1000)

run_worker(app, settings, only_urgent=True)
"""


@pytest.fixture
def bell(tmp_path: Path) -> Iterator[CeleryBell]:
    """Of a worker with one child."""
    broker = EmbeddedBroker(tmp_path / "broker")
    broker.start()
    queue = QueueSettings(url=broker.url)
    with (tmp_path / "log").open("wb") as log:
        worker = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(tmp_path), broker.url], stderr=log, stdout=log, start_new_session=True
        )
        try:
            yield CeleryBell(make_app(broker.url, NodeSettings(store=StoreSettings(state_dir=tmp_path), queue=queue)))
        finally:
            os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()
            broker.stop()


def test_two_that_hang_do_not_delay_a_third(tmp_path: Path, bell: CeleryBell) -> None:
    bell.ring("begins", urgent=True)
    _wait_for(tmp_path / "begins", PATIENCE_S)
    for uid in ("hangs 1", "hangs 2", "third"):
        bell.ring(uid, urgent=True)
        _wait_for(tmp_path / uid, WAITS_S)


def _wait_for(path: Path, most_s: float) -> None:
    end = time.monotonic() + most_s
    while not path.exists():
        assert time.monotonic() < end, f"{path.name} did not begin: {(path.parent / 'log').read_text()[-2000:]}"
        time.sleep(0.05)
