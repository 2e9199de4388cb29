"""Compressed pixels, signs and tables of offsets that contradict the header; what lies around the pixels."""

from __future__ import annotations

import os
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate, encapsulate_extended, generate_frames
from pydicom.uid import UID, JPEG2000Lossless, JPEGLosslessSV1, JPEGLSLossless, RLELossless

from bench.reading.contradicted import heads
from bench.reading.multiframe import enhanced
from bench.reading.storage import UNREADABLE
from bench.reading.values import of
from bench.reading.variants import Alter, Variant, variant
from bench.reading.visits import each, files_of, folder_of, put, values_of

COMPRESSED = {"RLE": RLELossless, "JPEG-LS": JPEGLSLossless, "JPEG 2000": JPEG2000Lossless}
BITS, SIGN = ("bits_stored", "undecodable"), ("pixel_sign", "bits_stored")
OFFSET = 100
Table = Callable[[list[int]], list[int]]
TABLES: dict[str, Table] = {
    "of nothing": lambda _: [],
    "two bytes off": lambda at: [one + 2 for one in at],
    "two entries short": lambda at: at[:-2],
    "of zeros": lambda at: [0] * len(at),
    "in another order": lambda at: [*at[1:], at[0]],
}


def variants() -> Iterator[Variant]:
    for name, syntax in {**COMPRESSED, "JPEG lossless": JPEGLosslessSV1}.items():
        for largest, inside, stated in ((7000, 13, 12), (60000, 16, 12), (4000, 12, 10)):
            what = f"{name}: {inside} bits inside, {stated} stated"
            yield variant(what, other_bits(syntax, largest, inside, stated), *BITS)
        yield variant(f"{name}: 12 bits inside, 16 stated", other_bits(syntax, 4000, 12, 16),
                      expected=lambda _: heads(4000))  # fmt: skip
    for bits in (12, 16):
        yield variant(f"{bits} bits, signed, no sign stated", of("flair", signed_unsaid(bits)), *SIGN)
    for bits, largest in ((12, 4000), (16, 60000)):
        yield variant(f"{bits} bits, unsigned, a sign stated", of("flair", sign_said(bits, largest)), *SIGN)
    for name, syntax in COMPRESSED.items():
        yield variant(f"{name}: signed inside, no sign stated", sign_lost(syntax), *SIGN, "undecodable")
    yield variant("half of the slices signed", of("flair", half_signed))
    yield variant("10 bits, high bit 11", of("flair", in_the_middle))
    yield variant("high bit 15, values at the low end", of("flair", low_end), *BITS)
    yield from _around()


def _around() -> Iterator[Variant]:
    for name, syntax in COMPRESSED.items():
        for how in TABLES:
            for fragments in (1, 2):
                what = f"{name}, {fragments} fragments, a table {how}"
                yield variant(what, tabled(syntax, how, fragments), *UNREADABLE * (fragments > 1))
        yield variant(f"{name}, an extended table in another order", extended(syntax), *UNREADABLE)
        yield variant(f"{name}, fragments of odd length", odd(syntax), *UNREADABLE)
        yield variant(f"{name}, no end of the fragments", around(syntax, lambda raw: raw[:-8]), *UNREADABLE)
    for name, found in {**COMPRESSED, "uncompressed": None}.items():
        yield variant(f"{name}, zeros behind the data set", around(found, lambda raw: raw + bytes(1000)))
        yield variant(f"{name}, rubbish behind the data set", around(found, lambda raw: raw + os.urandom(777)))
    yield variant("each slice in another transfer syntax", every_syntax)


def _compress(ds: Dataset, path: Path, syntax: UID) -> Dataset:
    if syntax == JPEGLosslessSV1:
        ds.save_as(path)
        subprocess.run(["dcmcjpeg", "+e1", "+un", str(path), str(path)], check=True, capture_output=True)
        return dcmread(path)
    ds.compress(syntax, generate_instance_uid=False)
    return ds


def other_bits(syntax: UID, largest: int, inside: int, stated: int) -> Alter:
    voxels = heads(largest).astype(np.int32)

    def alter(study: Path) -> None:
        for n, path in enumerate(files_of(folder_of(study, "flair"))):
            ds = dcmread(path)
            ds.BitsStored, ds.HighBit = inside, inside - 1
            put(ds, voxels[n])
            ds = _compress(ds, path, syntax)
            ds.BitsStored, ds.HighBit = stated, stated - 1
            ds.save_as(path)

    return alter


