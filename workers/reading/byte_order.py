"""Planes of stored values in; whether their two bytes are written in the other order than the header says, out.

A wrong order makes noise of the low byte and brightness of it. The high byte of an image is smooth, and has few values;
the low byte is rough, and has many. So the values themselves tell, except in planes that show nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from triage.errors import NotAssessable

MOST_PLANES = 64  # are looked at; of more every so many
_ROWS = 4  # every so many rows of a plane
_FEW, _MANY = 32, 64  # different values of a byte
# times as rough; the low byte of whole-head images is 3 to 20 times as rough as the high one
_CLEARLY = 2.0
_SURE = 0.9  # share of the planes that tell

Bytes = npt.NDArray[np.int64]
FileT = TypeVar("FileT", bound=Hashable)


def as_written(planes: Sequence[npt.NDArray[Any]], bits: int, *, signed: bool) -> bool | None:
    """Whether planes (rows, columns) of one file, 16 bit as the header says, are in that order; None: they do not
    tell.

    Args:
        bits: that are stored, at the low end.
    """
    shown = (plane for plane in planes if plane.any())
    found = (_vote(plane[::_ROWS].astype(np.int64) & 0xFFFF, bits, signed=signed) for plane in shown)
    votes = [vote for vote in found if vote is not None]
    if not votes:
        return None
    share = sum(votes) / len(votes)
    return True if share >= _SURE else False if share <= 1.0 - _SURE else None


def written_otherwise(orders: Mapping[FileT, bool | None]) -> list[FileT]:
    """The files in the other byte order. orders: of each file, as ``as_written`` found it.

    Files that do not tell are like nearly all that do.

    Raises:
        NotAssessable: byte_order: the others are of both orders.
    """
    told = Counter(order for order in orders.values() if order is not None)
    if not told[False]:
        return []
    silent = [file for file, order in orders.items() if order is None]
    share = told[False] / told.total()
    if silent and 1.0 - _SURE < share < _SURE:
        said = f"{told[False]} of {len(orders)} files have another byte order than they state, and others do not tell"
        raise NotAssessable("byte_order", said)
    return [*(file for file, order in orders.items() if order is False), *(silent if share >= _SURE else ())]


def _vote(raw: Bytes, bits: int, *, signed: bool) -> bool | None:
    mask, sign = (1 << bits) - 1, signed << (bits - 1)  # from the lowest value on: no step at zero
    stated = (raw & mask) ^ sign
    turned = ((raw >> 8 | (raw & 0xFF) << 8) & mask) ^ sign
    right, wrong = (_is_high_byte(values >> 8, values & 0xFF) for values in (stated, turned))
    if right != wrong:
        return right
    multiples = not (raw & 0xFF).any() and _different(raw >> 8) >= _FEW  # of 256: no scanner writes such
    return False if multiples else None


def _is_high_byte(one: Bytes, other: Bytes) -> bool:
    """Whether ``one`` is the high byte of values whose low byte is ``other``."""
    count, others = _different(one), _different(other)
    if count == 1 or others < _MANY:
        return count == 1 and others >= _FEW and not bool(one.any())
    rough, rougher = _roughness(one), _roughness(other)
    if rough * _CLEARLY < rougher:
        return True
    dense = int(np.ptp(one)) < 2 * count  # multiples of 16 are 12 bits at the high end
    return dense and count <= _FEW and others >= 4 * count and rough <= 1.1 * rougher


def _different(byte: Bytes) -> int:
    return int(np.count_nonzero(np.bincount(byte.ravel(), minlength=256)))


def _roughness(byte: Bytes) -> float:
    """The difference of neighbours over that of any two values: 1 in noise; 1 where there is nothing to compare."""
    values = byte.ravel()
    apart = float(np.abs(values - np.roll(values, values.size // 2 + 1)).mean())
    return float(np.abs(np.diff(byte, axis=1)).mean()) / apart if apart > 0 and byte.shape[1] > 1 else 1.0
