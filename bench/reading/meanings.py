"""What a stored value means by elements that are wrong, doubled or private; names that say something else."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from pydicom import Dataset
from pydicom.sequence import Sequence as Items

from bench.reading.values import ADC_IMPLAUSIBLE, of
from bench.reading.variants import Alter, Variant, variant
from bench.reading.visits import Change, each, put, values_of

SLOPES = ("mixed_rescale", "absurd_values")
SIEMENS, PHILIPS = "SIEMENS MR HEADER", "Philips MR Imaging DD 001"
ELSEWHERE = (
    "as:unknown", "as:derived", "as:localizer", "as:angiography", "as:t1_gd", "as:swi", "as:dwi", "diffusion_map",
    "absent",
)  # fmt: skip
NAMES: Mapping[str, tuple[str, ...]] = {
    "flair": ("T1 MPRAGE", "T2 TSE", "DIR", "STIR", "ADC", "DWI b1000", "SWI", "T1 FLAIR", "MIP", "Lokalisator"),
    "t1": ("FLAIR", "T2 FLAIR tra", "T2", "DWI", "ADC", "T1 +KM"),
    "t2": ("FLAIR", "T2 FLAIR", "T1", "DIR", "ADC"),
    "dwi": ("ADC", "FLAIR", "T2", "T1"),
    "adc": ("DWI b1000", "FLAIR", "TRACEW", "T2", "eADC"),
    "t1_gd": ("FLAIR", "T2"),
}
INVERTED: Mapping[str, Mapping[str, object]] = {
    "STIR": {"InversionTime": 160, "RepetitionTime": 5000, "EchoTime": 70, "SequenceName": "*tir2d1_15"},
    "DIR": {"InversionTime": 3000, "RepetitionTime": 7500, "EchoTime": 318, "SequenceName": "*spcir_278ns"},
}


def variants() -> Iterator[Variant]:
    for text in ("0,5", "NaN", "inf", "abc", ""):
        yield variant(f"slope '{text}' in two thirds of the slices", of("flair", no_slope(text)), *SLOPES)
    for text in ("US", "OD", "HU", "mm2/s", "10^-6 mm2/s", "UNSPECIFIED"):
        yield variant(f"ADC: rescale type {text}", of("adc", rescale_type(text)))
    for factor in (10.0, 2.0, 1.5, 0.5):
        yield variant(f"ADC: stored times {factor:g}", of("adc", times(factor)), *ADC_IMPLAUSIBLE)
    for slope, unit, factor in ((1e-6, "mm2/s", 1), (0.5, "um2/s", 2), (1e-3, "10-3.mm2/s", 1), (1e-12, "m2/s", 1)):
        what = f"ADC: real world values in {unit}, slope {slope:g}"
        yield variant(what, of("adc", real_world(slope, unit, factor)), *ADC_IMPLAUSIBLE)
    yield variant("FLAIR: real world values without a unit", of("flair", real_world(2.0, "1", 1)))
    for name, map_of in (("exponential map", exponential), ("map of anisotropy", anisotropy)):
        yield variant(f"{name} called ADC", of("adc", map_of), *ADC_IMPLAUSIBLE, "as:derived")
    yield from _private()
    yield from _names()


def _private() -> Iterator[Variant]:
    for name, how in {
        "in the first block": {},
        "in the second block": {"before": "Philips MR Imaging DD 005"},
        "its creator twice": {"before": PHILIPS},
        "as bytes without a type": {"vr": "UN"},
        "as text": {"vr": "DS"},
    }.items():
        yield variant(f"FLAIR: Philips scale slope of each slice, {name}", of("flair", philips(**how)))
    yield variant("FLAIR: Philips scale slope lost from half of the slices", of("flair", philips_lost), *SLOPES)
    yield variant("DWI: b-values as bytes without a type", of("dwi", b_untyped))
    yield variant("DWI: b-values in the second of two blocks", of("dwi", b_in_second))
    yield variant("DWI: no b-values", of("dwi", b_lost), "duplicate_slices", "as:unknown")
    yield variant("DWI: half of the images without a b-value", of("dwi", b_half), "too_few_slices", "duplicate_slices")


def _names() -> Iterator[Variant]:
    for kind, names in NAMES.items():
        for name in names:
            allowed = () if kind == "dwi" else ELSEWHERE
            yield variant(f"{kind} called {name}", called(kind, name), *allowed)
    yield variant("flair called T2 in Chinese", of("flair", chinese))
    for name, timing in INVERTED.items():
        yield variant(
            f"{name} called FLAIR", called("t2", "FLAIR", ScanningSequence=["SE", "IR"], **timing), "as:unknown"
        )


def no_slope(text: str) -> Change:
    def change(ds: Dataset, n: int) -> None:
        put(ds, values_of(ds) * (1 + n % 3))
        ds.RescaleSlope, ds.RescaleIntercept = "1", "0"
        if n % 3:
            ds["RescaleSlope"]._value = text

    return change


def rescale_type(text: str) -> Change:
    def change(ds: Dataset, _n: int) -> None:
        ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType = 1, 0, text

    return change


def times(factor: float) -> Change:
    return lambda ds, _n: put(ds, np.clip(values_of(ds) * factor, 0, 65535).round())


def real_world(slope: float, unit: str, factor: int) -> Change:
    def change(ds: Dataset, _n: int) -> None:
        put(ds, values_of(ds) * factor)
        code, item = Dataset(), Dataset()
        code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = unit, "UCUM", unit
        item.RealWorldValueSlope, item.RealWorldValueIntercept = slope, 0.0
        item.MeasurementUnitsCodeSequence = Items([code])
        ds.RealWorldValueMappingSequence = Items([item])

    return change


def exponential(ds: Dataset, _n: int) -> None:
    found = values_of(ds)
    put(ds, np.where(found > 0, 1000 * np.exp(-found / 1000.0), 0).round())


def anisotropy(ds: Dataset, n: int) -> None:
    found = values_of(ds)
    drawn = np.random.default_rng(n).gamma(2, 120, found.shape)
    put(ds, np.where(found > 0, np.clip(drawn, 0, 1000), 0).round())


def philips(*, before: str = "", vr: str = "FL") -> Change:
    """Stored / scale slope is what was measured. before: the creator of a block before that of the scale slope."""

    def change(ds: Dataset, n: int) -> None:
        scale = 1.0 + n % 4
        put(ds, values_of(ds) * scale)
        ds.Manufacturer = "Philips Medical Systems"
        ds.RescaleSlope, ds.RescaleIntercept = 1.5 + n / 10, 0
        block = 0x10
        if before:
            ds.add_new((0x2005, block), "LO", before)
            block += 1
        written = {"UN": struct.pack("<f", scale), "DS": str(scale)}
        ds.add_new((0x2005, block), "LO", PHILIPS)
        ds.add_new((0x2005, block << 8 | 0x0D), "FL", 0.0)
        ds.add_new((0x2005, block << 8 | 0x0E), vr, written.get(vr, scale))

    return change


def philips_lost(ds: Dataset, n: int) -> None:
    philips()(ds, n)
    if n % 2:
        _without(ds, 0x2005)


def _without(ds: Dataset, group: int) -> None:
    for tag in [tag for tag in ds.keys() if tag.group == group]:  # noqa: SIM118 - iterating would convert every element
        del ds[tag]


def _b_of(ds: Dataset) -> str:
    return str(ds[0x0019, 0x100C].value)


def b_untyped(ds: Dataset, _n: int) -> None:
    b = _b_of(ds)
    ds.add_new((0x0019, 0x100C), "UN", b.ljust(len(b) + len(b) % 2).encode())


def b_in_second(ds: Dataset, _n: int) -> None:
    b = _b_of(ds)
    _without(ds, 0x0019)
    for block in (0x10, 0x11):
        ds.add_new((0x0019, block), "LO", SIEMENS)
    ds.add_new((0x0019, 0x110C), "IS", b)


def b_lost(ds: Dataset, _n: int) -> None:
    _without(ds, 0x0019)
    ds.SequenceName = "ep_b"


def b_half(ds: Dataset, n: int) -> None:
    if n % 2:
        _without(ds, 0x0019)


def called(kind: str, name: str, **elements: object) -> Alter:
    def change(ds: Dataset, _n: int) -> None:
        for keyword, value in {"SeriesDescription": name, "ProtocolName": name, **elements}.items():
            setattr(ds, keyword, value)

    def alter(study: Path) -> None:
        each(study, kind, change)

    return alter


def chinese(ds: Dataset, _n: int) -> None:
    ds.SpecificCharacterSet = "GB18030"
    ds.SeriesDescription = ds.ProtocolName = "\u8f74\u4f4d T2"