def signed_unsaid(bits: int) -> Callable[[Dataset, int], None]:
    voxels = heads(500).astype(np.int32)

    def change(ds: Dataset, n: int) -> None:
        put(ds, (voxels[n] - OFFSET) & ((1 << bits) - 1))
        ds.BitsStored, ds.HighBit, ds.PixelRepresentation = bits, bits - 1, 0
        ds.RescaleSlope, ds.RescaleIntercept = 1, OFFSET

    return change


def sign_said(bits: int, largest: int) -> Callable[[Dataset, int], None]:
    voxels = heads(largest).astype(np.int32)

    def change(ds: Dataset, n: int) -> None:
        put(ds, voxels[n])
        ds.BitsStored, ds.HighBit, ds.PixelRepresentation = bits, bits - 1, 1

    return change


def sign_lost(syntax: UID) -> Alter:
    def alter(study: Path) -> None:
        voxels = heads(500).astype(np.int32)
        for n, path in enumerate(files_of(folder_of(study, "flair"))):
            ds = dcmread(path)
            ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 12, 11, 1
            put(ds, (voxels[n] - OFFSET) & 0xFFFF)
            ds.compress(syntax, generate_instance_uid=False)
            ds.PixelRepresentation = 0
            ds.save_as(path)

    return alter


def half_signed(ds: Dataset, n: int) -> None:
    ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 12, 11, n % 2
    ds.RescaleSlope, ds.RescaleIntercept = 1, 250 * (n % 2)
    put(ds, (values_of(ds) - 250 * (n % 2)) & 0xFFF)


def in_the_middle(ds: Dataset, _n: int) -> None:
    put(ds, values_of(ds) << 2 | 3)
    ds.BitsStored, ds.HighBit = 10, 11


def low_end(ds: Dataset, _n: int) -> None:
    ds.BitsStored, ds.HighBit = 12, 15


def _one_object(study: Path, syntax: UID) -> tuple[Path, Dataset, list[bytes]]:
    enhanced("flair", compressed=syntax)(study)
    path = files_of(folder_of(study, "flair"))[0]
    ds = dcmread(path)
    return path, ds, list(generate_frames(ds.PixelData, number_of_frames=int(ds.NumberOfFrames)))


def tabled(syntax: UID, how: str, fragments: int) -> Alter:
    def alter(study: Path) -> None:
        path, ds, frames = _one_object(study, syntax)
        raw = encapsulate(frames, fragments_per_frame=fragments, has_bot=True)
        length = struct.unpack("<I", raw[4:8])[0]
        table = TABLES[how](list(struct.unpack(f"<{length // 4}I", raw[8 : 8 + length])))
        ds.PixelData = raw[:4] + struct.pack(f"<I{len(table)}I", 4 * len(table), *table) + raw[8 + length :]
        ds.save_as(path)

    return alter


def extended(syntax: UID) -> Alter:
    def alter(study: Path) -> None:
        path, ds, frames = _one_object(study, syntax)
        ds.PixelData, table, lengths = encapsulate_extended(frames)
        ds.ExtendedOffsetTable, ds.ExtendedOffsetTableLengths = table[8:] + table[:8], lengths
        ds.save_as(path)

    return alter


def odd(syntax: UID) -> Alter:
    def alter(study: Path) -> None:
        for path in files_of(folder_of(study, "flair")):
            ds = dcmread(path)
            ds.compress(syntax, generate_instance_uid=False)
            stream = next(generate_frames(ds.PixelData, number_of_frames=1))
            middle = len(stream) // 2 | 1
            item = b"\xfe\xff\x00\xe0"
            parts = b"".join(item + struct.pack("<I", len(part)) + part for part in (stream[:middle], stream[middle:]))
            ds.save_as(path)
            raw = path.read_bytes()
            start = raw.index(b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff") + 12
            path.write_bytes(raw[:start] + item + bytes(4) + parts + b"\xfe\xff\xdd\xe0" + bytes(4))

    return alter


def around(syntax: UID | None, change: Callable[[bytes], bytes]) -> Alter:
    def alter(study: Path) -> None:
        for path in files_of(folder_of(study, "flair")):
            ds = dcmread(path)
            if syntax is not None:
                ds.compress(syntax, generate_instance_uid=False)
                ds.save_as(path)
            path.write_bytes(change(path.read_bytes()))

    return alter


def every_syntax(study: Path) -> None:
    syntaxes = [*COMPRESSED.values(), None]

    def change(ds: Dataset, n: int) -> None:
        if (syntax := syntaxes[n % len(syntaxes)]) is not None:
            ds.compress(syntax, generate_instance_uid=False)

    each(study, "flair", change)
