"""What readers said -> how often they agree, with intervals."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import NOON
from workers.act_ports import Act, ActKind
from workers.delivery_ports import Decided
from workers.feedback.agreement import Z_95, Agreement, agreements, wilson


def act(kind: ActKind, *patterns: str, study: str = "1.2.3") -> Act:
    return Act(study, 1, "full", kind, "mina", NOON, patterns=patterns)


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        # R 4: prop.test(x, n, correct = FALSE)$conf.int
        pytest.param(0, 10, 0.0, 0.2775328, id="none of ten"),
        pytest.param(10, 10, 0.7224672, 1.0, id="ten of ten"),
        pytest.param(81, 263, 0.2553, 0.3662, id="Newcombe 1998, table I"),
        pytest.param(0, 0, 0.0, 1.0, id="noop: no trial"),
    ],
)
def test_wilson(successes: int, trials: int, low: float, high: float) -> None:
    assert wilson(successes, trials) == pytest.approx((low, high), abs=1e-4)


@given(st.integers(0, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_an_interval_holds_its_proportion_and_is_symmetric(case: tuple[int, int]) -> None:
    successes, trials = case
    low, high = wilson(successes, trials)
    assert 0.0 <= low <= high <= 1.0
    if trials:
        assert low - 1e-12 <= successes / trials <= high + 1e-12
    mirrored = wilson(trials - successes, trials)
    assert math.isclose(low, 1 - mirrored[1], abs_tol=1e-12)
    assert math.isclose(high, 1 - mirrored[0], abs_tol=1e-12)


@given(st.integers(0, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))).filter(lambda case: case[1] > 0))
def test_the_ends_solve_the_equation_of_the_score_test(case: tuple[int, int]) -> None:
    successes, trials = case
    for end in wilson(successes, trials):
        square = (successes / trials - end) ** 2
        assert square == pytest.approx(Z_95**2 * end * (1 - end) / trials, abs=1e-12)


def test_noop_nobody_said_anything() -> None:
    assert agreements([]) == []


def test_an_acknowledgement_is_no_verdict() -> None:
    assert agreements([act(ActKind.ACKNOWLEDGED, "A")]) == []


def test_not_measured_a_study_that_could_not_be_judged() -> None:
    assert agreements([act(ActKind.NOT_ASSESSABLE, "A")]) == [Agreement("A", 0, 0, 0, 1, None, None, None)]


def test_who_agrees_that_nothing_could_be_assessed_has_not_said_that_nothing_is_there() -> None:
    said = [
        act(ActKind.AGREED, study="1.2.3"),
        act(ActKind.AGREED, study="1.2.4"),
        act(ActKind.DISAGREED, study="1.2.5"),
        act(ActKind.REJECTED, "A", study="1.2.4"),
    ]
    none, dark = agreements(said[:3], ())[0], {Decided("1.2.4", 1, "full"), Decided("1.2.5", 2, "full")}
    assert (none.pattern, none.agreed, none.disagreed) == ("none", 2, 1), "noop: all found no pattern"
    found = {one.pattern: (one.agreed, one.disagreed) for one in agreements(said, dark)}
    assert found == {"A": (0, 1), "none": (1, 1), "not_assessable": (1, 0)}, "of 1.2.5 another decision"


def test_the_last_word_counts_and_the_finding_before_the_decision() -> None:
    said = [
        act(ActKind.AGREED, "A", "B"),
        act(ActKind.REJECTED, "B"),
        act(ActKind.DISAGREED, "A", "B"),
        act(ActKind.AGREED, "A", "B"),
        act(ActKind.OTHER_CAUSE, "A", study="1.2.4"),
        act(ActKind.DISAGREED, study="1.2.5"),
    ]
    found = {one.pattern: one for one in agreements(said)}
    assert list(found) == ["A", "B", "none"]
    assert (found["A"].agreed, found["A"].other_cause, found["A"].fraction) == (1, 1, 0.5)
    assert (found["B"].agreed, found["B"].disagreed) == (0, 1)
    assert (found["none"].disagreed, found["none"].fraction) == (1, 0.0)


def test_a_word_about_a_newer_decision_counts_before_an_older_one_about_the_finding() -> None:
    newer = replace(act(ActKind.DISAGREED, "A"), revision=2)
    assert agreements([act(ActKind.ACCEPTED, "A"), newer])[0].disagreed == 1
    assert agreements([act(ActKind.ACCEPTED, "A"), act(ActKind.DISAGREED, "A")])[0].agreed == 1, "noop: the same one"
