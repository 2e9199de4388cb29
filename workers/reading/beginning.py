"""The first bytes of a file in, whether it is a DICOM object out. Old consoles write objects without the preamble and
file meta information of PS3.10: these begin with their first element."""

from __future__ import annotations

import struct
from typing import BinaryIO

from pydicom.datadict import dictionary_VR

MAGIC_AT = 128
MAGIC = b"DICM"
# the first group of a data set, and of file meta information that has lost its preamble
_FIRST_GROUPS = (b"\x08\x00", b"\x02\x00")
_FIRST_GROUP_BIG = b"\x00\x08"
# an object begins with a group length, a character set, an image type, a date or a UID
_LONGEST_FIRST_VALUE = 1024


def has_magic(file: BinaryIO) -> bool:
    """Whether the file has the preamble. It then stands at its beginning, as after ``is_bare``."""
    start = file.read(MAGIC_AT + len(MAGIC))
    file.seek(0)
    return start[MAGIC_AT:] == MAGIC


def is_bare(file: BinaryIO) -> bool:
    """Whether it begins with an element that a DICOM object can begin with; big endian with explicit VR only."""
    raw = file.read(8)
    file.seek(0)
    if len(raw) == 8 and raw[:2] == _FIRST_GROUP_BIG:
        raw = raw[1::-1] + raw[3:1:-1] + raw[4:6] + raw[7:5:-1]
        if not (raw[4:6].isalpha() and raw[4:6].isupper()):
            return False
    if len(raw) < 8 or raw[:2] not in _FIRST_GROUPS:
        return False
    group, element = struct.unpack("<HH", raw[:4])
    try:
        vr = "UL" if element == 0 else dictionary_VR(group << 16 | element)
    except KeyError:
        return False
    if raw[4:6] == vr.encode():
        return int.from_bytes(raw[6:8], "little") <= _LONGEST_FIRST_VALUE
    return int.from_bytes(raw[4:8], "little") <= _LONGEST_FIRST_VALUE
