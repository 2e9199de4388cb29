"""Synthetic patients that all test processes of one run share: the first that asks makes them."""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from simulation.patient import SimulatedPatient, simulate


def patient_of_the_run(factory: pytest.TempPathFactory, seed: int, sequences: tuple[str, ...]) -> SimulatedPatient:
    """A patient without a pattern, for reading only."""
    folder = folder_of_the_run(factory) / f"patient-{seed}-{'-'.join(sequences)}"
    folder.mkdir(exist_ok=True)
    facts = folder / "facts.json"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not facts.exists():
            made = simulate(folder, seed=seed, sequences=sequences)
            facts.write_text(json.dumps(dataclasses.asdict(made), default=str), encoding="utf-8")
    return read(json.loads(facts.read_text(encoding="utf-8")))


def folder_of_the_run(factory: pytest.TempPathFactory) -> Path:
    """pytest-xdist gives each of its processes a folder inside that of the run."""
    own = factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


def read(facts: dict[str, Any]) -> SimulatedPatient:
    for name in ("baseline_dir", "followup_dir", "truth_dir"):
        facts[name] = Path(facts[name])
    return SimulatedPatient(**facts | {"infusion_date": date.fromisoformat(facts["infusion_date"])})
