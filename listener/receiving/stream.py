"""P-DATA of a C-STORE in, its spool file out: the reading half of the fast receive path.

The fast path replaces three parts of pynetdicom 3.0: the socket (stream_socket: one large buffer, deadlines), the
reactor of the association (stream_association: it waits for events instead of polling every millisecond) and, here, the
reading of P-DATA (no PDU objects, no data set in memory). Negotiation, release, abort, the state machine and every
other service stay pynetdicom's. docs/receive-path.md says why, and what to do when pynetdicom changes.

Nothing is allocated by a length that a peer claims: PDUs of negotiation and of other services have caps, fragments of
C-STORE pass through a fixed buffer.
"""

from __future__ import annotations

import ssl
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pynetdicom.dul import DULServiceProvider

from listener.receiving import dimse
from listener.receiving.associate_request import as_the_library_reads, fault_of
from listener.receiving.reception import Reception, Tally
from listener.receiving.stream_socket import StreamSocket
from workers.files.disk import Chunk
from workers.files.part10 import Announced
from workers.files.store import Spool
from workers.log import describe, get_logger

log = get_logger(__name__)

MAX_ASSOCIATE_BYTES = 256 << 10  # 128 contexts with 45 transfer syntaxes each are 150 kB; decoding takes 1 s per MB
# data set of any service but C-STORE (a storage commitment request has 100 bytes per object)
MAX_MESSAGE_BYTES = 8 << 20
MAX_FRAGMENT_BYTES = 1 << 20  # fragment of such a message
MAX_WAITING_PARTS = 512  # fragments of a byte each would else cost a hundred times their size
DRAIN_FACTOR = 2  # a refused data set is read up to this many times the limit, so that its sender gets the status
SLOWEST_BYTES_PER_S = 1000  # a data set that comes slower than this on average is cut off
SLOW_GRACE_S = 60.0

P_DATA_TF, A_ASSOCIATE_RQ = 0x04, 0x01
DATA_TRANSFER = "Sta6"  # PS3.8 section 9.2: state of an established association


class ProtocolError(Exception):
    """The peer broke PS3.8 or PS3.7; the association is aborted."""


@dataclass(frozen=True)
class Shared:
    """What every association of a listener shares."""

    reception: Reception
    tally_of: Callable[[Any], Tally]
    max_pdu_bytes: int
    max_object_bytes: int
    acse_timeout_s: float
    pdu_timeout_s: float


@dataclass
class _Store:
    """A C-STORE whose data set is arriving. spool None: it is refused with ``status`` and the rest is thrown away.

    tally: of the association.
    """

    tally: Tally
    context_id: int
    request: dimse.StoreRequest
    spool: Spool | None
    status: int
    since: float
    received: int = 0
    parts: list[Chunk] = field(default_factory=list)
    waiting: int = 0
    """Bytes of ``parts``: they lie in the socket's buffer and are not yet in the spool."""


