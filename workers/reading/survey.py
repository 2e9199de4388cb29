"""The encoded bytes of one file in, the size of its header out. Nothing is decoded, and little memory is needed.

A data set is walked over before pydicom parses it (PS3.5 section 7). A file that this walk misunderstands is bounded by
the limits of the process.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from pydicom.datadict import dictionary_VR
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from triage.errors import NotAssessable
from workers.reading import limits
from workers.reading.limits import HeaderSize

_PREAMBLE = 132
_UNDEFINED = 0xFFFFFFFF
_ITEM = 0xFFFEE000
_PER_FRAME = 0x52009230
_PIXELS = 0x7FE00008  # float, double and integer pixel data; elements come in ascending order
_TRANSFER_SYNTAX = 0x00020010
_LONG_VRS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_CHUNK = 1 << 16
_BEGINNING = 8  # bytes of a tag, a VR and a length
NOT_AS_STATED = "not_dicom"
_HIGHEST_FIRST_GROUP = 0x0080  # objects begin with group 0x0008, reports and private ones a little later


class _Source(Protocol):
    def read(self, count: int) -> bytes: ...

    def skip(self, count: int) -> None: ...


class _Plain:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, count: int) -> bytes:
        return self._file.read(count)

    def skip(self, count: int) -> None:
        self._file.seek(count, 1)


class _Inflated:
    """A deflated data set, unpacked chunk by chunk; ends as soon as it unpacks to more than the limit."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        self._raw = b""
        self._ready = b""
        self.unpacked = 0

    def read(self, count: int) -> bytes:
        while len(self._ready) < count and self._more():
            pass
        found, self._ready = self._ready[:count], self._ready[count:]
        return found

    def skip(self, count: int) -> None:
        while len(self._ready) < count:
            count -= len(self._ready)
            self._ready = b""
            if not self._more():
                return
        self._ready = self._ready[count:]

    def drain(self) -> None:
        while self._more():
            self._ready = b""

    def _more(self) -> bool:
        if self._inflate.eof or self.unpacked > limits.MAX_UNPACKED_BYTES:
            return False
        self._raw = self._raw or self._file.read(_CHUNK)
        try:
            found = self._inflate.decompress(self._raw, _CHUNK) if self._raw else self._inflate.flush()
        except zlib.error:
            return False
        self._raw = self._inflate.unconsumed_tail
        self._ready += found
        self.unpacked += len(found)
        return bool(found or self._raw)


@dataclass(frozen=True)
class _Open:
    """A sequence or item that is not closed. end: None when a delimiter closes it."""

    tag: int
    end: int | None
    fragments: bool = False  # its items hold bytes, not elements


def survey(file: BinaryIO) -> HeaderSize:
    """The size of the header, counted until one limit of ``limits`` is exceeded."""
    to_meta_information(file)
    syntax = encoding_of(file)[1]
    if syntax != DeflatedExplicitVRLittleEndian:
        return _Walk(_Plain(file), explicit=syntax != ImplicitVRLittleEndian, big=syntax == ExplicitVRBigEndian).size()
    source = _Inflated(file)
    size = _Walk(source, explicit=True, big=False).size()
    source.drain()
    return HeaderSize(size.elements, size.frames, size.depth, size.value_bytes, source.unpacked)


def to_meta_information(file: BinaryIO) -> None:
    """Go behind the preamble, when the file has one."""
    if file.read(_PREAMBLE)[_PREAMBLE - 4 :] != b"DICM":
        file.seek(0)


def encoding_of(file: BinaryIO) -> tuple[str, str]:
    """The transfer syntax that a file states, and the one in which its data set begins; the file then stands there.

    An object begins with a low group. In the other byte order that group is 0x0100 or more, and deflated bytes begin
    with anything. Explicit and implicit VR can be told apart further on.

    Raises:
        NotAssessable: not_dicom: the data set begins in no way that is known, and what follows would be read as
            lengths.
    """
    stated = _transfer_syntax(file)
    place = file.tell()
    raw = file.read(_CHUNK)
    file.seek(place)
    if len(raw) < _BEGINNING:
        return stated, stated
    if stated == DeflatedExplicitVRLittleEndian:
        return stated, stated if _is_deflated(raw) else _uncompressed(raw, "is not deflated, as")
    little = int.from_bytes(raw[:2], "little")
    as_stated = int.from_bytes(raw[:2], "big") if stated == ExplicitVRBigEndian else little
    return stated, stated if as_stated <= _HIGHEST_FIRST_GROUP else _uncompressed(raw, "is encoded otherwise than")


