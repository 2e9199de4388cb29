"""The receiving process as `icansee listener` starts it: same process number, small, and it says what it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.listener.harness import eventually
from tests.listener.rawscu import Raw
from tests.patience import PATIENCE_S
from tests.workers.reading.data_sets import STUDY, a_data_set, encoded


def start(folder: Path, **listener: object) -> subprocess.Popen[str]:
    settings = {"listener": {"port": 0, **listener}, "store": {"state_dir": str(folder / "state"), "min_free_bytes": 0}}
    (folder / "config.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    command = [sys.executable, "-m", "listener.commands.main", "listener", "--config", str(folder / "config.yaml")]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


@pytest.mark.server
def test_receives_and_stays_small(tmp_path: Path) -> None:
    child, ready = start(tmp_path), tmp_path / "state" / "run" / "listener.json"
    try:
        eventually(ready.exists)
        facts = json.loads(ready.read_text(encoding="utf-8"))
        assert facts["pid"] == child.pid
        with Raw.connect(facts["port"]) as raw:
            assert raw.associate().store(f"{STUDY}.1.1", encoded(a_data_set(1))) == 0
        maps = Path(f"/proc/{child.pid}/maps").read_text(encoding="utf-8")
        assert not [name for name in ("SimpleITK", "scipy", "numpy", "gdcm") if f"/{name}" in maps]
        assert "state_dir" not in Path(f"/proc/{child.pid}/cmdline").read_text(encoding="utf-8")
    finally:
        child.terminate()
    assert child.wait(PATIENCE_S) == 0
    assert not ready.exists()


def test_an_address_that_is_not_ours_is_refused_by_name(tmp_path: Path) -> None:
    child = start(tmp_path, host="203.0.113.9")  # of the documentation range (RFC 5737)
    _, said = child.communicate(timeout=PATIENCE_S)
    assert child.returncode == 2
    assert "listener.host" in said
