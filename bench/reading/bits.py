"""Bits stored 10 to 16, signed and unsigned, with something else in the bits above, in every transfer syntax."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.uid import (
    UID,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from bench.reading.encodings import WRITTEN, file_of
from bench.reading.variants import Alter, Variant, variant
from bench.reading.visits import each, files_of, folder_of, put, values_of

SHIFT = 250  # signed values: the rescale brings them back
COMPRESSED = {
    "RLE": RLELossless,
    "JPEG-LS": JPEGLSLossless,
    "JPEG 2000": JPEG2000Lossless,
    "JPEG lossless": JPEGLosslessSV1,
}


def variants() -> Iterator[Variant]:
    for bits in (10, 12, 14, 15, 16):
        for signed in (False, True):
            for rubbish in (False, True) if bits < 16 else (False,):
                name = f"{bits} bits {'signed' if signed else 'unsigned'}{', an overlay above' * rubbish}"
                for syntax in WRITTEN:
                    yield variant(f"{name}, {syntax}", stored(bits, syntax, signed=signed, rubbish=rubbish))
                for syntax, uid in COMPRESSED.items():
                    yield variant(f"{name}, {syntax}", compressed(bits, uid, signed=signed, rubbish=rubbish),
                                  "undecodable")  # fmt: skip
    yield variant("12 bits, high bit 15", at_the_high_end)


def stored(bits: int, syntax: str, *, signed: bool, rubbish: bool) -> Alter:
    def change(ds: Dataset, _n: int) -> None:
        values = values_of(ds) - SHIFT * signed
        ds.BitsStored, ds.HighBit, ds.PixelRepresentation = bits, bits - 1, int(signed)
        ds.RescaleSlope, ds.RescaleIntercept = 1, SHIFT * signed
        put(ds, (values & ((1 << bits) - 1)) | _above(bits, values.shape) * rubbish)

    def alter(study: Path) -> None:
        each(study, "flair", change)
        for path in files_of(folder_of(study, "flair")):
            path.write_bytes(file_of(dcmread(path), syntax, syntax))

    return alter


def _above(bits: int, shape: tuple[int, ...]) -> np.ndarray:
    """A box in the first bit above the stored ones, and every bit of the first row."""
    above = np.zeros(shape, np.int32)
    above[5:9, 4:12] = 1 << bits
    above[0] = (0xFFFF >> bits) << bits
    return above


def compressed(bits: int, syntax: UID, *, signed: bool, rubbish: bool) -> Alter:
    """Encoded with all 16 bits when something lies above; the header states ``bits``."""
    inside = 16 if rubbish else bits

    def alter(study: Path) -> None:
        stored(bits, "explicit", signed=signed, rubbish=rubbish)(study)
        for path in files_of(folder_of(study, "flair")):
            ds = dcmread(path)
            ds.BitsStored, ds.HighBit = inside, inside - 1
            if signed and not rubbish:  # an encoder wants the sign extended
                sign = 1 << (bits - 1)
                put(ds, (values_of(ds) ^ sign) - sign)
            _compress(ds, path, syntax)
            ds = dcmread(path)
            ds.BitsStored, ds.HighBit = bits, bits - 1
            ds.save_as(path)

    return alter


def _compress(ds: Dataset, path: Path, syntax: UID) -> None:
    if syntax != JPEGLosslessSV1:
        ds.compress(syntax, generate_instance_uid=False)
        ds.save_as(path)
        return
    program = shutil.which("dcmcjpeg", path="/usr/bin") or "dcmcjpeg"
    ds.save_as(path)
    subprocess.run([program, "+e1", "+un", str(path), str(path)], check=True, capture_output=True)


def at_the_high_end(study: Path) -> None:
    def change(ds: Dataset, _n: int) -> None:
        put(ds, values_of(ds) << 4 | 5)
        ds.BitsStored, ds.HighBit = 12, 15

    each(study, "flair", change)
