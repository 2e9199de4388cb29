"""Signs of life and the watcher's own seconds -> whether a process has been silent for too long."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from listener.node.silence import LONGEST_LOOK_S, LONGEST_SILENCE_S, LONGEST_START_S, SilenceWatch


class Watched:
    def __init__(self, folder: Path) -> None:
        self.path, self.seconds, self.signs = folder / "beat.alive", 0.0, 0
        self.path.touch()  # of a predecessor
        self.watch = SilenceWatch(self.path, monotonic=lambda: self.seconds)

    def sign(self) -> None:
        self.signs += 1
        self.path.touch()
        os.utime(self.path, (self.signs, self.signs))
        self.watch.look()

    def silent(self, seconds: float, step_s: float = LONGEST_LOOK_S) -> bool:
        for _ in range(round(seconds / step_s)):
            self.seconds += step_s
            self.watch.look()
        return self.watch.too_long


def test_signs_that_go_on(tmp_path: Path) -> None:
    one = Watched(tmp_path)
    for _ in range(5):
        one.sign()
        assert not one.silent(LONGEST_SILENCE_S)


def test_a_process_that_has_not_begun_may_take_longer(tmp_path: Path) -> None:
    one = Watched(tmp_path)
    assert not one.silent(LONGEST_START_S), "not measured: no sign of its own yet"
    assert one.silent(1.0)


def test_silence_after_a_sign(tmp_path: Path) -> None:
    one = Watched(tmp_path)
    one.sign()
    assert not one.silent(LONGEST_SILENCE_S)
    assert one.silent(1.0)


def test_an_orderly_end_may_take_longer(tmp_path: Path) -> None:
    one = Watched(tmp_path)
    one.sign()
    one.path.unlink()
    one.watch.look()
    assert not one.silent(LONGEST_START_S)
    assert one.silent(1.0)


def test_a_pause_of_the_whole_machine_is_nobodys_silence(tmp_path: Path) -> None:
    one = Watched(tmp_path)
    one.sign()
    assert not one.silent(10 * LONGEST_SILENCE_S, step_s=10 * LONGEST_SILENCE_S)


@pytest.mark.parametrize("jump_s", [-3600.0, 0.5, 3600.0])
def test_a_sign_counts_whatever_the_clock_says(tmp_path: Path, jump_s: float) -> None:
    one = Watched(tmp_path)
    one.sign()
    assert not one.silent(LONGEST_SILENCE_S)
    at = one.path.stat().st_mtime + jump_s
    os.utime(one.path, (at, at))
    assert one.watch.look() == 0.0
    assert not one.silent(LONGEST_SILENCE_S)
    assert one.silent(1.0)


def test_forgiven_silence_counts_from_now_on(tmp_path: Path) -> None:
    one = Watched(tmp_path)
    one.sign()
    assert one.silent(LONGEST_SILENCE_S + 1)
    one.watch.forgive()
    assert not one.silent(LONGEST_SILENCE_S)
    assert one.silent(1.0)
