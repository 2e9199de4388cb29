"""Pages of the live index are overwritten -> the same decisions and infusion date, and no process has ended."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydicom import dcmread

from simulation.patient import SimulatedPatient
from tests.chaos.node import Node, running_node, wait_for
from triage.errors import Transient
from workers.index.damage import kept_aside
from workers.index.rebuilding import rebuilding_mark
from workers.ports import StudyState

pytestmark = [pytest.mark.chaos, pytest.mark.server, pytest.mark.timeout(1800)]

PAGE = 4096
PROCESSES = ("listener", "worker", "beat", "web", "broker")


def remembered(node: Node, study: str) -> tuple[Any, Any]:
    """Every version of the decision, and the infusions; nothing while the index is away."""
    index = node.index
    try:
        return index.assessments(study), index.infusions()
    except Transient:
        return [], {}
    finally:
        index.close()


def test_an_index_that_is_overwritten_in_use(tmp_path: Path, patients: list[SimulatedPatient]) -> None:
    study = patients[0].baseline_study_uid
    with running_node(tmp_path) as node:
        node.send(patients[0].baseline_dir)
        node.wait_for_state(study, StudyState.ASSESSED)
        patient_id = str(dcmread(next(patients[0].baseline_dir.rglob("*.dcm"))).PatientID)
        told = node.command("patients", "set", patient_id, "--infusion-date", "2030-01-01")
        subprocess.run(told, check=True, capture_output=True)
        # the date of the infusion has the study decided again
        wait_for("the new decision", lambda: "2030-01-01" in str(remembered(node, study)[0][-1:]))
        node.wait_for_state(study, StudyState.ASSESSED)
        before, pids = remembered(node, study), [node.pid_of(name) for name in PROCESSES]
        path = node.state / "index.db"
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # what is in the log is not read from the file
        with path.open("r+b") as file:
            for number in range(1, path.stat().st_size // PAGE):
                file.seek(number * PAGE)
                file.write(b"\xa5" * PAGE)
        # it shows to whoever reads a page that is not in his memory
        subprocess.run(node.command("studies"), check=False, capture_output=True)
        wait_for("the damaged index aside", lambda: bool(kept_aside(path)))
        wait_for("the index to be built again", lambda: not rebuilding_mark(node.state).exists())
        wait_for("the decisions", lambda: len(remembered(node, study)[0]) >= len(before[0]))
        after = remembered(node, study)
        assert [one["document"] for one in after[0]] == [one["document"] for one in before[0]]
        assert after[1] == before[1]
        assert (
            node.wait_for_state(study, StudyState.ASSESSED).category
            == before[0][-1]["document"]["decision"]["category"]
        )
        assert [node.pid_of(name) for name in PROCESSES] == pids, "nothing ended"
        port = int(json.loads((node.state / "run" / "web.json").read_text())["port"])
        said = httpx.get(f"http://127.0.0.1:{port}/healthz").json()
        assert kept_aside(path)[0].name in said["index_note"]
        told = subprocess.run(node.command("status"), check=False, capture_output=True, text=True)
        assert "built again from the stored files" in told.stdout.replace("\n", " ")
