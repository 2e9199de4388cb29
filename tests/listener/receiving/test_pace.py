"""The pace that a peer has to keep."""

from __future__ import annotations

import pytest

from listener.receiving.pace import Pace


def test_pace() -> None:
    """Ten at once, then one each 100 ms; after a pause of half a second five more at once."""
    now = [0.0]
    pace = Pace(10.0, now=lambda: now[0], sleep=lambda s: now.__setitem__(0, now[0] + s))
    waits = [pace.keep() for _ in range(12)]
    assert waits == pytest.approx([0.0] * 10 + [0.1, 0.1])
    now[0] += 0.5
    assert [pace.keep() for _ in range(6)] == pytest.approx([0.0] * 5 + [0.1])
