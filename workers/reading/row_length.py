"""Planes in, the number of columns that their values show out, where it is another than the header says.

Each row of an image is much like the one before. Of values that were cut into rows of a wrong length this does not hold
for neighbouring rows; it holds at the distance of the true length, which the values show.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from triage.errors import NotAssessable

_PLANES = 5  # are looked at, of the middle part of a volume
_FEWEST = 3  # planes that must tell the same
_SMALLEST = 24  # rows and columns; in fewer chance decides
_LENGTHS = 4  # times as long, and as short, as stated
# Mean square of a difference, over that of independent values. At the true length it is 0.003 to 0.3 in planes of real
# heads, and there every other distance has 1.2 times as much or more; in noise it is 1.
_ALIKE = 0.5
_CLEARLY = 0.85  # of what neighbouring rows have; medians of the planes. Real volumes: 0.97 and more, oblique ones 0.80
# Rows that differ in turn (ghosts of echo-planar images) are alike at twice the length, too: then rows must be strange
_STRANGE = 0.5
# times the variance between columns that the stated length gives: mostly 3 to 100 in cut planes, 1.5 at most in right
# ones
_UPRIGHT = 2.0

Array = npt.NDArray[Any]


def other_row_length(planes: Array) -> int | None:
    """The length of a row in pixels that planes (rows, columns) of one volume show; None: the stated one, or they do
    not tell. NaN is background.
    """
    edge, columns = len(planes) // 5, planes.shape[2]
    if len(planes) < _FEWEST or min(planes.shape[1:]) < _SMALLEST:
        return None
    numbers = np.unique(np.linspace(edge, len(planes) - 1 - edge, _PLANES).astype(int))
    looked_at = [np.nan_to_num(plane).astype(np.float64) for plane in planes[numbers]]
    differences = [one for one in map(_differences, looked_at) if one is not None]
    found = Counter(_best(one, columns) for one in differences)
    best, count = found.most_common(1)[0] if found else (columns, 0)
    if best == columns or count < max(_FEWEST, len(looked_at) - 1):
        return None
    here = float(np.median([one[columns] for one in differences]))
    there = float(np.median([one[best] for one in differences]))
    told = there < _ALIKE and there < _CLEARLY * here and (best % columns > 0 or here > _STRANGE)
    if told and columns % best:  # two rows in one are as upright
        told = _upright(looked_at, best) > _UPRIGHT * _upright(looked_at, columns)
    return best if told else None


def _upright(planes: Sequence[Array], length: int) -> float:
    """How much the mean of each column differs from the others: air at both sides of a head; little in a sheared one.

    What is oblique, in pixels that are not square, may be more alike a row further and a pixel aside.
    """
    rows = planes[0].size // length
    means = [plane.ravel()[: rows * length].reshape(rows, length).mean(axis=0) for plane in planes]
    return float(np.median([np.var(one) for one in means]))


def check_row_length(planes: Array) -> None:
    """
    Raises:
        NotAssessable: row_length: as ``other_row_length`` found it.
    """
    if length := other_row_length(planes):
        said = f"a row has {planes[0].shape[1]} pixels by the header and {length} by the values"
        raise NotAssessable("row_length", said)


def _differences(plane: Array) -> Array | None:
    """Of values that are 0, 1, 2, ... pixels apart in the file; None where the plane shows nothing."""
    values = plane.ravel() - plane.mean()
    squares = np.concatenate([[0.0], np.cumsum(values * values)])
    if squares[-1] <= 0:
        return None
    count = values.size
    spectrum = np.fft.rfft(values, 1 << (2 * count - 1).bit_length())
    products = np.fft.irfft(np.abs(spectrum) ** 2)[:count]
    both = squares[count:0:-1] + (squares[-1] - squares[:count])
    return np.asarray(np.maximum(both - 2.0 * products, 0.0) / np.maximum(both, 1e-9 * squares[-1]))


def _best(differences: Array, columns: int) -> int:
    first, last = max(columns // _LENGTHS, 8), min(columns * _LENGTHS, differences.size // _LENGTHS)
    best = first + int(np.argmin(differences[first : last + 1]))
    return best if first < best < last else columns  # at an end it is the slope of something else
