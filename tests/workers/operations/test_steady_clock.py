"""A clock that leaps is not believed for a day; one that goes evenly is, over restarts."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest

from tests.fakes import NOON
from workers.operations.steady_clock import SteadyClock

HOUR, DAY = 3600.0, 86400.0


class Machine:
    """Looks at its clock whenever it is asked."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "clock.json"
        self.now, self.running_s = NOON, 5 * DAY

    def look(self, *, wall_s: float, running_s: float | None = None, started: bool = False) -> bool:
        """After so many seconds of the clock, and of the machine; None: as many."""
        self.now += timedelta(seconds=wall_s)
        self.running_s = 10.0 if started else self.running_s + (wall_s if running_s is None else running_s)
        return SteadyClock(self.file, now=lambda: self.now, running_s=lambda: self.running_s).is_steady()


EVEN = {"wall_s": 600.0}


@pytest.mark.parametrize(
    ("then", "believed"),
    [
        pytest.param([EVEN], True, id="noop: ten minutes"),
        pytest.param([{"wall_s": 3 * DAY}], True, id="noop: the node was stopped for three days"),
        pytest.param([{"wall_s": 0.9 * HOUR, "running_s": 0.0}], True, id="noop: set by less than an hour"),
        pytest.param([{"wall_s": 8 * HOUR, "started": True}], True, id="noop: off overnight"),
        pytest.param([{"wall_s": 400 * DAY, "running_s": 600.0}], False, id="400 days forward"),
        pytest.param([{"wall_s": -400 * DAY, "running_s": 600.0}], False, id="and backward"),
        pytest.param([{"wall_s": 400 * DAY, "started": True}], False, id="forward while the machine was off"),
        pytest.param([{"wall_s": -3 * HOUR, "started": True}], False, id="backward while the machine was off"),
        pytest.param([{"wall_s": 400 * DAY, "running_s": 0.0}, EVEN], False, id="ten minutes after a leap"),
        pytest.param([{"wall_s": 400 * DAY, "running_s": 0.0}, {"wall_s": DAY}], True, id="a day after a leap"),
        pytest.param(
            [{"wall_s": 400 * DAY, "running_s": 0.0}, {"wall_s": -400 * DAY, "running_s": HOUR}, EVEN],
            False,
            id="set right again",
        ),
    ],
)
def test_when_the_clock_is_believed(tmp_path: Path, then: list[dict[str, float]], *, believed: bool) -> None:
    machine = Machine(tmp_path)
    assert machine.look(wall_s=0.0), "the first look believes it"
    assert [machine.look(**one) for one in then][-1] is believed  # type: ignore[arg-type]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"at": "x", "running_s": 1, "since": "y"}'])
def test_a_damaged_file_is_no_reason_to_believe_it(tmp_path: Path, content: str) -> None:
    machine = Machine(tmp_path)
    machine.file.write_text(content, encoding="ascii")
    assert not machine.look(wall_s=0.0)
    assert machine.look(wall_s=DAY)


def test_what_cannot_be_written_is_compared_with_later(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    assert machine.look(wall_s=0.0)
    machine.file.with_name(f".clock.json.{os.getpid()}").mkdir()
    assert machine.look(wall_s=DAY)
    assert not machine.look(wall_s=400 * DAY, running_s=0.0)
    assert not machine.look(wall_s=DAY), "the leap could not be kept: it is seen again"
