"""Repeated work beside receiving: a function and a pause in, a thread that ends with its context out."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

from triage.errors import Transient
from workers.log import brief, get_logger

log = get_logger(__name__)

END_WAIT_S = 10.0
SAY_AGAIN_S = 60.0


class _Said:
    """What was logged last: a fault that lasts gets a line a minute, however often it is met."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self._text, self._at = "", 0.0

    def is_news(self, text: str) -> bool:
        now = time.monotonic()
        if text == self._text and now - self._at < SAY_AGAIN_S:
            return False
        self._text, self._at = text, now
        return True


@contextlib.contextmanager
def repeating(name: str, work: Callable[[], object], *, every_s: float) -> Iterator[None]:
    """Run ``work`` every ``every_s`` seconds. An exception is logged; the work is tried again after the pause."""
    stop, said = threading.Event(), _Said()

    def loop() -> None:
        while not stop.is_set():
            try:
                work()
                said.forget()
            except (Transient, OSError) as error:  # of the database or the disk, and no fault of the program
                text = str(error) if isinstance(error, Transient) else brief(error)
                if said.is_news(text):
                    log.warning("upkeep.waits", work=name, error=text)
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
