"""Orthanc and dcmtk as archives: the only baseline lies there, and the follow-up gets its full decision."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.patience import PATIENCE_S
from tests.workers.priors.in_namespace import OTHERS
from tests.workers.priors.nodes import BASELINE, FLAIR_IMAGES, FOLLOW_UP, LOCALIZER_IMAGES, T1_IMAGES

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    for needed in ("/usr/sbin/Orthanc", "/usr/share/orthanc/plugins/libOrthancDicomWeb.so", "/usr/bin/dcmqrscp"):
        assert Path(needed).exists(), f"{needed} is not installed: run scripts/test-peers.sh"
    unshare = shutil.which("unshare")
    assert unshare is not None
    folder = tmp_path_factory.mktemp("archives")
    program = [sys.executable, "-m", "tests.workers.priors.in_namespace", str(folder)]
    run = subprocess.run(
        [unshare, "--map-root-user", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", *program],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-4000:]
    found: dict[str, Any] = json.loads((folder / "answer.json").read_text())
    return found


@pytest.mark.parametrize("name", ["get", "move", "web", "dcmqrscp"])
def test_the_baseline_comes_from_the_archive(answers: dict[str, Any], name: str) -> None:
    said = answers[name]
    assert (said["first"] or {}).get("study_instance_uid") is None  # the first decision did not wait
    assert said["waiting"] == ["waiting"]
    assert said["baseline"]["study_instance_uid"] == BASELINE
    assert said["images"][f"{BASELINE}.1"] == FLAIR_IMAGES
    assert said["images"][f"{BASELINE}.2"] == T1_IMAGES
    # of the localizer nothing but, by C-MOVE, the image that shows what it is
    assert said["images"].get(f"{BASELINE}.3", 0) == (1 if name == "move" else 0)
    assert said["other"] == {}  # after the infusion
    (prior,) = said["priors"]
    assert (prior["source"], prior["state"]) == (name, "found")
    assert prior["said"] in said["notices"]
    assert {one["said"] for one in prior["answer"]["candidates"]} == {"retrieved"}
    assert said["again"] == 0


def test_orthanc_sends_by_stow(answers: dict[str, Any]) -> None:
    assert sum(answers["stow"]["images"].values()) == FLAIR_IMAGES + T1_IMAGES + LOCALIZER_IMAGES, answers["stow"][
        "said"
    ]


def test_the_worklist_of_orthanc_says_the_priority(answers: dict[str, Any]) -> None:
    assert answers["order"] == {"said": [1, 0], "priorities": {FOLLOW_UP: "STAT"}}


@pytest.mark.parametrize("name", ["get", "web"])
def test_what_breaks_off_is_resumed(answers: dict[str, Any], name: str) -> None:
    said = answers[f"broken {name}"]
    whole = {f"{BASELINE}.1": FLAIR_IMAGES, f"{BASELINE}.2": T1_IMAGES}
    assert said["failure"] is not None
    assert sum(said["then"].values()) < sum(whole.values())
    assert (said["state"], said["attempts"], said["now"]) == ("found", 2, whole)


def test_a_study_of_somebody_else_is_refused(answers: dict[str, Any]) -> None:
    said = answers["lied to"]
    assert said["said"][OTHERS] == "identity mismatch: same patient ID but another birth date"
    assert said["said"][BASELINE] == "retrieved"
    assert (said["kept"], said["sent"]) == ({}, FLAIR_IMAGES + T1_IMAGES + LOCALIZER_IMAGES)
