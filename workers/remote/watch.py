"""An association with another node in, its end after too long a silence, or at a set time, out.

pynetdicom 3.0 reads a PDU without a time limit: when a node stops in the middle of one, or gives it byte by byte, the
thread that reads it and whoever waits for that thread stand still for good. A wait for a message, on the other hand,
lasts for the whole message: a large object on a slow line takes longer than any honest silence.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

LOOKS_IN_A_SILENCE = 10
LONGEST_LOOK_S = 1.0


class Watch:
    """Give ``handlers`` to AE.associate, within ``watched``. One thread for each, which ends with it.

    Args:
        silence_s: the node sends no PDU for so long while we wait for one: the connection is shut down.
        ends_s: time.monotonic() at which it is shut down, whatever comes; None: no such time.
    """

    def __init__(self, *, silence_s: float, ends_s: float | None = None) -> None:
        self._silence_s, self._ends_s = silence_s, ends_s
        self._heard_s, self._waits = time.monotonic(), False
        self._connection: socket.socket | None = None
        self._over = threading.Event()

    @property
    def handlers(self) -> list[tuple[Any, Any]]:
        from pynetdicom import evt

        return [(evt.EVT_CONN_OPEN, self._opened), (evt.EVT_DATA_RECV, self._heard)]

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """We wait for the node meanwhile. Otherwise its silence means nothing."""
        self._heard_s, self._waits = time.monotonic(), True
        try:
            yield
        finally:
            self._waits = False

    @contextmanager
    def own_turn(self) -> Iterator[None]:
        """Within ``waiting``: the node waits for us, whatever our disk or index takes."""
        self._waits = False
        try:
            yield
        finally:
            self._heard_s, self._waits = time.monotonic(), True

    def run(self) -> None:
        look_s = min(self._silence_s / LOOKS_IN_A_SILENCE, LONGEST_LOOK_S)
        while not self._over.wait(look_s):
            now_s = time.monotonic()
            late = self._ends_s is not None and now_s > self._ends_s
            silent = self._waits and now_s - self._heard_s > self._silence_s
            if (late or silent) and self._connection is not None:
                with suppress(OSError):  # it is closed already
                    self._connection.shutdown(socket.SHUT_RDWR)

    def end(self) -> None:
        self._over.set()

    def _opened(self, event: Any) -> None:
        self._heard_s = time.monotonic()
        own = event.assoc.dul.socket
        self._connection = None if own is None else own.socket

    def _heard(self, _event: Any) -> None:
        self._heard_s = time.monotonic()


def stalled_after(limit_s: float) -> tuple[Any, Any]:
    """A handler for AE.associate: a PDU that stands still for so long in its middle, either way, ends the connection.

    For associations that may be idle between two requests; ``watched`` ends those that are trickled, too.
    """
    from pynetdicom import evt

    def opened(event: Any) -> None:
        own = event.assoc.dul.socket
        if own is not None and own.socket is not None:
            own.socket.settimeout(limit_s)

    return evt.EVT_CONN_OPEN, opened


@contextmanager
def watched(*, silence_s: float, ends_s: float | None = None) -> Iterator[Watch]:
    """A watch over what is associated meanwhile."""
    watch = Watch(silence_s=silence_s, ends_s=ends_s)
    thread = threading.Thread(target=watch.run, name="watch", daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        watch.end()
        thread.join()
