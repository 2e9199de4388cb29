"""A Part-10 file in pieces in, one stored object out: the way in for DICOMweb and for files in a folder."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Self

from triage.errors import Rejected
from workers.dicom_status import CANNOT_UNDERSTAND
from workers.files.index_rows import identified
from workers.files.part10 import DICM_AT, MAX_META_BYTES, META_AT, Announced, meta_in
from workers.files.store import Spool

HEAD_BYTES = 64 << 10  # of the data set; the UIDs of an MR image stand in its first 10 kB
GROUP_LENGTH = struct.pack("<HH2sH", 2, 0, b"UL", 4)


class Part10Intake:
    """``write`` the whole file in pieces; then ``spool`` is ready to be finished.

    Args:
        begin: opens a place for the object that the file announces.
        sender: who sends it, for the record; the file itself is not believed.
    """

    def __init__(self, begin: Callable[[Announced], Spool], *, sender: str) -> None:
        self._begin, self._sender = begin, sender
        self._start = b""
        self._spool: Spool | None = None
        self._head = b""
        self.announced: Announced | None = None
        """What the file says about its object; None: it did not come so far."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._spool is not None:
            self._spool.abort()

    def write(self, piece: bytes) -> None:
        """Raises:
        Rejected: the file is not Part 10, or its object is refused.
        """
        if self._spool is not None:
            self._go_on(self._spool, piece)
            return
        self._start += piece
        if len(self._start) < META_AT:
            return
        if self._start[DICM_AT : DICM_AT + 4] != b"DICM" or self._start[DICM_AT + 4 : META_AT - 4] != GROUP_LENGTH:
            raise Rejected(CANNOT_UNDERSTAND, "not_part10", "the file has no Part-10 header")
        end = META_AT + int.from_bytes(self._start[META_AT - 4 : META_AT], "little")
        if end > MAX_META_BYTES:
            raise Rejected(CANNOT_UNDERSTAND, "not_part10", "the Part-10 header is too long")
        if len(self._start) < end:
            return
        found = meta_in(self._start[:end])
        announced = Announced(found.sop_class_uid, found.sop_instance_uid, found.transfer_syntax_uid, self._sender)
        self.announced = announced
        rest, self._start = self._start[end:], b""
        self._spool = self._begin(announced)
        if rest:
            self._go_on(self._spool, rest)

    def _go_on(self, spool: Spool, piece: bytes) -> None:
        if len(self._head) < HEAD_BYTES:
            self._head += piece[: HEAD_BYTES - len(self._head)]
        spool.write([piece], len(piece))

    def study_instance_uid(self) -> str:
        """Of the object, before it is kept.

        Raises:
            Rejected: its first 64 kB do not say it.
        """
        if self.announced is None:
            raise Rejected(CANNOT_UNDERSTAND, "not_part10", "the file has no Part-10 header")
        head = self._head
        return identified(lambda at, count: head[at : at + count], 0, self.announced)[1].study_instance_uid

    @property
    def spool(self) -> Spool:
        """The object with all that was written.

        Raises:
            Rejected: the file ended before its data set.
        """
        if self._spool is None:
            raise Rejected(CANNOT_UNDERSTAND, "not_part10", "the file has no Part-10 header")
        return self._spool
