"""Intervals, smallest change, ROC area, lesion matching, proposed limits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.accuracy.figures import Rate, area_under, dice, match_lesions, proposed_limit, roc, smallest_change


@pytest.mark.parametrize(
    ("hits", "total", "low", "high"),
    [
        # exact binomial intervals as printed in Clopper and Pearson's way by standard tables
        pytest.param(0, 10, 0.0, 0.3085, id="none of ten"),
        pytest.param(10, 10, 0.6915, 1.0, id="ten of ten"),
        pytest.param(5, 10, 0.1871, 0.8129, id="half"),
        pytest.param(60, 60, 0.9404, 1.0, id="all of sixty"),
    ],
)
def test_exact_interval(hits: int, total: int, low: float, high: float) -> None:
    assert Rate(hits, total).interval == pytest.approx((low, high), abs=1e-4)


@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_holds_the_share(counts: tuple[int, int]) -> None:
    low, high = Rate(*counts).interval
    assert 0 <= low <= Rate(*counts).value <= high <= 1


def test_no_case_is_said() -> None:
    assert str(Rate(0, 0)) == "no case"
    assert math.isnan(Rate(0, 0).value)


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        pytest.param({5: 0, 10: 10}, 9.75, id="between two strengths"),
        pytest.param({5: 10, 10: 10}, 5.0, id="the weakest already"),
        pytest.param({5: 0, 10: 9}, None, id="never"),
        pytest.param({5: 10, 8: 5, 10: 10}, 9.8, id="a lucky weak case does not count"),
        pytest.param({}, None, id="nothing measured"),
    ],
)
def test_smallest_change(shares: dict[float, int], expected: float | None) -> None:
    found = smallest_change({s: Rate(hits, 10) for s, hits in shares.items()})
    assert found == (None if expected is None else pytest.approx(expected))


def test_roc_of_separate_scores_goes_through_the_corner() -> None:
    false, true = roc([0.0, 1.0], [2.0, 3.0])
    assert (0.0, 1.0) in set(zip(false.tolist(), true.tolist(), strict=True))
    assert area_under([0.0, 1.0], [2.0, 3.0]) == 1.0


def test_equal_scores_tell_nothing() -> None:
    assert area_under([1.0, 1.0], [1.0]) == 0.5
    assert math.isnan(area_under([], [1.0]))


# -- lesions ---------------------------------------------------------------------------------------


def _spots(*centres: tuple[int, int, int]) -> np.ndarray:
    mask = np.zeros((20, 20, 20), dtype=bool)
    for k, j, i in centres:
        mask[k - 1 : k + 2, j - 1 : j + 2, i - 1 : i + 2] = True
    return mask


A, B, C = (4, 4, 4), (4, 14, 4), (14, 14, 14)


@pytest.mark.parametrize(
    ("truth", "detected", "expected"),
    [
        pytest.param((A, B), (A, B), (2, 0, 0, 1.0), id="all found"),
        pytest.param((A, B), (A,), (1, 1, 0, 2 / 3), id="one missed"),
        pytest.param((A,), (A, C), (1, 0, 1, 2 / 3), id="one false"),
        pytest.param((), (C,), (0, 0, 1, 0.0), id="only false"),
        pytest.param((A,), (), (0, 1, 0, 0.0), id="nothing detected"),
    ],
)
def test_lesions_are_matched(truth: tuple, detected: tuple, expected: tuple[int, int, int, float]) -> None:
    found = match_lesions(_spots(*truth), _spots(*detected), 0.001, smallest_ml=0.02)
    assert (found.found, found.missed, found.false) == expected[:3]
    assert found.dice == pytest.approx(expected[3])


def test_no_lesion_and_no_detection_has_no_f1() -> None:
    found = match_lesions(_spots(), _spots(), 0.001, smallest_ml=0.02)
    assert math.isnan(found.f1)
    assert math.isnan(found.dice)


def test_small_lesions_need_not_be_found_and_their_detection_is_not_false() -> None:
    found = match_lesions(_spots(A), _spots(A), 0.001, smallest_ml=0.1)
    assert (found.found, found.missed, found.false) == (0, 0, 0)


def test_f1_counts_each_lesion_once() -> None:
    assert match_lesions(_spots(A, B), _spots(A, C), 0.001, smallest_ml=0.02).f1 == pytest.approx(0.5)


def test_dice_of_half_overlap() -> None:
    one, other = np.zeros(4, dtype=bool), np.zeros(4, dtype=bool)
    one[:2], other[1:3] = True, True
    assert dice(one, other) == 0.5


# -- limits ----------------------------------------------------------------------------------------


def test_a_proposed_limit_lies_above_nearly_all_pairs_without_change() -> None:
    drift = np.random.default_rng(1).normal(0, 1, 400)
    limit = proposed_limit(drift.tolist(), quantile=0.98, margin=1.15)
    assert limit == pytest.approx(2.05 * 1.15, rel=0.15)
    assert (drift < limit).mean() > 0.975


def test_too_few_pairs_propose_nothing() -> None:
    assert math.isnan(proposed_limit([1.0, 2.0]))