class StreamDul(DULServiceProvider):  # type: ignore[misc] # pynetdicom has no types
    """The upper layer with its own reading of P-DATA. Runs in the association's DUL thread, C-STORE included."""

    def __init__(self, assoc: Any, shared: Shared) -> None:
        super().__init__(assoc)
        self._shared = shared
        self._run_loop_delay = 0  # StreamSocket.ready waits
        self._broken = False
        """The peer sent bytes that are no PDU: it gets one abort; what it sends after that is discarded."""
        self.busy = False
        """A message of the peer is being processed: the peer is not idle, however long the disk takes."""
        self._command = bytearray()
        self._store: _Store | None = None
        self._other_bytes: int | None = None  # of the data set of another service, None outside of one

    def stop_dul(self) -> bool:
        if self.socket is not None:
            self.socket.wake()
        return bool(super().stop_dul())

    def run_reactor(self) -> None:
        try:
            super().run_reactor()
        except Exception as error:  # the state machine has no answer to this order of events: hang up
            log.warning("association.failed", error=describe(error))
            self.assoc.is_aborted = True
            self.assoc.is_established = False
        finally:
            self._drop()  # released, aborted or timed out in the middle of an object
            if self.socket is not None:
                self.socket.close()  # the library leaves it open when it gives up over a PDU that it cannot decode
                self.socket.give_back()
            self.to_user_queue.put(None)  # ends the wait for the request of a peer that has hung up

    def _read_pdu_data(self) -> None:
        """Read one PDU, or as many as come without a pause while they belong to C-STORE."""
        sock = self.socket
        try:
            if self._broken:
                sock.discard()
                return
            while True:
                sock.begin_pdu()
                sock.need(6)
                kind, _, length = struct.unpack_from(">BBI", sock.buffer, sock.low)
                if kind != P_DATA_TF or self.state_machine.current_state != DATA_TRANSFER:
                    self._check_length(kind, length)
                    super()._read_pdu_data()
                    self._broken = "Evt19" in self.event_queue.queue
                    if self._broken:
                        self._drop()
                    return
                sock.low += 6
                sock.established()
                self.busy = True
                try:
                    self._read_p_data(sock, length)
                    self._idle_timer.restart()
                finally:
                    self.busy = False
                # the next request usually comes at once: waiting here saves two rounds of the reactor
                if self.event_queue.queue or self._kill_thread or self.to_provider_queue.queue:
                    return
                if not sock.ready:
                    return
        except OSError as error:
            if isinstance(error, ssl.SSLError):
                log.warning("tls.failed", reason=error.reason)
                self.assoc.tls_failed()
            self._drop()
            sock.close()  # tells the state machine
        except (ProtocolError, struct.error):
            self._drop()
            self._broken = True
            self.event_queue.put("Evt19")  # unrecognised or invalid PDU: abort

    def _decode_pdu(self, bytestream: bytearray) -> tuple[Any, str]:
        """As pynetdicom's, after what old peers write was made readable; a request that is not is named in the log."""
        if bytestream[0] != A_ASSOCIATE_RQ:
            return super()._decode_pdu(bytestream)  # type: ignore[no-any-return]
        request, address = bytes(bytestream), str(self.assoc.requestor.address)
        fault = fault_of(request)
        if fault is not None:
            log.warning("association.unreadable", address=address, reason=fault)
        try:
            return super()._decode_pdu(bytearray(as_the_library_reads(request)))  # type: ignore[no-any-return]
        except Exception as error:
            if fault is None:
                log.warning("association.unreadable", address=address, reason=f"malformed item ({describe(error)})")
            raise

    def _check_length(self, kind: int, length: int) -> None:
        """Before anything is allocated for it. Every PDU but these two is 4 bytes long (PS3.8 section 9.3)."""
        limit = MAX_ASSOCIATE_BYTES if kind == A_ASSOCIATE_RQ else MAX_FRAGMENT_BYTES if kind == P_DATA_TF else 4
        if length > limit and 1 <= kind <= 7:
            raise ProtocolError(f"PDU type {kind} of {length} bytes")

    def _read_p_data(self, sock: StreamSocket, left: int) -> None:
        if left > max(self._shared.max_pdu_bytes, MAX_FRAGMENT_BYTES):
            raise ProtocolError(f"P-DATA-TF of {left} bytes")
        while left:
            if left < 6:
                raise ProtocolError("rest of a PDU is too short for a PDV")
            sock.need(6)
            length, context_id, control = struct.unpack_from(">IBB", sock.buffer, sock.low)
            sock.low += 6
            if not 2 <= length <= left - 4:
                raise ProtocolError(f"PDV of {length} bytes in the last {left} bytes of a PDU")
            left -= 4 + length
            self._read_fragment(sock, length - 2, context_id, is_command=bool(control & 1), is_last=bool(control & 2))

    def _read_fragment(
        self, sock: StreamSocket, length: int, context_id: int, *, is_command: bool, is_last: bool
    ) -> None:
        if is_command:
            if self._store is not None or self._other_bytes is not None:
                raise ProtocolError("a command inside a data set")
            self._read_command(sock, length, context_id, is_last)
        elif self._store is not None:
            if context_id != self._store.context_id:
                raise ProtocolError("a data set changes its context")
            self._read_store_data(sock, length, self._store, is_last)
        elif self._other_bytes is not None:
            self._other_bytes += length
            if self._other_bytes > MAX_MESSAGE_BYTES or length > MAX_FRAGMENT_BYTES:
                raise ProtocolError("the data set of a message is too large")
            self._pass_on(context_id, 0x02 if is_last else 0x00, sock.take(length))
            if is_last:
                self._other_bytes = None
        else:
            raise ProtocolError("a data set without a command")

    def _read_command(self, sock: StreamSocket, length: int, context_id: int, is_last: bool) -> None:
        if len(self._command) + length > dimse.MAX_COMMAND_BYTES:
            raise ProtocolError("the command is too long")
        self._command += sock.take(length)
        if not is_last:
            return
        encoded, self._command = bytes(self._command), bytearray()
        try:
            command = dimse.parse_command(encoded)
            request = dimse.store_request(command)
        except ValueError as error:
            raise ProtocolError(str(error)) from error
        if request is None:
            self._other_bytes = 0 if dimse.has_data_set(command) else None
            self._pass_on(context_id, 0x03, encoded)
            return
        self._store = self._open(context_id, request)
        if not dimse.has_data_set(command):
            self._answer(sock, self._store)

    def _open(self, context_id: int, request: dimse.StoreRequest) -> _Store:
        context = self.assoc._accepted_cx.get(context_id)
        if context is None:
            raise ProtocolError("a request in a context that was not accepted")
        announced = Announced(
            sop_class_uid=request.sop_class_uid,
            sop_instance_uid=request.sop_instance_uid,
            transfer_syntax_uid=str(context.transfer_syntax[0]),
            calling_ae=self._calling_ae,
        )
        tally = self._shared.tally_of(self.assoc)
        store = _Store(tally, context_id, request, None, 0, time.monotonic())
        try:
            store.spool = self._shared.reception.begin(announced, str(context.abstract_syntax))
        except Exception as error:  # answered when the data set is through
            self._refuse(store, error)
        return store

    def _read_store_data(self, sock: StreamSocket, left: int, store: _Store, is_last: bool) -> None:
        store.received += left
        self._check_progress(store)
        while left:
            step = min(left, sock.high - sock.low)
            if step:
                store.parts.append(sock.view[sock.low : sock.low + step])
                store.waiting += step
                sock.low += step
                left -= step
                sock.release = self._write_waiting
                if len(store.parts) >= MAX_WAITING_PARTS:
                    self._write_waiting()
            else:
                sock.receive()
                self._check_progress(store)
        if is_last:
            self._answer(sock, store)

    def _check_progress(self, store: _Store) -> None:
        if store.received > DRAIN_FACTOR * self._shared.max_object_bytes:
            raise ProtocolError("the data set does not end")
        if time.monotonic() - store.since > SLOW_GRACE_S + store.received / SLOWEST_BYTES_PER_S:
            raise TimeoutError("the data set comes too slowly")

    def _write_waiting(self) -> None:
        """Write what lies in the socket's buffer, as much at a time as fits it: each call costs more than its bytes."""
        store = self._store
        if store is None or not store.waiting:
            return
        parts, count, store.parts, store.waiting = store.parts, store.waiting, [], 0
        if store.spool is None:
            return
        try:
            store.spool.write(parts, count)
        except Exception as error:
            self._refuse(store, error)

    def _answer(self, sock: StreamSocket, store: _Store) -> None:
        self._write_waiting()
        sock.release = None
        received = None
        if store.spool is not None:
            try:
                received = self._shared.reception.finish(store.spool, since=store.since)
                store.status = received.stored.status
            except Exception as error:
                self._refuse(store, error)
        self._store = None
        try:
            sock.socket.sendall(dimse.store_response(store.context_id, store.request, store.status))
        finally:
            if received is not None:
                self._shared.reception.note(received, store.tally)

    def _refuse(self, store: _Store, error: Exception) -> None:
        store.status = self._shared.reception.refused(error, store.tally, calling_ae=self._calling_ae)
        spool, store.spool = store.spool, None
        if spool is not None:
            spool.abort()

    def _drop(self) -> None:
        """Remove the unfinished object: its sender is gone, or broke the protocol."""
        store, self._store = self._store, None
        if self.socket is not None:
            self.socket.release = None
        if store is not None and store.spool is not None:
            store.spool.abort()

    def _pass_on(self, context_id: int, control: int, fragment: bytes) -> None:
        """Hand a fragment of another service to pynetdicom as the P-DATA-TF PDU it would have read itself."""
        length = len(fragment) + 2
        header = struct.pack(">BBIIBB", P_DATA_TF, 0, length + 4, length, context_id, control)
        pdu, event = self._decode_pdu(bytearray(header + fragment))
        self._recv_pdu.put(pdu)
        self.event_queue.put(event)

    @property
    def _calling_ae(self) -> str:
        return str(self.assoc.requestor.ae_title).strip()
