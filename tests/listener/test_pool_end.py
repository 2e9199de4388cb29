"""What a pool makes of the way in which a child ended while everything was being stopped."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from listener.pool import ProcessPool, _Child
from listener.pool_child import UNFINISHED
from tests.listener.harness import settings_for
from workers.config import parse


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
