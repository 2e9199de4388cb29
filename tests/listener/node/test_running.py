"""What a process announces, and who may take it back."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from listener.node.running import announce, forget, read_ready, withdraw


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
