"""Assessments stand back behind the rest of the node, those of urgent studies do not."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from workers.config import Settings
from workers.queue import app as worker_app
from workers.queue.priority import BEHIND_OTHERS

ASK = "import os; from workers.queue.priority import stand_back; a = os.nice(0); stand_back(); print(os.nice(0) - a)"


class NoCelery:
    """An app that works on nothing."""

    def worker_main(self, _arguments: list[str]) -> None:
        pass


def test_a_process_that_stands_back_has_a_lower_priority() -> None:
    done = subprocess.run(["nice", "-n", "0", sys.executable, "-c", ASK], capture_output=True, text=True, check=True)
    assert 0 <= int(done.stdout) <= BEHIND_OTHERS


@pytest.mark.parametrize(
    ("only_urgent", "times"), [pytest.param(False, 1, id="others"), pytest.param(True, 0, id="noop: urgent studies")]
)
def test_which_worker_stands_back(monkeypatch: pytest.MonkeyPatch, only_urgent: bool, times: int) -> None:
    stood = list[int]()
    monkeypatch.setattr(worker_app, "stand_back", lambda: stood.append(1))
    monkeypatch.setattr(worker_app, "watch_pool", lambda *_: None)
    monkeypatch.setattr(worker_app, "limit_tasks", lambda *_: None)
    monkeypatch.setattr(worker_app, "watch_consuming", lambda *_: None)
    monkeypatch.setattr(worker_app, "grow_when_busy", lambda *_: None)
    app: Any = NoCelery()
    worker_app.run_worker(app, Settings(), only_urgent=only_urgent)
    assert len(stood) == times
