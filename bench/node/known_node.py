"""A live node on known ports, its answers over HTTP, and studies made from simulated ones for it."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import sqlite3
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import yaml
from pydicom import Dataset

from bench.node.copies import Copy, copy_of

PATIENCE_S = 3600.0
QUIET_S = 5.0


def free_port() -> str:
    with closing(socket.socket()) as one:
        one.bind(("127.0.0.1", 0))
        return str(one.getsockname()[1])


class LiveNode:
    """work: its folder. ports: as the scripts name them -> as they are here."""

    def __init__(self, work: Path, ports: Mapping[str, str]) -> None:
        self.work, self.ports = work, dict(ports)
        self._config = work / "config.yaml"
        settings = {
            "store": {"state_dir": str(work / "state"), "min_free_bytes": 0},
            "listener": {"port": int(ports["21112"]), "peers": [{"ae_title": "MR1", "hosts": ["127.0.0.1"]}]},
            "web": {"port": int(ports["28042"])},
            "arrival": {"quiet_period_s": QUIET_S},
        }
        self._config.write_text(yaml.safe_dump(settings), encoding="utf-8")

    @property
    def program(self) -> str:
        return str(self.work / "clone/.venv/bin/icansee")

    @contextmanager
    def running(self) -> Iterator[None]:
        with (self.work / "logs/node.jsonl").open("wb") as log:
            process = subprocess.Popen([self.program, "serve", "--config", self._config], stdout=log, stderr=log)
        try:
            self._until(self.is_up, 300.0)
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(120)

    def is_up(self) -> bool:
        try:
            return isinstance(self.api("/healthz"), dict)
        except (OSError, urllib.error.URLError):
            return False

    def api(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports['28042']}{path}", timeout=60) as answer:
            return json.load(answer)

    def command(self, *words: str) -> str:
        done = subprocess.run(
            [self.program, *words, "--config", str(self._config)], capture_output=True, text=True, check=False
        )
        return (done.stdout + done.stderr).strip()

    def infusion(self, patient_id: str, day: str) -> None:
        self.command("patients", "set", patient_id, "--infusion-date", day)

    def send(self, study: Copy) -> Copy:
        self.command("send", str(study.folder), "--calling", "MR1")
        return study

    def copy(self, name: str, of: str, patient_id: str, *, folder: str = "", **changes: Any) -> Copy:
        """A study of a simulated patient, e.g. ``SIM-1/followup``, with UIDs made of the name and other elements.

        Args:
            folder: where it lies; by default as the name says.
        """

        def change(ds: Dataset, _number: int) -> None:
            for keyword, value in changes.items():
                if callable(value):
                    value(ds)
                else:
                    setattr(ds, keyword, value)

        place = self.work / "dcm" / (folder or name)
        shutil.rmtree(place, ignore_errors=True)
        made = copy_of(
            self.work / "clone/demo/dicom" / of, self.work / "dcm", name=name, patient_id=patient_id, change=change
        )
        return made if made.folder == place else Copy(made.name, made.uid, patient_id, made.folder.rename(place))

    def settled(self, longest_s: float = PATIENCE_S) -> str:
        """Wait until no study arrives, waits or is looked at again; what is left."""
        quiet_since, end = time.monotonic(), time.monotonic() + longest_s
        while time.monotonic() < end and time.monotonic() - quiet_since < 3 * QUIET_S:
            if self._open():
                quiet_since = time.monotonic()
            time.sleep(1.0)
        left = self._open()
        return f"{left} open" if left else "all decided"

    def _open(self) -> int:
        with closing(sqlite3.connect(f"file:{self.work / 'state/index.db'}?mode=ro", uri=True, timeout=60)) as index:
            row = index.execute(
                "SELECT (SELECT count(*) FROM studies WHERE state IN ('receiving', 'ready')), "
                "(SELECT count(*) FROM reconsider)"
            ).fetchone()
        return int(row[0]) + int(row[1])

    def row(self, patient_id: str, day: str) -> dict[str, Any] | None:
        """day: YYYY-MM-DD."""
        for one in self.api("/api/studies"):
            if (one["patient_id"], one["study_date"]) == (patient_id, day):
                found: dict[str, Any] = one
                return found
        return None

    def document(self, study_instance_uid: str) -> dict[str, Any]:
        found: dict[str, Any] = self.api(f"/api/studies/{study_instance_uid}")
        return found

    def file_of(self, study: Copy, number: int) -> Path:
        """A stored FLAIR file."""
        with closing(sqlite3.connect(f"file:{self.work / 'state/index.db'}?mode=ro", uri=True)) as index:
            found = index.execute(
                "SELECT path FROM instances WHERE study_instance_uid = ? AND series_description LIKE '%dark%' "
                "ORDER BY path",
                (study.uid,),
            ).fetchall()
        return next((self.work / "state").rglob(Path(found[number][0]).name))

    @staticmethod
    def _until(condition: Any, longest_s: float) -> None:
        end = time.monotonic() + longest_s
        while not condition():
            if time.monotonic() > end:
                raise SystemExit(f"waited {longest_s:g} s for the node")
            time.sleep(0.5)
