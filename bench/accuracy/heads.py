"""A name of a head in, the images of its baseline out; with the split of heads into calibration and test.

Calibration and test share no head and no seed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path

import numpy as np

import atlas
from bench.accuracy.changes import Rescan, centre_of, random_rescan, rescanned
from bench.real_pairs import data_folder, read_nifti
from simulation import acquisition as acq
from simulation.deformation import rng_for
from simulation.dicom import PatientIdentity, StudyIdentity
from simulation.patterns import Change
from simulation.phantom import Phantom, make_phantom
from simulation.scan import Session, photographed
from simulation.vendors import protocol as plan_of
from triage.model import (
    Affine,
    Identification,
    Patient,
    SequenceKind,
    Series,
    SeriesHeader,
    Study,
    StudyImages,
    Volume,
)

F, T1, T2, GD, DWI, ADC = (SequenceKind(k) for k in ("flair", "t1", "t2", "t1_gd", "dwi", "adc"))
THICK = (0.9, 0.9, 4.0)  # a 2-D stack taken from a 3-D scan, mm
NOON = datetime(2024, 2, 23, 12)  # noqa: DTZ001 - DICOM times have no zone


@dataclass(frozen=True)
class Head:
    """One person. patient: who it is (two dates of one person are one patient); split: "test" or "calibration".

    files: kind -> path below the data folder; empty: simulated from ``seed``. segmentation: of SAMSEG, where there is
    one.
    """

    name: str
    patient: str
    split: str
    files: Mapping[SequenceKind, str]
    seed: int = 0
    segmentation: str | None = None


def _open_ms(patient: str, study: int, kinds: Mapping[SequenceKind, str]) -> dict[SequenceKind, str]:
    return {kind: f"open_ms/{patient}/study{study}_{name}.nii.gz" for kind, name in kinds.items()}


_TWO, _THREE = {F: "FLAIR", T2: "T2W"}, {F: "FLAIR", T1: "T1W", T2: "T2W"}
REAL = (
    Head("flair_3d", "flair_3d", "test", {F: "flair_3d/flair.nii.gz"}, segmentation="flair_3d"),
    Head("isbi02", "isbi02", "test", {F: "isbi/training02_01_flair.nii.gz"}),
    Head("open_ms01a", "open_ms01", "test", _open_ms("patient01", 1, _THREE)),
    Head("open_ms01b", "open_ms01", "test", _open_ms("patient01", 2, _THREE),
         segmentation="open_ms_patient01_study2_FLAIR"),
    Head("open_ms03a", "open_ms03", "test", _open_ms("patient03", 1, _TWO)),
    Head("open_ms03b", "open_ms03", "test", _open_ms("patient03", 2, _THREE),
         segmentation="open_ms_patient03_study2_FLAIR"),
    Head("isles22", "isles22", "test",
         {k: f"isles22/case0009/{n}.nii.gz" for k, n in ((F, "flair"), (DWI, "dwi"), (ADC, "adc"))}),
    Head("isbi01", "isbi01", "calibration", {F: "isbi/training01_01_flair.nii.gz"}),
    Head("isbi03", "isbi03", "calibration", {F: "isbi/training03_01_flair.nii.gz"}),
    Head("patient07", "patient07", "calibration",
         {k: f"open_ms_mni/patient07/{n}.nii.gz" for k, n in ((F, "FLAIR"), (T1, "T1"), (T2, "T2"), (GD, "T1POST"))}),
    Head("brats_met", "brats_met", "calibration",
         {k: f"brats_met/{n}.nii.gz" for k, n in ((F, "t2f"), (T1, "t1n"), (T2, "t2w"), (GD, "t1c"))}),
)  # fmt: skip
SIMULATED = tuple(
    Head(f"sim{seed}", f"sim{seed}", split, {}, seed)
    for split, first, count in (("test", 2001, 5), ("calibration", 1001, 6))
    for seed in range(first, first + count)
)
HEADS = {head.name: head for head in (*REAL, *SIMULATED)}


@dataclass(frozen=True)
class Base:
    """A head as it was scanned first.

    variant: "native" or, for 3-D scans, "thick" (a 2-D stack of it); simulated: "<vendor>-<2d|3d>".
    """

    head: str
    variant: str = "native"

    @property
    def name(self) -> str:
        return f"{self.head}-{self.variant}"


@dataclass(frozen=True)
class Machine:
    """What the header says about the scanner and the FLAIR; real scans come without headers."""

    manufacturer: str
    model: str
    tesla: float
    dimensions: str
    tr_ms: float
    te_ms: float
    ti_ms: float

    def header(self, uid: str) -> SeriesHeader:
        return SeriesHeader(
            uid,
            manufacturer=self.manufacturer,
            model_name=self.model,
            magnetic_field_strength_t=self.tesla,
            mr_acquisition_type=self.dimensions,
            repetition_time_ms=self.tr_ms,
            echo_time_ms=self.te_ms,
            inversion_time_ms=self.ti_ms,
        )


HERE = Machine("SIEMENS", "Skyra", 3.0, "2D", 9000, 119, 2500)
ELSEWHERE = Machine("GE MEDICAL SYSTEMS", "Optima MR450w", 1.5, "2D", 8000, 140, 2200)


def study(volumes: Mapping[SequenceKind, Volume], header: SeriesHeader, uid: str, day: date) -> StudyImages:
    """Volumes as the engine gets them; series UIDs are made from ``uid``."""
    series = []
    for number, kind in enumerate(volumes, 1):
        one = replace(header, series_instance_uid=f"{uid}.{number}")
        series.append(Series(one, Identification(kind, 1.0, ())))
    used = {s.identification.kind: s.header.series_instance_uid for s in series}
    return StudyImages(Study(uid, Patient("bench"), day, None, tuple(series)), dict(volumes), used)


def missing(names: tuple[str, ...]) -> list[str]:
    """Files of the named heads that are not there."""
    folder = data_folder()
    wanted = [folder / path for name in names for path in HEADS[name].files.values()]
    return [str(path) for path in wanted if not path.exists()]


# -- real heads ------------------------------------------------------------------------------------


@lru_cache(maxsize=2)
def native(name: str) -> dict[SequenceKind, Volume]:
    """The scans of a real head as published.

    ADC in 1e-6 mm2/s, whatever the file's unit; the axes run along the slices.
    """
    folder = data_folder()
    out = {kind: read_nifti(folder / path) for kind, path in HEADS[name].files.items()}
    if ADC in out and float(np.percentile(out[ADC].voxels, 99)) < 100:
        out[ADC] = Volume((1000.0 * out[ADC].voxels).astype(np.float32), out[ADC].affine)
    return out


def white_level(volume: Volume) -> float:
    """A level near white matter's for any contrast: the median of what is clearly not air."""
    values = volume.voxels[:: max(1, volume.voxels.shape[0] // 40), ::3, ::3]
    bright = values[values > 0.25 * np.percentile(values, 98)]
    return float(np.median(bright))


def real_baseline(base: Base) -> tuple[dict[SequenceKind, Volume], Affine]:
    """The first scan and (4, 4) native LPS mm -> its LPS mm (identity unless the stack is a re-acquired one)."""
    volumes = native(base.head)
    if base.variant == "native":
        return volumes, np.eye(4)
    seed = int(rng_for(0, base.name).integers(1 << 30))
    how = random_rescan(seed, centre_of(volumes[F]), drift=0.0, gamma=(1, 1), snr=(60, 60), spacing_mm=THICK)
    return second_scan(volumes, how), how.pose


def second_scan(
    volumes: Mapping[SequenceKind, Volume], how: Rescan, flair: Volume | None = None, swelling=None
) -> dict[SequenceKind, Volume]:  # type: ignore[no-untyped-def]
    """All series of a head scanned again in one session.

    flair: to use instead of the FLAIR of ``volumes`` (a change was put in).
    """
    out = {}
    for kind, volume in volumes.items():
        level = None if kind is ADC else white_level(volume)
        spacing = (
            how.spacing_mm if kind is F or (min(volume.spacing_mm) > 0.95 and max(volume.spacing_mm) < 1.05) else None
        )
        mine = replace(how, spacing_mm=spacing, gamma=how.gamma if kind is F else 1.0)
        source = flair if kind is F and flair is not None else volume
        out[kind] = rescanned(source, mine, white_level=level, swelling=swelling, stream=kind.value)
    return out


# -- simulated heads -------------------------------------------------------------------------------


@lru_cache(maxsize=2)
def phantom_of(seed: int) -> Phantom:
    return make_phantom(atlas.load(), seed)


def visit(seed: int, name: str, variant: str, *, drift: float) -> Session:
    """A session of a simulated head; ``name`` seeds its pose, field, gain and noise."""
    vendor, dimensions = variant.split("-")
    rng = rng_for(seed, f"session {name}")
    return Session(
        name=name,
        seed=seed,
        protocol=plan_of(vendor, dimensions),
        pose=acq.random_pose(seed, name),
        bias=acq.bias_coefficients(seed, name, drift=drift),
        gain=float(rng.uniform(0.75, 1.3)),
        study=StudyIdentity(f"1.2.{seed}", f"1.2.{seed}.1", NOON),
        patient=PatientIdentity(f"SIM-{seed}", "Simulated", date(1980, 1, 1), "F"),
    )


def simulated_scan(
    session: Session, change: Change, sequences: tuple[str, ...]
) -> tuple[dict[SequenceKind, Volume], SeriesHeader]:
    """The volumes of a visit and the facts of its FLAIR's header."""
    out: dict[SequenceKind, Volume] = {}
    header = SeriesHeader("")
    scanner = session.protocol.scanner
    for taken in photographed(session, change, sequences):
        stack = taken.stacks[-1]  # the highest b-value
        slope = 1.0 if taken.sequence.kind is ADC else scanner.slope or 1.0
        out[taken.sequence.kind] = Volume((stack.voxels * np.float32(slope)).astype(np.float32), taken.affine)
        if taken.sequence.kind is F:
            header = _header(
                taken.sequence.header,
                scanner.manufacturer,
                scanner.model_name,
                scanner.field_t,
                taken.sequence.geometry.acquisition,
            )
    return out, header


def _header(facts: Mapping[str, object], manufacturer: str, model: str, tesla: float, dimensions: str) -> SeriesHeader:
    def number(key: str) -> float | None:
        value = facts.get(key)
        return float(value) if isinstance(value, int | float) else None

    return SeriesHeader(
        "",
        manufacturer=manufacturer,
        model_name=model,
        magnetic_field_strength_t=tesla,
        mr_acquisition_type=dimensions,
        repetition_time_ms=number("RepetitionTime"),
        echo_time_ms=number("EchoTime"),
        inversion_time_ms=number("InversionTime"),
    )


def cache_folder(out: Path, base: Base) -> Path:
    return out / "prepared" / base.name
