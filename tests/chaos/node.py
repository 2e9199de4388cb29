"""A whole node as real processes in a folder of its own, and the means to kill parts of it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from listener.node.running import read_ready
from tests.patience import PATIENCE_S
from workers import config
from workers.index.sql import SqlIndex, open_index
from workers.ports import StudyRow, StudyState

LEASE_S = 6.0
SELDOM_S = 0.2  # between two looks: each takes something of the cores that the node needs
SOON_S = 0.02  # the same, for what does not last


class Node:
    """`icansee serve` on free ports. Short lease and quiet period, so that tests do not wait for the defaults."""

    def __init__(self, folder: Path, **queue: object) -> None:
        self.folder = folder
        self.state = folder / "state"
        self._config = folder / "config.yaml"
        self._process: subprocess.Popen[bytes] | None = None
        settings = {
            "store": {"state_dir": str(self.state), "min_free_bytes": 0},
            "listener": {"port": 0},
            "web": {"port": 0},
            # one worker: the tests end it and look who takes the study up
            "queue": {"lease_s": LEASE_S, "sweep_every_s": 1.0, "retry_delay_s": 1.0, "urgent_worker": False, **queue},
            "arrival": {"quiet_period_s": 4.0},
            "baseline": {"prepare_ahead": False},  # no test compares, and the next study would wait for it
        }
        self._config.write_text(yaml.safe_dump(settings), encoding="utf-8")

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "listener.commands.main", *arguments, "--config", str(self._config)]

    def start(self) -> None:
        ready = self.folder / "ready.json"
        ready.unlink(missing_ok=True)
        with (self.folder / "log.jsonl").open("ab") as log:
            self._process = subprocess.Popen(
                self.command("serve", "--ready-file", str(ready), "--parent", str(os.getpid())),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_for("the node to be ready", lambda: ready.exists() or not self.alive())
        assert self.alive(), (self.folder / "log.jsonl").read_text()[-3000:]

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(PATIENCE_S)

    def end(self) -> None:
        """After a test, whatever its outcome: nothing of the node may survive."""
        if self.alive():
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.stop()
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def pid_of(self, name: str) -> int:
        """listener, worker, beat, web or broker."""
        if name == "broker":
            return int((self.state / "broker" / "server.pid").read_text())
        return int(json.loads((self.state / "run" / f"{name}.json").read_text())["pid"])

    def pids(self) -> list[int]:
        """Processes of this node that live: their command line, environment aside, names its folder."""
        needle = str(self.folder).encode()
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                stopped = (entry / "stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
                inside = os.fsencode((entry / "cwd").readlink()).startswith(needle)
                if not stopped and (inside or needle in (entry / "cmdline").read_bytes()):
                    found.append(int(entry.name))
        return [pid for pid in found if pid != os.getpid()]

    @property
    def dicom_port(self) -> int:
        return int(json.loads((self.state / "run" / "listener.json").read_text())["port"])

    @property
    def index(self) -> SqlIndex:
        return open_index(config.load(self._config).index_url)

    def send(self, folder: Path) -> None:
        subprocess.run(self.command("send", str(folder)), check=True, capture_output=True, timeout=PATIENCE_S)

    def wait_for_state(self, study: str, *states: StudyState) -> StudyRow:
        """Studies that come before it may take long: the wait begins anew whenever one of them has got further."""
        index = self.index
        try:
            wait_for(
                f"{study[-6:]} to be {states}",
                lambda: (row := index.study(study)) is not None and row.state in states,
                progress=lambda: [(row.study_instance_uid, row.state, row.category) for row in index.studies()],
            )
            row = index.study(study)
            assert row is not None
            return row
        finally:
            index.close()

    def wait_for_another(self, name: str, dead: int) -> None:
        """Until the supervisor has another process of this name ready."""
        facts = self.state / "run" / f"{name}.json"
        wait_for(f"another {name}", lambda: (ready := read_ready(facts)) is not None and ready["pid"] != dead)

    def wait_for_process(self, name: str) -> None:
        """Until a process of this name is ready."""
        facts = self.state / "run" / f"{name}.json"
        wait_for(f"the {name}", lambda: (ready := read_ready(facts)) is not None and _lives(ready["pid"]))

    def wait_for_worker_on(self, study: str) -> StudyRow:
        """The row while somebody works on the study."""
        index = self.index
        try:
            wait_for(
                "a worker to take the study",
                lambda: (row := index.study(study)) is not None and bool(row.lease_owner),
                every_s=SOON_S,
            )
            row = index.study(study)
            assert row is not None
            return row
        finally:
            index.close()


def _lives(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def wait_for(
    what: str,
    condition: Callable[[], bool],
    *,
    every_s: float = SELDOM_S,
    progress: Callable[[], object] = lambda: None,
) -> None:
    """progress: while its value changes, there is more patience."""
    deadline, before = time.monotonic() + PATIENCE_S, progress()
    while not condition():
        if time.monotonic() >= deadline:
            now = progress()
            assert now != before, f"waited {PATIENCE_S:g} s for {what}"
            deadline, before = time.monotonic() + PATIENCE_S, now
        time.sleep(every_s)


@contextmanager
def running_node(folder: Path, **queue: object) -> Iterator[Node]:
    """queue: settings of this section."""
    node = Node(folder, **queue)
    try:
        node.start()
        yield node
    finally:
        node.end()


class SharedNode:
    """One node for several tests."""

    def __init__(self, factory: pytest.TempPathFactory, **queue: object) -> None:
        self._factory, self._queue = factory, queue
        self._node: Node | None = None

    def whole(self) -> Node:
        """The node with all of its processes: the one of the test before, unless it ended."""
        if self._node is None or not self._node.alive():
            self.close()
            self._node = Node(self._factory.mktemp("node"), **self._queue)
            self._node.start()
        for name in ("listener", "worker", "beat", "web"):
            self._node.wait_for_process(name)
        return self._node

    def close(self) -> None:
        """End the node."""
        if self._node is not None:
            self._node.end()
            self._node = None
