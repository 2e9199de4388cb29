"""Work that is repeated: a fault that lasts fills no log."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import structlog

from listener.door.repeating import repeating
from tests.patience import PATIENCE_S

EACCES = PermissionError(13, "Permission denied")
TURNS = 5


@pytest.mark.parametrize(
    ("faults", "lines"),
    [
        pytest.param([None] * TURNS, 0, id="noop"),
        pytest.param([EACCES] * TURNS, 1, id="the same again and again"),
        pytest.param([EACCES, OSError(5, "Input/output error"), EACCES], 3, id="another each time"),
        pytest.param([EACCES, None, EACCES], 2, id="it came back"),
        pytest.param([ValueError()] * TURNS, TURNS, id="a fault of the program each time"),
    ],
)
def test_lines_in_the_log(faults: list[Exception | None], lines: int) -> None:
    left, done = iter(faults), threading.Event()

    def work() -> None:
        fault = _next(left, done)
        if fault is not None:
            raise fault

    with structlog.testing.capture_logs() as log, repeating("meters", work, every_s=0.001):
        assert done.wait(PATIENCE_S)
    assert len(log) == lines
    assert {one["work"] for one in log} <= {"meters"}


def _next(left: Iterator[Exception | None], done: threading.Event) -> Exception | None:
    try:
        return next(left)
    except StopIteration:
        done.set()
        return None
