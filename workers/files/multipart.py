"""A multipart/related body in pieces in, its parts in pieces out (RFC 2046 section 5.1). Nothing is kept but a line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.message import Message
from enum import Enum

MAX_HEADER_BYTES = 8 << 10  # of one part
MAX_BOUNDARY = 200  # RFC 2046 section 5.1.1 allows 70; Orthanc sends 73


class MalformedError(ValueError):
    """The body is not what its Content-Type says."""


@dataclass(frozen=True)
class PartBegins:
    """headers: names in lower case."""

    headers: Mapping[str, str]


@dataclass(frozen=True)
class PartData:
    content: bytes


@dataclass(frozen=True)
class PartEnds:
    pass


Event = PartBegins | PartData | PartEnds


class _Where(Enum):
    BEFORE, HEADERS, CONTENT, AFTER = range(4)


def boundary_of(content_type: str) -> bytes:
    """The boundary of a multipart/related Content-Type.

    Raises:
        MalformedError: it is another type, or has no boundary.
    """
    message = Message()
    message["content-type"] = content_type
    boundary = message.get_param("boundary")
    if message.get_content_type() != "multipart/related" or not isinstance(boundary, str):
        raise MalformedError("multipart/related with a boundary is expected")
    if not 0 < len(boundary) <= MAX_BOUNDARY or not boundary.isascii():
        raise MalformedError("the boundary is not one")
    return boundary.encode()


def type_of_parts(content_type: str) -> str:
    """The type parameter of a multipart/related Content-Type, in small letters; "" without one."""
    message = Message()
    message["content-type"] = content_type
    stated = message.get_param("type")
    return stated.strip().lower() if isinstance(stated, str) else ""


class MultipartReader:
    """``feed`` the body piece by piece, then ``close``."""

    def __init__(self, boundary: bytes) -> None:
        self._delimiter = b"\r\n--" + boundary
        self._buffer = b"\r\n"  # the first delimiter may stand at the very beginning
        self._where = _Where.BEFORE

    def feed(self, piece: bytes) -> Iterator[Event]:
        """What became known with this piece.

        Raises:
            MalformedError: the body breaks the rules.
        """
        self._buffer += piece
        while True:
            if self._where is _Where.AFTER:
                self._buffer = b""
                return
            if self._where is _Where.HEADERS:
                headers = self._headers()
                if headers is None:
                    return
                self._where = _Where.CONTENT
                yield PartBegins(headers)
                continue
            at = self._buffer.find(self._delimiter)
            end = None if at < 0 else self._after_padding(at + len(self._delimiter))
            if end is None:
                yield from self._give(at if at >= 0 else max(0, len(self._buffer) - len(self._delimiter) - 2))
                return
            yield from self._give(at)
            if self._where is _Where.CONTENT:
                yield PartEnds()
            self._next(end - at)

    def close(self) -> None:
        """Raises:
        MalformedError: the body ended before its last delimiter.
        """
        if self._where is not _Where.AFTER:
            raise MalformedError("the body ends before its last part is complete")

    def _give(self, count: int) -> Iterator[Event]:
        content, self._buffer = self._buffer[:count], self._buffer[count:]
        if content and self._where is _Where.CONTENT:
            yield PartData(content)

    def _after_padding(self, begin: int) -> int | None:
        """Where the blanks end that may follow a delimiter (RFC 2046 section 5.1.1); None: not known yet."""
        end = begin
        while self._buffer[end : end + 1] in (b" ", b"\t"):
            end += 1
        if end - begin > MAX_HEADER_BYTES:
            raise MalformedError("too many blanks behind a delimiter")
        return end if len(self._buffer) >= end + 2 else None

    def _next(self, skip: int) -> None:
        rest = self._buffer[skip:]
        if rest.startswith(b"--"):
            self._where, self._buffer = _Where.AFTER, b""
        elif rest.startswith(b"\r\n"):
            # the line break stays: a part without headers begins with an empty line
            self._where, self._buffer = _Where.HEADERS, rest
        else:
            raise MalformedError("a delimiter is followed by something else than a line break")

    def _headers(self) -> Mapping[str, str] | None:
        end = self._buffer.find(b"\r\n\r\n")
        if max(end, 0) > MAX_HEADER_BYTES or (end < 0 and len(self._buffer) > MAX_HEADER_BYTES):
            raise MalformedError("the headers of a part are too long")
        if end < 0:
            return None
        lines = self._buffer[:end].decode("latin-1").split("\r\n")
        self._buffer = self._buffer[end + 4 :]
        named = (line.partition(":") for line in lines if line)
        return {name.strip().lower(): value.strip() for name, _, value in named}
