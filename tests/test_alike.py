"""The comparison that the acceptance tests lean on can fail."""

from __future__ import annotations

from typing import Any

import pytest

from tests.alike import alike


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        pytest.param({"a": [1, None, "x"]}, {"a": [1, None, "x"]}, True, id="equal"),
        pytest.param(161.293, 161.294, True, id="last place of a float"),
        pytest.param(161.293, 161.393, False, id="another float"),
        pytest.param(0.05, 0.08, False, id="another small float"),
        pytest.param("rose by +12.3 %", "rose by +12.4 %", True, id="last place in a text"),
        pytest.param("rose by +12.3 %", "rose by +12.5 %", False, id="another number in a text"),
        pytest.param("rose by +12.3 %", "fell by +12.3 %", False, id="another word"),
        pytest.param("3 of 40", "4 of 40", False, id="whole numbers are exact"),
        pytest.param("1.2.840.1", "1.2.840.2", False, id="UIDs are exact"),
        pytest.param(3, 4, False, id="counts are exact"),
        pytest.param(None, 0.0, False, id="not measured is not zero"),
        pytest.param({"a": 1}, {"b": 1}, False, id="other keys"),
        pytest.param([1, 2], [1], False, id="other lengths"),
        pytest.param(True, 1, False, id="a truth value is no number"),
    ],
)
def test_alike(one: Any, other: Any, expected: bool) -> None:
    assert alike(one, other) is expected
