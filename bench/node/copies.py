"""Simulated studies under other names: a few patients are simulated, their copies get identifiers of their own."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pydicom import Dataset, dcmread

from simulation.patient import SimulatedPatient, simulate

# Beside the results of other benches; `make clean` removes it.
CACHE = Path("bench/out/patients")
UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID")


@dataclass(frozen=True)
class Copy:
    """A study in a folder. infusion: of the patient; None: unknown."""

    name: str
    uid: str
    patient_id: str
    folder: Path
    infusion: date | None = None


def simulated(seed: int, pattern: str) -> SimulatedPatient:
    """A patient with FLAIR only, simulated once."""
    folder = CACHE / f"{pattern}-{seed}"
    done = folder / "done"
    if done.exists():
        return _found(folder, seed)
    patient = simulate(folder, pattern=pattern, seed=seed, sequences=("flair",))
    done.touch()
    return patient


def _found(folder: Path, seed: int) -> SimulatedPatient:
    import json

    place = folder / f"SIM-{seed}"
    truth = json.loads((place / "truth.json").read_text(encoding="utf-8"))
    return SimulatedPatient(
        patient_id=truth["patient_id"],
        baseline_dir=place / "baseline",
        followup_dir=place / "followup",
        infusion_date=date.fromisoformat(truth["infusion_date"]),
        baseline_study_uid=truth["baseline"]["study_instance_uid"],
        followup_study_uid=truth["followup"]["study_instance_uid"],
        truth_dir=place,
        truth=truth,
    )


def copy_of(
    source: Path,
    folder: Path,
    *,
    name: str,
    patient_id: str,
    change: Callable[[Dataset, int], None] = lambda _ds, _n: None,
    infusion: date | None = None,
) -> Copy:
    """Write the study again with UIDs made of ``name``.

    Args:
        change: called with each data set and its number.
    """
    place, study = folder / name, ""
    place.mkdir(parents=True)
    for number, path in enumerate(sorted(source.rglob("*.dcm"))):
        ds = dcmread(path)
        for keyword in UIDS:
            setattr(ds, keyword, _uid(name, str(ds[keyword].value)))
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        ds.PatientID, study = patient_id, str(ds.StudyInstanceUID)
        change(ds, number)
        ds.save_as(place / f"{number:04d}.dcm")
    return Copy(name, study, patient_id, place, infusion)


def _uid(*parts: str) -> str:
    return f"2.25.{int(hashlib.sha256('/'.join(parts).encode()).hexdigest()[:30], 16)}"
