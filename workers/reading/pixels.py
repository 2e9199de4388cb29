"""Where a file keeps its pixels in, decoded planes out. Uncompressed pixels are read straight from their place in the
file.
"""

from __future__ import annotations

import logging
import struct
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from pydicom import Dataset, config, dcmread
from pydicom.encaps import generate_frames
from pydicom.errors import InvalidDicomError
from pydicom.pixels import iter_pixels
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSNearLossless,
)

from triage.errors import NotAssessable, Transient
from triage.model import Voxels
from workers.reading.beginning import has_magic, is_bare
from workers.reading.byte_order import MOST_PLANES, as_written, written_otherwise
from workers.reading.encoding import parsed
from workers.reading.limits import Budget, check
from workers.reading.offset_table import forget_offsets
from workers.reading.row_length import check_row_length
from workers.reading.stored_bits import Steps, check_stored_bits, steps, stored_values
from workers.reading.survey import survey

MAX_SERIES_BYTES = 1 << 30  # decoded; checked before decoding, so that a small file cannot unpack into all memory
_WHOLE_BYTES = (8, 16, 32)
_NATIVE = (
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
)  # deflated files have no place to seek to
_LOSSY = (JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless)
_MASKED_BY_DECODER = (JPEGLossless, JPEGLosslessSV1)
_PIXEL_DATA = (0x7FE0, 0x0010)
_PIXEL_VRS = (b"OB", b"OW", b"UN")
_ANY_PIXELS = (0x7FE00008, 0x7FE00009, 0x7FE00010)  # float, double, integer
_UNDEFINED = b"\xff\xff\xff\xff"
_STUDY_INSTANCE_UID = 0x0020000D

Plane = npt.NDArray[Any]  # (rows, columns), stored values


@dataclass(frozen=True)
class PixelData:
    """Where and how one file stores its pixels. offset: of the Pixel Data element when uncompressed, else None."""

    path: Path
    offset: int | None = None
    dtype: str = "<u2"
    rows: int = 0
    columns: int = 0
    frames: int = 1
    bits_stored: int = 16
    high_bit: int = 15
    bytes_per_pixel: int = 2
    inverted: bool = False  # MONOCHROME1: low values are shown bright
    padding: tuple[float, float] | None = None  # lowest and highest value that is background
    photometric: str = "MONOCHROME2"
    allocated: int = 16
    compressed: bool = False
    lossy: bool = False
    turned: bool = False  # the values tell that the two bytes of each are in the other order

    @property
    def signed(self) -> bool:
        return np.dtype(self.dtype).kind == "i"


def open_header(path: Path, budget: Budget | None = None) -> tuple[Dataset, PixelData]:
    """One file's header without its pixels, and where those are.

    Args:
        budget: what is left for its study.

    Raises:
        NotAssessable: code not_dicom when the file is no DICOM object or its header cannot be read; too_large,
            too_complex, too_slow when it exceeds a limit of ``workers.reading.limits``.
        Transient: the file cannot be read now: it is away, or the disk fails.
    """
    with _opened(path, budget) as file:
        ds = parsed(file, _at_pixels)
        offset = file.tell()
        if ds.file_meta.TransferSyntaxUID.is_encapsulated and _has_length(file):
            ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian  # whatever is stated: compressed pixels have none
        return ds, _pixel_data(ds, path, offset)


def study_uid_of(path: Path) -> str:
    """StudyInstanceUID of one file, "" where it has none; reads no further than that element.

    Raises:
        NotAssessable: as :func:`open_header`.
    """
    with _opened(path) as file:
        ds = parsed(file, lambda tag, *_: tag > _STUDY_INSTANCE_UID)
        return str(ds.get("StudyInstanceUID") or "")


def _at_pixels(tag: int, *_: Any) -> bool:
    return tag in _ANY_PIXELS


def _has_length(file: BinaryIO) -> bool:
    """Whether the element at which the file stands, explicit little endian, is no list of fragments."""
    raw = file.read(12)
    return len(raw) == 12 and raw[4:6] in _PIXEL_VRS and raw[8:12] != _UNDEFINED


