"""The beat as `icansee beat` starts it: same process number, small, replaced when it is stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from listener.node import silence, supervisor
from listener.node.supervisor import Child
from tests.listener.harness import PATIENCE_S, eventually
from workers import config
from workers.backoff import Backoff

SECRET = "a-broker-password"
NOBODY = f"redis://:{SECRET}@127.0.0.1:1/0"
HEAVY = ("SimpleITK", "scipy", "gdcm", "highdicom", "pydicom", "fastapi")


def written(folder: Path, broker: str | None) -> Path:
    path = folder / "config.yaml"
    settings = {"store": {"state_dir": str(folder / "state")}, "queue": {"url": broker}}
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return path


def pid_in(ready: Path) -> int | None:
    return int(json.loads(ready.read_text(encoding="utf-8"))["pid"]) if ready.exists() else None


def test_stays_small_and_is_replaced_when_it_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody answers at the broker's address: that alone is no silence."""
    monkeypatch.setattr(silence, "LONGEST_SILENCE_S", 8.0)
    monkeypatch.setattr(supervisor, "RESTART", Backoff(0.05, 30.0))
    monkeypatch.setitem(supervisor.STOP_GRACE_S, "beat", PATIENCE_S)  # however busy the machine is
    path, sign = written(tmp_path, NOBODY), tmp_path / "state" / "run" / "beat.alive"
    child, ready = Child("beat", config.load(path), path), tmp_path / "state" / "run" / "beat.json"

    def lives() -> bool:
        child.end_if_silent(lambda _name: False)
        child.look()
        return sign.exists() and child.ready() is not None

    child.look()
    try:
        eventually(lives)
        first = pid_in(ready)
        assert first is not None
        maps = Path(f"/proc/{first}/maps").read_text(encoding="utf-8")
        assert [name for name in HEAVY if f"/{name}" in maps] == []
        assert SECRET not in Path(f"/proc/{first}/cmdline").read_text(encoding="utf-8")
        os.kill(first, signal.SIGSTOP)
        eventually(lambda: lives() and pid_in(ready) != first)
    finally:
        child.stop()
    assert not ready.exists()
    assert not sign.exists(), "an orderly end"


def test_wrong_settings_are_refused_by_name(tmp_path: Path) -> None:
    path = written(tmp_path, None)  # and no embedded broker was started here
    command = [sys.executable, "-m", "listener.commands.main", "beat", "--config", str(path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert ended.returncode == 2
    assert "queue.url" in ended.stderr
