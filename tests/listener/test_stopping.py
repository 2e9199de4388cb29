"""A listener that stops while an object is on its way to the disk: its row is written, or it is said that one is missing."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from listener import receiver
from tests.listener.harness import Node, eventually, running
from tests.listener.rawscu import Raw, store_pdus
from tests.workers.data_sets import STUDY, a_data_set, encoded
from workers.files import FileStore

UID = f"{STUDY}.1.1"


def told(logs: list[Any], event: str) -> bool:
    return any(entry["event"] == event for entry in logs)


def stop_while_it_flushes(state: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, logs: list[Any]) -> Node:
    """Send one object whose flush takes that long, and stop the listener in the middle of it."""
    flushing = threading.Event()
    real = FileStore.flush

    def flush(self: FileStore, fd: int) -> None:
        flushing.set()
        time.sleep(seconds)
        real(self, fd)

    with monkeypatch.context() as patched, running(state, stop_grace_s=0.1) as node:
        eventually(lambda: told(logs, "store.reconciled"))  # the scan at the start finds nothing any more
        patched.setattr(FileStore, "flush", flush)
        with Raw.connect(node.port).associate() as raw:
            raw.send(b"".join(store_pdus(UID, encoded(a_data_set()))))
            eventually(flushing.is_set)
            node.stop.set()
            eventually(raw.hung_up)
    return node


@pytest.mark.parametrize(
    ("seconds", "wait_s", "missing"),
    [
        pytest.param(0.0, 2.0, False, id="noop: it was through"),
        pytest.param(1.0, 5.0, False, id="it ends in time: its row is written"),
        pytest.param(2.5, 0.2, True, id="it hangs: a row may be missing, and the next start looks"),
    ],
)
def test_an_object_on_its_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, wait_s: float, missing: bool
) -> None:
    monkeypatch.setattr(receiver, "ABORT_WAIT_S", wait_s)
    with capture_logs() as logs:
        node = stop_while_it_flushes(tmp_path / "state", monkeypatch, seconds, logs)
    assert told(logs, "index.not_flushed") == missing
    if not missing:
        assert node.indexed() == 1
    with running(tmp_path / "state") as again:
        eventually(lambda: again.indexed() == 1)
        assert list(again.data_sets()) == [UID]
