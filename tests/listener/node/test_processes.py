"""Files of the state folder -> which processes of the node work."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from listener.node.processes import (
    LOOP_S,
    LOOP_STARTS,
    SILENT_S,
    ProcessVerdict,
    counted,
    look_at_processes,
    note_start,
    state_of,
)
from workers.heartbeat import heartbeat_file

NOW = 1_000_000.0


def sign(state_dir: Path, name: str, at: float) -> None:
    path = heartbeat_file(state_dir, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    os.utime(path, (at, at))


@pytest.mark.parametrize(
    ("seen_at", "starts", "verdict"),
    [
        pytest.param(NOW, [NOW], ProcessVerdict.WORKS, id="noop: it works"),
        pytest.param(None, [], ProcessVerdict.MISSING, id="not measured: no sign of life"),
        pytest.param(NOW - SILENT_S, [NOW], ProcessVerdict.WORKS, id="just not too long"),
        pytest.param(NOW - SILENT_S - 1, [NOW], ProcessVerdict.SILENT, id="stopped"),
        pytest.param(NOW + 3600, [NOW], ProcessVerdict.SILENT, id="a sign of the future"),
        pytest.param(NOW, [NOW] * (LOOP_STARTS - 1), ProcessVerdict.WORKS, id="died a few times"),
        pytest.param(NOW, [NOW] * LOOP_STARTS, ProcessVerdict.RESTARTING, id="dies again and again"),
        pytest.param(NOW, [NOW - LOOP_S - 1] * LOOP_STARTS, ProcessVerdict.WORKS, id="did so yesterday"),
        pytest.param(NOW, [NOW + 3600] * LOOP_STARTS, ProcessVerdict.WORKS, id="starts of the future"),
    ],
)
def test_state(tmp_path: Path, seen_at: float | None, starts: list[float], verdict: ProcessVerdict) -> None:
    if seen_at is not None:
        sign(tmp_path, "worker", seen_at)
    if starts:
        record = tmp_path / "run" / "worker.starts"
        record.parent.mkdir(exist_ok=True)
        record.write_text("".join(f"{at}\n" for at in starts), encoding="ascii")
    assert state_of(tmp_path, "worker", now=lambda: NOW).verdict is verdict


@pytest.mark.parametrize(
    ("end", "recorded"),
    [
        pytest.param(None, 0, id="told to stop"),
        pytest.param(SystemExit(0), 0, id="left with 0"),
        pytest.param(SystemExit(1), 1, id="left with 1"),
        pytest.param(RuntimeError("bug"), 1, id="a fault"),
    ],
)
def test_only_an_orderly_end_is_forgotten(tmp_path: Path, end: BaseException | None, recorded: int) -> None:
    note_start(tmp_path, "beat")
    try:
        with counted(tmp_path, "beat"):
            if end is not None:
                raise end
    except (SystemExit, RuntimeError):
        pass
    assert state_of(tmp_path, "beat").starts == recorded


@pytest.mark.parametrize(
    ("all_here", "named"),
    [
        pytest.param(True, {"listener", "worker"}, id="one host"),
        pytest.param(False, {"listener"}, id="the worker may run on another host"),
    ],
)
def test_which_processes_are_expected(tmp_path: Path, all_here: bool, named: set[str]) -> None:
    sign(tmp_path, "listener", NOW)
    assert set(look_at_processes(tmp_path, ("listener", "worker"), all_here=all_here)) == named
    sign(tmp_path, "serve", NOW)
    assert "serve" in look_at_processes(tmp_path, (), all_here=all_here)


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file in place of the folder", encoding="utf-8")
    note_start(tmp_path, "beat")
    assert state_of(tmp_path, "beat").starts == 0
