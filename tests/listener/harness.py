"""A listener inside the test process (fast) or as a process of its own (to be killed)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.patience import PATIENCE_S
from workers.config import Settings, parse
from workers.files.store import FileStore
from workers.index.sql import open_index
from workers.ports import InstanceRow

DCMTK = {**os.environ, "TCP_NODELAY": "1"}  # Debian's dcmtk leaves Nagle on: 22 images per second


_PROGRAM = """
import json, signal, sys, threading
from pathlib import Path
from workers.config import parse
from listener.door import run as scp
settings, announce = parse(json.loads(sys.argv[1])), Path(sys.argv[2])
stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
def ready(port):
    announce.with_suffix(".new").write_text(str(port))
    announce.with_suffix(".new").replace(announce)
scp.run(settings, stop=stop, ready=ready)
"""


def eventually(condition: Callable[[], object], *, what: str = "") -> None:
    """Wait for something that happens in another thread; fail when it does not."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, what or "it did not happen"
        time.sleep(0.02)


@dataclass
class Node:
    port: int
    settings: Settings
    stop: threading.Event
    stored: list[InstanceRow]

    @property
    def store(self) -> FileStore:
        return FileStore(self.settings.store.state_dir)

    def data_sets(self) -> dict[str, bytes]:
        """SOP Instance UID -> whole file, of everything stored."""
        return {path.stem: path.read_bytes() for path in self.store.all_files()}

    def temporary_files(self) -> list[str]:
        return [path.name for path in self.store.root.rglob(".*.part")]

    def indexed(self) -> int:
        index = open_index(self.settings.index_url)
        try:
            return sum(study.instance_count for study in index.studies())
        finally:
            index.close()


def settings_for(state_dir: Path, *, sections: dict[str, Any] | None = None, **listener: Any) -> dict[str, Any]:
    """sections: settings beside those of the listener."""
    found = {
        "listener": {"port": 0, "stop_grace_s": 5.0, **listener},
        "store": {"state_dir": str(state_dir), "min_free_bytes": 0},
    }
    for name, values in (sections or {}).items():
        found[name] = {**found.get(name, {}), **values}
    return found


@contextmanager
def running(state_dir: Path, *, sections: dict[str, Any] | None = None, **listener: Any) -> Iterator[Node]:
    """A listener in a thread of this process."""
    from listener.door import run as scp

    settings = parse(settings_for(state_dir, sections=sections, **listener))
    stop, ready, ports = threading.Event(), threading.Event(), []
    stored: list[InstanceRow] = []

    def announce(port: int) -> None:
        ports.append(port)
        ready.set()

    thread = threading.Thread(
        target=scp.run, args=(settings,), kwargs={"stop": stop, "on_stored": stored.extend, "ready": announce}
    )
    temporary = tempfile.tempdir  # the stock path changes it for its process
    thread.start()
    try:
        assert ready.wait(PATIENCE_S), "the listener did not start"
        yield Node(ports[0], settings, stop, stored)
    finally:
        stop.set()
        thread.join(PATIENCE_S)
        tempfile.tempdir = temporary
    assert not thread.is_alive(), "the listener did not stop"


@contextmanager
def process(
    state_dir: Path, *, sections: dict[str, Any] | None = None, **listener: Any
) -> Iterator[tuple[subprocess.Popen[bytes], Node]]:
    """A listener as a process. Ends it with SIGTERM unless the test has ended it."""
    raw = settings_for(state_dir, sections=sections, **listener)
    state_dir.mkdir(parents=True, exist_ok=True)
    announce = state_dir / "port"
    announce.unlink(missing_ok=True)
    child = subprocess.Popen([sys.executable, "-c", _PROGRAM, json.dumps(raw), str(announce)])
    try:
        eventually(lambda: announce.exists() or child.poll() is not None, what="the listener did not start")
        assert child.poll() is None, "the listener ended at once"
        yield child, Node(int(announce.read_text()), parse(raw), threading.Event(), [])
    finally:
        if child.poll() is None:
            child.terminate()
        child.wait(PATIENCE_S)


def dcmtk(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a program of dcmtk; Python packages install others under the same names."""
    path = Path("/usr/bin") / program
    assert path.exists(), f"dcmtk is not installed: apt-get install -y dcmtk ({path})"
    return subprocess.run(
        [path, *map(str, arguments)], env=DCMTK, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
