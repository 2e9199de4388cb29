"""A small MLLP server whose answer to each message is given beforehand."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

DROP = b""  # closes without an answer


def ack(code: str, number: str | None = None, error: str = "") -> Callable[[bytes], bytes]:
    """Acknowledges with the code; number None: that of the message."""

    def answer(message: bytes) -> bytes:
        sent = message.split(b"\r")[0].split(b"|")[9].decode()
        lines = [
            f"MSH|^~\\&|RIS||ICANSEE||20240311||ACK|1|P|2.5.1\rMSA|{code}|{number or sent}|about Jane Doe\r",
            error,
        ]
        return b"\x0b" + "".join(lines).encode() + b"\x1c\r"

    return answer


@dataclass
class Scripted:
    port: int
    got: list[bytes] = field(default_factory=list)
    connections: int = 0
    ended: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))  # connections that it closed


@contextlib.contextmanager
def ended(server: Scripted) -> Iterator[None]:
    try:
        yield
    finally:
        server.ended.release()


@contextlib.contextmanager
def scripted(
    *answers: Callable[[bytes], bytes | None] | bytes | None,
    tls: ssl.SSLContext | None = None,
    hangs_up: bool = False,
) -> Iterator[Scripted]:
    """Answers one message after the other, the last answer again and again. None: silence. hangs_up: it closes the
    connection behind each answer."""
    listening = socket.create_server(("127.0.0.1", 0))
    server, stop = Scripted(listening.getsockname()[1]), threading.Event()

    def serve(plain: socket.socket) -> None:
        with (
            contextlib.suppress(OSError),
            ended(server),
            tls.wrap_socket(plain, server_side=True) if tls else plain as connection,
        ):
            while message := _message(connection):
                answer = answers[min(len(server.got), len(answers) - 1)]
                server.got.append(message)
                said = answer(message) if callable(answer) else answer
                if said is None:
                    stop.wait()
                if not said:
                    return
                connection.sendall(said)
                if hangs_up:
                    return

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listening.accept()
                server.connections += 1
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield server
    stop.set()
    listening.close()


def _message(connection: socket.socket) -> bytes:
    received = b""
    while not received.endswith(b"\x1c\r"):
        more = connection.recv(65536)
        if not more:
            return b""
        received += more
    return received[1:-2]
