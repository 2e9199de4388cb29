"""Signs of life of pool children -> the worker's own, and an end of a child that gives none."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from workers.heartbeat import SILENT_S, heartbeat_file
from workers.queue.pool_life import KILL_SILENT_S, PoolLife


class Pool:
    """A worker's view of children whose signs of life the test gives."""

    def __init__(self, state_dir: Path) -> None:
        self.seconds, self.ended, self._writes = 0.0, list[tuple[int, int]](), 0
        self.own = heartbeat_file(state_dir, "worker")
        self.life = PoolLife(
            state_dir,
            "worker",
            kill=lambda pid, number: self.ended.append((pid, number)),
            monotonic=lambda: self.seconds,
        )

    def lives(self, pid: int) -> None:
        self._writes += 1
        path = self.life.child_file(pid)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.utime(path, (self._writes, self._writes))

    def said_so(self, pids: list[int]) -> bool:
        """Whether a turn of the main loop says that the worker lives."""
        self.own.unlink(missing_ok=True)
        self.life.look(pids)
        return self.own.exists()


@pytest.fixture
def pool(tmp_path: Path) -> Pool:
    return Pool(tmp_path)


@pytest.mark.parametrize("children", [[], [1], [1, 2]], ids=["noop: no children yet", "one", "two"])
def test_children_that_live(pool: Pool, children: list[int]) -> None:
    for _ in range(10):
        for pid in children:
            pool.lives(pid)
        assert pool.said_so(children)
        pool.seconds += SILENT_S
    assert pool.ended == []


def test_a_child_that_is_stopped_shows_and_is_ended(pool: Pool) -> None:
    for pid in (1, 2):
        pool.lives(pid)
    assert pool.said_so([1, 2])
    pool.seconds = SILENT_S + 1
    pool.lives(1)
    assert not pool.said_so([1, 2]), "nothing says that the second one works"
    assert pool.ended == []
    pool.seconds = KILL_SILENT_S + 1
    pool.lives(1)
    assert not pool.said_so([1, 2])
    assert pool.ended == [(2, signal.SIGKILL)]
    pool.lives(3)
    assert pool.said_so([1, 3])
    assert not pool.life.child_file(2).exists()


def test_a_child_that_never_began(pool: Pool) -> None:
    assert pool.said_so([7]), "it has just been started"
    pool.seconds = KILL_SILENT_S + 1
    pool.said_so([7])
    assert pool.ended == [(7, signal.SIGKILL)]
