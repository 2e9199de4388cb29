"""Messages that wait and a worker that does nothing in, whether it is stuck out."""

from __future__ import annotations

import pytest

from workers.queue.consuming import STUCK_S, Consuming

LONG = STUCK_S + 1


@pytest.mark.parametrize(
    ("looks", "stuck"),
    [
        pytest.param([(0, 0, 0), (LONG, 0, 0)], False, id="no-op: nothing waits"),
        pytest.param([(0, 1, 4), (LONG, 1, 4)], False, id="it works"),
        pytest.param([(0, 0, 4), (LONG, 0, 4)], True, id="messages wait, and nothing is in work"),
        pytest.param([(0, 0, 4), (STUCK_S - 1, 0, 4)], False, id="not for so long yet"),
        pytest.param([(0, 0, 4), (30, 1, 3), (LONG, 0, 4)], False, id="it worked in between"),
        pytest.param([(0, 0, 4), (30, 0, 0), (LONG, 0, 4)], False, id="not known: the broker was away in between"),
    ],
)
def test_a_worker_that_takes_nothing(looks: list[tuple[float, int, int]], stuck: bool) -> None:
    now = 0.0
    consuming = Consuming(monotonic=lambda: now)
    for now, active, waiting in looks:  # noqa: B007 - the clock reads it
        found = consuming.is_stuck(active=active, waiting=waiting)
    assert found is stuck
