"""Small synthetic studies and a running node."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from simulation.patient import SimulatedPatient, simulate
from tests.chaos.node import Node, running_node


@pytest.fixture(scope="session")
def patients(tmp_path_factory: pytest.TempPathFactory) -> list[SimulatedPatient]:
    """Two patients with T1 only: the real decision (``no_flair``) takes a moment, so that tests do not wait for
    measuring."""
    folder = tmp_path_factory.mktemp("patients")
    return [simulate(folder, seed=seed, sequences=("t1",)) for seed in (11, 12)]


@pytest.fixture(scope="session")
def long_patient(tmp_path_factory: pytest.TempPathFactory) -> SimulatedPatient:
    """A patient with FLAIR: the worker is busy long enough to be killed in the middle."""
    return simulate(tmp_path_factory.mktemp("long"), seed=13, sequences=("flair",))


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with running_node(tmp_path) as node:
        yield node
