"""What a process announces, and who may take it back."""

from __future__ import annotations

import json
import os
import shutil
import threading
from pathlib import Path

import pytest

from listener.node import running
from listener.node.running import announce, forget, read_ready, withdraw
from tests.listener.harness import eventually
from tests.patience import PATIENCE_S


@pytest.mark.parametrize(
    ("content", "stays"),
    [
        pytest.param(None, False, id="noop: nothing was announced"),
        pytest.param({"pid": os.getpid(), "port": 1}, False, id="its own"),
        pytest.param({"pid": 1, "port": 1}, True, id="of its successor"),
        pytest.param({}, True, id="of nobody"),
        pytest.param([], True, id="something else"),
    ],
)
def test_withdraw(tmp_path: Path, content: object, stays: bool) -> None:
    path = tmp_path / "listener.json"
    if content is not None:
        path.write_text(json.dumps(content), encoding="utf-8")
    withdraw(path)
    assert path.exists() is stays
    forget(path)
    assert not path.exists()


def test_announced_and_withdrawn(tmp_path: Path) -> None:
    path = tmp_path / "run" / "web.json"
    announce(path, port=8042)
    assert read_ready(path) == {"pid": os.getpid(), "port": 8042}
    withdraw(path)
    assert read_ready(path) is None


@pytest.mark.parametrize("withdrawn", [False, True], ids=["it works", "it has ended meanwhile"])
def test_a_process_that_cannot_say_that_it_is_ready_works_and_says_it_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, withdrawn: bool
) -> None:
    monkeypatch.setattr(running, "ANNOUNCE_AGAIN_S", 0.02)
    path = tmp_path / "run" / "web.json"
    path.parent.write_text("", encoding="ascii")  # in the place of the folder
    before = set(threading.enumerate())
    announce(path, port=8042)
    [saying] = set(threading.enumerate()) - before
    assert read_ready(path) is None
    if withdrawn:
        withdraw(path)
    path.parent.unlink()
    if not withdrawn:
        eventually(lambda: read_ready(path) is not None)
        withdraw(path)
    saying.join(PATIENCE_S)
    assert not saying.is_alive()
    assert read_ready(path) is None


def test_what_somebody_deletes_is_said_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a state folder that was moved away nothing is made anew."""
    monkeypatch.setattr(running, "ANNOUNCE_AGAIN_S", 0.02)
    path = tmp_path / "state" / "run" / "web.json"
    before = set(threading.enumerate())
    announce(path, port=8042)
    [saying] = set(threading.enumerate()) - before
    shutil.rmtree(path.parent)
    eventually(lambda: read_ready(path) is not None)
    (tmp_path / "state").rename(tmp_path / "elsewhere")
    saying.join(10 * running.ANNOUNCE_AGAIN_S)
    assert saying.is_alive()
    assert not (tmp_path / "state").exists()
    withdraw(path)
    saying.join(PATIENCE_S)