def _is_deflated(raw: bytes) -> bool:
    try:
        start = zlib.decompressobj(-zlib.MAX_WBITS).decompress(raw, _BEGINNING)
    except zlib.error:
        return False
    return int.from_bytes(start[:2], "little") <= _HIGHEST_FIRST_GROUP


def _uncompressed(raw: bytes, what: str) -> str:
    """The transfer syntax of a data set that begins with group 0x0008."""
    explicit = raw[4:6].isalpha() and raw[4:6].isupper()
    if raw[:2] == b"\x08\x00":
        return str(ExplicitVRLittleEndian if explicit else ImplicitVRLittleEndian)
    if raw[:2] == b"\x00\x08" and explicit:
        return str(ExplicitVRBigEndian)
    raise NotAssessable(NOT_AS_STATED, f"the data set {what} its transfer syntax says")


def _transfer_syntax(file: BinaryIO) -> str:
    """The transfer syntax; the file then stands at its data set. Meta information is explicit little endian."""
    syntax = ""
    while True:
        place = file.tell()
        raw = file.read(8)
        if len(raw) < 8 or raw[:2] != b"\x02\x00":
            file.seek(place)
            return syntax
        length = int.from_bytes(raw[6:8], "little")
        if raw[4:6] in _LONG_VRS:
            length = int.from_bytes(file.read(4), "little")
        tag = (2 << 16) | int.from_bytes(raw[2:4], "little")
        if tag == _TRANSFER_SYNTAX and length <= 64:
            syntax = file.read(length).rstrip(b"\0 ").decode("ascii", "replace")
        else:
            file.seek(length, 1)


class _Walk:
    """One pass over the elements before the pixels."""

    def __init__(self, source: _Source, *, explicit: bool, big: bool) -> None:
        self._source = source
        self._explicit = explicit
        order = ">" if big else "<"
        self._tag = struct.Struct(f"{order}HH").unpack_from
        self._short = struct.Struct(f"{order}H").unpack_from
        self._long = struct.Struct(f"{order}I").unpack_from
        self._place = self._elements = self._frames = self._depth = self._bytes = 0
        self._open: list[_Open] = []

    def size(self) -> HeaderSize:
        while self._within_limits() and self._step():
            pass
        return HeaderSize(self._elements, self._frames, self._depth, self._bytes)

    def _within_limits(self) -> bool:
        return (
            self._elements <= limits.MAX_ELEMENTS
            and self._frames <= limits.MAX_FRAMES
            and self._depth <= limits.MAX_DEPTH
            and self._bytes <= limits.MAX_HEADER_BYTES
        )

    def _step(self) -> bool:
        """One element, item or delimiter. False: there is nothing more before the pixels."""
        while self._open and self._open[-1].end is not None and self._place >= self._open[-1].end:
            self._open.pop()
        raw = self._source.read(8)
        if len(raw) < 8:
            return False
        self._place += 8
        group, element = self._tag(raw)
        tag = group << 16 | element
        if group == 0xFFFE:
            return self._item(tag, self._long(raw, 4)[0])
        if tag >= _PIXELS and not self._open:
            return False
        self._elements += 1
        vr, length = self._vr_and_length(raw)
        if length == _UNDEFINED or self._is_sequence(vr, tag):
            self._enter(tag, length, fragments=vr not in (b"SQ", b"UN", b""))
        else:
            self._bytes += length
            self._skip(length)
        return True

    def _item(self, tag: int, length: int) -> bool:
        if not self._open:
            return False
        if tag != _ITEM:
            self._open.pop()
            return True
        parent = self._open[-1]
        self._elements += 1
        self._frames += parent.tag == _PER_FRAME
        if parent.fragments:
            self._bytes += length
            self._skip(length)
        else:
            self._enter(tag, length, fragments=False)
        return True

    def _enter(self, tag: int, length: int, *, fragments: bool) -> None:
        self._open.append(_Open(tag, None if length == _UNDEFINED else self._place + length, fragments))
        self._depth = max(self._depth, len(self._open) // 2)

    def _vr_and_length(self, raw: bytes) -> tuple[bytes, int]:
        vr = raw[4:6]
        if not self._explicit or not (vr.isalpha() and vr.isupper()):  # as pydicom: then this element is implicit
            return b"", self._long(raw, 4)[0]
        if vr not in _LONG_VRS:
            return vr, self._short(raw, 6)[0]
        more = self._source.read(4)
        self._place += 4
        return vr, self._long(more)[0] if len(more) == 4 else 0

    def _is_sequence(self, vr: bytes, tag: int) -> bool:
        if vr not in (b"", b"UN"):
            return vr == b"SQ"
        try:
            return bool(dictionary_VR(tag) == "SQ")
        except KeyError:
            return False

    def _skip(self, count: int) -> None:
        self._source.skip(count)
        self._place += count
