"""The state folder of a node in; which of its processes work, give no sign of life, or end again and again out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from workers.heartbeat import heartbeat_file, silence_s

SILENT_S = 60.0  # loops turn every few seconds; a slow disk or database may hold one up
LOOP_STARTS = 4  # so many starts without an orderly end between them ...
LOOP_S = 600.0  # ... within this time are no accident
MOST_STARTS = 20  # remembered for each process


class ProcessVerdict(StrEnum):
    """WORKS; MISSING: it has given no sign of life yet; SILENT: none for SILENT_S; RESTARTING: it ends again and
    again."""

    WORKS = "works"
    MISSING = "missing"
    SILENT = "silent"
    RESTARTING = "restarting"


@dataclass(frozen=True)
class ProcessState:
    """silence_s: since its last sign of life, None without any. starts: within LOOP_S, without an orderly end."""

    verdict: ProcessVerdict
    silence_s: float | None
    starts: int


def state_of(state_dir: Path, name: str, *, now: Callable[[], float] = time.time) -> ProcessState:
    """One process of the node."""
    silent, starts = silence_s(heartbeat_file(state_dir, name), now=now), len(_recent(state_dir, name, now()))
    if starts >= LOOP_STARTS:
        verdict = ProcessVerdict.RESTARTING
    elif silent is None:
        verdict = ProcessVerdict.MISSING
    else:
        verdict = ProcessVerdict.SILENT if silent > SILENT_S else ProcessVerdict.WORKS
    return ProcessState(verdict, silent, starts)


def look_at_processes(
    state_dir: Path, names: Iterable[str], *, all_here: bool, now: Callable[[], float] = time.time
) -> dict[str, ProcessState]:
    """Every process that should work on this state folder.

    Args:
        names: the processes of a node.
        all_here: none of them runs on another host. Otherwise one without any trace in the folder is no business of
            this host.
    """
    states = {name: state_of(state_dir, name, now=now) for name in (*names, "serve")}
    return {
        name: one
        for name, one in states.items()
        if (all_here and name != "serve") or one.silence_s is not None or one.starts
    }


def note_start(state_dir: Path, name: str, *, now: Callable[[], float] = time.time) -> None:
    """A process starts. Never an error: a full disk must not keep it from its work."""
    path = _starts_file(state_dir, name)
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        times = [*_recent(state_dir, name, now()), now()][-MOST_STARTS:]
        path.write_text("".join(f"{at!r}\n" for at in times), encoding="ascii")


def note_end(state_dir: Path, name: str) -> None:
    """It ended because it was told to."""
    with suppress(OSError):
        _starts_file(state_dir, name).unlink(missing_ok=True)


@contextmanager
def counted(state_dir: Path, name: str) -> Iterator[None]:
    """The work of a process: an error leaves its start on record, an orderly end does not."""
    try:
        yield
    except SystemExit as end:
        if not end.code:
            note_end(state_dir, name)
        raise
    note_end(state_dir, name)


def _starts_file(state_dir: Path, name: str) -> Path:
    return state_dir.absolute() / "run" / f"{name}.starts"


def _recent(state_dir: Path, name: str, now: float) -> list[float]:
    """Times of the future are dropped: the clock was set back, and they would count for an hour."""
    try:
        times = [float(line) for line in _starts_file(state_dir, name).read_text(encoding="ascii").split()]
    except (OSError, ValueError):
        return []
    return [at for at in times if now - LOOP_S < at <= now]
