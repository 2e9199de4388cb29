"""Rescales, padding, palettes and units: what a stored value means."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset

from bench.reading.variants import Alter, Variant, variant
from bench.reading.visits import Change, each, put, values_of

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
ADC_IMPLAUSIBLE = ("adc_implausible", "adc_unit_unknown")
B_VALUE = 0x0019, 0x100C
DATE_KEYS = ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate")
DATES: dict[str, Callable[[str], str]] = {
    "dotted": lambda v: f"{v[:4]}.{v[4:6]}.{v[6:]}",
    "with slashes": lambda v: f"{v[:4]}/{v[4:6]}/{v[6:]}",
    "as ISO 8601 with a time and a zone": lambda v: f"{v[:4]}-{v[4:6]}-{v[6:]}T00:30:00+01:00",
    "with dashes": lambda v: f"{v[:4]}-{v[4:6]}-{v[6:]}",
    "with spaces around": lambda v: f" {v} ",
    "with a time behind": lambda v: f"{v}000000",
}
TIMES = ("15:14:00", "2400", "240000", "1514", "15", "", "151460", "151400.123456789", "15.14", "151400+0100")


def variants() -> Iterator[Variant]:
    yield from _rescales()
    yield from _meanings()
    for name, write in DATES.items():
        yield variant(f"dates {name}", dates(write))
    yield variant("no study date, the others are there", without_study_date)
    for at in TIMES:
        yield variant(f"times written as '{at}'", times(at))
    yield variant("dates in the first object only", first_date_only)


def _rescales() -> Iterator[Variant]:
    for kind in ("flair", "t2", "dwi", "adc"):
        yield variant(f"{kind}: a rescale for each slice", of(kind, rescaled_by_slice))
    yield variant("a rescale for each b-value, Philips scale slope", of("dwi", philips_scaled), "rescale_between_b")
    yield variant("a rescale for each b-value", of("dwi", rescaled_by_b))
    for text in ("0", "1e38", "-1e38"):
        yield variant(f"rescale slope {text}", of("flair", slope(text)), "absurd_values")
    yield variant("rescale slope missing in half of the slices", of("flair", half_without_slope), "mixed_rescale")
    yield variant("negative slope", of("flair", turned_by_slope))
    yield variant("MONOCHROME1", of("flair", turned))


def _meanings() -> Iterator[Variant]:
    for kind in ("flair", "adc", "dwi"):
        for colour in ("PALETTE COLOR", "RGB", "YBR_FULL"):
            yield variant(f"{kind} as {colour}", of(kind, coloured(colour)), "not_grey", f"as:{'derived'}")
        yield variant(f"{kind} as secondary capture", of(kind, captured), "as:not_image", "secondary_capture")
    for factor, names in (
        (1e-3, ()),
        (1e-6, ()),
        (0.1, ADC_IMPLAUSIBLE),
        (4.0, ADC_IMPLAUSIBLE),
        (0.0, ADC_IMPLAUSIBLE),
    ):
        yield variant(
            f"ADC times {factor:g}", of("adc", scaled(factor)), *names, *(("absurd_values",) if not factor else ())
        )
    for value in (0, 4095, 65535, -32768):
        yield variant(f"padding value {value}", padded(value), expected=_without_padding)
    yield variant("pixels within the padding range", padding_range, expected=_without_padding)


def of(kind: str, change: Change) -> Alter:
    return lambda study: each(study, kind, change)


def rescaled_by_slice(ds: Dataset, n: int) -> None:
    factor = 1 + n % 3
    slope = float(ds.get("RescaleSlope", 1))
    put(ds, values_of(ds) * factor)
    ds.RescaleSlope, ds.RescaleIntercept = slope / factor, ds.get("RescaleIntercept", 0)


def rescaled_by_b(ds: Dataset, _n: int) -> None:
    if str(ds[B_VALUE].value) == "0":
        return
    put(ds, values_of(ds) * 2)
    ds.RescaleSlope, ds.RescaleIntercept = 0.5, 0


def philips_scaled(ds: Dataset, _n: int) -> None:
    """Comparable values are stored / ScaleSlope; the rescale of the weighted images would double them."""
    ds.RescaleSlope, ds.RescaleIntercept = 1.0 if str(ds[B_VALUE].value) == "0" else 2.0, 0
    ds.Manufacturer = "Philips Medical Systems"
    ds.DiffusionBValue = float(ds[B_VALUE].value)
    block = ds.private_block(0x2005, "Philips MR Imaging DD 001", create=True)
    block.add_new(0x0D, "FL", 0.0)
    block.add_new(0x0E, "FL", 1.0)


def slope(text: str) -> Change:
    def change(ds: Dataset, _n: int) -> None:
        ds.RescaleSlope, ds.RescaleIntercept = text, 0

    return change


def half_without_slope(ds: Dataset, n: int) -> None:
    put(ds, values_of(ds) * 2)
    if n % 2:
        ds.RescaleSlope, ds.RescaleIntercept = 0.5, 0


def turned_by_slope(ds: Dataset, _n: int) -> None:
    put(ds, 1000 - values_of(ds))
    ds.RescaleSlope, ds.RescaleIntercept = -1, 1000


def turned(ds: Dataset, _n: int) -> None:
    ds.PhotometricInterpretation = "MONOCHROME1"
    ds.BitsStored, ds.HighBit = 12, 11
    put(ds, 4095 - values_of(ds))


def coloured(name: str) -> Change:
    def change(ds: Dataset, _n: int) -> None:
        grey = np.clip(values_of(ds) // 8, 0, 255).astype(np.uint8)
        ds.PhotometricInterpretation = name
        ds.BitsAllocated = ds.BitsStored = 8
        ds.HighBit = 7
        if name == "PALETTE COLOR":
            for channel in ("Red", "Green", "Blue"):
                setattr(ds, f"{channel}PaletteColorLookupTableDescriptor", [256, 0, 16])
                ds[f"{channel}PaletteColorLookupTableDescriptor"].VR = "US"
                setattr(ds, f"{channel}PaletteColorLookupTableData", np.arange(256, dtype="<u2").tobytes())
                ds[f"{channel}PaletteColorLookupTableData"].VR = "OW"
        else:
            ds.SamplesPerPixel, ds.PlanarConfiguration = 3, 0
            grey = np.repeat(grey[:, :, None], 3, axis=2)
        ds.PixelData = grey.tobytes()
        ds["PixelData"].VR = "OB"

    return change


def captured(ds: Dataset, _n: int) -> None:
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = SECONDARY_CAPTURE


def scaled(factor: float) -> Change:
    def change(ds: Dataset, _n: int) -> None:
        ds.RescaleSlope, ds.RescaleIntercept = float(ds.get("RescaleSlope", 1)) * factor, 0
        if not factor:
            put(ds, values_of(ds) * 0)
            ds.RescaleSlope = 1

    return change


def padded(value: int) -> Alter:
    """Two rows of background hold the padding value."""

    def change(ds: Dataset, _n: int) -> None:
        found = values_of(ds)
        found[:2] = value & 0xFFFF
        put(ds, found)
        ds.add_new(0x00280120, "SS" if value < 0 else "US", value)
        if value < 0:
            ds.PixelRepresentation = 1

    return lambda study: each(study, "flair", change)


def _without_padding(voxels: Any) -> Any:
    """Padding is background whatever its value: zero."""
    voxels[:, :2] = 0
    return voxels


def padding_range(study: Path) -> None:
    def change(ds: Dataset, _n: int) -> None:
        found = values_of(ds)
        found[0], found[1] = 2000, 2040
        put(ds, found)
        ds.add_new(0x00280120, "US", 2000)
        ds.add_new(0x00280121, "US", 2047)

    each(study, "flair", change)


def dates(write: Callable[[str], str]) -> Alter:
    def change(ds: Dataset, _n: int) -> None:
        for key in DATE_KEYS:
            if key in ds:
                _raw(ds, key, write(str(ds[key].value)))

    return lambda study: each(study, "", change)


def _raw(ds: Dataset, key: str, value: Any) -> None:
    ds[key]._value = value


def without_study_date(study: Path) -> None:
    def change(ds: Dataset, _n: int) -> None:
        ds.StudyDate = ds.StudyTime = ""

    each(study, "", change)


def first_date_only(study: Path) -> None:
    def change(ds: Dataset, n: int) -> None:
        if n:
            ds.StudyDate = ""

    each(study, "", change)


def times(written: str) -> Alter:
    def change(ds: Dataset, _n: int) -> None:
        for key in ("StudyTime", "SeriesTime", "AcquisitionTime", "ContentTime"):
            if key in ds:
                _raw(ds, key, written)

    return lambda study: each(study, "", change)
