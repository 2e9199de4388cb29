"""HL7 over MLLP as a client: one message out, its answer in.

MLLP puts a message between <VT> and <FS><CR> (HL7 v2.5.1, Appendix C; Minimal Lower Layer Protocol, release 1).
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import time

START, END = b"\x0b", b"\x1c\r"
LONGEST_ANSWER_BYTES = 1 << 16
CHUNK_BYTES = 1 << 12


def framed(message: bytes) -> bytes:
    return START + message + END


class MllpConnection:
    """Opened by the first exchange and kept until ``close`` or a failure. Not for several threads."""

    def __init__(self, host: str, port: int, tls: ssl.SSLContext | None, *, timeout_s: float) -> None:
        self._host, self._port, self._tls, self._timeout_s = host, port, tls, timeout_s
        self._socket: socket.socket | None = None

    def exchange(self, message: bytes) -> bytes:
        """The answer without its framing.

        Raises:
            OSError: no connection, it broke off, or no whole answer within the time limit.
            ValueError: what came is no MLLP frame.
        """
        deadline = time.monotonic() + self._timeout_s
        try:
            if self._socket is None:
                self._socket = self._connected()
            self._socket.settimeout(self._timeout_s)
            self._socket.sendall(framed(message))
            return _answer(self._socket, deadline)
        except (OSError, ValueError):
            self.close()
            raise

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


def _answer(connection: socket.socket, deadline: float) -> bytes:
    received = bytearray()
    while not received.endswith(END):
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("no whole answer within the time limit")
        connection.settimeout(left_s)
        more = connection.recv(CHUNK_BYTES)
        if not more:
            raise ConnectionResetError("the other side closed the connection before its answer")
        received += more
        if not received.startswith(START) or len(received) > LONGEST_ANSWER_BYTES:
            raise ValueError("the answer is no MLLP frame")
    return bytes(received[len(START) : -len(END)])
