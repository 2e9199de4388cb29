"""The commonest value of a region."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triage.fluid.statistics import mode


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1000), st.floats(-5, 5), st.floats(0.1, 10))
def test_the_commonest_value_moves_with_the_values(seed: int, shift: float, gain: float) -> None:
    rng = np.random.default_rng(seed)
    values = np.concatenate([rng.normal(1.0, 0.02, 400), rng.uniform(0, 4, 300)])
    assert mode(values) == pytest.approx(1.0, abs=0.05)
    assert mode(gain * values + shift) == pytest.approx(gain * mode(values) + shift, abs=1e-6)


def test_the_commonest_of_nothing_is_nothing() -> None:
    assert mode(np.array([])) == 0.0
    assert mode(np.array([2.5])) == 2.5
