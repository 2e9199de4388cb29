"""The DICOM door: C-STORE and C-ECHO. Sockets in, durable files and index rows out.

Parts: an accept loop with admission by address, a Receiver that serves associations, the FileStore, one IndexWriter
behind the answers, and a scan at start that writes the rows a crash cost. Decides nothing about what it stores.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from listener import admission
from listener.admission import Address
from listener.receive_stock import store_handler
from listener.receiver import ReceivePath, Receiver, TallyOf
from listener.reception import Reception
from triage.errors import Misconfigured, Transient
from workers.config import ListenerSettings, Settings
from workers.files import FileStore, open_files
from workers.index_writer import IndexWriter
from workers.log import get_logger
from workers.ports import InstanceRow
from workers.reconcile import reconcile
from workers.store import SqlIndex, open_index

log = get_logger(__name__)

BACKLOG = 128
POLL_S = 0.25
INDEX_PAUSE_S = 5.0
FLUSH_S = 10.0

OnStored = Callable[[Sequence[InstanceRow]], object]


class Takes(Protocol):
    """Somebody who serves connections; listener.receiver.Receiver is one."""

    def take(self, connection: socket.socket, address: Address) -> None: ...

    def open_addresses(self) -> list[Address]: ...

    def reap(self) -> None: ...

    def close(self, *, grace_s: float) -> None: ...


def run(
    settings: Settings,
    *,
    stop: threading.Event,
    on_stored: OnStored | None = None,
    ready: Callable[[int], None] | None = None,
) -> None:
    """Receive until ``stop`` is set; then finish open associations, write the waiting rows and return.

    Args:
        settings: the node's settings; port 0 takes any free port.
        stop: set by the caller, e.g. on SIGTERM.
        on_stored: called with batches of rows after they are in the index, in a thread of the listener.
        ready: called with the port once connections are accepted.

    Raises:
        Misconfigured: the address cannot be used, or the index settings are wrong.
    """
    with contextlib.ExitStack() as parts:
        listening = parts.enter_context(_listen(settings.listener))
        store = open_files(settings)
        index = LateIndex(settings.index_url)
        writer = parts.enter_context(_writing(index, on_stored))
        reception = Reception(store, writer.put)
        receiver = Receiver(settings.listener, lambda tally_of: receive_path(settings.listener, reception, tally_of))
        parts.callback(receiver.close, grace_s=settings.listener.stop_grace_s)
        parts.enter_context(_scanning(store, index, writer))
        port = int(listening.getsockname()[1])
        log.info("listener.started", host=settings.listener.host, port=port, ae_title=settings.listener.ae_title)
        if not settings.listener.peers and not admission.loopback_only(settings.listener):
            log.warning("listener.nobody_admitted", remedy="list the senders under listener.peers")
        if ready is not None:
            ready(port)
        accept_until(stop, listening, settings.listener, receiver)
    log.info("listener.stopped")


def receive_path(settings: ListenerSettings, reception: Reception, tally_of: TallyOf) -> ReceivePath:
    """The receive path that the settings name; the stock one when the library is not the one the other was made for."""
    from listener import receive_stream

    if settings.receive_path == "stream":
        missing = receive_stream.missing_names()
        if not missing:
            door = receive_stream.Door(
                reception=reception,
                tally_of=tally_of,
                max_pdu_bytes=settings.max_pdu_bytes,
                max_object_bytes=settings.max_object_bytes,
                acse_timeout_s=settings.acse_timeout_s,
                pdu_timeout_s=settings.pdu_timeout_s,
            )
            return ReceivePath("stream", request_handler=receive_stream.request_handler(door))
        log.warning("listener.stock_path", reason="pynetdicom has changed", missing=missing)
    return ReceivePath("stock", handlers=(store_handler(reception, tally_of),))


def accept_until(stop: threading.Event, listening: socket.socket, settings: ListenerSettings, takes: Takes) -> None:
    """The accept loop. Reads nothing from a connection, so no peer can hold up the next one."""
    with selectors.DefaultSelector() as selector:
        selector.register(listening, selectors.EVENT_READ)
        while not stop.is_set():
            if selector.select(POLL_S):
                _accept_one(listening, settings, takes)
            else:
                takes.reap()


def _accept_one(listening: socket.socket, settings: ListenerSettings, takes: Takes) -> None:
    try:
        connection, peer = listening.accept()
    except OSError as error:  # the peer has gone, or no file descriptor is left: those that are open go on
        log.warning("connection.failed", error=str(error.strerror))
        threading.Event().wait(POLL_S)
        return
    address = admission.parse_address(peer[0])
    reason = ""
    if not admission.address_may_connect(settings, address):
        reason = admission.UNKNOWN_ADDRESS.reason
    elif not admission.room_for(settings, takes.open_addresses(), address):
        reason = admission.TOO_MANY.reason
    if reason:
        log.warning("connection.refused", address=str(address), reason=reason)
        connection.close()
        return
    takes.take(connection, address)


class LateIndex:
    """The index, opened when it is first needed: objects are received and kept while the database is still away."""

    def __init__(self, url: str) -> None:
        self._url, self._lock = url, threading.Lock()
        self._index: SqlIndex | None = None

    def _opened(self) -> SqlIndex:
        with self._lock:
            if self._index is None:
                self._index = open_index(self._url)
            return self._index

    def record_instances(self, rows: Sequence[InstanceRow]) -> None:
        self._opened().record_instances(rows)

    def paths_under(self, prefix: str) -> dict[str, int]:
        return self._opened().paths_under(prefix)


@contextlib.contextmanager
def _listen(settings: ListenerSettings) -> Iterator[socket.socket]:
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


@contextlib.contextmanager
def _writing(index: LateIndex, on_stored: OnStored | None) -> Iterator[IndexWriter]:
    writer = IndexWriter(index.record_instances, on_recorded=on_stored)
    writer.start()
    try:
        yield writer
    finally:
        if not writer.close(timeout_s=FLUSH_S):
            log.error("index.not_flushed", waiting=writer.waiting, remedy="the scan at the next start writes them")


@contextlib.contextmanager
def _scanning(store: FileStore, index: LateIndex, writer: IndexWriter) -> Iterator[None]:
    """Scan in the background at start, and again whenever the writer had to drop rows."""
    stop = threading.Event()
    thread = threading.Thread(target=_scan, args=(store, index, writer, stop), name="reconcile", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(FLUSH_S)


def _scan(store: FileStore, index: LateIndex, writer: IndexWriter, stop: threading.Event) -> None:
    wanted = True
    with _reported("store.sweep_failed"):
        log.info("store.swept", temporary_files=store.sweep_temporary())
    while not stop.is_set():
        if wanted:
            writer.incomplete.clear()
            try:
                reconcile(store, index, stop=stop)
                wanted = False
            except Transient as error:
                log.warning("store.scan_waits", error=str(error))
            except Exception:  # reception goes on; the next start scans again
                log.exception("store.scan_failed")
                wanted = False
        stop.wait(INDEX_PAUSE_S)
        wanted = wanted or writer.incomplete.is_set()


@contextlib.contextmanager
def _reported(event: str, **facts: Any) -> Iterator[None]:
    try:
        yield
    except Exception:
        log.exception(event, **facts)
