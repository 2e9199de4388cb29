"""HL7 over MLLP as a client: one message out, its answer in.

MLLP puts a message between <VT> and <FS><CR> (HL7 v2.5.1, Appendix C; Minimal Lower Layer Protocol, release 1).
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import time
from collections.abc import Callable

START, END = b"\x0b", b"\x1c\r"
LONGEST_ANSWER_BYTES = 1 << 16
CHUNK_BYTES = 1 << 12
STRAY_BYTES = 16  # of line ends and the like that some senders put behind a frame; more is another protocol


def framed(message: bytes) -> bytes:
    return START + message + END


class OtherAnswerError(OSError):
    """Nobody answered about the message, and somebody about another one."""


class MllpConnection:
    """Opened by the first exchange and kept until ``close`` or a failure. Not for several threads."""

    def __init__(self, host: str, port: int, tls: ssl.SSLContext | None, *, timeout_s: float) -> None:
        self._host, self._port, self._tls, self._timeout_s = host, port, tls, timeout_s
        self._socket: socket.socket | None = None
        self._read = bytearray()

    def exchange(self, message: bytes, meant: Callable[[bytes], bool] = lambda _answer: True) -> bytes:
        """The answer without its framing.

        Args:
            meant: whether an answer is about this message. Others are passed over: a receiver may acknowledge twice
                (when it has a message, and when it has used it), or late.

        Raises:
            OSError: no connection, it broke off, or no whole answer within the time limit.
            OtherAnswerError: the same, and there was an answer about something else.
            ValueError: what came is no MLLP frame.
        """
        deadline = time.monotonic() + self._timeout_s
        others = 0
        try:
            if self._socket is not None and _has_ended(self._socket):
                self.close()
            if self._socket is None:
                self._socket, self._read = self._connected(), bytearray()
            self._socket.settimeout(self._timeout_s)
            self._socket.sendall(framed(message))
            while not meant(answer := _answer(self._socket, self._read, deadline)):
                others += 1
        except (OSError, ValueError) as error:
            self.close()
            if others and isinstance(error, OSError):
                raise OtherAnswerError("the other side answers about something else") from error
            raise
        return answer

    def close(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.close()
        self._socket = None

    def _connected(self) -> socket.socket:
        plain = socket.create_connection((self._host, self._port), timeout=self._timeout_s)
        if self._tls is None:
            return plain
        try:
            return self._tls.wrap_socket(plain, server_hostname=self._host)
        except (OSError, ValueError):
            plain.close()
            raise


def _has_ended(connection: socket.socket) -> bool:
    """Whether the other side closed it behind its last answer, as some receivers do after each one. Under TLS whatever
    comes between two messages counts as that."""
    ready, _, _ = select.select([connection], [], [], 0)
    if not ready or isinstance(connection, ssl.SSLSocket):
        return bool(ready)
    try:
        return not connection.recv(1, socket.MSG_PEEK)
    except OSError:
        return True


def _answer(connection: socket.socket, read: bytearray, deadline: float) -> bytes:
    """The next answer. read: what came and is not used yet. What lies between frames is dropped."""
    while END not in (frame := _from_start(read)):
        if len(frame) > LONGEST_ANSWER_BYTES:
            raise ValueError("the answer is no MLLP frame")
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("no whole answer within the time limit")
        connection.settimeout(left_s)
        more = connection.recv(CHUNK_BYTES)
        if not more:
            raise ConnectionResetError("the other side closed the connection before its answer")
        read += more
    answer, _, rest = frame.partition(END)
    read[:] = rest[rest.index(START) :] if START in rest else b""  # what follows without a start begins no frame
    return answer[len(START) :]


def _from_start(read: bytearray) -> bytes:
    """From the first start of a frame on; empty: none came yet."""
    stray, start, rest = bytes(read).partition(START)
    if len(stray) > STRAY_BYTES:
        raise ValueError("the answer is no MLLP frame")
    return start + rest
