"""The receivers of bench/ingest: started fresh in an empty folder, processor time and memory read from /proc."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

NODELAY = {**os.environ, "TCP_NODELAY": "1"}  # dcmtk and Orthanc of Debian leave Nagle on: 22 images a second
TICKS = os.sysconf("SC_CLK_TCK")

_OURS = """
from listener.door.small_process import settle, start_small
start_small()
import json, signal, sys, threading
from pathlib import Path
from workers.settings import NodeSettings
from workers import log
from listener.door import run as scp
settings, announce = NodeSettings.model_validate(json.loads(sys.argv[1])), Path(sys.argv[2])
log.configure(settings.log, process="bench")
stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
ready = lambda port: (settle(), announce.write_text(str(port)))
scp.run(settings, stop=stop, ready=ready, durable=sys.argv[3] == "durable")
"""


@dataclass(frozen=True)
class Receiver:
    """command: (folder, port) -> argument list. port 0: the receiver writes the port it took into folder/port."""

    name: str
    called: str
    command: Callable[[Path, int], list[str]]
    takes_port: bool = True
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Usage:
    cpu_s: float
    peak_rss_mb: float  # of the largest process
    rss_mb: float  # of all of them, now


def ours(name: str, *, durable: bool = True, **listener: object) -> Receiver:
    def command(folder: Path, _port: int) -> list[str]:
        settings = {
            "listener": {"port": 0, "max_associations_per_address": 1000, **listener},
            "store": {"state_dir": str(folder / "state")},
            "log": {"level": "error"},
        }
        durably = "durable" if durable else "not durable"
        return [sys.executable, "-c", _OURS, json.dumps(settings), str(folder / "port"), durably]

    # as listener.door.program, which the process of a real node is, sets it for itself
    return Receiver(name, "ICANSEE", command, takes_port=False, environment={"MALLOC_ARENA_MAX": "1"})


def listener_of(name: str, tree: Path) -> Receiver:
    """The receiving process of a checkout with its own environment (.venv), by its own command."""

    def command(folder: Path, port: int) -> list[str]:
        settings = {
            "listener": {"port": port, "max_associations_per_address": 1000},
            "store": {"state_dir": str(folder / "state")},
            "log": {"level": "error"},
        }
        (folder / "config.yaml").write_text(json.dumps(settings))
        return [str(tree.resolve() / ".venv/bin/icansee"), "listener", "--config", str(folder / "config.yaml")]

    return Receiver(name, "ICANSEE", command)


def storescp(name: str, *options: str) -> Receiver:
    def command(folder: Path, port: int) -> list[str]:
        return ["/usr/bin/storescp", "+B", "-pdu", "131072", *options, "-od", str(folder), str(port)]

    return Receiver(name, "STORESCP", command)


def orthanc(name: str, *, sync: bool) -> Receiver:
    def command(folder: Path, port: int) -> list[str]:
        config = {
            "StorageDirectory": str(folder / "db"),
            "IndexDirectory": str(folder / "db"),
            "HttpServerEnabled": False,
            "DicomPort": port,
            "DicomAlwaysAllowStore": True,
            "DicomCheckCalledAet": False,
            "SyncStorageArea": sync,
            "Plugins": [],
        }
        (folder / "orthanc.json").write_text(json.dumps(config))
        return ["/usr/sbin/Orthanc", str(folder / "orthanc.json")]

    return Receiver(name, "ORTHANC", command)


def library_app(name: str) -> Receiver:
    def command(folder: Path, port: int) -> list[str]:
        return [sys.executable, "-m", "pynetdicom", "storescp", str(port), "-od", str(folder), "-q"]

    return Receiver(name, "STORESCP", command)


@contextlib.contextmanager
def running(receiver: Receiver, folder: Path) -> Iterator[tuple[int, int]]:
    """(port, process id) of a receiver that listens."""
    port = _free_port() if receiver.takes_port else 0
    with (folder / "log").open("wb") as log:
        child = subprocess.Popen(
            receiver.command(folder, port),
            cwd=folder,  # not a checkout: Python would import from it
            env=NODELAY | receiver.environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        for _ in range(1200):
            if child.poll() is not None:
                raise RuntimeError(f"{receiver.name} ended: {(folder / 'log').read_text()[-2000:]}")
            if not port and (folder / "port").exists():
                port = int((folder / "port").read_text() or 0)
            if port and _answers(port):
                break
            time.sleep(0.05)
        yield port, child.pid
    finally:
        child.terminate()
        try:
            child.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()


def usage(pid: int) -> Usage:
    """Processor seconds of a process with all its children, ended ones included, and the largest peak RSS."""
    cpu, peak, now = 0.0, 0.0, 0.0
    for one in _tree(pid):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            cpu += sum(map(int, fields[11:15])) / TICKS  # utime stime cutime cstime
            for line in Path(f"/proc/{one}/status").read_text().splitlines():
                if line.startswith("VmHWM"):
                    peak = max(peak, int(line.split()[1]) / 1024)
                if line.startswith("VmRSS"):
                    now += int(line.split()[1]) / 1024
    return Usage(cpu, peak, now)


def _tree(pid: int) -> list[int]:
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += _tree(int(child))
    return found


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
