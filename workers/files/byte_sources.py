"""A file with an encoded data set in, its bytes from any position out: in windows, or unpacked as far as asked."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Protocol

# headers of MR images without private data have 3 to 10 kB; each further window is one more read
WINDOW_BYTES = 16 << 10
MAX_INFLATED_BYTES = 4 << 20  # of a deflated data set only this much is ever unpacked here

ReadAt = Callable[[int, int], bytes]  # (position, count) -> up to count bytes


class UnreadableBytes(Exception):  # noqa: N818 - turned into Rejected where it leaves the folder
    """The bytes are no data set as the transfer syntax has it."""


class ByteSource(Protocol):
    def at(self, position: int, count: int) -> tuple[bytes, int]:
        """A buffer and the offset of ``position`` in it, with ``count`` bytes behind it or as many as there are."""


class FileWindow:
    """Reads a file in windows, so that skipping a large value costs nothing."""

    def __init__(self, read_at: ReadAt, start: int) -> None:
        self._read_at, self._origin, self._first, self._buffer = read_at, start, 0, b""

    def at(self, position: int, count: int) -> tuple[bytes, int]:
        offset = position - self._first
        if offset < 0 or offset + count > len(self._buffer):
            self._buffer = self._read_at(self._origin + position, max(WINDOW_BYTES, count))
            self._first, offset = position, 0
        return self._buffer, offset


class InflatedBytes:
    """Unpacks a deflated data set (raw RFC 1951, PS3.5 Annex A.5) as far as asked, with a cap against bombs."""

    def __init__(self, read_at: ReadAt, start: int) -> None:
        self._read_at, self._next, self._unpack, self._buffer = read_at, start, zlib.decompressobj(-zlib.MAX_WBITS), b""

    def at(self, position: int, count: int) -> tuple[bytes, int]:
        want = position + count
        if want > MAX_INFLATED_BYTES:
            raise UnreadableBytes(f"nothing but header in the first {MAX_INFLATED_BYTES} bytes")
        while len(self._buffer) < want and not self._unpack.eof:
            packed = self._unpack.unconsumed_tail
            if not packed:
                packed = self._read_at(self._next, WINDOW_BYTES)
                self._next += len(packed)
            if not packed:
                break
            self._buffer += self._unpack.decompress(packed, WINDOW_BYTES)
        return self._buffer, min(position, len(self._buffer))


def ends_while_inflating(read_at: ReadAt, start: int) -> bool:
    """Whether a deflated data set ends before its stream does. Nothing of it is kept; damaged bytes are not cut."""
    unpack, position = zlib.decompressobj(-zlib.MAX_WBITS), start
    try:
        while not unpack.eof:
            packed = unpack.unconsumed_tail
            if not packed:
                packed = read_at(position, WINDOW_BYTES)
                position += len(packed)
            if not packed:
                return True
            unpack.decompress(packed, WINDOW_BYTES)
    except zlib.error:
        pass
    return False
