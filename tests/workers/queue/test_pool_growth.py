"""Children of the urgent worker: one more while all are busy and a study waits, one less when one is idle for long."""

from __future__ import annotations

import pytest

from workers.queue.pool_growth import BUSY_S, IDLE_S, PoolGrowth

Turn = tuple[float, set[str], int]  # seconds since the last one, tasks that run, messages that wait
LONG = BUSY_S + 1


@pytest.mark.parametrize(
    ("turns", "changes"),
    [
        pytest.param([(0, set(), 0), (LONG, set(), 0)], [0, 0], id="noop: nothing to do"),
        pytest.param([(0, {"a"}, 0), (LONG, {"a"}, 0)], [0, 0], id="busy, and nobody waits"),
        pytest.param([(0, {"a"}, 1), (1, {"a"}, 1)], [0, 0], id="it may be done soon"),
        pytest.param([(0, {"a"}, 1), (LONG, {"b"}, 1)], [0, 0], id="another one has just begun"),
        pytest.param([(0, {"a"}, 1), (LONG, {"a"}, 1)], [0, 1], id="one more"),
        pytest.param([(0, {"a"}, 1), (LONG, {"a"}, 1), (1, {"a", "b"}, 1), (1, {"a", "b"}, 1), (2, {"a", "b"}, 1)],
            [0, 1, 0, 0, 1], id="the new one hangs, too"),
        pytest.param([(0, {"a"}, 9), (LONG, {"a"}, 9), (0, {"a", "b"}, 9), (LONG, {"a", "b"}, 9),
            (0, {"a", "b", "c"}, 9), (LONG, {"a", "b", "c"}, 9)], [0, 1, 0, 1, 0, 0], id="not without end"),
        pytest.param([(0, {"a"}, 1), (LONG, {"a"}, 1), (LONG, {"a"}, 0), (IDLE_S - 1, {"a"}, 0), (2, {"a"}, 0),
            (1, set(), 0)], [0, 1, 0, 0, -1, 0], id="idle for long"),
    ],
)  # fmt: skip
def test_when_it_grows(turns: list[Turn], changes: list[int]) -> None:
    seconds, children, found = 0.0, 1, []
    growth = PoolGrowth(2, monotonic=lambda: seconds)
    for passed, running, waiting in turns:
        seconds += passed
        found.append(growth.turn(running, children, lambda waiting=waiting: waiting))
        children += found[-1]
    assert found == changes


def test_the_broker_is_asked_only_when_it_matters() -> None:
    growth = PoolGrowth(0)
    assert growth.turn({"a"}, 1, lambda: pytest.fail("asked")) == 0
    assert PoolGrowth(2).turn((), 1, lambda: pytest.fail("asked")) == 0
