"""Planes as a file holds them in; the values in BitsStored out, and whether the bits above belong to the values.

What lies above BitsStored is an overlay or rubbish, and is not read. Where the values themselves go on there, the
header is wrong, and a plain reader makes them wrap round: neighbours that are alike differ then by half of the range
or more. An overlay makes such steps in the whole value, and none in the stored bits.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from triage.errors import NotAssessable

# Of the steps that only one way of reading has. Real heads whose values wrap round: 0.33 to 1.0 with up to two bits
# more than stated, 0.1 to 0.7 with four. Overlays, rubbish or other images above real heads: at most 0.22, and 0.08
# when the bits above have many values, as those of values four bits too long have
_SHARE, _SHARE_OF_MANY = 0.3, 0.12
_MANY = 8
_FEWEST = 100  # steps in a series; a few values at the very end of the range spoil nothing

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Steps:
    """Pairs of neighbours that are half of the stored range or more apart when read one way, and not the other way."""

    stored: int = 0  # only without the bits above
    whole: int = 0  # only with them
    kinds: int = 0  # different values of the bits above

    @property
    def wrap(self) -> bool:
        share = _SHARE if self.kinds < _MANY else _SHARE_OF_MANY
        return self.stored >= _FEWEST and self.stored >= share * (self.stored + self.whole)

    @staticmethod
    def together(parts: Collection[Steps]) -> Steps:
        return Steps(
            sum(one.stored for one in parts),
            sum(one.whole for one in parts),
            max((one.kinds for one in parts), default=0),
        )


def stored_values(plane: Array, bits: int, high_bit: int, *, signed: bool) -> Array:
    """The values in BitsStored; the other bits may hold an overlay or anything else, and are not read (PS3.5 8.1.1)."""
    if not _has_others(plane, bits):
        return plane
    wide = (plane.astype(np.int64) >> _below(plane, bits, high_bit)) & ((1 << bits) - 1)
    if signed:
        sign = 1 << (bits - 1)
        wide = (wide ^ sign) - sign
    return wide


def steps(plane: Array, bits: int, high_bit: int, *, signed: bool) -> Steps:
    """The steps of one plane (rows, columns); none when nothing but the sign lies above the stored bits."""
    if not _has_others(plane, bits) or not plane.size:
        return Steps()
    below = _below(plane, bits, high_bit)
    lowest, above = (-(1 << (bits - 1)), 1 << (bits - 1)) if signed else (0, 1 << bits)
    if lowest <= int(plane.min()) >> below and int(plane.max()) >> below < above:
        return Steps()
    stored, whole = stored_values(plane, bits, high_bit, signed=signed), plane.astype(np.int64) >> below
    half, turn = 1 << (bits - 1), 1 << (8 * plane.dtype.itemsize - below)  # a sign may be stored as if there were none
    counts = [0, 0]
    for axis in (0, 1):
        short = np.diff(stored, axis=axis)
        long = (np.diff(whole, axis=axis) + turn // 2) % turn - turn // 2
        other = short != long
        counts[0] += int(np.count_nonzero(other & (np.abs(long) < half)))
        counts[1] += int(np.count_nonzero(other & (np.abs(short) < half)))
    return Steps(counts[0], counts[1], int(np.unique(whole >> bits).size))


def check_stored_bits(objects: Collection[Steps]) -> None:
    """
    Args:
        objects: the steps of each object of a series.

    Raises:
        NotAssessable: bits_stored: the values of an object, or of all together, wrap round.
    """
    if Steps.together(objects).wrap or any(one.wrap for one in objects):
        count = sum(one.stored > 0 for one in objects)
        said = f"{count} of {len(objects)} objects have values of more bits than BitsStored states"
        raise NotAssessable("bits_stored", said)


def _has_others(plane: Array, bits: int) -> bool:
    return plane.dtype.kind in "iu" and 0 < bits < 8 * plane.dtype.itemsize


def _below(plane: Array, bits: int, high_bit: int) -> int:
    return min(max(high_bit + 1 - bits, 0), 8 * plane.dtype.itemsize)
