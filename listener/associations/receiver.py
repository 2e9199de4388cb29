"""Connected sockets in, served associations out: pynetdicom as a server without a listening socket of its own.

The accept loop (listener.door.port) owns the port. Here each socket becomes an association, which is checked, served
and, when its threads have ended, logged in one line."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pynetdicom import AE, _config, evt
from pynetdicom.transport import RequestHandler, ThreadedAssociationServer

from listener.associations import admission, contexts, identities
from listener.associations import places as limits
from listener.associations.admission import Address
from listener.meters import Meter
from listener.receiving.reception import Tally
from listener.refusals import RefusalLog
from listener.services.service import Services
from workers.audit.messages import RemoteNode
from workers.audit.spool import Auditor, NoAudit
from workers.files.part10 import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from workers.log import brief, get_logger
from workers.remote import tls
from workers.settings import ListenerSettings, Peer

log = get_logger(__name__)

ABORT_WAIT_S = 2.0
HALF_ENDED_S = 10.0


@dataclass
class OpenAssociation:
    """One association from its connection to the end of its thread."""

    address: Address
    association: Any = None
    ticket: int = 0
    since: float = field(default_factory=time.monotonic)
    calling_ae: str = ""
    refusal: str = ""
    half_ended: float | None = None  # since when only the thread of the upper layer lives
    place: int | None = None  # of a peer that may have only so many
    tally: Tally = field(default_factory=Tally)


TallyOf = Callable[[Any], Tally]


@dataclass(frozen=True)
class ReceivePath:
    """How the objects of an association come in: pairs (event, handler), and pynetdicom's connection handler."""

    name: str
    handlers: tuple[tuple[Any, Any], ...] = ()
    request_handler: type[RequestHandler] = RequestHandler


