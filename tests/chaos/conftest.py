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
def simulated(tmp_path_factory: pytest.TempPathFactory) -> SimulatedPatient:
    """All patients are made of the images of this one: each simulation takes both cores for ten seconds."""
    return patient_of_the_run(tmp_path_factory, 11, ("flair", "t1"))


@pytest.fixture(scope="session")
def patients(tmp_path_factory: pytest.TempPathFactory, simulated: SimulatedPatient) -> list[SimulatedPatient]:
    """Two patients with T1 only: the real decision (``no_flair``) takes a moment, so that tests do not wait for
    measuring."""
    return [renewed(simulated, tmp_path_factory.mktemp("patient") / "t1", series="t1") for _ in range(2)]


@pytest.fixture
def long_patient(tmp_path: Path, simulated: SimulatedPatient) -> SimulatedPatient:
    """A patient with FLAIR: the worker is busy long enough to be killed in the middle. Of this test alone."""
    return renewed(simulated, tmp_path / "long", series="flair")


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
