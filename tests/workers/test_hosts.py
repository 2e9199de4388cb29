"""Heartbeats of hosts: who is silent is told once; nobody's clock is compared with another's."""

from __future__ import annotations

from pathlib import Path

import pytest

from workers.hosts import SILENT_S, Hosts


class Watch:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def watch() -> Watch:
    return Watch()


def test_who_beats_is_not_lost(tmp_path: Path, watch: Watch) -> None:
    one, other = Hosts(tmp_path, monotonic=watch), Hosts(tmp_path, monotonic=watch)
    for _ in range(10):
        other.beat()
        one.beat()
        assert one.lost() == 0
        watch.now += SILENT_S * 0.9


def test_who_falls_silent_is_told_once_to_one_of_the_others(tmp_path: Path, watch: Watch) -> None:
    dead, *others = (Hosts(tmp_path, monotonic=watch) for _ in range(3))
    dead.beat()
    told = []
    for _ in range(4):
        for one in others:
            one.beat()
        told.append(sum(one.lost() for one in others))
        watch.now += SILENT_S * 0.6
    assert told == [0, 0, 1, 0]


def test_who_said_goodbye_is_not_missed(tmp_path: Path, watch: Watch) -> None:
    gone, other = Hosts(tmp_path, monotonic=watch), Hosts(tmp_path, monotonic=watch)
    gone.beat()
    assert other.lost() == 0
    gone.goodbye()
    watch.now += 2 * SILENT_S
    assert other.lost() == 0


def test_a_silence_before_our_own_start_is_not_counted(tmp_path: Path, watch: Watch) -> None:
    Hosts(tmp_path, monotonic=watch).beat()
    watch.now += 10 * SILENT_S
    assert Hosts(tmp_path, monotonic=watch).lost() == 0


def test_a_host_that_was_only_slow_comes_back(tmp_path: Path, watch: Watch) -> None:
    slow, other = Hosts(tmp_path, monotonic=watch), Hosts(tmp_path, monotonic=watch)
    slow.beat()
    other.lost()
    watch.now += 2 * SILENT_S
    assert other.lost() == 1
    slow.beat()
    assert other.lost() == 0
    watch.now += 2 * SILENT_S
    assert other.lost() == 1
