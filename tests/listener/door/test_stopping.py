"""A listener that stops while an object is on its way to the disk: its row is written, or it is said that one is
missing."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from listener.associations import receiver
from tests.listener.harness import PATIENCE_S, eventually, running
from tests.listener.rawscu import Raw, store_pdus
from tests.workers.reading.data_sets import STUDY, a_data_set, encoded
from workers.files.store import FileStore

UID = f"{STUDY}.1.1"


def told(logs: list[Any], event: str) -> bool:
    return any(entry["event"] == event for entry in logs)


class SlowDisk:
    """Flushes wait until they are released."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.flushing, self.released = threading.Event(), threading.Event()
        real = FileStore.flush

        def flush(store: FileStore, fd: int) -> None:
            self.flushing.set()
            self.released.wait(PATIENCE_S)
            real(store, fd)

        monkeypatch.setattr(FileStore, "flush", flush)


@pytest.mark.parametrize(
    ("before", "missing"),
    [
        pytest.param("the stop", False, id="noop: it was through"),
        pytest.param("the end", False, id="it ends in time: its row is written"),
        pytest.param("", True, id="it hangs: a row may be missing, and the next start looks"),
    ],
)
def test_an_object_on_its_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str, missing: bool) -> None:
    state = tmp_path / "state"
    monkeypatch.setattr(receiver, "ABORT_WAIT_S", 0.2 if missing else PATIENCE_S)
    with capture_logs() as logs, monkeypatch.context() as patched:
        with running(state, stop_grace_s=0.1) as node:
            eventually(lambda: told(logs, "store.reconciled"))  # the scan at the start finds nothing any more
            disk = SlowDisk(patched)
            with Raw.connect(node.port).associate() as raw:
                raw.send(b"".join(store_pdus(UID, encoded(a_data_set()))))
                eventually(disk.flushing.is_set)
                if before == "the stop":
                    disk.released.set()
                    assert raw.status() == 0
                node.stop.set()
                eventually(raw.hung_up)
            if before == "the end":
                disk.released.set()
        disk.released.set()
    assert told(logs, "listener.object_unfinished") == told(logs, "index.not_flushed") == missing
    if not missing:
        assert node.indexed() == 1
    with running(state) as again:
        eventually(lambda: again.indexed() == 1)
        assert list(again.data_sets()) == [UID]


def test_a_sender_that_is_silent_inside_an_object_is_no_alarm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiver, "ABORT_WAIT_S", 1.0)
    with capture_logs() as logs, running(tmp_path / "state", stop_grace_s=0.1) as node:
        eventually(lambda: told(logs, "store.reconciled"))
        with Raw.connect(node.port).associate() as raw:
            raw.send(b"".join(store_pdus(UID, encoded(a_data_set())))[:-10])
            time.sleep(0.2)
            node.stop.set()
            eventually(raw.hung_up)
            eventually(lambda: told(logs, "listener.stopped"))
    assert not told(logs, "listener.object_unfinished")
    assert not told(logs, "index.not_flushed")
    assert node.data_sets() == {}
