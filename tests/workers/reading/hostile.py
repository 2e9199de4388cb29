"""Small files that take much memory or time to read, made from one ordinary slice."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset, write_file_meta_info
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

MIB = 1 << 20


def _parts(path: Path, syntax: UID) -> tuple[bytes, bytes, bytes]:
    """(file meta information, encoded elements, pixels)."""
    ds = dcmread(path)
    pixels = ds.PixelData
    del ds.PixelData
    ds.file_meta.TransferSyntaxUID = syntax
    meta, body = BytesIO(), DicomBytesIO()
    write_file_meta_info(meta, ds.file_meta)
    body.is_little_endian, body.is_implicit_VR = True, False
    write_dataset(body, Dataset(ds))
    return b"\0" * 128 + b"DICM" + meta.getvalue(), body.getvalue(), pixels


def _pixel_element(pixels: bytes) -> bytes:
    return struct.pack("<HH2sHI", 0x7FE0, 0x10, b"OW", 0, len(pixels)) + pixels


def _element(group: int, element: int, vr: bytes, length: int) -> bytes:
    return struct.pack("<HH2sHI", group, element, vr, 0, length)


def deflated(path: Path, mib: int, where: str = "private element") -> Path:
    """A deflated object that holds ``mib`` MiB of zeros in one place.

    Args:
        where: private element, private block, sequence or overlay.
    """
    length = mib * MIB
    before, after = {
        "private element": (_element(0x7FDF, 0x1000, b"OB", length), b""),
        "private block": (
            struct.pack("<HH2sH8s", 0x7FDF, 0x0010, b"LO", 8, b"SIEMENS ") + _element(0x7FDF, 0x10FF, b"UN", length),
            b"",
        ),
        "sequence": (
            _element(0x7FDF, 0x1001, b"SQ", 0xFFFFFFFF)
            + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
            + _element(0x0042, 0x0011, b"OB", length),
            struct.pack("<HHI", 0xFFFE, 0xE00D, 0) + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0),
        ),
        "overlay": (
            struct.pack("<HH2sHH", 0x6000, 0x0010, b"US", 2, 65535)
            + struct.pack("<HH2sHH", 0x6000, 0x0011, b"US", 2, 65535)
            + _element(0x6000, 0x3000, b"OW", length),
            b"",
        ),
    }[where]
    meta, body, pixels = _parts(path, DeflatedExplicitVRLittleEndian)
    pack = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    out = pack.compress(body + before)
    out += b"".join(pack.compress(bytes(MIB)) for _ in range(mib))
    out += pack.compress(after + _pixel_element(pixels)) + pack.flush()
    path.write_bytes(meta + out)
    return path


def with_empty_frames(path: Path, count: int, *, defined: bool = True) -> Path:
    """An object with empty items in its Per-Frame Functional Groups Sequence."""
    meta, body, pixels = _parts(path, ExplicitVRLittleEndian)
    length = 8 * count if defined else 0xFFFFFFFF
    items = struct.pack("<HHI", 0xFFFE, 0xE000, 0) * count
    end = b"" if defined else struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    header = struct.pack("<HH2sHI", 0x5200, 0x9230, b"SQ", 0, length)
    path.write_bytes(meta + body + header + items + end + _pixel_element(pixels))
    return path


def with_private_elements(path: Path, count: int) -> Path:
    """An object with empty private elements before its pixels."""
    meta, body, pixels = _parts(path, ExplicitVRLittleEndian)
    more = b"".join(struct.pack("<HH2sHI", 0x7F01 + 2 * (n >> 16), n & 0xFFFF, b"LO", 0, 0)[:8] for n in range(count))
    path.write_bytes(meta + body + more + _pixel_element(pixels))
    return path


def nested(path: Path, depth: int) -> Path:
    """An object with a sequence in a sequence in a sequence."""
    meta, body, pixels = _parts(path, ExplicitVRLittleEndian)
    begin = struct.pack("<HH2sHI", 0x5200, 0x9229, b"SQ", 0, 0xFFFFFFFF)
    begin += struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    end = struct.pack("<HHI", 0xFFFE, 0xE00D, 0) + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    path.write_bytes(meta + body + begin * depth + end * depth + _pixel_element(pixels))
    return path
