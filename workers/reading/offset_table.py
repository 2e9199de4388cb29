"""Compressed pixels of one object in, the same with a table of offsets that cannot mislead out.

Archives cut and join objects and leave the table of what they were. Where each frame is one fragment no table is
needed.
"""

from __future__ import annotations

import struct
from itertools import pairwise
from typing import Any

from pydicom.encaps import parse_basic_offsets, parse_fragments

from triage.errors import NotAssessable

_NO_TABLE = b"\xfe\xff\x00\xe0\x00\x00\x00\x00"  # an empty item; PS3.5 A.4
_EXTENDED = ("ExtendedOffsetTable", "ExtendedOffsetTableLengths")


def forget_offsets(ds: Any, frames: int) -> None:
    """Take the tables of offsets out of ``ds`` where they are not needed.

    Raises:
        NotAssessable: undecodable: a table is needed, and does not begin at 0 or does not ascend.
    """
    raw = ds.PixelData
    length = struct.unpack("<I", raw[4:8])[0]
    fragments = raw[8 + length :]
    if parse_fragments(fragments)[0] == frames:
        ds.PixelData = _NO_TABLE + fragments
        for keyword in _EXTENDED:
            ds.pop(keyword, None)
        return
    extended = ds.get(_EXTENDED[0])
    tables = [parse_basic_offsets(raw), struct.unpack(f"<{len(extended) // 8}Q", extended) if extended else ()]
    if any(table and (table[0] != 0 or any(a >= b for a, b in pairwise(table))) for table in tables):
        raise NotAssessable("undecodable", "the offsets of the images in an object are out of order")
