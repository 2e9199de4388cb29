"""Kill -9 anything: nothing acknowledged is lost, and every study still gets its decision."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from pydicom import dcmread

from simulation.patient import SimulatedPatient
from tests.chaos.node import PATIENCE_S, SOON_S, Node, wait_for
from workers.ports import StudyState

pytestmark = [pytest.mark.chaos, pytest.mark.server, pytest.mark.timeout(1800)]


def decided(node: Node, *studies: str) -> None:
    for study in studies:
        row = node.wait_for_state(study, StudyState.ASSESSED, StudyState.FAILED)
        assert row.state is StudyState.ASSESSED, row.failure
        assert node.index.assessment(study) is not None


def children_of(pid: int) -> list[int]:
    return [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_second_node_on_the_same_state_is_refused(node: Node) -> None:
    second = subprocess.run(node.command("serve"), capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert second.returncode == 2
    assert "another `icansee serve` runs" in second.stderr
    assert node.alive()


@pytest.mark.parametrize("whole", [pytest.param(True, id="worker"), pytest.param(False, id="its pool child only")])
def test_worker_killed_in_the_middle_of_a_study(node: Node, long_patient: SimulatedPatient, whole: bool) -> None:
    study = long_patient.baseline_study_uid
    node.send(long_patient.baseline_dir)
    first = node.wait_for_worker_on(study)

    worker = node.pid_of("worker")
    for pid in [*children_of(worker), *([worker] if whole else [])]:
        os.kill(pid, signal.SIGKILL)

    decided(node, study)
    row = node.index.study(study)
    assert row is not None
    assert row.attempts == first.attempts + 1, "the killed attempt counts; the next one decided"


def test_web_killed_while_a_study_is_assessed(node: Node, long_patient: SimulatedPatient) -> None:
    """Receiving and assessing go on without the pages, and the pages come back by themselves."""
    study, other = long_patient.baseline_study_uid, long_patient.followup_study_uid
    node.send(long_patient.baseline_dir)
    first = node.wait_for_worker_on(study)
    web, worker = node.pid_of("web"), node.pid_of("worker")
    os.kill(web, signal.SIGKILL)
    node.send(long_patient.followup_dir)
    wait_for("the images that came meanwhile", lambda: node.index.study(other) is not None)
    node.wait_for_another("web", web)
    decided(node, study)
    row = node.index.study(study)
    assert row is not None
    assert (row.attempts, node.pid_of("worker")) == (first.attempts, worker), "nobody else was disturbed"


@pytest.mark.parametrize("data", [pytest.param(True, id="data kept"), pytest.param(False, id="data lost too")])
def test_broker_killed_with_studies_in_the_queue(node: Node, own_patients: list[SimulatedPatient], data: bool) -> None:
    """The worker is held still until all studies wait in the queue, and let go when the broker is dead."""
    studies = [uid for patient in own_patients for uid in (patient.baseline_study_uid, patient.followup_study_uid)]
    os.killpg(node.pid_of("worker"), signal.SIGSTOP)  # for less than the 90 s after which the node would end it
    node.send(own_patients[0].baseline_dir.parents[1])
    for study in studies:
        node.wait_for_state(study, StudyState.READY)

    broker = node.pid_of("broker")
    os.kill(node.pid, signal.SIGSTOP)  # it would start another broker at once, which writes where we delete
    os.kill(broker, signal.SIGKILL)
    if not data:
        shutil.rmtree(node.state / "broker" / "appendonlydir")
    os.kill(node.pid, signal.SIGCONT)
    os.killpg(node.pid_of("worker"), signal.SIGCONT)

    decided(node, *studies)


def test_listener_killed_in_the_middle_of_an_association(node: Node, own_patients: list[SimulatedPatient]) -> None:
    """What storescu was told is stored is in the index after the restart; the rest, sent again, completes the study."""
    patient, store = own_patients[0], node.state / "store"

    def stored() -> int:
        return sum(1 for _ in store.rglob("*.dcm"))

    before = stored()
    sender = storescu(node.dicom_port, patient.baseline_dir)
    wait_for("some objects to be stored", lambda: stored() >= before + 5 or sender.poll() is not None, every_s=SOON_S)
    killed = node.pid_of("listener")
    os.kill(killed, signal.SIGKILL)
    acknowledged = acknowledged_by(sender)
    assert 0 < len(acknowledged) < len(list(patient.baseline_dir.rglob("*.dcm"))), "killed in the middle"

    node.wait_for_another("listener", killed)
    index = node.index

    def indexed() -> set[str]:
        return {row.sop_instance_uid for row in index.instances(patient.baseline_study_uid)}

    wait_for("every acknowledged object to be indexed", lambda: acknowledged <= indexed())
    node.wait_for_state(patient.baseline_study_uid, StudyState.ASSESSED)
    assert index.assessment(patient.baseline_study_uid) is not None, "what came of it got a decision too"

    node.send(patient.baseline_dir)
    wait_for("the rest", lambda: len(indexed()) == len(list(patient.baseline_dir.rglob("*.dcm"))))
    decided(node, patient.baseline_study_uid)


def test_node_killed_leaves_nothing_running_and_can_be_started_again(
    node: Node, long_patient: SimulatedPatient
) -> None:
    study = long_patient.baseline_study_uid
    node.send(long_patient.baseline_dir)
    node.wait_for_worker_on(study)
    broker = node.pid_of("broker")
    os.kill(node.pid, signal.SIGKILL)
    wait_for("its processes to end by themselves", lambda: set(node.pids()) <= {broker})

    node.start()
    assert node.pid_of("broker") != broker
    decided(node, study)


def test_stop_ends_every_process_with_exit_code_0(node: Node) -> None:
    assert node.stop() == 0
    assert node.pids() == []


def storescu(port: int, folder: Path) -> subprocess.Popen[str]:
    """dcmtk's sender, telling every answer it gets."""
    return subprocess.Popen(
        ["storescu", "-v", "-aec", "ICANSEE", "+sd", "+r", "127.0.0.1", str(port), str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def acknowledged_by(sender: subprocess.Popen[str]) -> set[str]:
    """SOP Instance UIDs of the files storescu was told are stored."""
    output, _ = sender.communicate(timeout=PATIENCE_S)
    sent: str | None = None
    acknowledged = set()
    for line in output.splitlines():
        if match := re.search(r"Sending file: (.*)", line):
            sent = match[1]
        elif "Received Store Response (Success)" in line and sent:
            acknowledged.add(str(dcmread(sent, stop_before_pixels=True).SOPInstanceUID))
    return acknowledged
