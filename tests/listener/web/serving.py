"""The web application of a node in a thread of this process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from listener.web.app import run
from tests.patience import PATIENCE_S
from workers.config import Settings


@contextmanager
def serving(settings: Settings) -> Iterator[str]:
    """Its address, while it answers there."""
    stop, started, ports = threading.Event(), threading.Event(), list[int]()

    def ready(port: int) -> None:
        ports.append(port)
        started.set()

    thread = threading.Thread(target=run, args=(settings,), kwargs={"stop": stop, "ready": ready}, daemon=True)
    thread.start()
    assert started.wait(PATIENCE_S)
    yield f"http://127.0.0.1:{ports[0]}"
    stop.set()
    thread.join(PATIENCE_S)
