"""The port: connections in, those from admitted addresses to a server out. One thread, which reads from none of
them."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Protocol

from listener.associations import admission
from listener.associations.admission import Address
from listener.meters import Meter
from listener.refusals import RefusalLog
from triage.errors import Misconfigured
from workers.audit.messages import RemoteNode
from workers.audit.spool import Auditor
from workers.log import get_logger
from workers.settings import ListenerSettings

log = get_logger(__name__)

BACKLOG = 128
POLL_S = 0.25


class ConnectionServer(Protocol):
    """Serves connections: listener.associations.receiver.Receiver, or listener.door.pool.ProcessPool."""

    def take(self, connection: socket.socket, address: Address) -> None:
        """Serve a connection, or close it; must not block."""

    def open_addresses(self) -> list[Address]:
        """Where the open connections come from."""

    def reap(self) -> None:
        """Called now and then, to tidy up."""

    def works(self) -> bool:
        """Whether every part of it gives signs of life."""

    def close(self, *, grace_s: float) -> None:
        """Let open associations finish for ``grace_s`` and end them then."""


@contextlib.contextmanager
def listening_socket(settings: ListenerSettings) -> Iterator[socket.socket]:
    """A socket that listens where the settings say.

    Raises:
        Misconfigured: it cannot.
    """
    try:
        info = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = info[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(BACKLOG)
        listening.setblocking(False)  # a connection may vanish between select and accept
    except OSError as error:
        where = f"{settings.host}:{settings.port}"
        raise Misconfigured(f"listener.host, listener.port: cannot listen on {where} ({error.strerror})") from error
    with listening:
        yield listening


def accept_until(
    stop: threading.Event,
    listening: socket.socket,
    settings: ListenerSettings,
    server: ConnectionServer,
    meter: Meter,
    auditor: Auditor,
    alive: Callable[[], None],
) -> None:
    """Hand over connections until ``stop`` is set, then close the port. ``alive`` is called while all of it works."""
    refusals = RefusalLog("connection.refused")
    with listening, selectors.DefaultSelector() as selector:
        selector.register(listening, selectors.EVENT_READ)
        while not stop.is_set():
            if server.works():
                alive()
            if selector.select(POLL_S):
                _accept_one(listening, settings, server, meter, auditor, refusals)
            else:
                server.reap()


def _accept_one(
    listening: socket.socket,
    settings: ListenerSettings,
    server: ConnectionServer,
    meter: Meter,
    auditor: Auditor,
    refusals: RefusalLog,
) -> None:
    try:
        connection, peer = listening.accept()
    except BlockingIOError:
        return  # the peer has gone again
    except OSError as error:  # no file descriptor is left: those that are open go on
        log.error("connection.failed", error=str(error.strerror))
        threading.Event().wait(POLL_S)
        return
    address = admission.parse_address(peer[0])
    reason = ""
    if not admission.address_may_connect(settings, address):
        reason = admission.UNKNOWN_ADDRESS.reason
    elif not admission.room_for(settings, server.open_addresses(), address):
        reason = admission.TOO_MANY.reason
    if reason:
        refusals.refused(str(address), reason)
        meter.count(f"associations_refused:{reason}")
        if reason == admission.UNKNOWN_ADDRESS.reason:
            auditor.alert(RemoteNode("", str(address)), reason)
        connection.close()
        return
    server.take(connection, address)