@contextmanager
def _opened(path: Path, budget: Budget | None = None) -> Iterator[BinaryIO]:
    """The file, with whatever reading it raises turned into NotAssessable without quoting the header."""
    _silence_pydicom()
    try:
        with warnings.catch_warnings(), path.open("rb") as file:
            warnings.simplefilter("ignore")
            if not (has_magic(file) or is_bare(file)):
                raise InvalidDicomError  # or its first bytes would be taken for the length of a header
            size = survey(file)
            check(size)
            if budget is not None:
                budget.take_header(size)
            file.seek(0)
            yield file
    except NotAssessable:
        raise
    except MemoryError:
        raise NotAssessable("too_large", "a header needs more memory than reading may take") from None
    except (InvalidDicomError, OSError, EOFError) as error:
        _raise_fault_of_the_store(error)
        raise NotAssessable("not_dicom", "not a DICOM object") from None
    except Exception as error:  # a broken header can raise anything
        raise NotAssessable("not_dicom", f"the header cannot be read ({type(error).__name__})") from None


def _raise_fault_of_the_store(error: BaseException) -> None:
    """Raise Transient for a file that cannot be read now. Only what a file holds says something about its study.

    The system's errors have a number; pydicom raises OSError without one for a file that ends too early.
    """
    if isinstance(error, OSError) and error.errno is not None:
        raise Transient(f"a file of the study cannot be read now ({error.strerror})") from None


def _silence_pydicom() -> None:
    """Invalid values are treated as absent here; pydicom would quote them in warnings and log."""
    config.settings.reading_validation_mode = config.IGNORE
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)


