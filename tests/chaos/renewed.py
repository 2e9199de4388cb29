"""A synthetic patient in, the same images as another patient out: tests that share a node need studies of their own."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from pydicom import dcmread
from pydicom.uid import generate_uid

from simulation.patient import SimulatedPatient

UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID")


def renewed(patient: SimulatedPatient, folder: Path, *, series: str = "") -> SimulatedPatient:
    """The patient under another ID, all files under other UIDs, below ``folder``, whose path makes them. series: the
    only one that is taken, "t1"; empty: all."""
    taken = f"*_{series}/*.dcm" if series else "*.dcm"
    folders = {
        name: _copied(sorted(getattr(patient, name).rglob(taken)), folder / name, folder)
        for name in ("baseline_dir", "followup_dir")
    }
    studies = {name: _other(getattr(patient, name), folder) for name in ("baseline_study_uid", "followup_study_uid")}
    return dataclasses.replace(patient, patient_id=_patient_id(patient.patient_id, folder), **folders, **studies)


def _copied(images: Sequence[Path], target: Path, entropy: Path) -> Path:
    assert images
    target.mkdir(parents=True)
    for number, path in enumerate(images):
        dataset = dcmread(path)
        dataset.PatientID = _patient_id(dataset.PatientID, entropy)
        for name in UIDS:
            if name in dataset:
                setattr(dataset, name, _other(str(dataset[name].value), entropy))
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.save_as(target / f"{number:04}.dcm")
    return target


def _other(text: str, entropy: Path) -> str:
    return str(generate_uid(entropy_srcs=[text, str(entropy)]))


def _patient_id(text: str, entropy: Path) -> str:
    return _other(text, entropy)[-16:]
