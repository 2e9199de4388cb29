"""The socket of the fast receive path: a fixed buffer in front of it, a deadline for every PDU, and no polling."""

from __future__ import annotations

import mmap
import os
import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from pynetdicom.transport import AssociationSocket

BUFFER_BYTES = 256 << 10  # of one association; more gains nothing on loopback
LEAST_ROOM_BYTES = 16 << 10  # with less behind it, what is unread moves to the start of the buffer
WAIT_MS = 250  # longest sleep of a reactor; its timers are looked at this often


class StreamSocket(AssociationSocket):  # type: ignore[misc] # pynetdicom has no types
    """A socket with a read-ahead buffer and a deadline per PDU; ``ready`` sleeps until there is something to do.

    Args:
        assoc: the association it serves.
        connection: the connected socket, plain or TLS.
        first_timeout_s: for a PDU until the association is established.
        pdu_timeout_s: for a PDU after that.
    """

    def __init__(self, assoc: Any, connection: Any, *, first_timeout_s: float, pdu_timeout_s: float) -> None:
        super().__init__(assoc, client_socket=connection)
        # pages of its own: resident only as far as they were used, and given back at the end
        self.buffer = mmap.mmap(-1, BUFFER_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        with suppress(OSError):  # a kernel without them; neighbouring buffers could else become one huge page
            self.buffer.madvise(mmap.MADV_NOHUGEPAGE)
        self.view = memoryview(self.buffer)
        self.low = self.high = 0  # unread bytes are buffer[low:high]
        self.release: Callable[[], None] | None = None
        """Set while bytes before ``low`` are still needed; called once, before they are overwritten."""
        self.deadline = 0.0
        self._timeout_s = first_timeout_s
        self._established_timeout_s: float | None = pdu_timeout_s
        self._limit_waiting(first_timeout_s)
        self._wake_lock = threading.Lock()
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(connection.fileno(), select.POLLIN)
        self._poll.register(self._wake_fd, select.POLLIN)

    def wake(self) -> None:
        """Make ``ready`` return now; from any thread."""
        with self._wake_lock:  # the number of a closed descriptor may belong to another file by now
            if self._wake_fd >= 0:
                os.eventfd_write(self._wake_fd, 1)

    @property
    def ready(self) -> bool:
        """Whether bytes can be read. Waits a little for them, unless the state machine has something to do."""
        if self.socket is None or not self._is_connected:
            time.sleep(0.001)  # the reactor ends soon; until then it must not spin
            return False
        if self.high > self.low or self._decrypted():
            return True
        try:
            events = self._poll.poll(WAIT_MS if self.event_queue.empty() else 0)
        except (OSError, ValueError):
            self.event_queue.put("Evt17")  # transport connection closed
            return False
        woken = any(fd == self._wake_fd for fd, _ in events)
        if woken:
            with suppress(OSError):
                os.eventfd_read(self._wake_fd)
        return len(events) > woken

    def _decrypted(self) -> bool:
        """TLS: bytes that were already taken from the network."""
        pending = getattr(self.socket, "pending", None)
        return pending is not None and pending() > 0

    def begin_pdu(self) -> None:
        """From now on the rest of this PDU must come within the timeout."""
        self.deadline = time.monotonic() + self._timeout_s

    def established(self) -> None:
        """The association is established: the longer timeout counts from now on."""
        if self._established_timeout_s is not None and self.socket is not None:
            self._timeout_s, self._established_timeout_s = self._established_timeout_s, None
            self._limit_waiting(self._timeout_s)
            self.begin_pdu()

    def _limit_waiting(self, seconds: float) -> None:
        """Of one recv or send; without it a silent peer would hold the thread."""
        if isinstance(self.socket, ssl.SSLSocket):
            self.socket.settimeout(seconds)
            return
        # by the kernel: Python's own timeout costs a poll() before each recv() and send()
        self.socket.settimeout(None)
        limit = struct.pack("@ll", int(seconds), round(1e6 * (seconds % 1)))  # struct timeval
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            self.socket.setsockopt(socket.SOL_SOCKET, option, limit)

    def receive(self) -> None:
        """Read once into the free part of the buffer.

        Raises:
            OSError: the peer is gone, silent for too long, or dribbles.
        """
        if self.release is None or len(self.buffer) - self.high < LEAST_ROOM_BYTES:
            self._make_room()
        if time.monotonic() > self.deadline:
            raise TimeoutError("the PDU did not come in time")
        if self.socket is None:
            raise ConnectionError("closed")
        count = self.socket.recv_into(self.view[self.high :])
        if not count:
            raise ConnectionError("closed inside a PDU")
        self.high += count

    def _make_room(self) -> None:
        release, self.release = self.release, None
        if release is not None:
            release()
        if self.low == self.high:
            self.low = self.high = 0
        elif len(self.buffer) - self.high < LEAST_ROOM_BYTES:
            rest = bytes(self.view[self.low : self.high])
            self.buffer[: len(rest)] = rest
            self.low, self.high = 0, len(rest)

    def discard(self) -> None:
        """Throw away what is here and what comes next.

        Raises:
            OSError: the peer is gone, or silent for too long.
        """
        self.low = self.high = 0
        self.receive()
        self.low = self.high = 0

    def need(self, count: int) -> None:
        """Have at least ``count`` unread bytes, at most half a buffer."""
        while self.high - self.low < count:
            self.receive()

    def take(self, count: int) -> bytes:
        """The next ``count`` bytes; the caller has checked that the number is reasonable."""
        parts: list[bytes] = []
        while count:
            self.need(1)
            step = min(count, self.high - self.low)
            parts.append(bytes(self.view[self.low : self.low + step]))
            self.low += step
            count -= step
        return b"".join(parts)

    def recv(self, nr_bytes: int) -> bytearray:
        """What pynetdicom's own reading calls; lengths were checked before."""
        return bytearray(self.take(nr_bytes))

    def give_back(self) -> None:
        """Its memory, when nothing will be read any more: the object itself waits for the garbage collector."""
        self.release = None
        self.buffer.madvise(mmap.MADV_DONTNEED)

    def close(self) -> None:
        super().close()
        with self._wake_lock:
            descriptor, self._wake_fd = self._wake_fd, -1
            if descriptor >= 0:
                os.close(descriptor)
