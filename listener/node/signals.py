"""Signals and parents of the node's processes in, an orderly end out."""

from __future__ import annotations

import _thread
import os
import signal
import threading
import time

# After its parent died a process may end its work; then it ends for certain. An idle Celery worker needs less.
ORPHAN_GRACE_S = 30.0


def stop_on_signals() -> threading.Event:
    """An event that SIGINT and SIGTERM set."""
    stop = threading.Event()

    def on_signal(*_: object) -> None:
        try:
            # in a thread: this may have interrupted the very wait() whose lock set() needs, and would never get it
            _thread.start_new_thread(stop.set, ())
        except RuntimeError:  # there are no threads left
            stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    return stop


def end_with_parent(parent: int) -> None:
    """End this process when the supervisor that started it was killed: a second node must find ports and state folder
    free."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(ORPHAN_GRACE_S)
        os.killpg(os.getpgid(0), signal.SIGKILL)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
