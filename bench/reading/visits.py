"""A small patient of two visits, written as DICOM files: every series that is measured, with voxels that are known."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.uid import generate_uid

from simulation.dicom import PatientIdentity, StudyIdentity, uid, write_volume
from triage.model import SequenceKind, Volume

SLICES, ROWS, COLUMNS = 14, 36, 40  # JPEG 2000 encoders want 32 at least
KINDS = ("flair", "t1", "t2", "dwi", "adc", "t1_gd")
DAYS = {"baseline": date(2024, 3, 1), "followup": date(2024, 3, 11)}
DIFFUSION = {"dwi": (200.0, 30.0, 6.0), "adc": (800.0, 3000.0, 0.0)}  # tissue, fluid and air
LARGEST = 500  # fits into 10 signed bits
Change = Callable[[Dataset, int], None]


def write_visits(out: Path) -> None:
    """``out``/baseline and ``out``/followup: one folder for each series."""
    affine = np.diag([5.0, 5.0, 9.0, 1.0])
    affine[:3, 3] = -100.0, -90.0, -60.0
    patient = PatientIdentity("READ-1", "Reading^One", date(1970, 1, 2), "F")
    for visit, day in DAYS.items():
        started = datetime(day.year, day.month, day.day, 15, 14, tzinfo=UTC)
        study = StudyIdentity(uid("reading", visit), uid("reading", visit, "frame"), started)
        for number, kind in enumerate(KINDS, start=1):
            voxels = _voxels(np.random.default_rng([number, day.toordinal()]), kind)
            write_volume(
                Volume(voxels, affine), out / visit / f"{number:03d}_{kind}", kind=SequenceKind(kind),
                patient=patient, study=study, series_number=number, gap_mm=1.0,
            )  # fmt: skip
        _add_unweighted(out / visit / "004_dwi")


def _voxels(rng: np.random.Generator, kind: str) -> Any:
    """Noise; of diffusion a head with ventricles, since there the values tell what a series is."""
    if kind not in DIFFUSION:
        return rng.integers(0, LARGEST, (SLICES, ROWS, COLUMNS)).astype(np.float32)
    axes = np.meshgrid(*(np.linspace(-1.1, 1.1, n) for n in (SLICES, ROWS, COLUMNS)), indexing="ij")
    radius = np.sqrt(sum(np.square(axis) for axis in axes))
    tissue, fluid, air = DIFFUSION[kind]
    voxels = np.where(radius < 1.0, tissue, air)
    voxels[radius < 0.3] = fluid
    return np.rint(voxels * rng.normal(1.0, 0.05, voxels.shape)).astype(np.float32)


def _add_unweighted(folder: Path) -> None:
    """The images without diffusion weighting, in the series of the DWI; 2.2 times as bright."""
    for path in files_of(folder):
        ds = dcmread(path)
        ds.PixelData = (ds.pixel_array * 2.2).astype("<u2").tobytes()
        ds[0x0019, 0x100C].value = "0"
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[ds.SOPInstanceUID])
        ds.InstanceNumber = int(ds.InstanceNumber) + SLICES
        ds.save_as(path.with_name(f"b0_{path.name}"))


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def folder_of(study: Path, kind: str) -> Path:
    return next(study.glob(f"*_{kind}"))


def each(study: Path, kind: str, change: Change) -> None:
    """Rewrite every file of a series ("": of the study) with ``change(data set, number)``."""
    for number, path in enumerate(files_of(folder_of(study, kind) if kind else study)):
        ds = dcmread(path)
        change(ds, number)
        ds.save_as(path)


def copies(study: Path, kind: str, name: str) -> Iterator[tuple[Dataset, Path]]:
    """The objects of a series again, with instance UIDs of their own, and where to save each."""
    folder = study / name
    folder.mkdir()
    for path in files_of(folder_of(study, kind)):
        ds = dcmread(path)
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid(
            entropy_srcs=[ds.SOPInstanceUID, name]
        )
        yield ds, folder / path.name


def values_of(ds: Dataset) -> Any:
    """Stored values as int32 (rows, columns)."""
    return np.frombuffer(ds.PixelData, "<u2").reshape(ds.Rows, ds.Columns).astype(np.int32)


def put(ds: Dataset, values: Any) -> None:
    ds.PixelData = np.ascontiguousarray(values).astype("<u2").tobytes()
    for keyword in ("SmallestImagePixelValue", "LargestImagePixelValue"):
        if keyword in ds:
            del ds[keyword]
