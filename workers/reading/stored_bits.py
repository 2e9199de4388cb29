"""Planes as a file holds them in; the values in BitsStored out, and whether the bits above belong to the values.

What lies above BitsStored is an overlay or rubbish, and is not read. Where the values themselves go on there, the
header is wrong, and a plain reader makes them wrap round: neighbours that are alike differ then by half of the range
or more. An overlay makes such steps in the whole value, and none in the stored bits. The same steps tell that values
have a sign where the header states none, or none where it states one.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
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
# Of a wrong sign. Read rightly, neighbours half of the range apart are rare, and most of what is crossed the other way
_SIGN_SHARE = 0.1
_NEARLY_ALL = 1.75  # halves of the range
_MOST = 0.5  # of the steps of half of the range or more: 0.95 with a wrong sign, 0.09 at the rim of a head of 12 bits
_SIGN_VALUES = 3  # on either side of such steps; padding is one value or two

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Steps:
    """Pairs of neighbours that are half of the stored range or more apart when read one way, and not the other way."""

    stored: int = 0  # only without the bits above
    whole: int = 0  # only with them
    kinds: int = 0  # different values of the bits above
    by_sign: int = 0  # in the stored bits, with the sign that the header states, on both sides many values
    other_sign: int = 0  # with the other one
    low: bool = False  # something lies below the stored bits
    high: bool = False  # a value uses the highest of the stored bits, as many as lie below them

    @property
    def below(self) -> bool:
        """Whether the values lie at the low end of the word, while the header states the high end."""
        return self.low and not self.high

    @property
    def sign_is_wrong(self) -> bool:
        return self.by_sign >= _FEWEST and self.other_sign < _SIGN_SHARE * self.by_sign

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
            sum(one.by_sign for one in parts),
            sum(one.other_sign for one in parts),
            any(one.low for one in parts),
            any(one.high for one in parts),
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
    """The steps of one plane (rows, columns)."""
    if plane.dtype.kind not in "iu" or not 0 < bits <= 8 * plane.dtype.itemsize or not plane.size:
        return Steps()
    below = _below(plane, bits, high_bit)
    lowest, above = (-(1 << (bits - 1)), 1 << (bits - 1)) if signed else (0, 1 << bits)
    inside = lowest <= int(plane.min()) >> below and int(plane.max()) >> below < above
    stored = plane >> below if inside else stored_values(plane, bits, high_bit, signed=signed)
    found = _by_sign(stored, bits, signed=signed)
    if below:
        top = 1 << max(bits - below - signed, 0)
        high = int(stored.max()) >= top or int(stored.min()) < -top
        found = replace(found, low=bool(np.any(plane & ((1 << below) - 1))), high=high)
    return found if inside else _from_above(plane, stored, bits, below, found)


def _from_above(plane: Array, stored: Array, bits: int, below: int, found: Steps) -> Steps:
    """With the steps that only the bits above, or only the stored ones, have."""
    whole = plane.astype(np.int64) >> below
    half, turn = 1 << (bits - 1), 1 << (8 * plane.dtype.itemsize - below)  # a sign may be stored as if there were none
    counts = [0, 0]
    for axis in (0, 1):
        short = np.diff(stored.astype(np.int64, copy=False), axis=axis)
        long = (np.diff(whole, axis=axis) + turn // 2) % turn - turn // 2
        other = short != long
        counts[0] += int(np.count_nonzero(other & (np.abs(long) < half)))
        counts[1] += int(np.count_nonzero(other & (np.abs(short) < half)))
    return replace(found, stored=counts[0], whole=counts[1], kinds=int(np.unique(whole >> bits).size))


def _by_sign(stored: Array, bits: int, *, signed: bool) -> Steps:
    """The steps over nearly all of the range with the sign stated, and those of half of it at most across its middle,
    which the other sign makes as long.

    Read with a wrong sign, a smooth passage through 0 leaps over nearly all of the range. The rim of a bright head does
    not, or few of its steps do: fluid of 3000 beside masked air is a step of three quarters of 12 bits.
    """
    half = 1 << (bits - 1)
    if int(stored.max()) - int(stored.min()) < half:
        return Steps()
    upper = stored >= (0 if signed else half)
    counts, long = [0, 0], 0
    ends: tuple[list[Array], list[Array]] = ([], [])
    for axis in (0, 1):
        halves = (stored[1:], stored[:-1], upper[1:], upper[:-1])
        if axis == 1:
            halves = (stored[:, 1:], stored[:, :-1], upper[:, 1:], upper[:, :-1])
        across = halves[2] != halves[3]  # within one half of the range no step is as long
        first, second = (side[across].astype(np.int64) for side in halves[:2])
        length = np.abs(first - second)
        here = length >= _NEARLY_ALL * half
        long += int(np.count_nonzero(length >= half))
        counts[0] += int(np.count_nonzero(here))
        counts[1] += int(np.count_nonzero(length <= half))  # with the other sign it is the rest of the range
        ends[0].append(np.minimum(first, second)[here])
        ends[1].append(np.maximum(first, second)[here])
    fewest = min(np.unique(np.concatenate(side)).size for side in ends)
    if fewest < _SIGN_VALUES or counts[0] < _MOST * long:
        return Steps()
    return Steps(by_sign=counts[0], other_sign=counts[1])


def check_stored_bits(objects: Collection[Steps]) -> None:
    """
    Args:
        objects: the steps of each object of a series.

    Raises:
        NotAssessable: bits_stored: the values of an object, or of all together, wrap round, or lie below the bits
            stated. pixel_sign: they have a sign, and the header states none, or the other way round.
    """
    if Steps.together(objects).wrap or any(one.wrap for one in objects):
        count = sum(one.stored > 0 for one in objects)
        said = f"{count} of {len(objects)} objects have values of more bits than BitsStored states"
        raise NotAssessable("bits_stored", said)
    if Steps.together(objects).below:
        raise NotAssessable("bits_stored", "values lie below the bits that HighBit and BitsStored state")
    if Steps.together(objects).sign_is_wrong or any(one.sign_is_wrong for one in objects):
        count = sum(one.sign_is_wrong for one in objects)
        said = f"{count} of {len(objects)} objects have values with another sign than PixelRepresentation states"
        raise NotAssessable("pixel_sign", said)


def _has_others(plane: Array, bits: int) -> bool:
    return plane.dtype.kind in "iu" and 0 < bits < 8 * plane.dtype.itemsize


def _below(plane: Array, bits: int, high_bit: int) -> int:
    return min(max(high_bit + 1 - bits, 0), 8 * plane.dtype.itemsize)
