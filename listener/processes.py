"""Signals and parents of the node's processes in, an orderly end out."""

from __future__ import annotations

import os
import signal
import threading
import time

# After its parent died a process may end its work; then it ends for certain. An idle Celery worker needs less.
ORPHAN_GRACE_S = 30.0


def stop_on_signals() -> threading.Event:
    """An event that SIGINT and SIGTERM set."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
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
