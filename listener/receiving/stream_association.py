"""A connected socket in, an association of the fast receive path out."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Any

from pynetdicom import evt
from pynetdicom._globals import MODE_ACCEPTOR
from pynetdicom.association import Association
from pynetdicom.transport import RequestHandler

from listener.receiving.stream import Shared, StreamDul
from listener.receiving.stream_socket import WAIT_MS, StreamSocket
from workers.log import describe, get_logger

log = get_logger(__name__)


class _SignalQueue(queue.Queue[Any]):
    """A queue that calls ``signal`` after each put."""

    def __init__(self, signal: Callable[[], None]) -> None:
        super().__init__()
        self._signal = signal

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        super().put(item, block, timeout)
        self._signal()


class StreamAssociation(Association):  # type: ignore[misc] # pynetdicom has no types
    """An acceptor's association whose reactor sleeps until a message or primitive arrives."""

    is_established: bool

    def __init__(self, ae: Any, shared: Shared) -> None:
        super().__init__(ae, MODE_ACCEPTOR)
        self._something = threading.Semaphore(0)
        self.afterwards: list[Callable[[], None]] = []
        """Functions that a handler wants called after its answer was sent, in the thread that serves the
        association."""
        self.tls_failed: Callable[[], None] = lambda: None
        """Called when the handshake, or the connection's cryptography, fails."""
        self.dul = StreamDul(self, shared)
        self.dul.to_user_queue = _SignalQueue(self._something.release)
        self.dimse.msg_queue = _SignalQueue(self._something.release)
        self.acse_timeout, self.network_timeout = ae.acse_timeout, ae.network_timeout  # arms the new DUL's timers

    def set_socket(self, sock: StreamSocket) -> None:
        super().set_socket(sock)
        self.dul.to_provider_queue = _SignalQueue(sock.wake)

    def kill(self) -> None:
        self._something.release()
        super().kill()

    def run_reactor(self) -> None:
        try:
            super().run_reactor()
        except Exception as error:  # of the library, over a request that it cannot digest
            log.warning("association.failed", error=describe(error))
            self.is_aborted = True
            self._abort_blocking()
            self.kill()

    def _run_afterwards(self) -> None:
        waiting, self.afterwards[:] = list(self.afterwards), []
        for work in waiting:
            try:
                work()
            except Exception:  # of something that was already answered
                log.exception("association.afterwards_failed")

    def _run_reactor(self) -> None:
        """As pynetdicom's, with a semaphore in place of ``sleep(0.001)``; each step is one of its own."""
        self._is_paused = False
        while not self._kill:
            self._something.acquire(timeout=WAIT_MS / 1000)
            self._is_paused = True
            self._reactor_checkpoint.wait()
            self._is_paused = False
            context_id, message = self.dimse.get_msg(block=False)
            if message:
                self._serve_request(message, context_id)
                self._run_afterwards()
            if self.is_established and self.acse.is_release_requested():
                self.acse.send_release(is_response=True)
                self.is_released = True
                self.is_established = False
                evt.trigger(self, evt.EVT_RELEASED, {})
                return self.kill()
            if self.acse.is_aborted():
                self.dul.receive_pdu(wait=False)
                self.is_aborted = True
                self.is_established = False
                evt.trigger(self, evt.EVT_ABORTED, {})
                return self.kill()
            if not self.dul.is_alive():
                return self.kill()
            if not self.dul.busy and self.dul.idle_timer_expired():
                self.abort()
                return self.kill()
        return None


def request_handler(shared: Shared) -> type[RequestHandler]:
    """pynetdicom's connection handler, making associations of the fast kind."""

    class StreamHandler(RequestHandler):  # type: ignore[misc] # pynetdicom has no types
        def _create_association(self) -> StreamAssociation:
            association = StreamAssociation(self.ae, shared)
            association._server = self.server
            association.name = f"AcceptorThread@{time.time():.6f}"
            association.set_socket(
                StreamSocket(
                    association,
                    self.request,
                    first_timeout_s=shared.acse_timeout_s,
                    pdu_timeout_s=shared.pdu_timeout_s,
                )
            )
            acceptor = association.acceptor
            acceptor.maximum_length = self.ae.maximum_pdu_size
            acceptor.ae_title = self.server.ae_title
            acceptor.address_info = self.local
            acceptor.implementation_class_uid = self.ae.implementation_class_uid
            acceptor.implementation_version_name = self.ae.implementation_version_name
            acceptor.supported_contexts = []  # set when the request is known
            association.requestor.address_info = self.remote
            _bind(association, self.server)
            return association

    return StreamHandler


def _bind(association: Any, server: Any) -> None:
    for event, handlers in server._handlers.items():
        if event.is_intervention and handlers:
            association.bind(event, *handlers)
        elif event.is_notification:
            for handler in handlers:
                association.bind(event, handler[0], handler[1])
