"""Objects that other programs converted or stripped: elements elsewhere, times in seconds, hardly a word left."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from pydicom import Dataset
from pydicom.sequence import Sequence as Items

from bench.reading.belonging import TWO
from bench.reading.grouped import doubled
from bench.reading.multiframe import GEOMETRY, HOLES, LEGACY, Change, enhanced
from bench.reading.values import of
from bench.reading.variants import Variant, variant
from bench.reading.visits import KINDS, put, values_of
from bench.reading.visits import Change as OfSlice

WORDS = (
    "SeriesDescription", "ProtocolName", "SequenceName", "ImageType", "ScanningSequence", "SequenceVariant",
    "ScanOptions", "Manufacturer", "ManufacturerModelName", "MRAcquisitionType", "ContrastBolusAgent",
)  # fmt: skip
TIMES = ("RepetitionTime", "EchoTime", "InversionTime")
UNTOLD = ("as:unknown", "as:t1", "as:derived", "diffusion_map")


def variants() -> Iterator[Variant]:
    for kind in KINDS:
        yield variant(f"{kind}: times in seconds", of(kind, timed(1e-3)), "as:unknown")
        yield variant(f"{kind}: times in microseconds", of(kind, timed(1e3)), "as:unknown")
        yield variant(f"{kind}: no word left", of(kind, bare), *UNTOLD)
    for kind in ("flair", "t1", "t2"):
        for shared in (True, False):
            what = f"{kind}: legacy converted, times {'shared' if shared else 'of each frame'} without a macro"
            yield variant(what, enhanced(kind, unassigned(shared=shared), sop_class=LEGACY))
    for private in (True, False):
        what = f"dwi: legacy converted, {'private ' * private}b-values without a macro"
        yield variant(what, enhanced("dwi", b_unassigned(private=private), sop_class=LEGACY))
    yield variant("every series: no word left", of("", bare), *UNTOLD)
    yield variant("every series: times in seconds", of("", timed(1e-3)), "as:unknown")
    yield variant("flair: an intercept in half of the slices", of("flair", half_intercept), "mixed_rescale")
    for text in ("abc", "", "1,5"):
        yield variant(f"flair: intercept '{text}' in half of the slices", of("flair", intercept(text)), "absurd_values",
                      "mixed_rescale")  # fmt: skip
    for noise in (1e-4, 1e-3):
        yield variant(f"flair: orientations with noise of {noise:g}", of("flair", noisy(noise)), *GEOMETRY)
    yield variant("flair: derived frames beside the acquired ones", enhanced("flair", derived_frames), *TWO, *HOLES)


def timed(factor: float) -> OfSlice:
    def change(ds: Dataset, _n: int) -> None:
        for keyword in TIMES:
            if ds.get(keyword):
                setattr(ds, keyword, float(ds[keyword].value) * factor)

    return change


def bare(ds: Dataset, _n: int) -> None:
    for keyword in WORDS:
        ds.pop(keyword, None)


def unassigned(*, shared: bool) -> Change:
    def change(ds: Dataset) -> None:
        groups, found = ds.SharedFunctionalGroupsSequence[0], Dataset()
        found.RepetitionTime = groups.MRTimingAndRelatedParametersSequence[0].RepetitionTime
        found.EchoTime = ds.PerFrameFunctionalGroupsSequence[0].MREchoSequence[0].EffectiveEchoTime
        found.ScanningSequence = ["SE"]
        if inverted := groups.MRModifierSequence[0].get("InversionTimes"):
            found.InversionTime, found.ScanningSequence = inverted, ["SE", "IR"]
        del groups.MRTimingAndRelatedParametersSequence, groups.MRModifierSequence
        for own in ds.PerFrameFunctionalGroupsSequence:
            del own.MREchoSequence
            if not shared:
                own.UnassignedPerFrameConvertedAttributesSequence = Items([found])
        if shared:
            groups.UnassignedSharedConvertedAttributesSequence = Items([found])
        for keyword in ("SeriesDescription", "ProtocolName", "SequenceName", "ScanningSequence"):
            ds.pop(keyword, None)

    return change


def b_unassigned(*, private: bool) -> Change:
    def change(ds: Dataset) -> None:
        for own in ds.PerFrameFunctionalGroupsSequence:
            b, found = own.MRDiffusionSequence[0].DiffusionBValue, Dataset()
            del own.MRDiffusionSequence
            if private:
                found.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(0x0C, "IS", str(int(b)))
            else:
                found.DiffusionBValue = b
            own.UnassignedPerFrameConvertedAttributesSequence = Items([found])

    return change


def half_intercept(ds: Dataset, n: int) -> None:
    if n % 2:
        put(ds, values_of(ds) + 1024)
        ds.RescaleSlope, ds.RescaleIntercept = 1, -1024


def intercept(text: str) -> OfSlice:
    def change(ds: Dataset, n: int) -> None:
        ds.RescaleSlope, ds.RescaleIntercept = 1, 0
        if n % 2:
            ds["RescaleIntercept"]._value = text

    return change


def noisy(noise: float) -> OfSlice:
    """Each slice states directions of its own, perpendicular unit vectors all the same."""

    def change(ds: Dataset, n: int) -> None:
        off = np.array(ds.ImageOrientationPatient, float) + np.random.default_rng(n).normal(0.0, noise, 6)
        row = off[:3] / np.linalg.norm(off[:3])
        column = off[3:] - row * (off[3:] @ row)
        column /= np.linalg.norm(column)
        ds.ImageOrientationPatient = [f"{value:.6f}" for value in (*row, *column)]

    return change


def derived_frames(ds: Dataset) -> None:
    """Means of the images, at the same places."""
    doubled(lambda own, _n: setattr(own.MRImageFrameTypeSequence[0], "FrameType", ["DERIVED", "PRIMARY", "M", "MEAN"]))(
        ds
    )
