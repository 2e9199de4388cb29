"""Jobs in one thread: at once when woken, again after a fault, and none holds up another."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from tests.listener.harness import eventually
from tests.patience import PATIENCE_S
from triage.errors import Transient
from workers.feeds import loop as feeds_loop
from workers.feeds.loop import Job, Loop


class Work:
    """Counts its runs; raises while there are faults."""

    def __init__(self, *faults: Exception) -> None:
        self.runs, self.faults = 0, list(faults)

    def __call__(self) -> int:
        self.runs += 1
        if self.faults:
            raise self.faults.pop(0)
        return 0


def running(loop: Loop) -> Callable[[], None]:
    """Start it; what stops it."""
    stop = threading.Event()
    thread = threading.Thread(target=loop.run, args=(stop,), daemon=True)
    thread.start()

    def end() -> None:
        stop.set()
        thread.join(PATIENCE_S)

    return end


def test_a_job_that_is_woken_runs_at_once() -> None:
    work, beats = Work(), Work()
    loop = Loop([Job("hl7", work, 3600.0)], alive=beats)
    end = running(loop)
    eventually(lambda: work.runs == 1)
    loop.wake("hl7")
    eventually(lambda: work.runs == 2)
    end()
    assert beats.runs >= 2


@pytest.mark.parametrize("fault", [Transient("index: away"), ValueError("bug")])
def test_a_job_that_fails_runs_again_and_holds_up_no_other(fault: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds_loop, "LONGEST_PAUSE_S", 0.05)
    bad, good = Work(fault, fault), Work()
    end = running(Loop([Job("bad", bad, 0.01), Job("good", good, 0.01)], alive=lambda: None))
    eventually(lambda: bad.runs >= 3 and good.runs >= 3)
    end()
