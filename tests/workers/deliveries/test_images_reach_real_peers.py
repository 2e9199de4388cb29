"""Images go to a real Orthanc (C-STORE, STOW-RS) and to dcmtk before any decision, also when triage fails and the
delivery process is killed; each is there once."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.patience import PATIENCE_S
from tests.workers.deliveries.images_in_namespace import IN_EACH_SERIES

EVERY = 3 * IN_EACH_SERIES


@pytest.mark.server
def test_each_image_once(tmp_path: Path) -> None:
    for needed in ("/usr/sbin/Orthanc", "/usr/share/orthanc/plugins/libOrthancDicomWeb.so", "/usr/bin/storescp"):
        assert Path(needed).exists(), f"{needed} is not installed: run scripts/test-peers.sh"
    unshare = shutil.which("unshare")
    assert unshare is not None
    program = [sys.executable, "-m", "tests.workers.deliveries.images_in_namespace", str(tmp_path)]
    root = Path(__file__).parents[3]
    run = subprocess.run(
        [unshare, "--map-root-user", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", *program],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-4000:]
    answer = json.loads((tmp_path / "answer.json").read_text())
    assert 0 < answer.pop("at_the_kill") < EVERY, "it was killed in the middle"
    assert answer == {
        "code": 0,
        "decisions": 0,
        "orthanc": EVERY,
        "dcmtk": EVERY,
        "same_bytes": EVERY,
        "states": [["dcmtk", "done"], ["dead", "planned"], ["store", "done"], ["stow", "done"]],
        "syntaxes": ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.90"],
    }
