"""Small synthetic studies and a running node."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from simulation.patient import SimulatedPatient, simulate
from tests.chaos.node import Node, running_node


@pytest.fixture(scope="session")
def patients(tmp_path_factory: pytest.TempPathFactory) -> list[SimulatedPatient]:
    """Two patients with FLAIR only, thick slices."""
    folder = tmp_path_factory.mktemp("patients")
    return [simulate(folder, seed=seed, sequences=("flair",)) for seed in (11, 12)]


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with running_node(tmp_path) as node:
        yield node
