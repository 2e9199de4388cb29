"""Two stored files of one SOP Instance UID in, whether the second shows what the first does not out.

Nothing is decoded. A stored image is blank when all its values are one, or when it is compressed to next to nothing
beside the other. One whose file was cut short before it came counts as blank beside a whole one.
"""

from __future__ import annotations

import os

from workers.files import part10
from workers.files.dataset_head import is_cut, position_of_group

PIXEL_GROUP = 0x7FE0
LONGEST_HEAD = 12  # bytes of the pixel data element before its values
BLANK_TIMES = 30  # lossy compression of an image that shows something reaches 20
_CHUNK = 1 << 20


def fills_blank(stored: int, other: int) -> bool:
    """stored, other: descriptors of files as the store writes them.

    Raises:
        Rejected: one of them is none.
    """
    if _was_cut(stored) and not _was_cut(other):
        return True
    begin = _pixels_begin(stored)
    begin_other = _pixels_begin(other)
    if begin is None or begin_other is None:
        return False
    if _is_constant(other, begin_other):
        return False
    size, size_other = (os.fstat(fd).st_size - at for fd, at in ((stored, begin), (other, begin_other)))
    return _is_constant(stored, begin) or BLANK_TIMES * size < size_other


def _was_cut(fd: int) -> bool:
    start, announced = part10.read_meta(fd)
    size = os.fstat(fd).st_size - start
    return is_cut(lambda position, count: os.pread(fd, count, position), start, announced.transfer_syntax_uid, size)


def _pixels_begin(fd: int) -> int | None:
    """Position of the values; None: it has no pixels, or cannot be looked into."""
    start, announced = part10.read_meta(fd)
    found = position_of_group(
        lambda position, count: os.pread(fd, count, position), start, announced.transfer_syntax_uid, PIXEL_GROUP
    )
    return None if found is None else start + found + LONGEST_HEAD


def _is_constant(fd: int, begin: int) -> bool:
    """Whether one value of one or two bytes fills the rest of the file."""
    value = os.pread(fd, 2, begin)
    if len(value) < 2:
        return True
    position = begin
    while chunk := os.pread(fd, _CHUNK, position):
        if chunk != (value * (len(chunk) // 2 + 1))[: len(chunk)]:
            return False
        position += len(chunk)
    return True
