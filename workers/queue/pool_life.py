"""Signs of life of a worker's pool children in, the sign of life of the worker out; a child without any is ended.

A child that is stopped takes a task and never returns it, and no time limit begins to run. The worker's main loop
therefore looks at each child, and says itself that it lives only while all of them do.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from celery import Celery, bootsteps, signals

from workers.heartbeat import BEAT_S, SILENT_S, Heartbeat, heartbeat_file
from workers.log import get_logger

log = get_logger(__name__)

KILL_SILENT_S = 2 * SILENT_S  # also when a call of a library never gives the interpreter back
MAIN_LOOP = "celery.worker.components:Timer"
POOL = "celery.worker.components:Pool"


class PoolLife:
    """What the main loop of one worker knows of its children. No clock is compared: a child is silent when its file did
    not change for a while of our own time.

    Args:
        name: of the worker, ``worker`` or ``urgent``.
    """

    def __init__(
        self,
        state_dir: Path,
        name: str,
        *,
        kill: Callable[[int, int], None] = os.kill,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = state_dir.absolute() / "run" / "pool" / name
        self._own = Heartbeat(heartbeat_file(state_dir, name), monotonic=monotonic)
        self._kill, self._monotonic = kill, monotonic
        self._seen: dict[int, tuple[int, float]] = {}  # pid -> time in its file, and since when it stands there

    def look(self, pids: Iterable[int]) -> None:
        """One turn of the main loop, with the children that there are now."""
        now = self._monotonic()
        self._seen = {pid: self._observed(pid, now) for pid in pids}
        silent = {pid: now - since for pid, (_, since) in self._seen.items()}
        if all(seconds <= SILENT_S for seconds in silent.values()):
            self._own.beat()
        for pid, seconds in silent.items():
            if seconds > KILL_SILENT_S:
                log.error("worker.child_silent", child=pid, seconds=round(seconds))
                del self._seen[pid]
                with suppress(ProcessLookupError, PermissionError):
                    self._kill(pid, signal.SIGKILL)
        self._forget_others()

    def end(self) -> None:
        self._own.end()

    def child_file(self, pid: int) -> Path:
        return self._folder / f"{pid}.alive"

    def _observed(self, pid: int, now: float) -> tuple[int, float]:
        try:
            written = self.child_file(pid).stat().st_mtime_ns
        except OSError:
            written = 0  # it has not begun yet
        known, since = self._seen.get(pid, (written, now))
        return written, since if written == known else now

    def _forget_others(self) -> None:
        for path in self._folder.glob("*.alive"):
            if path.stem.isdigit() and int(path.stem) not in self._seen:
                path.unlink(missing_ok=True)


def watch_pool(app: Celery, life: PoolLife) -> None:
    """Have the main loop of the worker look at its children, and each child give its signs of life."""

    class Look(bootsteps.StartStopStep):  # type: ignore[misc] # celery has no types
        requires = frozenset({MAIN_LOOP, POOL})

        def start(self, worker: Any) -> None:
            worker.timer.call_repeatedly(BEAT_S, lambda: life.look(_children_of(worker)), priority=10)

        def stop(self, worker: Any) -> None:  # noqa: ARG002 - Celery's signature
            life.end()

    app.steps["worker"].add(Look)

    @signals.worker_process_init.connect(weak=False)  # type: ignore[untyped-decorator]
    def begin(**_kwargs: Any) -> None:
        beat_in_thread(life.child_file(os.getpid()))


def beat_in_thread(path: Path) -> None:
    """Signs of life of this process until it ends."""
    alive = Heartbeat(path)

    def run() -> None:
        while True:
            alive.beat()
            time.sleep(BEAT_S / 2)

    threading.Thread(target=run, name="alive", daemon=True).start()


def _children_of(worker: Any) -> list[int]:
    """The processes of Celery's prefork pool; none while it starts or restarts."""
    pool = getattr(getattr(worker, "pool", None), "_pool", None)
    return [process.pid for process in list(getattr(pool, "_pool", ()) or ()) if process.pid is not None]