class Receiver:
    """Serves associations on sockets that are handed to it.

    Args:
        settings: AE title, limits and timeouts.
        path: how objects come in, given the function association -> its tally.
        services: what is offered besides C-STORE and C-ECHO.
        on_end: hears of every connection that is over.
        meter: counts associations.
        places: folder for the places of peers that may have only so many associations.
        auditor: hears of transfers and of refusals that concern security.

    Raises:
        Misconfigured: the TLS settings do not work.
    """

    def __init__(
        self,
        settings: ListenerSettings,
        path: Callable[[TallyOf], ReceivePath],
        services: Services = Services(),  # noqa: B008 - frozen
        on_end: Callable[[OpenAssociation], None] | None = None,
        meter: Meter | None = None,
        places: Path = Path("state/run/places"),
        auditor: Auditor | None = None,
    ) -> None:
        silence_library()
        self._refusals = RefusalLog("association.refused")
        self._settings = settings
        self._classes = contexts.storage_classes(settings)
        self._services = services.classes | {contexts.VERIFICATION}
        self._tls = None if settings.tls is None else tls.server_context(settings.tls)
        self._meter = meter or Meter()
        self._places = places
        self._auditor = auditor or NoAudit()
        self._on_end = on_end or (lambda _: None)
        self._open: dict[Any, OpenAssociation] = {}
        self._lock = threading.Lock()
        contexts.register_extra_classes(settings)
        own = [(evt.EVT_CONN_OPEN, self._on_open), (evt.EVT_REQUESTED, self._on_request)]
        chosen = path(self._tally)
        self._server = _make_server(settings, [*own, *chosen.handlers, *services.handlers], chosen.request_handler)

    def take(self, connection: socket.socket, address: Address, *, ticket: int = 0) -> None:
        """Serve a connection; returns at once, the association has its own threads. Takes over the socket.

        Args:
            connection: a connected socket.
            address: where it comes from.
            ticket: given back to ``on_end``.
        """
        self._taking = OpenAssociation(address, ticket=ticket)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # or each answer waits 40 ms for an ACK
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        # of one read or write: a silent peer must not keep a thread
        connection.settimeout(self._settings.pdu_timeout_s)
        try:
            if self._tls is not None:
                # the handshake comes with the first read, in the thread of the association; here it would delay others
                connection = self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
            self._server.finish_request(connection, connection.getpeername())
        except Exception as error:  # the peer has gone already, or there are no threads left: the accept loop goes on
            log.warning("connection.failed", address=str(address), error=brief(error))
            connection.close()
            _close_socket(self._taking.association)
            self._open.pop(self._taking.association, None)
            self._on_end(self._taking)

    def open_addresses(self) -> list[Address]:
        """Where the open associations come from."""
        self.reap()
        with self._lock:
            return [entry.address for entry in self._open.values()]

    def works(self) -> bool:
        return True  # its own thread is asked

    def reap(self) -> None:
        """Forget associations whose threads have ended, with one log line each."""
        with self._lock:
            for entry in self._open.values():
                _end_what_is_left(entry)
            ended = [entry for entry in self._open.values() if _has_ended(entry.association)]
            for entry in ended:
                del self._open[entry.association]
        self._meter.set("associations_open", len(self._open))
        for entry in ended:
            if entry.place is not None:
                os.close(entry.place)
            _log_end(entry, self._refusals)
            self._audit_end(entry)
            self._on_end(entry)

    def _audit_end(self, entry: OpenAssociation) -> None:
        peer = RemoteNode(entry.calling_ae, str(entry.address))
        for transfer in entry.tally.studies.values():
            self._auditor.transferred(peer, transfer, complete=bool(entry.association.is_released))

    def close(self, *, grace_s: float) -> None:
        """Let open associations finish for ``grace_s``, then abort them."""
        deadline = time.monotonic() + grace_s
        while self.open_addresses() and time.monotonic() < deadline:
            time.sleep(0.02)
        with self._lock:
            rest = [entry.association for entry in self._open.values()]
        for association in rest:
            threading.Thread(target=association.abort, daemon=True).start()
        self._wait_for_end()
        with self._lock:
            rest = [entry.association for entry in self._open.values()]
        for association in rest:
            _stop_reading(association)
        self._wait_for_end()

    def _wait_for_end(self) -> None:
        deadline = time.monotonic() + ABORT_WAIT_S
        while self.open_addresses() and time.monotonic() < deadline:
            time.sleep(0.02)

    def _tally(self, association: Any) -> Tally:
        return self._open[association].tally

    def _on_open(self, event: Any) -> None:
        """Remember the association; its thread starts after this."""
        entry = self._taking
        entry.association = event.assoc
        event.assoc.tls_failed = lambda: self._tls_failed(entry)
        with self._lock:
            self._open[event.assoc] = self._taking

    def _tls_failed(self, entry: OpenAssociation) -> None:
        self._meter.count("associations_refused:tls_failed")
        self._auditor.alert(RemoteNode(entry.calling_ae, str(entry.address)), "tls_failed")

    def _on_request(self, event: Any) -> None:
        """Admit or refuse. The library ignores exceptions of this handler and would accept no context: the sender would
        take a passing fault for a permanent refusal."""
        try:
            self._admit_or_refuse(event)
        except Exception as error:  # no descriptor left for the place of a peer, or the disk is full
            log.error("association.failed", error=brief(error), exc_info=None if isinstance(error, OSError) else error)
            self._refuse(event.assoc, admission.FAULT)

    def _admit_or_refuse(self, event: Any) -> None:
        """Admit or refuse, and offer exactly the contexts that are asked for."""
        association = event.assoc
        self._meter.count("associations")
        request = association.requestor.primitive
        entry = self._open[association]
        entry.calling_ae = request.calling_ae_title.strip()
        called_ae = request.called_ae_title.strip()
        identity = identities.of(association)
        refusal = admission.check(
            self._settings, address=entry.address, calling_ae=entry.calling_ae, called_ae=called_ae, identity=identity
        )
        peer = admission.peer_of(self._settings, address=entry.address, calling_ae=entry.calling_ae, identity=identity)
        if refusal is None and peer is not None:
            refusal = self._bind_to_limits(entry, peer)
        if refusal is not None:
            if refusal not in (admission.TOO_MANY, admission.TOO_MANY_OF_PEER):
                self._auditor.alert(RemoteNode(entry.calling_ae, str(entry.address)), refusal.reason)
            self._refuse(association, refusal)
            return
        proposed = [
            (str(c.abstract_syntax), [str(t) for t in c.transfer_syntax])
            for c in request.presentation_context_definition_list
        ]
        accepted = contexts.accepted_syntaxes(proposed, self._classes, self._services)
        association.acceptor.supported_contexts = contexts.supported_contexts(accepted)

    def _refuse(self, association: Any, refusal: admission.Refusal) -> None:
        self._open[association].refusal = refusal.reason
        self._meter.count(f"associations_refused:{refusal.reason}")
        association.acse.send_reject(refusal.result, refusal.source, refusal.diagnostic)
        association.kill()

    def _bind_to_limits(self, entry: OpenAssociation, peer: Peer) -> admission.Refusal | None:
        """The limits of this peer; a refusal when all its places are taken."""
        if peer.idle_timeout_s is not None:
            entry.association.network_timeout = peer.idle_timeout_s
        if peer.max_associations is None:
            return None
        entry.place = limits.take_place(self._places, peer.ae_title, peer.max_associations)
        return admission.TOO_MANY_OF_PEER if entry.place is None else None


