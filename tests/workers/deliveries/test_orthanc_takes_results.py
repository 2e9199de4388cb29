"""A real Orthanc gets results by C-STORE and by STOW-RS, and holds each object once however often it was sent."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.patience import PATIENCE_S
from tests.workers.reading.data_sets import STUDY


@pytest.mark.server
def test_each_object_once(tmp_path: Path) -> None:
    for needed in ("/usr/sbin/Orthanc", "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"):
        assert Path(needed).exists(), f"{needed} is not installed: run scripts/test-peers.sh"
    unshare = shutil.which("unshare")
    assert unshare is not None
    program = [sys.executable, "-m", "tests.workers.deliveries.in_namespace", str(tmp_path)]
    run = subprocess.run(
        [unshare, "--map-root-user", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", *program],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-4000:]
    answer = json.loads((tmp_path / "answer.json").read_text())
    assert answer["said"]["store"] == ["C-STORE 0x0000"] * 2
    assert all(text.startswith("HTTP 200") for text in answer["said"]["stow"])
    assert answer["said"]["committing"] == ["C-STORE 0x0000; committed"], "reported on an association of Orthanc's own"
    assert answer["held"] == [f"{STUDY}.1.0", f"{STUDY}.1.1", f"{STUDY}.1.2"]
