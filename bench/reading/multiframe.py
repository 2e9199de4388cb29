"""The same series as one enhanced multi-frame object, and what can be wrong inside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.sequence import Sequence as Items
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from bench.reading.encodings import file_of
from bench.reading.variants import Alter, Variant, variant
from bench.reading.visits import files_of, folder_of

ENHANCED = "1.2.840.10008.5.1.4.1.1.4.1"
LEGACY = "1.2.840.10008.5.1.4.1.1.4.4"
B_VALUE = 0x0019, 0x100C
COMPRESSED = {"RLE": RLELossless, "JPEG-LS": JPEGLSLossless, "JPEG 2000": JPEG2000Lossless}
KINDS = ("flair", "t1", "t2", "dwi", "adc", "t1_gd")
GEOMETRY = ("no_geometry", "mixed_geometry", "mixed_orientation", "uneven_spacing", "missing_slices")
HOLES = ("missing_slices", "too_few_slices", "undecodable", "incomplete_header")
MIXED = ("mixed_contrasts", "duplicate_slices", "as:unknown")
Change = Callable[[Dataset], None]


def variants() -> Iterator[Variant]:
    for kind in KINDS:
        yield variant(f"{kind} as one enhanced object", enhanced(kind))
        yield variant(f"{kind} as one enhanced object, frames in any order", enhanced(kind, order=5))
        yield variant(f"{kind} as a legacy converted object", enhanced(kind, sop_class=LEGACY))
    yield variant("every series as an enhanced object", all_enhanced)
    for name, syntax in COMPRESSED.items():
        for kind in ("flair", "dwi"):
            yield variant(f"{kind} as one enhanced object, {name}", enhanced(kind, compressed=syntax))
    for name in ("implicit", "big endian", "deflated"):
        yield variant(f"flair as one enhanced object, {name}", enhanced_as("flair", name))
    yield variant("enhanced: a rescale for each frame", enhanced("flair", rescaled))
    yield variant("enhanced: a rescale in half of the frames", enhanced("flair", half_rescaled), "mixed_rescale")
    yield variant("enhanced: an overlay in bit 12", enhanced("flair", overlaid))
    yield variant("enhanced: fewer pixels than frames", enhanced("flair", shortened), *HOLES)
    yield variant("enhanced: fewer frame items than frames", enhanced("flair", items_lost), *HOLES)
    yield variant("enhanced: more frame items than frames", enhanced("flair", items_added), *HOLES, "duplicate_slices")
    yield variant("enhanced: no shared groups", enhanced("flair", not_shared))
    yield variant("enhanced: one frame without a position", enhanced("flair", one_unplaced), *GEOMETRY)
    yield variant("enhanced: half of the frames are phase", enhanced("t1", phase_inside))
    yield variant("enhanced: two echoes", enhanced("t2", echoes_inside))
    yield variant("enhanced: T2 and FLAIR in one object", two_in_one("flair", "t2"))
    yield variant("enhanced: FLAIR and T2 in one object", two_in_one("t2", "flair"))
    yield variant("enhanced: T1 before and after contrast in one object", two_in_one("t1", "t1_gd"), *MIXED)
    yield variant("enhanced: DWI and ADC in one object", two_in_one("dwi", "adc"))
    yield variant("enhanced: one object for each half", halves("flair"))
    yield variant("enhanced beside the classic slices", beside("flair"))


def enhanced(
    kind: str, change: Change | None = None, *, order: int = 1, sop_class: str = ENHANCED, compressed: UID | None = None
) -> Alter:
    """order: the step in which the frames are taken, prime to their number."""

    def alter(study: Path) -> None:
        files = files_of(folder_of(study, kind))
        slices = [dcmread(path) for path in files]
        taken = [slices[n * order % len(slices)] for n in range(len(slices))]
        _replaced(files, one_object(taken, sop_class), change, compressed)

    return alter


def _replaced(files: Sequence[Path], ds: Dataset, change: Change | None = None, compressed: UID | None = None) -> None:
    for path in files:
        path.unlink()
    if change is not None:
        change(ds)
    if compressed is not None:
        ds.compress(compressed, generate_instance_uid=False)
    ds.save_as(files[0], enforce_file_format=True)


def all_enhanced(study: Path) -> None:
    for kind in KINDS:
        enhanced(kind)(study)


def enhanced_as(kind: str, syntax: str) -> Alter:
    def alter(study: Path) -> None:
        enhanced(kind)(study)
        path = files_of(folder_of(study, kind))[0]
        ds = dcmread(path)
        if syntax == "deflated":
            ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
        path.write_bytes(file_of(ds, syntax, syntax))

    return alter


def one_object(slices: Sequence[Dataset], sop_class: str = ENHANCED) -> Dataset:
    """An enhanced object of classic ones, in the order given."""
    first = slices[0]
    ds = Dataset()
    ds.file_meta = first.file_meta
    for element in first:
        if element.keyword not in _BY_FRAME and element.tag.group % 2 == 0:
            ds.add(element)
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = sop_class
    ds.NumberOfFrames = len(slices)
    ds.AcquisitionDateTime = f"{first.AcquisitionDate}{first.AcquisitionTime}"
    ds.SharedFunctionalGroupsSequence = Items([_shared(first)])
    ds.PerFrameFunctionalGroupsSequence = Items([_own(one, n) for n, one in enumerate(slices, start=1)])
    ds.PixelData = b"".join(one.PixelData for one in slices)
    return ds


_BY_FRAME = frozenset({
    "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "EchoTime", "RepetitionTime",
    "InversionTime", "FlipAngle", "RescaleSlope", "RescaleIntercept", "RescaleType", "EchoTrainLength", "PixelData",
    "SliceLocation", "InstanceNumber", "ScanningSequence", "SequenceVariant",
    "SmallestImagePixelValue", "LargestImagePixelValue",
})  # fmt: skip


def item(**values: object) -> Items:
    one = Dataset()
    for keyword, value in values.items():
        if value is not None:
            setattr(one, keyword, value)
    return Items([one])


def _shared(ds: Dataset) -> Dataset:
    found = Dataset()
    found.PlaneOrientationSequence = item(ImageOrientationPatient=ds.ImageOrientationPatient)
    found.PixelMeasuresSequence = item(PixelSpacing=ds.PixelSpacing, SliceThickness=ds.SliceThickness)
    found.MRTimingAndRelatedParametersSequence = item(
        RepetitionTime=ds.RepetitionTime, FlipAngle=ds.get("FlipAngle"), EchoTrainLength=ds.get("EchoTrainLength")
    )
    inverted = ds.get("InversionTime")
    found.MRModifierSequence = item(
        InversionRecovery="YES" if inverted else "NO", InversionTimes=float(inverted) if inverted else None
    )
    return found


def _own(ds: Dataset, number: int) -> Dataset:
    found = Dataset()
    found.FrameContentSequence = item(
        FrameAcquisitionDateTime=f"{ds.AcquisitionDate}{ds.AcquisitionTime}", DimensionIndexValues=[1, number]
    )
    found.PlanePositionSequence = item(ImagePositionPatient=ds.ImagePositionPatient)
    found.MREchoSequence = item(EffectiveEchoTime=float(ds.EchoTime))
    found.MRImageFrameTypeSequence = item(FrameType=ds.ImageType, ComplexImageComponent="MAGNITUDE")
    found.PixelValueTransformationSequence = item(
        RescaleSlope=ds.get("RescaleSlope", 1), RescaleIntercept=ds.get("RescaleIntercept", 0), RescaleType="US"
    )
    if B_VALUE in ds and "ADC" not in ds.ImageType:
        b = float(ds[B_VALUE].value)
        found.MRDiffusionSequence = item(DiffusionBValue=b, DiffusionDirectionality="ISOTROPIC" if b else "NONE")
    return found


def frames_in(ds: Dataset) -> np.ndarray:
    """Stored values (frames, rows, columns), int32."""
    return np.frombuffer(ds.PixelData, "<u2").reshape(-1, ds.Rows, ds.Columns).astype(np.int32)


def put_frames(ds: Dataset, values: np.ndarray) -> None:
    ds.PixelData = np.ascontiguousarray(values).astype("<u2").tobytes()


def rescaled(ds: Dataset) -> None:
    values = frames_in(ds)
    for n, own in enumerate(ds.PerFrameFunctionalGroupsSequence):
        values[n] *= 1 + n % 3
        own.PixelValueTransformationSequence[0].RescaleSlope = 1 / (1 + n % 3)
    put_frames(ds, values)


def half_rescaled(ds: Dataset) -> None:
    put_frames(ds, frames_in(ds) * 2)
    for n, own in enumerate(ds.PerFrameFunctionalGroupsSequence):
        own.PixelValueTransformationSequence[0].RescaleSlope = 0.5
        if n % 2:
            del own.PixelValueTransformationSequence


def overlaid(ds: Dataset) -> None:
    values = frames_in(ds)
    values[:, 5:9, 4:12] |= 1 << 12
    ds.BitsStored, ds.HighBit = 12, 11
    put_frames(ds, values)


def shortened(ds: Dataset) -> None:
    put_frames(ds, frames_in(ds)[:-3])


def items_lost(ds: Dataset) -> None:
    ds.PerFrameFunctionalGroupsSequence = Items(list(ds.PerFrameFunctionalGroupsSequence)[:-3])


def items_added(ds: Dataset) -> None:
    ds.PerFrameFunctionalGroupsSequence = Items([*ds.PerFrameFunctionalGroupsSequence] * 2)


def not_shared(ds: Dataset) -> None:
    shared = ds.SharedFunctionalGroupsSequence[0]
    for own in ds.PerFrameFunctionalGroupsSequence:
        own.update({element.tag: element for element in shared})
    del ds.SharedFunctionalGroupsSequence


def one_unplaced(ds: Dataset) -> None:
    del ds.PerFrameFunctionalGroupsSequence[5].PlanePositionSequence


def _doubled(ds: Dataset, change: Change, values: np.ndarray) -> None:
    """The frames again, each with ``change`` of its groups and other values."""
    again = [Dataset.from_json(own.to_json()) for own in ds.PerFrameFunctionalGroupsSequence]
    for own in again:
        change(own)
    put_frames(ds, np.concatenate([frames_in(ds), values]))
    ds.PerFrameFunctionalGroupsSequence = Items([*ds.PerFrameFunctionalGroupsSequence, *again])
    ds.NumberOfFrames = 2 * int(ds.NumberOfFrames)


def phase_inside(ds: Dataset) -> None:
    def change(own: Dataset) -> None:
        own.MRImageFrameTypeSequence[0].ComplexImageComponent = "PHASE"

    _doubled(ds, change, 4095 - frames_in(ds))


def echoes_inside(ds: Dataset) -> None:
    def change(own: Dataset) -> None:
        own.MREchoSequence[0].EffectiveEchoTime = 12.0

    _doubled(ds, change, frames_in(ds) // 2 + 40)


def two_in_one(kind: str, other: str) -> Alter:
    """The timing of each frame is its own; the description is that of the first kind."""

    def alter(study: Path) -> None:
        files = [files_of(folder_of(study, which)) for which in (kind, other)]
        one, two = (one_object([dcmread(path) for path in some]) for some in files)
        not_shared(one)
        not_shared(two)
        put_frames(one, np.concatenate([frames_in(one), frames_in(two)]))
        one.PerFrameFunctionalGroupsSequence = Items(
            [*one.PerFrameFunctionalGroupsSequence, *two.PerFrameFunctionalGroupsSequence]
        )
        one.NumberOfFrames = len(one.PerFrameFunctionalGroupsSequence)
        _replaced(files[1], two)
        files[1][0].unlink()
        _replaced(files[0], one)

    return alter


def halves(kind: str) -> Alter:
    """One series in two objects, as some archives cut large ones."""

    def alter(study: Path) -> None:
        files = files_of(folder_of(study, kind))
        slices = [dcmread(path) for path in files]
        middle = len(files) // 2
        for part, those in ((files[:middle], slices[:middle]), (files[middle:], slices[middle:])):
            _replaced(part, one_object(those))

    return alter


def beside(kind: str) -> Alter:
    """The scanner sends the classic slices, the archive the object that it made of them: a series of its own."""

    def alter(study: Path) -> None:
        files = files_of(folder_of(study, kind))
        ds = one_object([dcmread(path) for path in files])
        ds.SeriesInstanceUID += ".1"
        ds.SOPInstanceUID += ".1"
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        ds.save_as(files[0].with_name("enhanced"), enforce_file_format=True)

    return alter
