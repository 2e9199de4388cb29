"""How values are stored: bits allocated, floats, pixels in the other byte order, elements of the format that lack."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import (
    MPEG2MPML,
    UID,
    DeflatedExplicitVRLittleEndian,
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from bench.reading.encodings import SYNTAXES, encoded, file_of, meta_of
from bench.reading.values import of
from bench.reading.variants import Alter, Variant, variant
from bench.reading.visits import files_of, folder_of, values_of

WIDTHS = {8: "u1", 16: "<u2", 32: "<u4", 64: "<u8"}
OFFSET = 250
UNREADABLE = ("undecodable", "not_dicom", "no_images", "incomplete_header")
COMPRESSED = {"RLE": RLELossless, "JPEG-LS": JPEGLSLossless, "JPEG 2000": JPEG2000Lossless}
BYTE_ORDER = ("byte_order", "undecodable", "absurd_values")
SCALE = ("adc_unit_unknown", "adc_implausible", "rescale_between_b")
FORMATS = ("BitsStored", "HighBit", "PixelRepresentation", "SamplesPerPixel", "PhotometricInterpretation")


def variants() -> Iterator[Variant]:
    for kind in ("flair", "adc", "dwi"):
        for stored in (32, 24, 12):
            yield variant(f"{kind}: 32 bits allocated, {stored} stored", of(kind, wide(32, stored)))
    yield variant("32 bits allocated, signed", of("flair", wide(32, 32, signed=True)))
    yield variant("32 bits allocated, 12 stored, rubbish above", of("flair", wide(32, 12, above=0x5A5A << 12)))
    yield variant("64 bits allocated", of("flair", wide(64, 64)), *UNREADABLE)
    yield variant("8 bits allocated", of("flair", narrow), expected=lambda voxels: voxels // 2)
    yield variant("1 bit allocated", of("flair", one_bit), *UNREADABLE)
    yield variant("12 bits, packed", of("flair", packed), *UNREADABLE)
    for kind in ("flair", "adc", "dwi"):
        yield variant(f"{kind}: float pixels", of(kind, floating("f4")), *UNREADABLE)
        yield variant(f"{kind}: double float pixels", of(kind, floating("f8")), *UNREADABLE)
    yield variant("float pixels with NaN", of("flair", floating("f4", hole=True)), *UNREADABLE, "absurd_values")
    for keyword in FORMATS:
        yield variant(f"no {keyword}", of("flair", without(keyword)))
        yield variant(f"no {keyword}, enhanced values", of("adc", without(keyword)))
    for keyword, value in (("BitsStored", 0), ("BitsStored", 32), ("HighBit", 0), ("Rows", 0)):
        yield variant(f"{keyword} {value}", of("flair", stating(keyword, value)), *UNREADABLE, "no_geometry")
    # a word of 16 bits has no bit 31: the values lie below the bits that are stated
    yield variant("HighBit 31", of("flair", stating("HighBit", 31)), *UNREADABLE, "bits_stored")
    yield from _orders()
    yield from _compressed()


def _orders() -> Iterator[Variant]:
    for kind in ("adc", "dwi", "flair"):
        for syntax in ("explicit", "implicit", "big endian", "deflated"):
            name = f"{kind}: pixels in the other byte order, {syntax}"
            yield variant(name, swapped(kind, syntax), *BYTE_ORDER, *SCALE)
    yield variant("adc: half of the files in the other byte order", swapped("adc", "explicit", every=2), *BYTE_ORDER)


def _compressed() -> Iterator[Variant]:
    for name, uid in COMPRESSED.items():
        for meta in ("without a preamble", "in two fragments", "without an offset table"):
            allowed = UNREADABLE if "fragments" in meta and name == "RLE" else ()
            yield variant(f"{name}, {meta}", compressed(uid, meta), *allowed)
    yield variant("deflated, without a preamble", bare_deflated)
    yield variant("big endian, without preamble and meta information", bare_big, *UNREADABLE)
    yield variant("the magic word without meta information", magic_only)
    yield variant("the magic word at the beginning", magic_first, *UNREADABLE)
    yield variant("HTJ2K by its name, JPEG 2000 inside", renamed(HTJ2KLossless), *UNREADABLE)
    yield variant("JPEG-LS by its name, JPEG 2000 inside", renamed(JPEGLSLossless), *UNREADABLE)
    yield variant("a film by its name", renamed(MPEG2MPML), *UNREADABLE)
    yield variant("an unknown transfer syntax", renamed(UID("1.2.3.4.5")), *UNREADABLE)
    yield variant("no transfer syntax", untold)


def wide(allocated: int, stored: int, *, signed: bool = False, above: int = 0) -> Any:
    def change(ds: Dataset, _n: int) -> None:
        values = values_of(ds).astype(np.int64) - OFFSET * signed
        if above:
            values[5:9, 4:12] |= above
        ds.BitsAllocated, ds.BitsStored, ds.HighBit = allocated, stored, stored - 1
        if signed:
            ds.PixelRepresentation, ds.RescaleSlope, ds.RescaleIntercept = 1, 1, OFFSET
        ds.PixelData = values.astype(WIDTHS[allocated]).tobytes()
        _without_extremes(ds)

    return change


def _without_extremes(ds: Dataset) -> None:
    for keyword in ("SmallestImagePixelValue", "LargestImagePixelValue"):
        ds.pop(keyword, None)


def narrow(ds: Dataset, _n: int) -> None:
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 8, 8, 7
    ds.PixelData = (values_of(ds) // 2).astype("u1").tobytes()
    ds["PixelData"].VR = "OB"
    _without_extremes(ds)


def one_bit(ds: Dataset, _n: int) -> None:
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 1, 1, 0
    ds.PixelData = np.packbits(values_of(ds) > OFFSET, bitorder="little").tobytes()
    _without_extremes(ds)


def packed(ds: Dataset, _n: int) -> None:
    """Two values in three bytes, as old consoles write them."""
    values = values_of(ds).ravel().astype(np.uint32)
    first, second = values[::2], values[1::2]
    parts = np.stack([first & 255, (first >> 8) | ((second & 15) << 4), second >> 4], axis=1)
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 12, 12, 11
    ds.PixelData = parts.astype("u1").tobytes()
    _without_extremes(ds)


def floating(width: str, *, hole: bool = False) -> Any:
    def change(ds: Dataset, _n: int) -> None:
        values = values_of(ds).astype(f"<{width}")
        if hole:
            values[3, 3] = np.nan
        del ds.PixelData
        for keyword in ("BitsStored", "HighBit", "PixelRepresentation"):
            ds.pop(keyword, None)
        ds.BitsAllocated = 8 * values.dtype.itemsize
        setattr(ds, "FloatPixelData" if width == "f4" else "DoubleFloatPixelData", values.tobytes())
        _without_extremes(ds)

    return change


def without(keyword: str) -> Any:
    return lambda ds, _n: ds.pop(keyword, None)


def stating(keyword: str, value: int) -> Any:
    return lambda ds, _n: setattr(ds, keyword, value)


def swapped(kind: str, syntax: str, *, every: int = 1) -> Alter:
    """The bytes of each pixel change places; nothing else does. Values use more than one byte."""

    def alter(study: Path) -> None:
        for n, path in enumerate(files_of(folder_of(study, kind))):
            ds = dcmread(path)
            if n % every == 0:
                ds.PixelData = np.frombuffer(ds.PixelData, "<u2").astype(">u2").tobytes()
            _without_extremes(ds)
            if syntax == "deflated":
                ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
            path.write_bytes(file_of(ds, syntax, syntax))

    return alter


def compressed(uid: UID, how: str) -> Alter:
    def alter(study: Path) -> None:
        for path in files_of(folder_of(study, "flair")):
            ds = dcmread(path)
            ds.compress(uid, generate_instance_uid=False)
            if how != "without a preamble":
                stream = _stream(ds.PixelData)
                ds.PixelData = encapsulate([stream], fragments_per_frame=1 + ("two" in how), has_bot="table" not in how)
            ds.save_as(path)
            if how == "without a preamble":
                path.write_bytes(path.read_bytes()[132:])

    return alter


def _stream(encapsulated: bytes) -> bytes:
    """The one frame of it."""
    place = 8 + struct.unpack("<I", encapsulated[4:8])[0]
    length = struct.unpack("<I", encapsulated[place + 4 : place + 8])[0]
    return encapsulated[place + 8 : place + 8 + length]


def bare_deflated(study: Path) -> None:
    for path in files_of(folder_of(study, "flair")):
        path.write_bytes(file_of(dcmread(path), "deflated", "deflated")[132:])


def bare_big(study: Path) -> None:
    for path in files_of(folder_of(study, "flair")):
        path.write_bytes(encoded(dcmread(path), "big endian"))


def magic_only(study: Path) -> None:
    for path in files_of(folder_of(study, "flair")):
        path.write_bytes(b"\0" * 128 + b"DICM" + encoded(dcmread(path), "implicit"))


def magic_first(study: Path) -> None:
    for path in files_of(folder_of(study, "flair")):
        path.write_bytes(file_of(dcmread(path), "explicit", "explicit")[128:])


def renamed(uid: UID) -> Alter:
    def alter(study: Path) -> None:
        for path in files_of(folder_of(study, "flair")):
            ds = dcmread(path)
            ds.compress(JPEG2000Lossless, generate_instance_uid=False)
            ds.file_meta.TransferSyntaxUID = uid
            ds.save_as(path)

    return alter


def untold(study: Path) -> None:
    """The meta information is there, and says nothing about the encoding."""
    for path in files_of(folder_of(study, "flair")):
        ds = dcmread(path)
        meta = meta_of(ds, SYNTAXES["explicit"])
        raw = bytearray(b"\0" * 128 + b"DICM" + meta + encoded(ds, "explicit"))
        place = raw.index(b"\x02\x00\x10\x00UI")
        length = struct.unpack("<H", raw[place + 6 : place + 8])[0]
        raw[place + 2 : place + 4] = b"\x13\x00"  # another element of the group
        raw[place + 4 : place + 6] = b"SH"
        del length
        path.write_bytes(bytes(raw))
