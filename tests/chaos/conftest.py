"""Small synthetic studies and a running node."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from simulation.patient import SimulatedPatient
from tests.chaos.node import Node, running_node
from tests.made_once import patient_of_the_run


@pytest.fixture(scope="session")
def patients(tmp_path_factory: pytest.TempPathFactory) -> list[SimulatedPatient]:
    """Two patients with T1 only: the real decision (``no_flair``) takes a moment, so that tests do not wait for
    measuring."""
    return [patient_of_the_run(tmp_path_factory, seed, ("t1",)) for seed in (11, 12)]


@pytest.fixture(scope="session")
def long_patient(tmp_path_factory: pytest.TempPathFactory) -> SimulatedPatient:
    """A patient with FLAIR: the worker is busy long enough to be killed in the middle."""
    return patient_of_the_run(tmp_path_factory, 13, ("flair",))


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with running_node(tmp_path) as node:
        yield node