def _close_socket(association: Any) -> None:
    """Close the connection of an association that did not get its threads: nothing else frees its descriptors, or ends
    an upper layer that has started already."""
    sock = getattr(getattr(association, "dul", None), "socket", None)
    if sock is not None:
        with suppress(OSError):
            sock.close()


def silence_library() -> None:
    """Keep the libraries from logging by themselves: data of patients at DEBUG, a traceback for each bit of garbage."""
    _config.LOG_HANDLER_LEVEL = "none"
    _config.LOG_REQUEST_IDENTIFIERS = False
    _config.LOG_RESPONSE_IDENTIFIERS = False
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)
    logging.getLogger("pydicom").setLevel(logging.ERROR)  # quotes every malformed UID of a request


def _make_server(
    settings: ListenerSettings, handlers: list[tuple[Any, Any]], request_handler: type[RequestHandler]
) -> Any:
    ae = AE(ae_title=settings.ae_title)
    ae.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    ae.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    ae.maximum_pdu_size = settings.max_pdu_bytes
    ae.maximum_associations = 1 << 30  # counted where connections are accepted
    ae.acse_timeout = settings.acse_timeout_s
    ae.network_timeout = settings.idle_timeout_s
    ae.dimse_timeout = settings.idle_timeout_s
    ae.add_supported_context(contexts.VERIFICATION)
    # the port is the accept loop's, here the address is only what associations report as their own
    return ae.make_server(
        ("127.0.0.1", 0), server_class=_Unbound, evt_handlers=handlers, request_handler=request_handler
    )


class _Unbound(ThreadedAssociationServer):  # type: ignore[misc] # pynetdicom has no types
    """A server that is given its connections."""

    def server_bind(self) -> None:
        self.socket.close()

    def server_activate(self) -> None:
        pass


def _has_ended(association: Any) -> bool:
    """Both threads of it: the one of the upper layer may still be at work on its last object."""
    return association.ident is not None and not association.is_alive() and not association.dul.is_alive()


def _end_what_is_left(entry: OpenAssociation) -> None:
    """End the upper layer of an association that failed in the library: it could wait for its peer without limit."""
    association = entry.association
    if association.ident is None or association.is_alive() or not association.dul.is_alive():
        return
    if entry.half_ended is None:
        entry.half_ended = time.monotonic()
    elif time.monotonic() - entry.half_ended > HALF_ENDED_S:
        _stop_reading(association)


def _stop_reading(association: Any) -> None:
    """Wake a thread that waits for the rest of what its peer says. An answer can still go out."""
    connection = getattr(association.dul.socket, "socket", None)
    if connection is not None:
        with suppress(OSError):
            # not the method of an SSLSocket, which would go on in the clear
            socket.socket.shutdown(connection, socket.SHUT_RD)


def _log_end(entry: OpenAssociation, refusals: RefusalLog) -> None:
    association = entry.association
    facts = {"address": str(entry.address), "calling_ae": entry.calling_ae}
    if entry.refusal:
        refusals.refused(facts["address"], entry.refusal, calling_ae=entry.calling_ae)
        return
    outcome = "released" if association.is_released else "aborted" if association.is_aborted else "broken off"
    log.info(
        "association.closed",
        outcome=outcome,
        seconds=round(time.monotonic() - entry.since, 3),
        **facts,
        instances=entry.tally.instances,
        bytes=entry.tally.bytes,
        refused=entry.tally.refused,
    )
