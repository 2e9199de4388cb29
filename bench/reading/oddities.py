"""Oddities of routers, archives and vendors: bits in the middle of the word, series split in other ways, odd texts."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.uid import UID, generate_uid

from bench.reading.encodings import encoded, file_of
from bench.reading.multiframe import one_object
from bench.reading.values import dates, of, times
from bench.reading.variants import Alter, Variant, variant
from bench.reading.visits import SLICES, copies, each, files_of, folder_of, put, values_of

SHIFT = 250
GEOMETRY = ("no_geometry", "mixed_geometry")
UNREADABLE = ("undecodable", "not_dicom", "no_images", "incomplete_header")


def variants() -> Iterator[Variant]:
    yield from _bits()
    yield from _elements()
    yield from _splits()
    yield from _dates()
    yield from _texts()
    yield from _vendors()


def _bits() -> Iterator[Variant]:
    yield variant("12 bits, high bit 13", of("flair", placed(12, 13)), *UNREADABLE, "bits_stored")
    yield variant("12 bits, high bit 13, rubbish around", of("flair", placed(12, 13, rubbish=True)), *UNREADABLE,
                  "bits_stored")  # fmt: skip
    yield variant("12 bits, high bit 15, an overlay below", of("flair", placed(12, 15, rubbish=True)), *UNREADABLE,
                  "bits_stored")  # fmt: skip
    yield variant("12 bits signed, high bit 15", of("flair", placed(12, 15, signed=True)), *UNREADABLE, "bits_stored")
    yield variant("signed, the sign extended beyond the stored bits", of("flair", sign_extended))
    yield variant("16 bit pixels under OB", of("flair", under_ob))
    yield variant("uncompressed pixels in fragments", in_fragments, *UNREADABLE)
    yield variant(
        "a planar configuration of grey pixels", of("flair", lambda ds, _: setattr(ds, "PlanarConfiguration", 1))
    )


def _elements() -> Iterator[Variant]:
    yield variant("a small picture before the pixels", of("flair", with_icon))
    yield variant("a table of values in place of the rescale", of("flair", with_table), "lookup_table")
    yield variant("the rescale in a sequence", of("adc", nested_rescale), "adc_implausible", "adc_unit_unknown")
    yield variant("two slopes in one element", of("adc", lambda ds, _: setattr(ds, "RescaleSlope", [1, 1])), *ABSURD)
    yield variant("every element without a type", untyped)
    yield variant("lengths of groups that are wrong", group_lengths)
    yield variant("a private sequence without a type", of("", private_sequence))


ABSURD = ("absurd_values", "mixed_rescale", "adc_unit_unknown")


def _splits() -> Iterator[Variant]:
    for kind in ("flair", "t1"):
        yield variant(f"{kind}: upper and lower half under two UIDs", split(kind, lambda n: n // (SLICES // 2)))
        yield variant(f"{kind}: odd and even slices under two UIDs", split(kind, lambda n: n % 2))
    yield variant("flair: two halves that share a slice", halves_that_overlap, "too_few_slices")
    yield variant("flair: a UID ends with zero bytes in half of the files", of("flair", zero_bytes), *UNREADABLE)
    yield variant(
        "flair: another series number in each slice", of("flair", lambda ds, n: setattr(ds, "SeriesNumber", n))
    )
    yield variant("every slice in a frame of reference of its own", of("", own_frame))
    yield variant("flair, t2 and t1 under one UID", three_under_one, "mixed_contrasts", "duplicate_slices",
                  "as:unknown")  # fmt: skip
    yield variant("every file twice, byte by byte", twice)
    yield variant("one SOP Instance UID with two contents", two_contents, "duplicate_sop_instance_uids")  # fmt: skip
    yield variant("an enhanced object for each slice", enhanced_slices)


def _dates() -> Iterator[Variant]:
    yield variant("one element of date and time, no other", of("", one_datetime))
    yield variant("study date 00000000, the others right", of("", lambda ds, _: setattr(ds, "StudyDate", "00000000")))
    yield variant("dates without zeros in front", dates(lambda d: f"{d[:4]}.{int(d[4:6])}.{int(d[6:])}"))
    yield variant("dates of 14 digits", dates(lambda d: f"{d}000000"))
    yield variant("times with one digit of the hour", times("9:05:07"))
    yield variant("times with a comma", times("151400,5"))


def _texts() -> Iterator[Variant]:
    yield variant("positions with a decimal comma", of("flair", comma), *GEOMETRY)
    yield variant("positions of more than 16 characters", raw_position(lambda v: f"{v:.18f}"))
    yield variant("positions with an exponent", raw_position(lambda v: f"{v:+.6E}"))
    yield variant("orientation with rounding noise", of("flair", noisy_orientation))
    yield variant("one number for the pixel spacing", of("flair", one_spacing), *GEOMETRY, "incomplete_header")
    yield variant("the spacing of the detector alone", of("flair", detector_spacing), *GEOMETRY, "incomplete_header")


def _vendors() -> Iterator[Variant]:
    yield variant(
        "a negative spacing between slices", of("flair", lambda ds, _: setattr(ds, "SpacingBetweenSlices", -9))
    )
    yield variant("slice thickness 0", of("flair", lambda ds, _: setattr(ds, "SliceThickness", 0)))
    yield variant("slice locations that run the other way", of("flair", other_location))
    yield variant("DWI of GE, 1e9 added to the b-value", of("dwi", ge_b_value))
    yield variant("one frame stated in each classic slice", of("", lambda ds, _: setattr(ds, "NumberOfFrames", 1)))
    yield variant("private elements without their creator", of("dwi", no_creator), "as:unknown", "mixed_contrasts",
                  "b_values_unknown", "duplicate_slices")  # fmt: skip


def placed(bits: int, high: int, *, rubbish: bool = False, signed: bool = False) -> Any:
    """The values in the middle or at the high end of the word; rubbish: a box in the bits below, and above if any."""

    def change(ds: Dataset, _n: int) -> None:
        values = (values_of(ds) - SHIFT * signed) & ((1 << bits) - 1)
        low = high - bits + 1
        word = values << low
        if rubbish:
            word[5:9, 4:12] |= ((1 << low) - 1) | (0xFFFF >> (high + 1)) << (high + 1)
        ds.BitsStored, ds.HighBit, ds.PixelRepresentation = bits, high, int(signed)
        if signed:
            ds.RescaleSlope, ds.RescaleIntercept = 1, SHIFT
        put(ds, word)

    return change


def sign_extended(ds: Dataset, _n: int) -> None:
    ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 12, 11, 1
    ds.RescaleSlope, ds.RescaleIntercept = 1, SHIFT
    put(ds, (values_of(ds) - SHIFT) & 0xFFFF)


def under_ob(ds: Dataset, _n: int) -> None:
    ds["PixelData"].VR = "OB"


def in_fragments(study: Path) -> None:
    """Encapsulated Uncompressed Explicit VR Little Endian."""
    for path in files_of(folder_of(study, "flair")):
        ds = dcmread(path)
        pixels = ds.PixelData
        ds.file_meta.TransferSyntaxUID = UID("1.2.840.10008.1.2.1.98")
        head = b"\xfe\xff\x00\xe0" + struct.pack("<I", 0) + b"\xfe\xff\x00\xe0" + struct.pack("<I", len(pixels))
        ds.PixelData = head + pixels
        ds["PixelData"].VR = "OB"
        ds["PixelData"].is_undefined_length = True
        ds.save_as(path)


def with_icon(ds: Dataset, _n: int) -> None:
    icon = Dataset()
    icon.Rows = icon.Columns = 8
    icon.SamplesPerPixel, icon.PhotometricInterpretation = 1, "MONOCHROME2"
    icon.BitsAllocated, icon.BitsStored, icon.HighBit, icon.PixelRepresentation = 8, 8, 7, 0
    icon.PixelData = bytes(range(64))
    ds.IconImageSequence = [icon]


def with_table(ds: Dataset, _n: int) -> None:
    """The table halves the values: what is stored is twice what is meant."""
    table = Dataset()
    table.LUTDescriptor, table.ModalityLUTType = [1024, 0, 16], "US"
    table.LUTData = (np.arange(1024) // 2).astype("<u2").tobytes()
    table["LUTData"].VR = "OW"
    put(ds, values_of(ds) * 2)
    for keyword in ("RescaleSlope", "RescaleIntercept", "RescaleType"):
        ds.pop(keyword, None)
    ds.ModalityLUTSequence = [table]


def nested_rescale(ds: Dataset, _n: int) -> None:
    item = Dataset()
    item.RescaleSlope, item.RescaleIntercept, item.RescaleType = "0.5", "0", "US"
    put(ds, values_of(ds) * 2)
    for keyword in ("RescaleSlope", "RescaleIntercept", "RescaleType"):
        ds.pop(keyword, None)
    ds.PixelValueTransformationSequence = [item]


def untyped(study: Path) -> None:
    """A router without a dictionary turns implicit into explicit: UN for everything but the pixels."""
    for path in files_of(folder_of(study, "flair")):
        ds = dcmread(path)
        implicit = encoded(ds, "implicit")
        out, place = bytearray(), 0
        while place < len(implicit):
            group, element, length = struct.unpack_from("<HHI", implicit, place)
            vr = b"OW" if (group, element) == (0x7FE0, 0x0010) else b"UN"
            size = length if length != 0xFFFFFFFF else _to_the_end(implicit, place + 8)
            out += struct.pack("<HH", group, element) + vr + b"\0\0" + struct.pack("<I", length)
            out += implicit[place + 8 : place + 8 + size]
            place += 8 + size
        whole = file_of(ds, "explicit", "explicit")
        path.write_bytes(whole[: len(whole) - len(encoded(ds, "explicit"))] + bytes(out))


def _to_the_end(data: bytes, place: int) -> int:
    return data.index(b"\xfe\xff\xdd\xe0\0\0\0\0", place) + 8 - place


def group_lengths(study: Path) -> None:
    """Retired elements that some archives still write, with lengths of another time."""
    for path in files_of(study):
        ds = dcmread(path)
        before = encoded(ds, "explicit")
        whole = file_of(ds, "explicit", "explicit")
        meta, out, seen, place = whole[: len(whole) - len(before)], bytearray(), -1, 0
        for element in ds:
            if element.tag.group != seen:
                seen = element.tag.group
                mark = struct.pack("<HH", element.tag.group, element.tag.elem)
                at = before.index(mark, place)
                out += before[place:at] + struct.pack("<HH", seen, 0) + b"UL" + struct.pack("<HI", 4, 12)
                place = at
        path.write_bytes(meta + bytes(out) + before[place:])


def private_sequence(ds: Dataset, _n: int) -> None:
    """UN of unknown length, implicit inside, as the standard wants it of a sequence that nobody knows."""
    block = ds.private_block(0x0029, "SOME ROUTER", create=True)
    item = struct.pack("<HHI", 0x0008, 0x0060, 2) + b"CT"
    inside = b"\xfe\xff\x00\xe0" + struct.pack("<I", len(item)) + item
    block.add_new(0x10, "UN", inside)


def split(kind: str, part: Callable[[int], int]) -> Alter:
    """Both parts keep number, description and times."""

    def change(ds: Dataset, n: int) -> None:
        ds.SeriesInstanceUID = generate_uid(entropy_srcs=[ds.SeriesInstanceUID, str(part(n))])

    return lambda study: each(study, kind, change)


def halves_that_overlap(study: Path) -> None:
    first, second = (generate_uid(entropy_srcs=["half", n]) for n in "12")
    for n, (ds, path) in enumerate(copies(study, "flair", "second")):
        if n >= SLICES // 2:
            ds.SeriesInstanceUID = second
            ds.save_as(path)
    for n, path in enumerate(files_of(folder_of(study, "flair"))):
        ds = dcmread(path)
        ds.SeriesInstanceUID = first
        ds.save_as(path) if n <= SLICES // 2 else path.unlink()


def zero_bytes(ds: Dataset, n: int) -> None:
    if n % 2:
        ds.SeriesInstanceUID = f"{ds.SeriesInstanceUID}\0\0"


def own_frame(ds: Dataset, n: int) -> None:
    ds.FrameOfReferenceUID = generate_uid(entropy_srcs=["frame", str(n)])


def three_under_one(study: Path) -> None:
    uid = str(dcmread(files_of(folder_of(study, "flair"))[0], stop_before_pixels=True).SeriesInstanceUID)
    for kind in ("t2", "t1"):
        each(study, kind, lambda ds, _: setattr(ds, "SeriesInstanceUID", uid))


def twice(study: Path) -> None:
    for path in files_of(study):
        shutil.copy(path, path.with_name(f"again_{path.name}"))


def two_contents(study: Path) -> None:
    path = files_of(folder_of(study, "flair"))[3]
    ds = dcmread(path)
    put(ds, values_of(ds)[::-1])
    ds.save_as(path.with_name(f"other_{path.name}"))


def enhanced_slices(study: Path) -> None:
    for path in files_of(folder_of(study, "flair")):
        one_object([dcmread(path)]).save_as(path)


def one_datetime(ds: Dataset, _n: int) -> None:
    ds.AcquisitionDateTime = f"{ds.StudyDate}{ds.StudyTime}"
    for keyword in ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate", "StudyTime", "SeriesTime",
                    "AcquisitionTime", "ContentTime"):  # fmt: skip
        if keyword in ds:
            setattr(ds, keyword, "")


def comma(ds: Dataset, _n: int) -> None:
    _written(ds, "ImagePositionPatient", lambda value: f"{value:.3f}".replace(".", ","))


def _written(ds: Dataset, keyword: str, text: Callable[[float], str]) -> None:
    """As text, unchecked."""
    ds[keyword]._value = "\\".join(text(float(value)) for value in ds[keyword].value)


def raw_position(text: Callable[[float], str]) -> Alter:
    return of("flair", lambda ds, _: _written(ds, "ImagePositionPatient", text))


def noisy_orientation(ds: Dataset, n: int) -> None:
    noise = np.random.default_rng(n).normal(0.0, 1e-6, 6)
    ds.ImageOrientationPatient = [f"{value:.9f}" for value in np.array(ds.ImageOrientationPatient, float) + noise]


def one_spacing(ds: Dataset, _n: int) -> None:
    ds.PixelSpacing = ds.PixelSpacing[0]


def detector_spacing(ds: Dataset, _n: int) -> None:
    ds.ImagerPixelSpacing = ds.PixelSpacing
    del ds.PixelSpacing


def other_location(ds: Dataset, n: int) -> None:
    ds.SliceLocation = float(-n)


def ge_b_value(ds: Dataset, _n: int) -> None:
    b = int(float(ds[0x0019, 0x100C].value))
    del ds[0x0019, 0x100C]
    ds.Manufacturer = "GE MEDICAL SYSTEMS"
    block = ds.private_block(0x0043, "GEMS_PARM_01", create=True)
    block.add_new(0x39, "IS", [1000000000 + b, 8, 0, 0])


def no_creator(ds: Dataset, _n: int) -> None:
    ds.pop((0x0019, 0x0010), None)
