"""A pynetdicom association in, one that many objects are sent on quickly out: its reactor thread is paused, so that it
takes no answers away, nothing waits for delayed acknowledgements, and a report of the node stops no request."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

PAUSE_WITHIN_S = 1.0
LOOKS_WITHIN_S = 0.02  # the reactor looks at its checkpoint every millisecond


@contextmanager
def reactor_paused(association: Any) -> Iterator[None]:
    """Pause pynetdicom's reactor thread for as long as requests are sent.

    pynetdicom 3.0 pauses it around every single request. Against a fast peer the reactor then takes about one answer in
    1,700 off the queue in the moment between, and the caller waits for it in vain.
    """
    checkpoint = getattr(association, "_reactor_checkpoint", None)
    if not isinstance(checkpoint, threading.Event):
        yield  # another version: callers repeat requests that got no answer
        return
    held = _HeldEvent()
    association._reactor_checkpoint = held
    checkpoint.set()  # a reactor waiting on the old one moves on to the new one
    deadline = time.monotonic() + PAUSE_WITHIN_S
    # paused means: inside wait() on the held event, which nothing but release() ends
    while held.waiting == 0 and time.monotonic() < deadline:
        time.sleep(0.001)
    try:
        yield
    finally:
        held.release()


def reports_beside(association: Any) -> None:
    """Reports that the node sends on this association (N-EVENT-REPORT) stop none of our requests.

    pynetdicom 3.0 serves a report in a thread of its own, which says at its end that the reactor runs. When the reactor
    waits at that moment, nothing says so again, and whoever sends or releases next waits for it without end.
    """
    serve = getattr(association, "_serve_request", None)
    if serve is None:
        return  # another version

    def serving(message: Any, context_id: int) -> None:
        serve(message, context_id)
        if threading.current_thread() is not association and _waits(association):
            association._is_paused = True

    association._serve_request = serving


def _waits(association: Any) -> bool:
    checkpoint = getattr(association, "_reactor_checkpoint", None)
    if not isinstance(checkpoint, threading.Event) or checkpoint.is_set():
        return False
    time.sleep(LOOKS_WITHIN_S)
    return not checkpoint.is_set()


def send_without_delay(association: Any) -> None:
    """A request leaves in two writes; without this the second waits up to 40 ms for the receiver's delayed
    acknowledgement."""
    connected = getattr(getattr(association.dul, "socket", None), "socket", None)
    if isinstance(connected, socket.socket):
        with suppress(OSError):
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class _HeldEvent(threading.Event):
    """Stays cleared whatever ``set`` says, until ``release``."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting = 0
        self._held = True

    def wait(self, timeout: float | None = None) -> bool:
        self.waiting += 1
        try:
            return super().wait(timeout)
        finally:
            self.waiting -= 1

    def set(self) -> None:
        if not self._held:
            super().set()

    def release(self) -> None:
        self._held = False
        super().set()
