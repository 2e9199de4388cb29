"""Functional groups in odd places, frames of several stacks and runs in one object, values mapped in several units."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.sequence import Sequence as Items

from bench.reading.belonging import TWO
from bench.reading.multiframe import GEOMETRY, Change, enhanced, frames_in, item, one_object, put_frames
from bench.reading.values import ADC_IMPLAUSIBLE
from bench.reading.variants import Alter, Variant, variant
from bench.reading.visits import SLICES, files_of, folder_of

Group = Callable[[Dataset, int], None]
CORONAL = [1, 0, 0, 0, 0, -1]


def variants() -> Iterator[Variant]:
    yield from _places()
    yield from _stacks()
    yield from _runs()
    yield from _units()


def _places() -> Iterator[Variant]:
    yield variant("enhanced: positions in the stack that run the other way", enhanced("flair", each(other_way)))
    yield variant("enhanced: an empty item before each position", enhanced("flair", each(empty_first)), *GEOMETRY)
    yield variant("enhanced: another orientation in the shared groups", enhanced("flair", other_shared))
    yield variant("enhanced: another rescale in the shared groups", enhanced("flair", shared_rescale))
    yield variant("enhanced: another rescale at the top of the object", enhanced("flair", top_rescale))
    yield variant("enhanced: the rescale at the top of the object alone", enhanced("flair", rescale_at_top))
    yield variant("enhanced: positions in the shared groups alone", enhanced("flair", shared_position), *GEOMETRY, *TWO)
    yield variant("enhanced: spacings that differ by rounding", enhanced("flair", each(rounded_spacing)))
    yield variant("enhanced: two items in the shared groups", enhanced("flair", two_shared))
    yield variant("enhanced: the b-value in the shared groups", enhanced_b("shared"), "duplicate_slices", "as:unknown",
                  "mixed_contrasts", "rescale_between_b")  # fmt: skip
    yield variant("enhanced: the b-value in a private group of the frame", enhanced_b("private"))


def _stacks() -> Iterator[Variant]:
    yield variant("enhanced: a second stack of another direction", enhanced("flair", coronal_too))
    yield variant("enhanced: odd and even slices in two stacks", enhanced("flair", each(two_stacks)))
    yield variant("enhanced: two stacks at the same places", enhanced("flair", doubled(second_stack)), *TWO)
    yield variant("enhanced: lower and upper slab in two stacks", enhanced("flair", each(slabs)))


def _runs() -> Iterator[Variant]:
    for keyword in ("TemporalPositionIndex", "FrameAcquisitionNumber", "FrameAcquisitionDateTime"):
        yield variant(f"enhanced: an earlier run in the object, by {keyword}", enhanced("flair", two_runs(keyword)))
        yield variant(f"enhanced: T1 of two runs, by {keyword}", enhanced("t1", two_runs(keyword)), *TWO)
    yield variant("enhanced: T1 before and after the agent, by the groups", enhanced("t1", with_usage), *TWO)
    yield variant("enhanced: directions beside the trace images", enhanced("dwi", directions_beside))
    yield variant("enhanced: a higher b-value in another matrix", other_matrix_beside, *TWO)


def _units() -> Iterator[Variant]:
    two = (("1", 5.0), ("um2/s", 1.0)), (("um2/s", 1.0), ("mm2/s", 1e-6)), (("mm2/s", 1e-6), ("1", 1.0))
    for units in two:
        names = " and ".join(name for name, _ in units)
        yield variant(f"ADC: real world values in {names}", enhanced("adc", mapped(units)), *ADC_IMPLAUSIBLE)
    yield variant("ADC: a mapping for values that are not there", enhanced("adc", mapped((("mm2/s", 1e-6),), 1, 5)),
                  *ADC_IMPLAUSIBLE)  # fmt: skip
    yield variant("ADC: a mapping by a table", enhanced("adc", mapped_by_table), *ADC_IMPLAUSIBLE, "lookup_table")
    yield variant("ADC: a mapping beside a rescale in another unit", enhanced("adc", both_mappings), *ADC_IMPLAUSIBLE)
    yield variant("ADC: the mapping of half of the frames is another", enhanced("adc", half_mapped), *ADC_IMPLAUSIBLE,
                  "mixed_rescale")  # fmt: skip


def each(change: Group) -> Change:
    def alter(ds: Dataset) -> None:
        for n, own in enumerate(ds.PerFrameFunctionalGroupsSequence):
            change(own, n)

    return alter


def other_way(own: Dataset, n: int) -> None:
    own.FrameContentSequence[0].StackID, own.FrameContentSequence[0].InStackPositionNumber = "1", SLICES - n


def empty_first(own: Dataset, _n: int) -> None:
    own.PlanePositionSequence = Items([Dataset(), *own.PlanePositionSequence])


def other_shared(ds: Dataset) -> None:
    shared = ds.SharedFunctionalGroupsSequence[0]
    for own in ds.PerFrameFunctionalGroupsSequence:
        own.PlaneOrientationSequence = item(
            ImageOrientationPatient=shared.PlaneOrientationSequence[0].ImageOrientationPatient
        )
    shared.PlaneOrientationSequence = item(ImageOrientationPatient=[0, 1, 0, 0, 0, -1])


def shared_rescale(ds: Dataset) -> None:
    ds.SharedFunctionalGroupsSequence[0].PixelValueTransformationSequence = item(
        RescaleSlope=3, RescaleIntercept=100, RescaleType="US"
    )


def top_rescale(ds: Dataset) -> None:
    ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType = 3, 100, "US"


def rescale_at_top(ds: Dataset) -> None:
    put_frames(ds, frames_in(ds) * 2)
    for own in ds.PerFrameFunctionalGroupsSequence:
        del own.PixelValueTransformationSequence
    ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType = 0.5, 0, "US"


def shared_position(ds: Dataset) -> None:
    ds.SharedFunctionalGroupsSequence[0].PlanePositionSequence = ds.PerFrameFunctionalGroupsSequence[
        0
    ].PlanePositionSequence
    for own in ds.PerFrameFunctionalGroupsSequence:
        del own.PlanePositionSequence


def rounded_spacing(own: Dataset, n: int) -> None:
    off = 1e-5 * (n % 3 - 1)
    own.PixelMeasuresSequence = item(PixelSpacing=[5.0 + off, 5.0 - off], SliceThickness=8.0)


def two_shared(ds: Dataset) -> None:
    other = Dataset()
    other.PixelValueTransformationSequence = item(RescaleSlope=3, RescaleIntercept=100, RescaleType="US")
    ds.SharedFunctionalGroupsSequence = Items([*ds.SharedFunctionalGroupsSequence, other])


def enhanced_b(where: str) -> Alter:
    """The weighted images, and those without weighting, as an object each of one series."""

    def alter(study: Path) -> None:
        files = files_of(folder_of(study, "dwi"))
        slices = [dcmread(path) for path in files]
        for b, path in (("0", files[0]), ("1000", files[1])):
            ds = one_object([one for one in slices if str(one[0x0019, 0x100C].value) == b])
            diffusion = ds.PerFrameFunctionalGroupsSequence[0].MRDiffusionSequence
            for own in ds.PerFrameFunctionalGroupsSequence:
                del own.MRDiffusionSequence
                if where == "private":
                    nested = Dataset()
                    nested.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(0x0C, "IS", b)
                    own.private_block(0x0021, "SIEMENS MR SDI 02", create=True).add_new(0xFE, "SQ", Items([nested]))
            if where == "shared":
                ds.SharedFunctionalGroupsSequence[0].MRDiffusionSequence = diffusion
            for old in files if b == "0" else ():
                old.unlink()
            ds.save_as(path, enforce_file_format=True)

    return alter


def doubled(change: Group) -> Change:
    """The frames again behind their own, turned upside down and changed."""

    def alter(ds: Dataset) -> None:
        own = list(ds.PerFrameFunctionalGroupsSequence)
        again = [Dataset.from_json(one.to_json()) for one in own]
        for n, one in enumerate(again):
            change(one, n)
        values = frames_in(ds)
        put_frames(ds, np.concatenate([values, values[:, ::-1]]))
        ds.PerFrameFunctionalGroupsSequence = Items([*own, *again])
        ds.NumberOfFrames = 2 * int(ds.NumberOfFrames)

    return alter


def second_stack(own: Dataset, _n: int) -> None:
    own.FrameContentSequence[0].StackID = "2"


def two_stacks(own: Dataset, n: int) -> None:
    content = own.FrameContentSequence[0]
    content.StackID, content.InStackPositionNumber = str(1 + n % 2), 1 + n // 2


def slabs(own: Dataset, n: int) -> None:
    content, half = own.FrameContentSequence[0], SLICES // 2
    content.StackID, content.InStackPositionNumber = str(1 + n // half), 1 + n % half


def coronal_too(ds: Dataset) -> None:
    def change(own: Dataset, n: int) -> None:
        second_stack(own, n)
        own.PlaneOrientationSequence = item(ImageOrientationPatient=CORONAL)
        own.PlanePositionSequence = item(ImagePositionPatient=[-100.0, -90.0 + 9 * n, 60.0])

    doubled(change)(ds)


def two_runs(keyword: str) -> Change:
    """The second run is right; the first one is turned upside down."""

    def stated(n: int, run: int) -> Any:
        if keyword == "FrameAcquisitionDateTime":
            return (datetime(2024, 3, 11, 15, 14, tzinfo=UTC) + timedelta(minutes=10 * run, seconds=n)).strftime(
                "%Y%m%d%H%M%S"
            )
        return run + 1

    def alter(ds: Dataset) -> None:
        doubled(lambda own, n: setattr(own.FrameContentSequence[0], keyword, stated(n, 0)))(ds)
        for n, own in enumerate(list(ds.PerFrameFunctionalGroupsSequence)[:SLICES]):
            setattr(own.FrameContentSequence[0], keyword, stated(n, 1))

    return alter


def with_usage(ds: Dataset) -> None:
    """The second half was acquired after the agent."""
    doubled(lambda own, _n: setattr(own, "ContrastBolusUsageSequence", _usage("YES")))(ds)
    for own in list(ds.PerFrameFunctionalGroupsSequence)[:SLICES]:
        own.ContrastBolusUsageSequence = _usage("NO")
    ds.ContrastBolusAgentSequence = item(CodeMeaning="Gadobutrol", ContrastBolusAgentNumber=1)


def _usage(given: str) -> Items:
    return item(ContrastBolusAgentNumber=1, ContrastBolusAgentAdministered=given)


def directions_beside(ds: Dataset) -> None:
    """Three directions of the weighted images in the object of the trace images."""
    own, values = list(ds.PerFrameFunctionalGroupsSequence), frames_in(ds)
    weighted = [n for n, one in enumerate(own) if one.MRDiffusionSequence[0].DiffusionBValue == 1000]
    for axis in np.eye(3):
        for n in weighted:
            again = Dataset.from_json(own[n].to_json())
            diffusion = again.MRDiffusionSequence[0]
            diffusion.DiffusionDirectionality = "DIRECTIONAL"
            again.MRImageFrameTypeSequence[0].FrameType = ["ORIGINAL", "PRIMARY", "DIFFUSION", "NONE"]
            diffusion.DiffusionGradientDirectionSequence = item(DiffusionGradientOrientation=list(axis))
            ds.PerFrameFunctionalGroupsSequence.append(again)
        values = np.concatenate([values, values[weighted] + 40])
    put_frames(ds, values)
    ds.NumberOfFrames = len(values)


def other_matrix_beside(study: Path) -> None:
    """A second object of the series: b 2000 of half the rows."""
    files = files_of(folder_of(study, "dwi"))
    enhanced("dwi")(study)
    ds = dcmread(files[0])
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"{ds.SOPInstanceUID[:50]}.7"
    put_frames(ds, frames_in(ds)[:, ::2])
    ds.Rows //= 2
    ds.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing = [10.0, 5.0]
    for own in ds.PerFrameFunctionalGroupsSequence:
        if own.MRDiffusionSequence[0].DiffusionBValue:
            own.MRDiffusionSequence[0].DiffusionBValue = 2000.0
    ds.save_as(files[1], enforce_file_format=True)


def mapping(unit: str, slope: float, low: int = 0, high: int = 65535) -> Dataset:
    one = Dataset()
    one.RealWorldValueSlope, one.RealWorldValueIntercept = slope, 0.0
    one.RealWorldValueFirstValueMapped, one.RealWorldValueLastValueMapped = low, high
    for keyword in ("RealWorldValueFirstValueMapped", "RealWorldValueLastValueMapped"):
        one[keyword].VR = "US"
    one.MeasurementUnitsCodeSequence = item(CodeValue=unit, CodingSchemeDesignator="UCUM", CodeMeaning=unit)
    return one


def mapped(units: Sequence[tuple[str, float]], low: int = 0, high: int = 65535) -> Change:
    def change(own: Dataset, _n: int) -> None:
        own.RealWorldValueMappingSequence = Items([mapping(unit, slope, low, high) for unit, slope in units])

    return each(change)


def mapped_by_table(ds: Dataset) -> None:
    """The table halves the values."""
    put_frames(ds, frames_in(ds) * 2)

    def change(own: Dataset, _n: int) -> None:
        one = mapping("um2/s", 1.0, 0, 8191)
        del one.RealWorldValueSlope, one.RealWorldValueIntercept
        one.RealWorldValueLUTData = [value / 2 for value in range(8192)]
        own.RealWorldValueMappingSequence = Items([one])

    each(change)(ds)


def both_mappings(ds: Dataset) -> None:
    mapped((("um2/s", 1.0),))(ds)
    for own in ds.PerFrameFunctionalGroupsSequence:
        own.PixelValueTransformationSequence[0].RescaleSlope = 1e-6


def half_mapped(ds: Dataset) -> None:
    values = frames_in(ds)
    mapped((("um2/s", 1.0),))(ds)
    for n, own in enumerate(ds.PerFrameFunctionalGroupsSequence):
        if n % 2:
            values[n] *= 2
            own.RealWorldValueMappingSequence[0].RealWorldValueSlope = 0.5
    put_frames(ds, values)
