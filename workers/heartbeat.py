"""A sign of life in a file: the loop that does the work renews it, whoever looks after the node reads its age."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

BEAT_S = 2.0  # between two signs of life
SILENT_S = 30.0  # a process without a sign of life for longer does not work


def heartbeat_file(state_dir: Path, name: str) -> Path:
    """Where the process ``name`` of the node on ``state_dir`` gives its signs of life."""
    return state_dir.absolute() / "run" / f"{name}.alive"


class Pulse:
    """Says once in ``every_s`` seconds that it is time again; the first time at once.

    Args:
        monotonic: seconds that only go forward.
    """

    def __init__(self, every_s: float, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._every_s, self._monotonic = every_s, monotonic
        self._next = float("-inf")

    def due(self) -> bool:
        now = self._monotonic()
        if now < self._next:
            return False
        self._next = now + self._every_s
        return True


class Heartbeat:
    """The signs of life of one process. ``beat`` is called by the loop that does the work, as often as it turns. As a
    context it ends with the work.

    Args:
        path: see ``heartbeat_file``. A file of an earlier process is removed.
        monotonic: seconds that only go forward.
    """

    def __init__(self, path: Path, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._path, self._pulse, self._ended = path, Pulse(BEAT_S, monotonic=monotonic), False
        self.written = True  # whether the last one could be
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)

    def beat(self) -> None:
        """Say that the loop turns: at most once in BEAT_S, and never an error. A disk that fails shows as silence."""
        if not self._ended and self._pulse.due():
            try:
                self._touch()
                self.written = True
            except OSError:
                self.written = False

    def _touch(self) -> None:
        try:
            self._path.touch()
        except FileNotFoundError:  # somebody deleted the folder; of a state folder that was moved nothing is made anew
            self._path.parent.mkdir(exist_ok=True)
            self._path.touch()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    @contextmanager
    def during(self, limit_s: float) -> Iterator[None]:
        """Signs of life while one long piece of work runs which has a limit of its own; none after ``limit_s``."""
        done = threading.Event()
        latest = time.monotonic() + limit_s

        def run() -> None:
            while not done.wait(BEAT_S) and time.monotonic() < latest:
                self.beat()

        thread = threading.Thread(target=run, name="alive", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def end(self) -> None:
        """The process ends as it should: nobody waits for another sign, and a timer that still runs gives none."""
        self._ended = True
        with suppress(OSError):
            self._path.unlink(missing_ok=True)


def silence_s(path: Path, *, now: Callable[[], float] = time.time) -> float | None:
    """Seconds since the last sign of life; None: there is none.

    A file of the future counts as silent for as long: the clock was set back, and the next sign corrects it.
    """
    try:
        return abs(now() - path.stat().st_mtime)
    except OSError:
        return None
