"""A mask in, voxels that stand for it out: evenly, and the same ones when a voxel comes or goes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage.alignment.sampling import shuffled, some_of
from triage.model import Mask

SHAPE = (40, 50, 60)


def ball() -> Mask:
    k, j, i = np.indices(SHAPE)
    return np.asarray((k - 20) ** 2 + (j - 25) ** 2 + (i - 30) ** 2 < 18**2)


@pytest.mark.parametrize(
    ("where", "at_most", "number"),
    [
        pytest.param(ball(), 10**6, int(ball().sum()), id="noop: fewer than are wanted"),
        pytest.param(np.zeros(SHAPE, dtype=bool), 100, 0, id="not measured: nothing is there"),
        pytest.param(ball(), 0, 0, id="none are wanted"),
        pytest.param(ball(), 5000, 5000, id="some"),
        pytest.param(ball(), 1000, 1000, id="few"),
    ],
)
def test_how_many(where: Mask, at_most: int, number: int) -> None:
    found = some_of(where, at_most)
    assert len(found) == pytest.approx(number, rel=0.1)
    assert where.ravel()[found].all()
    assert (np.diff(found) > 0).all()


def test_every_part_has_its_share() -> None:
    where, eighths = np.ones(SHAPE, dtype=bool), []
    places = np.stack(np.unravel_index(some_of(where, 16_000), SHAPE))
    for octant in np.ndindex(2, 2, 2):
        inside = [(place >= size // 2) == bool(half) for place, size, half in zip(places, SHAPE, octant, strict=True)]
        eighths.append(int(np.all(inside, axis=0).sum()))
    assert eighths == pytest.approx([2000] * 8, rel=0.1)
    for axis, size in enumerate(SHAPE):  # no row, column or slice is preferred
        counts = np.bincount(places[axis], minlength=size)
        assert counts.min() > 0.7 * counts.mean()


@given(st.integers(0, int(np.prod(SHAPE)) - 1))
def test_a_voxel_that_comes_or_goes_changes_few_samples(place: int) -> None:
    where = ball()
    other = where.copy()
    other.flat[place] ^= True
    some, others = set(some_of(where, 4000).tolist()), set(some_of(other, 4000).tolist())
    assert len(some ^ others) <= 3  # the voxel, and one at the border of the share
    order, anew = ([one for one in shuffled(mask).tolist() if one != place] for mask in (where, other))
    assert order == anew


def test_all_of_them_in_an_order_like_chance() -> None:
    order = shuffled(ball())
    assert sorted(order.tolist()) == np.flatnonzero(ball()).tolist()
    assert abs(np.corrcoef(order, np.arange(len(order)))[0, 1]) < 0.05
