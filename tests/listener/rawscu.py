"""A DICOM client that says exactly the bytes a test wants, without any library's good manners."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.patience import PATIENCE_S

MR = "1.2.840.10008.5.1.4.1.1.4"
EXPLICIT = "1.2.840.10008.1.2.1"
VERIFICATION = "1.2.840.10008.1.1"
P_DATA, RELEASE_RQ, ABORT = 4, 5, 7


def pdu(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBI", kind, 0, len(body)) + body


def item(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(body)) + body


def associate_rq(
    contexts: Sequence[tuple[int, str, Sequence[str]]] = ((1, MR, (EXPLICIT,)),),
    *,
    calling: str = "RAW",
    called: str = "ICANSEE",
    max_pdu: int = 16384,
) -> bytes:
    """A-ASSOCIATE-RQ (PS3.8 section 9.3.2)."""
    body = struct.pack(">HH16s16s32x", 1, 0, called.encode().ljust(16), calling.encode().ljust(16))
    body += item(0x10, b"1.2.840.10008.3.1.1.1")
    for number, abstract, transfers in contexts:
        syntaxes = item(0x30, abstract.encode()) + b"".join(item(0x40, t.encode()) for t in transfers)
        body += item(0x20, struct.pack(">BBBB", number, 0, 0, 0) + syntaxes)
    user = item(0x51, struct.pack(">I", max_pdu)) + item(0x52, b"1.2.3.4") + item(0x55, b"RAW")
    return pdu(1, body + item(0x50, user))


def element(number: int, value: bytes) -> bytes:
    if len(value) % 2:
        value += b"\0"
    return struct.pack("<HHI", 0, number, len(value)) + value


def command(
    *, field: int = 1, uid: str = "1.2.3", sop_class: str = MR, message_id: int = 7, data_set: int = 0
) -> bytes:
    """A command set; field 1 is C-STORE-RQ, 0x30 C-ECHO-RQ."""
    body = element(0x0002, sop_class.encode()) + element(0x0100, struct.pack("<H", field))
    body += element(0x0110, struct.pack("<H", message_id)) + element(0x0700, b"\0\0")
    body += element(0x0800, struct.pack("<H", data_set)) + element(0x1000, uid.encode())
    return element(0, struct.pack("<I", len(body))) + body


def pdv(context: int, control: int, data: bytes) -> bytes:
    """control: 1 command, 0 data set, plus 2 on the last fragment."""
    return struct.pack(">IBB", len(data) + 2, context, control) + data


def data_pdus(data: bytes, *, context: int = 1, control: int = 0, size: int = 16000) -> list[bytes]:
    pieces = [data[start : start + size] for start in range(0, len(data), size)] or [b""]
    last = len(pieces) - 1
    return [pdu(P_DATA, pdv(context, control | 2 * (n == last), piece)) for n, piece in enumerate(pieces)]


def store_pdus(uid: str, data: bytes, *, size: int = 16000, context: int = 1) -> list[bytes]:
    return data_pdus(command(uid=uid), control=1, context=context) + data_pdus(data, size=size, context=context)


@dataclass
class Raw:
    """A connection. Everything raises ConnectionError when the node hung up."""

    sock: socket.socket

    @classmethod
    def connect(cls, port: int, *, timeout_s: float = PATIENCE_S) -> Raw:
        sock = socket.create_connection(("127.0.0.1", port), timeout=timeout_s)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return cls(sock)

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def send(self, *parts: bytes) -> None:
        self.sock.sendall(b"".join(parts))

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = self.sock.recv(count - len(data))
            if not more:
                raise ConnectionError("hung up")
            data += more
        return data

    def read(self) -> tuple[int, bytes]:
        """(PDU type, body) of the next PDU."""
        kind, _, length = struct.unpack(">BBI", self._exactly(6))
        return kind, self._exactly(length)

    def associate(self, *arguments: object, **keywords: object) -> Raw:
        self.send(associate_rq(*arguments, **keywords))  # type: ignore[arg-type]
        kind, _ = self.read()
        if kind != 2:
            raise ConnectionError(f"not accepted, PDU type {kind}")
        return self

    def status(self) -> int:
        """The status of the response that comes next."""
        kind, body = self.read()
        if kind != P_DATA:
            raise ConnectionError(f"PDU type {kind} instead of a response")
        at = body.index(struct.pack("<HHI", 0, 0x0900, 2)) + 8
        return int.from_bytes(body[at : at + 2], "little")

    def store(self, uid: str, data: bytes, *, size: int = 16000) -> int:
        self.send(*store_pdus(uid, data, size=size))
        return self.status()

    def release(self) -> None:
        self.send(pdu(RELEASE_RQ, bytes(4)))
        assert self.read()[0] == 6
        self.sock.close()

    def hung_up(self) -> bool:
        """Whether the node aborts or closes, within the socket's timeout."""
        try:
            while True:
                if self.read()[0] == ABORT:
                    return True
        except TimeoutError:
            return False
        except OSError:
            return True


def accepted_contexts(body: bytes) -> dict[int, str]:
    """Accepted contexts of an A-ASSOCIATE-AC: number -> transfer syntax."""
    accepted = {}
    for kind, value in _items(body[68:]):
        if kind == 0x21 and value[2] == 0:
            accepted[value[0]] = dict(_items(value[4:]))[0x40].decode().rstrip("\0")
    return accepted


def _items(data: bytes) -> Iterable[tuple[int, bytes]]:
    while len(data) >= 4:
        kind, _, length = struct.unpack_from(">BBH", data)
        yield kind, data[4 : 4 + length]
        data = data[4 + length :]
