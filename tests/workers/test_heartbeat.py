"""Turns of a loop -> a file whose age tells whether it turns."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.listener.harness import eventually
from workers import heartbeat
from workers.heartbeat import BEAT_S, Heartbeat, heartbeat_file, silence_s

NOW = 1_000_000.0


@pytest.mark.parametrize(
    ("written_at", "silent"),
    [
        pytest.param(None, None, id="not measured: no sign of life yet"),
        pytest.param(NOW, 0.0, id="noop: just now"),
        pytest.param(NOW - 40.0, 40.0, id="a while ago"),
        pytest.param(NOW + 3600.0, 3600.0, id="the clock was set back by an hour"),
    ],
)
def test_silence(tmp_path: Path, written_at: float | None, silent: float | None) -> None:
    path = tmp_path / "worker.alive"
    if written_at is not None:
        path.touch()
        os.utime(path, (written_at, written_at))
    assert silence_s(path, now=lambda: NOW) == silent


def test_a_loop_that_turns_quickly_writes_rarely(tmp_path: Path) -> None:
    seconds = [0.0]
    path = heartbeat_file(tmp_path, "beat")
    alive = Heartbeat(path, monotonic=lambda: seconds[0])
    alive.beat()
    os.utime(path, (1.0, 1.0))
    alive.beat()
    assert path.stat().st_mtime == 1.0
    seconds[0] += BEAT_S
    alive.beat()
    assert path.stat().st_mtime > 1.0
    alive.end()
    assert silence_s(path) is None


def test_the_sign_of_an_earlier_process_is_removed(tmp_path: Path) -> None:
    path = heartbeat_file(tmp_path, "web")
    Heartbeat(path).beat()
    Heartbeat(path)
    assert silence_s(path) is None


@pytest.mark.parametrize("whole", [False, True], ids=["its folder is deleted", "the state folder is moved away"])
def test_a_folder_that_is_gone(tmp_path: Path, *, whole: bool) -> None:
    """Of a state folder that was moved away nothing is made anew."""
    seconds, path = [0.0], heartbeat_file(tmp_path / "state", "web")
    alive = Heartbeat(path, monotonic=lambda: seconds[0])
    (tmp_path / "state" if whole else path.parent).rename(tmp_path / "elsewhere")
    alive.beat()
    assert (silence_s(path) is None, alive.written) == (whole, not whole)
    assert (tmp_path / "state").exists() is not whole


def test_a_folder_that_cannot_be_written_is_silence_and_no_error(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file in place of the folder", encoding="utf-8")
    alive = Heartbeat(heartbeat_file(tmp_path, "web"))
    alive.beat()
    alive.end()
    assert silence_s(heartbeat_file(tmp_path, "web")) is None


@pytest.mark.parametrize(
    ("limit_s", "signs"), [pytest.param(60.0, True, id="within its limit"), pytest.param(0.0, False, id="beyond it")]
)
def test_long_work_with_a_limit_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit_s: float, signs: bool
) -> None:
    monkeypatch.setattr(heartbeat, "BEAT_S", 0.01)
    path = heartbeat_file(tmp_path, "priors")
    with Heartbeat(path) as alive:
        with alive.during(limit_s):
            eventually(path.exists if signs else lambda: True)
        assert path.exists() is signs
    assert not path.exists()


def test_no_sign_follows_the_end(tmp_path: Path) -> None:
    path = tmp_path / "run" / "x.alive"
    clock = iter(range(0, 1000, 100))
    alive = Heartbeat(path, monotonic=lambda: float(next(clock)))
    alive.beat()
    assert path.exists()
    alive.end()
    alive.beat()
    assert not path.exists()