def _pixel_data(ds: Dataset, path: Path, offset: int) -> PixelData:
    if ds.get("Rows") is None or ds.get("Columns") is None:
        return PixelData(path)
    bits = int(ds.get("BitsAllocated") or 16)
    syntax = ds.file_meta.get("TransferSyntaxUID")
    native = syntax in _NATIVE and bits in _WHOLE_BYTES and int(ds.get("SamplesPerPixel") or 1) == 1
    big, compressed = syntax == ExplicitVRBigEndian, bool(getattr(syntax, "is_encapsulated", False))
    stored = int(ds.get("BitsStored") or bits)
    return PixelData(
        path=path,
        offset=offset if native else None,
        dtype=f"{'>' if big else '<'}{'i' if ds.get('PixelRepresentation') else 'u'}{max(bits // 8, 1)}",
        rows=int(ds.Rows),
        columns=int(ds.Columns),
        frames=int(ds.get("NumberOfFrames") or 1),
        bits_stored=stored,
        high_bit=_high_bit(ds, stored, compressed=compressed),
        bytes_per_pixel=max(bits // 8, 1) * int(ds.get("SamplesPerPixel") or 1),
        inverted=ds.get("PhotometricInterpretation") == "MONOCHROME1",
        padding=_padding(ds, bits),
        photometric=str(ds.get("PhotometricInterpretation") or "").strip().upper(),
        allocated=bits,
        compressed=compressed,
        lossy=syntax in _LOSSY or str(ds.get("LossyImageCompression") or "").strip() == "01",
    )


def _high_bit(ds: Dataset, stored: int, *, compressed: bool) -> int:
    """Of the values as they are decoded: decoders of compressed pixels give the stored bits at the low end."""
    high = ds.get("HighBit")
    return stored - 1 if compressed or not isinstance(high, int) else high


def _padding(ds: Dataset, bits: int) -> tuple[float, float] | None:
    """PixelPaddingValue, or the range from it to PixelPaddingRangeLimit (PS3.3 C.7.5.1.1.2)."""
    value, limit = ds.get("PixelPaddingValue"), ds.get("PixelPaddingRangeLimit")
    if not isinstance(value, int):
        return None
    ends = [value, limit if isinstance(limit, int) else value]
    if ds.get("PixelRepresentation"):  # some writers state the bits of a negative value as if they were unsigned
        ends = [end - (1 << bits) if end >= 1 << (bits - 1) else end for end in ends]
    return float(min(ends)), float(max(ends))


def load_planes(wanted: Sequence[tuple[PixelData, int]]) -> Voxels:
    """Stored values of (file, frame number) pairs, in order: shape (k, j, i), float32, MONOCHROME1 turned so that
    bright means high. Padding becomes NaN.

    Raises:
        NotAssessable: too_large, undecodable, byte_order, bits_stored, row_length.
    """
    decoded_bytes([pixels for pixels, _ in wanted])
    first = wanted[0][0]
    voxels = np.empty((len(wanted), first.rows, first.columns), np.float32)
    by_file: dict[PixelData, list[tuple[int, int]]] = defaultdict(list)
    for k, (pixels, number) in enumerate(wanted):
        by_file[pixels].append((number, k))
    step = max(1, len(wanted) // MOST_PLANES)
    orders: dict[PixelData, bool | None] = {}
    found: dict[PixelData, Steps] = {}
    for pixels, places in by_file.items():
        places.sort()
        planes = _filled(voxels, pixels, places)
        found[pixels] = _steps(planes, pixels)
        if pixels.allocated == 16 and pixels.high_bit + 1 == pixels.bits_stored and not pixels.compressed:
            looked_at = [plane for (_, k), plane in zip(places, planes, strict=True) if k % step == 0]
            orders[pixels] = as_written(looked_at, pixels.bits_stored, signed=pixels.signed)
    for pixels in written_otherwise(orders):
        found[pixels] = _steps(_filled(voxels, replace(pixels, turned=True), by_file[pixels]), pixels)
    check_stored_bits(found.values())
    check_row_length(voxels)
    return voxels


def _steps(planes: Sequence[Plane], pixels: PixelData) -> Steps:
    return Steps.together([steps(plane, pixels.bits_stored, pixels.high_bit, signed=pixels.signed) for plane in planes])


def _filled(voxels: Voxels, pixels: PixelData, places: Sequence[tuple[int, int]]) -> list[Plane]:
    """The planes of one file, as they are stored; their values are put into ``voxels``."""
    planes = _decoded(pixels, [number for number, _ in places])
    for (_, k), plane in zip(places, planes, strict=True):
        if plane.shape != voxels.shape[1:]:
            raise NotAssessable("undecodable", f"an image decodes to {plane.shape}, its header says {voxels.shape[1:]}")
        voxels[k] = _bright_is_high(plane, pixels)
    return planes


def decoded_bytes(planes: Iterable[PixelData]) -> int:
    """Memory for these planes of one volume. float32 is the larger of what is decoded and what is kept, except for
    colour and 64-bit pixels.

    Raises:
        NotAssessable: too_large.
    """
    size = sum(pixels.rows * pixels.columns * max(pixels.bytes_per_pixel, 4) for pixels in planes)
    if size > MAX_SERIES_BYTES:
        raise NotAssessable("too_large", f"{size >> 20} MiB decoded; at most {MAX_SERIES_BYTES >> 20} MiB are read")
    return size


def _decoded(pixels: PixelData, numbers: Sequence[int]) -> list[Plane]:
    try:
        if pixels.offset is not None:
            return _native(pixels, pixels.offset, numbers)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            source = dcmread(pixels.path, force=True)  # what is no object at all has no header
            if source.file_meta.TransferSyntaxUID.is_encapsulated:
                forget_offsets(source, pixels.frames)
                _check_codestreams(source, pixels)
            elif pixels.bytes_per_pixel == np.dtype(pixels.dtype).itemsize:
                if pixels.allocated not in _WHOLE_BYTES:
                    raise NotAssessable("undecodable", f"{pixels.allocated} bits are allocated to a pixel: not read")
                return _unpacked(source.PixelData, pixels, numbers)
            # the bits above BitsStored tell whether it is true, and stored_values masks them
            if source.file_meta.TransferSyntaxUID in _MASKED_BY_DECODER:
                source.BitsStored, source.HighBit = pixels.allocated, pixels.allocated - 1
            planes = iter_pixels(source, indices=list(numbers), correct_unused_bits=False)
            return [np.asarray(plane) for plane in planes]
    except NotAssessable:
        raise
    except OSError as error:
        _raise_fault_of_the_store(error)
        raise NotAssessable("undecodable", f"an image cannot be decoded ({type(error).__name__})") from None
    except MemoryError:
        raise NotAssessable("too_large", "an image needs more memory than reading may take") from None
    except Exception as error:  # decoders raise anything, and may quote the header: only the type is told
        raise NotAssessable("undecodable", f"an image cannot be decoded ({type(error).__name__})") from None


def _check_codestreams(ds: Dataset, pixels: PixelData) -> None:
    """Refuse compressed images that are larger inside than the header says: decoders allocate what the image states."""
    for frame in generate_frames(ds.PixelData, number_of_frames=pixels.frames):
        inside = codestream_size(frame)
        if inside is not None and inside != (pixels.rows, pixels.columns):
            raise NotAssessable(
                "undecodable", f"an image is {inside} inside, its header says {(pixels.rows, pixels.columns)}"
            )


def codestream_size(frame: bytes) -> tuple[int, int] | None:
    """(rows, columns) that a JPEG 2000, JPEG or JPEG-LS codestream states about itself; None for anything else."""
    start = frame.find(
        b"\xff\x4f\xff\x51", 0, 256
    )  # SOC, SIZ; ISO 15444-1 A.5.1. Some writers put a JP2 header before it
    if start >= 0 and len(frame) >= start + 24:
        width, height, left, top = struct.unpack(">4I", frame[start + 8 : start + 24])
        return height - top, width - left
    place = 2 if frame[:2] == b"\xff\xd8" else len(frame)
    while place + 9 <= len(frame) and frame[place] == 0xFF:
        marker = frame[place + 1]
        if marker == 0xF7 or (
            0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)
        ):  # a frame header, ISO 10918-1 B.2.2
            rows, columns = struct.unpack(">HH", frame[place + 5 : place + 9])
            return rows, columns
        place += 2 + int.from_bytes(frame[place + 2 : place + 4], "big")
    return None


def _native(pixels: PixelData, offset: int, numbers: Sequence[int]) -> list[Plane]:
    """Planes read from their place in the file, without parsing it again."""
    count = pixels.rows * pixels.columns
    dtype = _dtype(pixels)
    plane_bytes = count * dtype.itemsize
    with pixels.path.open("rb") as file:
        file.seek(offset)
        start = offset + _element_header(file.read(12), pixels)
        planes = []
        for number in numbers:
            file.seek(start + number * plane_bytes)
            raw = file.read(plane_bytes)
            if len(raw) < plane_bytes:
                raise NotAssessable("undecodable", f"an image holds {len(raw)} of its {plane_bytes} bytes: truncated")
            planes.append(np.frombuffer(raw, dtype, count).reshape(pixels.rows, pixels.columns))
        return planes


def _dtype(pixels: PixelData) -> np.dtype[Any]:
    dtype = np.dtype(pixels.dtype)
    return dtype.newbyteorder() if pixels.turned else dtype


def _unpacked(raw: bytes, pixels: PixelData, numbers: Sequence[int]) -> list[Plane]:
    """Planes of a deflated file as they are stored: pydicom drops bits when the high bit is not the last one."""
    dtype, count = _dtype(pixels), pixels.rows * pixels.columns
    if len(raw) < count * dtype.itemsize * (max(numbers, default=0) + 1):
        raise NotAssessable("undecodable", f"an image holds {len(raw)} bytes: truncated")
    offsets = (number * count * dtype.itemsize for number in numbers)
    return [np.frombuffer(raw, dtype, count, offset).reshape(pixels.rows, pixels.columns) for offset in offsets]


def _element_header(raw: bytes, pixels: PixelData) -> int:
    """Bytes before the pixels: tag, then VR and a 4-byte length (explicit) or a 4-byte length (implicit); PS3.5 7.1.

    The encoding found counts: some writers state another transfer syntax. The VRs of pixels begin with an odd byte, and
    no implicit length is odd.
    """
    order = pixels.dtype[0]
    tag = struct.unpack(f"{order}HH", raw[:4]) if len(raw) == 12 else None
    if tag is not None and tag[0] << 16 | tag[1] in _ANY_PIXELS[:2]:
        raise NotAssessable("undecodable", "an image holds floating-point pixels, which are not read")
    if tag != _PIXEL_DATA:
        raise NotAssessable("undecodable", "an image holds no pixel data")
    explicit = raw[4:6] in _PIXEL_VRS
    length = struct.unpack(f"{order}I", raw[8:12] if explicit else raw[4:8])[0]
    stated = pixels.rows * pixels.columns * np.dtype(pixels.dtype).itemsize * pixels.frames
    if length == int.from_bytes(_UNDEFINED, "little"):
        raise NotAssessable(
            "undecodable", "an image holds compressed pixels, its transfer syntax says uncompressed ones"
        )
    if length < stated:
        raise NotAssessable("undecodable", f"an image holds {length} of its {stated} bytes")
    return 12 if explicit else 8


def _bright_is_high(plane: Plane, pixels: PixelData) -> Voxels:
    stored = stored_values(plane, pixels.bits_stored, pixels.high_bit, signed=pixels.signed)
    values = stored.astype(np.float32)
    if pixels.inverted:  # mirrored within the range of stored values, PS3.3 C.7.6.3.1.2
        values = np.float32(-1.0 if pixels.signed else 2.0**pixels.bits_stored - 1.0) - values
    if pixels.padding is not None:
        low, high = pixels.padding
        values[((plane >= low) & (plane <= high)) | ((stored >= low) & (stored <= high))] = np.nan
    return values
