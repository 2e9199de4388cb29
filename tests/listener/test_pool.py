"""Several receiving processes behind one port: shared work, children that die, and children that end at the stop."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from listener import pool as pool_module
from listener.pool import ProcessPool, _Child
from listener.pool_child import UNFINISHED
from tests.listener.harness import Node, eventually, process, settings_for
from tests.listener.rawscu import Raw
from tests.workers.data_sets import STUDY, a_data_set, encoded
from workers.config import parse

UID = f"{STUDY}.1.1"
DATA = encoded(a_data_set())


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], Node]]:
    with process(tmp_path / "state", processes=2) as one:
        yield one


def _children(parent: int) -> list[int]:
    listed = subprocess.run(["pgrep", "-P", str(parent)], capture_output=True, text=True, check=False).stdout
    return [int(line) for line in listed.split()]


def test_several_processes_share_a_port_and_an_index(
    pool: tuple[subprocess.Popen[bytes], Node], tmp_path: Path
) -> None:
    child, node = pool
    assert len(_children(child.pid)) == 2
    raws = [Raw.connect(node.port).associate() for _ in range(4)]
    for number, raw in enumerate(raws * 5):
        assert raw.store(f"{STUDY}.1.{number}", encoded(a_data_set(number))) == 0
    for raw in raws:
        raw.release()
    eventually(lambda: node.indexed() == 20, what="rows of the children did not arrive")
    child.terminate()
    assert child.wait(30) == 0
    assert _children(child.pid) == []


@pytest.mark.chaos
def test_a_killed_child_is_replaced_and_its_rows_are_found(pool: tuple[subprocess.Popen[bytes], Node]) -> None:
    child, node = pool
    acknowledged: list[int] = []

    def send_until_dead(part: int) -> None:
        with pytest.raises(OSError), Raw.connect(node.port).associate() as raw:  # noqa: PT011, PT012
            for number in range(part, 100_000, 2):
                if raw.store(f"{STUDY}.1.{number}", encoded(a_data_set(number))) == 0:
                    acknowledged.append(number)

    with ThreadPoolExecutor(2) as senders:
        running_senders = [senders.submit(send_until_dead, part) for part in range(2)]
        eventually(lambda: len(acknowledged) > 30)
        victims = _children(child.pid)
        for victim in victims:
            os.kill(victim, signal.SIGKILL)
        for sender in running_senders:
            sender.result(timeout=60)
    eventually(lambda: len(set(_children(child.pid)) - set(victims)) == 2, what="children were not replaced")
    eventually(lambda: _served(node), what="the new children do not serve")
    stored = node.data_sets()
    assert {f"{STUDY}.1.{number}" for number in acknowledged} <= set(stored)
    eventually(lambda: node.indexed() == len(stored), what="rows were not found by the scan")


@pytest.mark.chaos
def test_a_killed_child_is_replaced_when_its_numbers_cannot_be_kept(pool: tuple[subprocess.Popen[bytes], Node]) -> None:
    child, node = pool
    (node.settings.store.state_dir / "run/meters/dead.json").mkdir()
    victims = _children(child.pid)
    eventually(lambda: all((node.settings.store.state_dir / f"run/meters/{pid}.json").is_file() for pid in victims))
    for victim in victims:
        os.kill(victim, signal.SIGKILL)
    eventually(lambda: len(set(_children(child.pid)) - set(victims)) == 2, what="children were not replaced")
    eventually(lambda: _served(node), what="the new children do not serve")


def _served(node: Node) -> bool:
    try:
        with Raw.connect(node.port).associate() as raw:
            return raw.store(UID, DATA) == 0
    except OSError:
        return False


@pytest.mark.parametrize(
    ("code", "asks"),
    [
        pytest.param(0, False, id="noop: everything was reported"),
        pytest.param(UNFINISHED, True, id="a row may be missing"),
        pytest.param(-9, True, id="it was killed"),
    ],
)
def test_a_child_that_ends_at_the_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, asks: bool) -> None:
    monkeypatch.setattr(ProcessPool, "_start", lambda *_: None)
    losses: list[bool] = []
    pool = ProcessPool(parse(settings_for(tmp_path)), lambda _: None, lambda: losses.append(True))
    pool.close(grace_s=0.0)
    end = f"import os; os._exit({code})" if code >= 0 else "import os; os.kill(os.getpid(), 9)"
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.close()
    pool._listen(0, _Child(subprocess.Popen([sys.executable, "-c", end]), ours))
    assert bool(losses) is asks


def test_a_child_that_cannot_be_started_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []
    answers = [None, OSError(errno.ENOMEM, "no memory"), OSError(errno.EMFILE, "too many files"), None]

    def popen(*_args: Any, **_more: Any) -> subprocess.Popen[bytes]:
        if (answer := answers.pop(0)) is not None:
            raise answer
        started.append(real([sys.executable, "-c", "import time; time.sleep(100)"]))
        return started[-1]

    real = subprocess.Popen
    monkeypatch.setattr(pool_module.subprocess, "Popen", popen)
    monkeypatch.setattr(pool_module, "RESTART_PAUSE_S", 0.01)
    monkeypatch.setattr(pool_module, "END_WAIT_S", 0.1)
    pool = ProcessPool(parse(settings_for(tmp_path)), lambda _: None, lambda: None)
    descriptors = _open_descriptors()
    started[0].kill()
    eventually(lambda: len(started) == 2, what="no other child was started")
    assert _open_descriptors() == descriptors
    pool.close(grace_s=0.0)
    assert [one.poll() for one in started] == [-signal.SIGKILL] * 2


def _open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())
