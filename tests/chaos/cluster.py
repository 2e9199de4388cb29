"""Several hosts as real processes: each has a folder of its own, and they share PostgreSQL, one broker and a folder of
files, and nothing else."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from listener.node.running import read_ready
from tests.chaos.node import LEASE_S, PATIENCE_S, wait_for
from tests.workers.index import postgres
from workers import config
from workers.index.sql import SqlIndex, open_index
from workers.log import study_hash
from workers.queue.broker import EmbeddedBroker


@dataclass
class Host:
    """One machine: its state folder, and the processes of the node that run on it."""

    name: str
    folder: Path
    settings: dict[str, Any]
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def config(self) -> Path:
        return self.folder / "config.yaml"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def log(self) -> Path:
        return self.folder / "log.jsonl"

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "listener.commands.main", *arguments, "--config", str(self.config)]

    def start(self, names: Sequence[str]) -> None:
        for name in names:
            (self.state / "run" / f"{name}.json").unlink(missing_ok=True)
            with self.log.open("ab") as log:
                self.processes[name] = subprocess.Popen(
                    self.command(name, "--parent", str(os.getpid())), stdout=log, stderr=log, start_new_session=True
                )
        for name in names:
            facts, process = self.state / "run" / f"{name}.json", self.processes[name]
            wait_for(f"{name} of {self.name}", lambda f=facts, p=process: read_ready(f) or p.poll() is not None)
            assert process.poll() is None, self.log.read_text()[-3000:]

    def kill(self) -> None:
        """The power goes: every process of the host, at once."""
        for process in self.processes.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        for process in self.processes.values():
            process.wait(PATIENCE_S)
        self.processes.clear()

    def stop(self) -> None:
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(PATIENCE_S)
        self.kill()

    @property
    def dicom_port(self) -> int:
        return int(json.loads((self.state / "run" / "listener.json").read_text())["port"])

    def said(self, event: str, study: str | None = None) -> int:
        """How often a log line has this event, and is about this study."""
        written = self.log.read_text().splitlines()
        lines = [json.loads(line) for line in written if line.startswith("{") and f'"{event}"' in line]
        hashed = study_hash(study) if study else None
        return sum(line.get("event") == event and hashed in (None, line.get("study")) for line in lines)


class Cluster:
    """Hosts that share an index, a broker and a folder."""

    def __init__(self, folder: Path, index_url: str, queue_url: str) -> None:
        self.folder, self.shared = folder, folder / "shared"
        self._index_url, self._queue_url = index_url, queue_url
        self.hosts: list[Host] = []
        self.shared.mkdir()

    def host(self, name: str, **sections: Any) -> Host:
        folder = self.folder / name
        folder.mkdir()
        settings = {
            "store": {"state_dir": str(folder / "state"), "shared_dir": str(self.shared), "min_free_bytes": 0},
            "index": {"url": self._index_url},
            "listener": {"port": 0},
            "web": {"port": 0},
            "queue": {"url": self._queue_url, "lease_s": LEASE_S, "sweep_every_s": 1.0, "retry_delay_s": 1.0},
            "arrival": {"quiet_period_s": 4.0},
        }
        settings = {key: settings.get(key, {}) | sections.get(key, {}) for key in settings.keys() | sections.keys()}
        host = Host(name, folder, settings)
        host.config.write_text(yaml.safe_dump(settings), encoding="utf-8")
        if not self.hosts:
            subprocess.run(host.command("store", "init"), check=True, capture_output=True, timeout=PATIENCE_S)
        self.hosts.append(host)
        return host

    @contextmanager
    def nobody_writes(self) -> Iterator[None]:
        """No instance gets its row while this lasts."""
        import psycopg

        with psycopg.connect(self._index_url.replace("+psycopg", "")) as connection, connection.transaction():
            connection.execute("LOCK TABLE instances IN EXCLUSIVE MODE")
            yield

    @contextmanager
    def index(self) -> Iterator[SqlIndex]:
        index = open_index(config.load(self.hosts[0].config).index_url)
        try:
            yield index
        finally:
            index.close()


@contextmanager
def running_cluster(folder: Path) -> Iterator[Cluster]:
    """PostgreSQL and broker of its own; every host is ended afterwards."""
    broker = EmbeddedBroker(folder / "broker")
    with postgres.cluster() as socket_folder:
        url = broker.start()
        cluster = Cluster(folder, postgres.empty_database(socket_folder), url)
        try:
            yield cluster
        finally:
            for host in cluster.hosts:
                host.kill()
            broker.stop()
