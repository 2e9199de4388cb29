"""Two receiving and two working hosts over PostgreSQL, a broker and a shared folder; hosts die."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulation.patient import SimulatedPatient
from tests.chaos.cluster import Cluster, Host, running_cluster
from tests.chaos.node import PATIENCE_S, wait_for
from tests.chaos.test_kill import acknowledged_by, storescu
from workers.index.sql import SqlIndex
from workers.ports import StudyState

pytestmark = [pytest.mark.chaos, pytest.mark.server, pytest.mark.timeout(1800)]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with running_cluster(tmp_path) as cluster:
        yield cluster


def send(host: Host, folder: Path) -> None:
    subprocess.run(host.command("send", str(folder)), check=True, capture_output=True, timeout=PATIENCE_S)


def wait_until_decided(index: SqlIndex, *studies: str) -> None:
    def state(study: str) -> StudyState | None:
        row = index.study(study)
        return row.state if row else None

    ends = (StudyState.ASSESSED, StudyState.FAILED)
    wait_for("every study to be decided", lambda: all(state(study) in ends for study in studies))
    assert {state(study) for study in studies} == {StudyState.ASSESSED}
    for study in studies:
        current = [version for version in index.assessments(study) if not version["superseded"]]
        assert len(current) == 1, "one decision that counts"


def test_a_working_host_dies_in_the_middle_of_a_study(
    cluster: Cluster, patients: list[SimulatedPatient], long_patient: SimulatedPatient
) -> None:
    """Both doors receive, both workers work; one working host loses its power, and every study is decided all the
    same."""
    doors = [cluster.host(f"door-{n}") for n in (1, 2)]
    workers = [cluster.host(f"worker-{n}") for n in (1, 2)]
    for door in doors:
        door.start(["listener"])
    for worker in workers:
        worker.start(["worker", "beat"])
    long = long_patient.baseline_study_uid
    with cluster.index() as index:
        send(doors[0], long_patient.baseline_dir)
        wait_for("a worker to take the study", lambda: any(worker.said("study.taken", long) for worker in workers))
        victim = next(worker for worker in workers if worker.said("study.taken", long))
        row = index.study(long)
        assert row is not None
        assert row.state is StudyState.READY, "still at it"
        victim.kill()
        for door, patient in zip(doors, patients, strict=True):
            send(door, patient.baseline_dir)
        # one study through both doors
        halves = [sorted(patients[0].followup_dir.rglob("*.dcm"))[n::2] for n in (0, 1)]
        for door, half in zip(doors, halves, strict=True):
            command = ["storescu", "-aec", "ICANSEE", "127.0.0.1", str(door.dicom_port), *map(str, half)]
            subprocess.run(command, check=True, timeout=PATIENCE_S)

        both = patients[0].followup_study_uid
        wait_until_decided(index, long, both, *(patient.baseline_study_uid for patient in patients))
        row = index.study(long)
        assert row is not None
        assert row.attempts == 2, "the attempt of the dead host counts; the other host decided"
        assert len(index.instances(both)) == len(halves[0]) + len(halves[1])
    survivor = next(worker for worker in workers if worker is not victim)
    assert survivor.said("study.taken", long) == 1
    written = {path.parent.parent.name for path in (cluster.shared / "results").rglob("document.json")}
    assert written >= {long, both}
    for host in cluster.hosts:
        assert not [path for path in host.state.rglob("*") if path.suffix in (".dcm", ".npz")], "nothing of its own"


def test_a_receiving_host_dies_and_never_comes_back(cluster: Cluster, patients: list[SimulatedPatient]) -> None:
    """What it acknowledged is decided: another host puts into the index what the dead one had not."""
    doors = [cluster.host(f"door-{n}") for n in (1, 2)]
    patient, study = patients[0], patients[0].baseline_study_uid
    with cluster.index() as index:
        index.studies()  # makes the tables
        for door in doors:
            door.start(["listener"])
        # without its index the dead host can have written no row: all of them are left to the other one
        wait_for("the scans at the start", lambda: all(door.said("store.reconciled") for door in doors))
        with cluster.nobody_writes():
            sender = storescu(doors[0].dicom_port, patient.baseline_dir)
            acknowledged = acknowledged_by(sender)
            doors[0].kill()
        assert len(acknowledged) == len(list(patient.baseline_dir.rglob("*.dcm")))
        wait_for("the other host to notice", lambda: doors[1].said("host.lost"))
        wait_for(
            "every acknowledged object",
            lambda: acknowledged == {row.sop_instance_uid for row in index.instances(study)},
        )
        cluster.host("worker").start(["worker", "beat"])
        wait_until_decided(index, study)


def test_without_the_mounted_folder_nothing_is_received(cluster: Cluster) -> None:
    host = cluster.host("door")
    (cluster.shared / "icansee-store").unlink()
    for name in ("listener", "worker", "beat"):
        ended = subprocess.run(host.command(name), capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        assert ended.returncode == 2, name
        assert "is not the shared store" in ended.stderr
