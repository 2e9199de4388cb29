"""Heartbeats of hosts: who is silent is told once; nobody's clock is compared with another's."""

from __future__ import annotations

from pathlib import Path

import pytest

from workers.files.hosts import SILENT_S, Hosts


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


def later(watch: Watch, *living: Hosts) -> list[int]:
    """Two silences go by, in which ``living`` beat; what each of them is told."""
    told = [0] * len(living)
    for _ in range(4):
        for number, one in enumerate(living):
            one.beat()
            told[number] += one.lost()
        watch.now += SILENT_S * 0.6
    return told


def test_a_loss_is_held_until_it_is_settled(tmp_path: Path, watch: Watch) -> None:
    dead, one = Hosts(tmp_path, monotonic=watch), Hosts(tmp_path, monotonic=watch)
    dead.beat()
    assert later(watch, one) == [1]
    claims = one.claims()
    assert len(claims) == 1
    one.settle(claims)
    assert one.claims() == frozenset()
    assert len(list(tmp_path.iterdir())) == 1, "only the living one"


@pytest.mark.parametrize(
    "settled", [pytest.param(True, id="noop: after the scan"), pytest.param(False, id="in the midst of the scan")]
)
@pytest.mark.parametrize("says_goodbye", [True, False])
def test_a_loss_that_was_told_to_a_host_that_dies_is_found_again(
    tmp_path: Path, watch: Watch, settled: bool, says_goodbye: bool
) -> None:
    dead, second, third = (Hosts(tmp_path, monotonic=watch) for _ in range(3))
    dead.beat()
    assert later(watch, second) == [1]
    if settled:
        second.settle(second.claims())
    if says_goodbye:
        second.goodbye()
    assert later(watch, third) == [(not settled) + (not says_goodbye)]
    third.settle(third.claims())
    assert len(list(tmp_path.iterdir())) == 1
    assert later(watch, third) == [0]


def test_what_is_claimed_while_a_scan_runs_needs_another_one(tmp_path: Path, watch: Watch) -> None:
    first, second, one = (Hosts(tmp_path, monotonic=watch) for _ in range(3))
    first.beat()
    later(watch, one)
    claims = one.claims()
    second.beat()
    assert later(watch, one) == [1]
    one.settle(claims)
    assert len(one.claims()) == 1
