"""A hostile object and a study that hangs, on a live node: others are decided meanwhile, and the beat stays small."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import DeflatedExplicitVRLittleEndian
from pynetdicom import AE, _config

from simulation.patient import SimulatedPatient
from tests.builders_dicom import MR, a_series
from tests.chaos.node import Node, SharedNode, wait_for
from tests.workers.reading import hostile
from workers.ports import StudyState

pytestmark = [pytest.mark.chaos, pytest.mark.server, pytest.mark.timeout(1800)]


def store_as_it_is(node: Node, path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """C-STORE of the file's bytes, without parsing them."""
    monkeypatch.setattr(_config, "STORE_SEND_CHUNKED_DATASET", True)
    ae = AE(ae_title="HOSTILE")
    ae.add_requested_context(MR, DeflatedExplicitVRLittleEndian)
    association = ae.associate("127.0.0.1", node.dicom_port, ae_title="ICANSEE")
    assert association.is_established
    status = int(association.send_c_store(path).Status)
    association.release()
    return status


def peak_rss_mib(pid: int) -> int:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.split("VmHWM:")[1].split()[0]) // 1024


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedNode]:
    with contextlib.closing(SharedNode(tmp_path_factory, urgent_worker=True)) as nodes:
        yield nodes


def test_a_bomb_does_not_delay_another_study(
    node: Node, tmp_path: Path, own_patients: list[SimulatedPatient], monkeypatch: pytest.MonkeyPatch
) -> None:
    series = a_series(tmp_path / "hostile", count=12)
    study = str(dcmread(series[0]).StudyInstanceUID)
    bomb = hostile.deflated(series[0], 600)
    assert store_as_it_is(node, bomb, monkeypatch) == 0
    node.send(own_patients[0].baseline_dir)
    node.wait_for_state(own_patients[0].baseline_study_uid, StudyState.ASSESSED)
    node.wait_for_state(study, StudyState.ASSESSED)
    index = node.index
    document = index.assessment(study)
    index.close()
    assert document is not None
    assert document["decision"]["category"] == "not_assessable"
    assert document["decision"]["reasons"] == ["too_large: 1 files: a header holds more than 128 MiB before its pixels"]
    assert peak_rss_mib(node.pid_of("beat")) < 300


def test_an_urgent_study_does_not_wait_behind_one_that_hangs(node: Node, own_patients: list[SimulatedPatient]) -> None:
    """The worker's pool child is stopped: it holds the study that it takes, as one that never returns."""
    hung, urgent = own_patients
    wait_for("the urgent worker", (node.state / "run" / "urgent.json").exists)
    subprocess.run(
        node.command("patients", "set", urgent.patient_id, "--infusion-date", "2000-01-01"),
        check=True,
        capture_output=True,
    )
    worker = node.pid_of("worker")
    children = [int(pid) for pid in Path(f"/proc/{worker}/task/{worker}/children").read_text().split()]
    node.send(hung.baseline_dir)
    node.wait_for_worker_on(hung.baseline_study_uid)
    for pid in children:
        os.kill(pid, signal.SIGSTOP)
    node.send(urgent.followup_dir)
    node.wait_for_state(urgent.followup_study_uid, StudyState.ASSESSED)
    index = node.index
    other = index.study(hung.baseline_study_uid)
    index.close()
    assert other is not None
    assert other.state is StudyState.READY, "it still hangs"
    for pid in children:
        with contextlib.suppress(ProcessLookupError):  # on a busy machine the worker ended it meanwhile
            os.kill(pid, signal.SIGCONT)
