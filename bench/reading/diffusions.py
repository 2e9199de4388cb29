"""Diffusion series whose headers lie about what they are, and about the scale of their values."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pydicom import Dataset
from pydicom.uid import generate_uid

from bench.reading.values import of
from bench.reading.variants import Alter, Variant, variant
from bench.reading.visits import each, folder_of, put, values_of

SIEMENS_B = 0x0019, 0x100C
MAKERS: dict[str, Callable[[Dataset, float], None]] = {
    "GE MEDICAL SYSTEMS": lambda ds, b: _private(ds, 0x0043, "GEMS_PARM_01", 0x39, "IS", [int(b) + 10**9, 8, 0, 0]),
    "Philips Medical Systems": lambda ds, b: _private(ds, 0x2001, "Philips Imaging DD 001", 0x03, "FL", b),
    "SIEMENS": lambda ds, b: _private(ds, 0x0019, "SIEMENS MR HEADER", 0x0C, "IS", str(int(b))),
    "TOSHIBA": lambda ds, b: setattr(ds, "DiffusionBValue", b),
    "UIH": lambda ds, b: _private(ds, 0x0065, "Image Private Header", 0x09, "FD", b),
}
TYPES = {
    "processed": ["DERIVED", "SECONDARY", "PROCESSED"],
    "derived": ["DERIVED", "PRIMARY", "OTHER"],
    "original": ["ORIGINAL", "PRIMARY", "OTHER"],
}
TRACES = {"combined": ["DERIVED", "SECONDARY", "COMBINED"], "trace": ["DERIVED", "PRIMARY", "DIFFUSION", "TRACEW"]}


def variants() -> Iterator[Variant]:
    for maker in MAKERS:
        for name, image_type in TYPES.items():
            yield variant(f"ADC of {maker} without a name, {name}, b 1000", of("adc", unnamed(maker, image_type)))
            yield variant(f"the same alone, {maker}, {name}", alone(unnamed(maker, image_type)), "absent")
        for name, image_type in TRACES.items():
            yield variant(f"DWI of {maker} without a name, {name}", of("dwi", unnamed(maker, image_type, None)))
    yield variant("ADC called a trace image", of("adc", unnamed("SIEMENS", TRACES["trace"])), "diffusion_map", "as:dwi")
    yield variant("DWI called an ADC map", of("dwi", called_map), "adc_implausible", "adc_unit_unknown", "as:adc")
    for apart in (False, True):
        where = "in a series of its own" if apart else "in one series"
        for factor in (2.0, 0.5):
            yield variant(f"b 0 times {factor:g}, {where}", scaled(0, factor, apart=apart), "rescale_between_b")
        for b in (0, 1000):
            yield variant(f"b {b} with its scale slope, b 0 {where}", scaled(b, 3.0, apart=apart, slope=True))


def _private(ds: Dataset, group: int, creator: str, element: int, vr: str, value: Any) -> None:
    ds.private_block(group, creator, create=True).add_new(element, vr, value)


def unnamed(maker: str, image_type: list[str], b: float | None = 1000.0) -> Callable[[Dataset, int], None]:
    """As de-identification leaves it. b: None for the value that the object has."""

    def change(ds: Dataset, _n: int) -> None:
        own = float(ds[SIEMENS_B].value) if SIEMENS_B in ds else 0.0
        for keyword in ("SeriesDescription", "ProtocolName", "SequenceName"):
            ds.pop(keyword, None)
        for element in (0x0010, 0x100C, 0x100D):
            ds.pop((0x0019, element), None)
        ds.Manufacturer, ds.ImageType = maker, image_type
        MAKERS[maker](ds, own if b is None else b)

    return change


def alone(change: Callable[[Dataset, int], None]) -> Alter:
    def alter(study: Path) -> None:
        shutil.rmtree(folder_of(study, "dwi"))
        each(study, "adc", change)

    return alter


def called_map(ds: Dataset, _n: int) -> None:
    ds.ImageType = ["DERIVED", "PRIMARY", "DIFFUSION", "ADC"]


def scaled(which: int, factor: float, *, apart: bool, slope: bool = False) -> Alter:
    """The values of one b-value times a factor; slope: Philips' private scale slope says so."""

    def change(ds: Dataset, _n: int) -> None:
        b = int(ds[SIEMENS_B].value)
        if b == which:
            put(ds, (values_of(ds) * factor).round())
        if slope:
            ds.Manufacturer = "Philips Medical Systems"
            ds.RescaleSlope, ds.RescaleIntercept = 1.7 if b == which else 1.1, 0
            _private(ds, 0x2005, "Philips MR Imaging DD 001", 0x0E, "FL", factor if b == which else 1.0)
        if apart and b == 0:
            ds.SeriesInstanceUID = generate_uid(entropy_srcs=[str(ds.SeriesInstanceUID), "b0"])

    return of("dwi", change)
