"""Repeated work beside receiving: a function and a pause in, a thread that ends with its context out."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

from triage.errors import Transient
from workers.log import get_logger

log = get_logger(__name__)

END_WAIT_S = 10.0


@contextlib.contextmanager
def repeating(name: str, work: Callable[[], object], *, every_s: float) -> Iterator[None]:
    """Run ``work`` every ``every_s`` seconds. An exception is logged; the work is tried again after the pause."""
    stop = threading.Event()

    def loop() -> None:
        while not stop.is_set():
            try:
                work()
            except Transient as error:
                log.warning("upkeep.waits", work=name, error=str(error))
            except Exception:
                log.exception("upkeep.failed", work=name)
            stop.wait(every_s)

    thread = threading.Thread(target=loop, name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(END_WAIT_S)
