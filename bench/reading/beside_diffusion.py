"""Diffusion series beside those of the study, and b-values that are lost, exchanged or written in another way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.uid import generate_uid

from bench.reading.belonging import TWO
from bench.reading.values import of
from bench.reading.variants import Alter, Variant, variant
from bench.reading.visits import Change, copies, each, files_of, folder_of, put, values_of

B = 0x0019, 0x100C
LYING = ("diffusion_map", "rescale_between_b", "as:unknown", "as:adc", "duplicate_slices", "too_few_slices",
         "adc_implausible", "b_values_unknown")  # fmt: skip
TRACE = ["DERIVED", "PRIMARY", "DIFFUSION", "TRACEW", "ND"]


def variants() -> Iterator[Variant]:
    for name, change in _BESIDE.items():
        yield variant(f"DWI: {name} beside it", beside("dwi", change))
    for name, change in _BESIDE_MAP.items():
        yield variant(f"ADC: {name} beside it", beside("adc", change))
    yield variant("DWI: b 0 stated everywhere", of("dwi", always(0)), *LYING)
    yield variant("DWI: b 1000 stated everywhere", of("dwi", always(1000)), *LYING, *TWO)
    yield variant("DWI: b-values as they were played out", of("dwi", played_out))
    yield variant("DWI: b-values of GE as bytes without a type", of("dwi", ge_bytes))
    yield variant("DWI: b-values in two places that differ", of("dwi", two_places), *LYING)
    yield variant("DWI: the images without weighting are averages of other size", larger_b0, *TWO, "mixed_geometry")
    yield variant("DWI: the images without weighting twice", twice_b0)
    yield variant("DWI: a second run of the weighted images, the first one spoilt", spoilt_run)


def beside(kind: str, change: Callable[[Dataset, int], None]) -> Alter:
    """Under a UID of its own, with a higher number and later."""

    def alter(study: Path) -> None:
        number = 0
        for ds, path in copies(study, kind, "beside"):
            if kind == "dwi" and str(ds[B].value) == "0":
                continue
            ds.SeriesInstanceUID, ds.SeriesNumber = f"{ds.SeriesInstanceUID}.9", 90
            ds.AcquisitionTime = ds.ContentTime = "155900"
            change(ds, number)
            number += 1
            ds.save_as(path)

    return alter


def _typed(*image_type: str, b: float | None = None, name: str = "") -> Callable[[Dataset, int], None]:
    def change(ds: Dataset, n: int) -> None:
        put(ds, (values_of(ds)[::-1] * 1.5 + n % 2).round())
        ds.ImageType = list(image_type)
        ds.SeriesDescription = ds.ProtocolName = name
        if b is not None and B in ds:
            ds[B].value, ds.SequenceName = str(int(b)), f"*ep_b{b:.0f}t"

    return change


def half_slices(ds: Dataset, n: int) -> None:
    """As a slab of the posterior fossa, upside down."""
    _typed(*TRACE, name="DWI")(ds, n)
    x, y, z = map(float, ds.ImagePositionPatient)
    ds.ImagePositionPatient, ds.SliceThickness = [x, y, z / 3], 2.0


_BESIDE: dict[str, Callable[[Dataset, int], None]] = {
    "b 2000": _typed(*TRACE, b=2000, name="DWI b2000"),
    "b 500": _typed(*TRACE, b=500, name="DWI b500"),
    "a calculated b 1500": _typed("DERIVED", "PRIMARY", "DIFFUSION", "CALC_BVALUE", "TRACEW", b=1500, name="calc"),
    "an exponential map": _typed("DERIVED", "PRIMARY", "DIFFUSION", "EXP_ADC", name="eADC"),
    "a map of anisotropy": _typed("DERIVED", "PRIMARY", "DIFFUSION", "FA", name="FA"),
    "a single direction": _typed("ORIGINAL", "PRIMARY", "DIFFUSION", "NONE", name="DTI"),
    "a thin slab": half_slices,
}


def _as_map(factor: float, *image_type: str, name: str = "ADC") -> Callable[[Dataset, int], None]:
    def change(ds: Dataset, _n: int) -> None:
        put(ds, np.clip(values_of(ds)[::-1] * factor, 0, 65535).round())
        ds.ImageType, ds.SeriesDescription, ds.ProtocolName = list(image_type), name, name

    return change


_BESIDE_MAP: dict[str, Callable[[Dataset, int], None]] = {
    "one that is wrongly scaled": _as_map(0.1, "DERIVED", "PRIMARY", "DIFFUSION", "ADC"),
    "an exponential map": _as_map(0.4, "DERIVED", "PRIMARY", "DIFFUSION", "EXP_ADC", name="eADC"),
    "a map of anisotropy": _as_map(0.3, "DERIVED", "PRIMARY", "DIFFUSION", "FA", name="FA"),
}


def always(b: int) -> Change:
    return lambda ds, _n: setattr(ds[B], "value", str(b))


def played_out(ds: Dataset, n: int) -> None:
    ds[B].value = str(int(ds[B].value) + n % 5)


def ge_bytes(ds: Dataset, _n: int) -> None:
    b = int(ds[B].value)
    for element in (0x0010, 0x100C, 0x100D):
        ds.pop((0x0019, element), None)
    ds.Manufacturer = "GE MEDICAL SYSTEMS"
    ds.add_new((0x0043, 0x0010), "LO", "GEMS_PARM_01")
    text = f"{10**9 + b}\\8\\0\\0"
    ds.add_new((0x0043, 0x1039), "UN", text.ljust(len(text) + len(text) % 2).encode())


def two_places(ds: Dataset, _n: int) -> None:
    """The standard element states the protocol's highest b-value of every image."""
    ds.DiffusionBValue = 1000.0


def larger_b0(study: Path) -> None:
    def change(ds: Dataset, _n: int) -> None:
        if str(ds[B].value) == "0":
            put(ds, np.repeat(np.repeat(values_of(ds), 2, axis=0), 2, axis=1))
            ds.Rows, ds.Columns, ds.PixelSpacing = 2 * ds.Rows, 2 * ds.Columns, [2.5, 2.5]

    each(study, "dwi", change)


def _again(study: Path, b: str, change: Change) -> None:
    for n, path in enumerate(files_of(folder_of(study, "dwi"))):
        ds = dcmread(path)
        if str(ds[B].value) == b:
            ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid(
                entropy_srcs=[ds.SOPInstanceUID, "again"]
            )
            change(ds, n)
            ds.save_as(path.with_name(f"again_{path.name}"))


def twice_b0(study: Path) -> None:
    _again(study, "0", lambda ds, _n: setattr(ds, "InstanceNumber", int(ds.InstanceNumber) + 500))


def spoilt_run(study: Path) -> None:
    def spoilt(ds: Dataset, _n: int) -> None:
        put(ds, values_of(ds)[::-1])
        ds.AcquisitionNumber, ds.AcquisitionTime = 1, "151500"

    def own(ds: Dataset, _n: int) -> None:
        ds.AcquisitionNumber, ds.AcquisitionTime = 2, "152500"

    _again(study, "1000", spoilt)
    for path in files_of(folder_of(study, "dwi")):
        if not path.name.startswith("again_"):
            ds = dcmread(path)
            own(ds, 0)
            ds.save_as(path)
