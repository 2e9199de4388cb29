"""Files whose bytes are not what their meta information says."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset, write_file_meta_info
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from bench.reading.variants import Alter, Variant, variant
from bench.reading.visits import files_of, folder_of

SYNTAXES = {
    "implicit": ImplicitVRLittleEndian,
    "explicit": ExplicitVRLittleEndian,
    "big endian": ExplicitVRBigEndian,
    "deflated": DeflatedExplicitVRLittleEndian,
    "RLE": RLELossless,
    "JPEG 2000": JPEG2000Lossless,
}
WRITTEN = ("implicit", "explicit", "big endian", "deflated")
UNREADABLE = ("undecodable", "not_dicom", "no_images", "incomplete_header")
FEW = ("missing_slices", "too_few_slices", "undecodable", "uneven_spacing")


def variants() -> Iterator[Variant]:
    for written in WRITTEN:
        for stated in SYNTAXES:
            for padding in (False, True):
                name = f"{written} under the name of {stated}{', padding at the end' * padding}"
                yield variant(name, lying(written, stated, padding=padding), *(UNREADABLE if written != stated else ()))
    for syntax in ("implicit", "explicit"):
        for meta in (False, True):
            for half in (False, True):
                what = "half of the files" if half else "all files"
                name = f"{what} without preamble, {'with' if meta else 'without'} meta information, {syntax}"
                yield variant(name, bare(syntax, meta=meta, half=half))
    yield variant("more bytes than the pixels need", longer)
    for share in (0.0, 0.5, 0.99):
        yield variant(f"one file cut to {share:.0%}", cut(share), *FEW)
    yield variant("another frame count than frames", miscounted, "undecodable", "incomplete_header")


def encoded(ds: Dataset, written: str, *, padding: bool = False) -> bytes:
    """The data set alone."""
    plain = Dataset()
    plain.update({element.tag: element for element in ds})
    if written == "big endian":
        plain.PixelData = _swapped(ds.PixelData)
    if padding:
        plain.add_new(0xFFFCFFFC, "OB", b"\0" * 16)
    body = DicomBytesIO()
    body.is_little_endian, body.is_implicit_VR = written != "big endian", written == "implicit"
    write_dataset(body, plain)
    raw: bytes = body.getvalue()
    if written == "deflated":
        packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        raw = packer.compress(raw) + packer.flush()
    return raw


def _swapped(raw: bytes) -> bytes:
    turned = bytearray(raw)
    turned[::2], turned[1::2] = raw[1::2], raw[::2]
    return bytes(turned)


def meta_of(ds: Dataset, syntax: UID) -> bytes:
    meta = DicomBytesIO()
    meta.is_little_endian, meta.is_implicit_VR = True, False
    ds.file_meta.TransferSyntaxUID = syntax
    write_file_meta_info(meta, ds.file_meta, enforce_standard=True)
    return bytes(meta.getvalue())


def file_of(ds: Dataset, written: str, stated: str, *, padding: bool = False) -> bytes:
    meta = meta_of(ds, SYNTAXES[stated])
    return b"\0" * 128 + b"DICM" + meta + encoded(ds, written, padding=padding)


def lying(written: str, stated: str, *, padding: bool) -> Alter:
    def alter(study: Path) -> None:
        for path in files_of(folder_of(study, "flair")):
            path.write_bytes(file_of(dcmread(path), written, stated, padding=padding))

    return alter


def bare(syntax: str, *, meta: bool, half: bool) -> Alter:
    def alter(study: Path) -> None:
        for path in files_of(folder_of(study, "flair"))[:: 1 + half]:
            ds = dcmread(path)
            path.write_bytes((meta_of(ds, SYNTAXES[syntax]) if meta else b"") + encoded(ds, syntax))

    return alter


def longer(study: Path) -> None:
    for path in files_of(folder_of(study, "flair")):
        ds = dcmread(path)
        ds.PixelData += b"\7" * 512
        ds.save_as(path)


def cut(share: float) -> Alter:
    def alter(study: Path) -> None:
        path = files_of(folder_of(study, "flair"))[5]
        raw = path.read_bytes()
        path.write_bytes(raw[: int(len(raw) * share)])

    return alter


def miscounted(study: Path) -> None:
    for path in files_of(folder_of(study, "flair")):
        ds = dcmread(path)
        ds.NumberOfFrames = 3
        ds.save_as(path)
