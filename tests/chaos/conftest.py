"""Small synthetic studies and a running node."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulation.patient import SimulatedPatient
from tests.chaos.node import Node, SharedNode
from tests.chaos.renewed import renewed
from tests.made_once import patient_of_the_run


@pytest.fixture(scope="session")
def patients(tmp_path_factory: pytest.TempPathFactory) -> list[SimulatedPatient]:
    """Two patients with T1 only: the real decision (``no_flair``) takes a moment, so that tests do not wait for
    measuring."""
    return [patient_of_the_run(tmp_path_factory, seed, ("t1",)) for seed in (11, 12)]


@pytest.fixture(scope="session")
def long_patient_of_the_run(tmp_path_factory: pytest.TempPathFactory) -> SimulatedPatient:
    return patient_of_the_run(tmp_path_factory, 13, ("flair",))


@pytest.fixture
def long_patient(tmp_path: Path, long_patient_of_the_run: SimulatedPatient) -> SimulatedPatient:
    """A patient with FLAIR: the worker is busy long enough to be killed in the middle. Of this test alone."""
    return renewed(long_patient_of_the_run, tmp_path / "long")


@pytest.fixture
def own_patients(tmp_path: Path, patients: list[SimulatedPatient]) -> list[SimulatedPatient]:
    """``patients``, of this test alone."""
    return [renewed(patient, tmp_path / f"patient-{number}") for number, patient in enumerate(patients)]


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedNode]:
    with contextlib.closing(SharedNode(tmp_path_factory)) as nodes:
        yield nodes


@pytest.fixture
def node(nodes: SharedNode, request: pytest.FixtureRequest) -> Iterator[Node]:
    """A whole node. The tests of a file share it, because its start takes ten seconds of both cores; after a test that
    failed, or that ended it, the next one gets another."""
    failed = request.session.testsfailed
    yield nodes.whole()
    if request.session.testsfailed > failed:
        nodes.close()
