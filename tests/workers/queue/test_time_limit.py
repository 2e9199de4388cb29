"""Tasks that take too long are ended; one that only waits for a processor is not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.workers.queue.test_wedged import WAITS_S, _wait_for
from workers.queue.bell import CeleryBell, make_app
from workers.queue.broker import EmbeddedBroker
from workers.queue.time_limit import TaskTimes
from workers.settings import NodeSettings, QueueSettings, StoreSettings

LIMIT_S = 600.0


@pytest.mark.parametrize(
    ("looks", "over"),
    [
        pytest.param([(0, 0), (599, 0)], [], id="noop: in time"),
        pytest.param([(0, 0), (601, 0)], ["task"], id="asleep, or at work all the time"),
        pytest.param([(0, 0), (2900, 2400)], [], id="a busy machine"),
        pytest.param([(0, 0), (2900, 2200)], ["task"], id="a busy machine, and too long all the same"),
        pytest.param([(0, 5000), (601, 5000)], ["task"], id="what the process waited before does not count"),
        pytest.param([(0, 5000), (601, 0)], ["task"], id="not measured: the process has just ended"),
    ],
)
def test_whose_time_is_over(looks: list[tuple[float, float]], over: list[str]) -> None:
    seconds = iter([at for at, _ in looks] + [9e9] * 2)
    waited = iter([of_it for _, of_it in looks] + [0.0])
    times = TaskTimes(LIMIT_S, waited_s=lambda _: next(waited), monotonic=lambda: next(seconds))
    found = [times.over({"task": 7}) for _ in looks][-1]
    assert found == over
    assert times.over({}) == []
    assert times.over({"task": 7}) == [], "the same again is another attempt"


def test_a_task_has_its_own_time_in_each_process() -> None:
    now = 0.0
    times = TaskTimes(LIMIT_S, waited_s=lambda _: 0.0, monotonic=lambda: now)
    times.over({"one": 7, "two": 8})
    now = 500.0
    times.over({"one": 7, "two": 9})
    now = 700.0
    assert times.over({"one": 7, "two": 9}) == ["one"]


# ctypes.PyDLL keeps the interpreter locked during a call, as a library may
PROGRAM = """
import ctypes, sys
from pathlib import Path
from workers.config import Settings
from workers.queue.app import run_worker
from workers.queue.bell import ASSESS_STUDY, make_app
from workers.settings import QueueSettings, StoreSettings

folder, url = Path(sys.argv[1]), sys.argv[2]
queue = QueueSettings(url=url, task_time_limit_s=2, urgent_more=0)
settings = Settings(store=StoreSettings(state_dir=folder), queue=queue)
app = make_app(url, settings)

@app.task(name=ASSESS_STUDY, shared=False)
def assess(uid):
    (folder / uid).touch()
    if uid == "hangs":
        ctypes.PyDLL(None).sleep(1000)

run_worker(app, settings, only_urgent=True)
"""


@pytest.mark.server
def test_a_call_that_sleeps_for_ever_is_ended(tmp_path: Path) -> None:
    broker = EmbeddedBroker(tmp_path / "broker")
    broker.start()
    queue = QueueSettings(url=broker.url)
    bell = CeleryBell(make_app(broker.url, NodeSettings(store=StoreSettings(state_dir=tmp_path), queue=queue)))
    with (tmp_path / "log").open("wb") as log:
        worker = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(tmp_path), broker.url], stderr=log, stdout=log, start_new_session=True
        )
        try:
            for uid in ("hangs", "next"):
                bell.ring(uid, urgent=True)
                _wait_for(tmp_path / uid, WAITS_S)
        finally:
            os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()
            broker.stop()
    assert "worker.time_limit" in (tmp_path / "log").read_text(), "not by the limit that stands behind"
