"""The sender of bench/ingest: C-STORE as fast as the receiver answers, every PDU built before the clock starts."""

from __future__ import annotations

import multiprocessing as mp
import socket
import struct
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from threading import BrokenBarrierError
from typing import Any

MR = "1.2.840.10008.5.1.4.1.1.4"
EXPLICIT = "1.2.840.10008.1.2.1"


@dataclass(frozen=True)
class Result:
    """seconds: from the first byte sent to the last answer. latencies_s: one per instance, request to answer."""

    seconds: float
    latencies_s: tuple[float, ...]
    failures: int


def send(
    port: int, called: str, parts: Sequence[Sequence[tuple[str, bytes]]], *, association_per_image: bool = False
) -> Result:
    """Send (UID, data set) lists, one process and association each, all starting together."""
    context = mp.get_context("fork")
    gate, results = context.Barrier(len(parts) + 1), context.SimpleQueue()
    run = _one_each if association_per_image else _one_association
    senders = [context.Process(target=_guarded, args=(run, port, called, part, gate, results)) for part in parts]
    for sender in senders:
        sender.start()
    with suppress(BrokenBarrierError):
        gate.wait(120)
    found = [results.get() for _ in senders]
    for sender in senders:
        sender.join()
    errors = [one for one in found if isinstance(one, str)]
    if errors:
        raise ConnectionError(errors[0])
    latencies = tuple(latency for _, _, some, _ in found for latency in some)
    first, last = min(start for start, *_ in found), max(end for _, end, *_ in found)
    return Result(last - first, latencies, sum(failed for *_, failed in found))


def _guarded(run: Any, port: int, called: str, part: Sequence[tuple[str, bytes]], gate: Any, results: Any) -> None:
    try:
        results.put(run(port, called, part, gate))
    except Exception as error:
        results.put(repr(error))
        gate.abort()


def _one_association(
    port: int, called: str, part: Sequence[tuple[str, bytes]], gate: Any
) -> tuple[float, float, list[float], int]:
    sock, max_pdu = associate(port, called)
    messages = [store_message(number, uid, data, max_pdu) for number, (uid, data) in enumerate(part)]
    gate.wait(120)
    latencies, failed = [], 0
    start = time.perf_counter()
    for message in messages:
        before = time.perf_counter()
        sock.sendall(message)
        failed += read_status(sock) not in (0, 0xB007)
        latencies.append(time.perf_counter() - before)
    end = time.perf_counter()
    release(sock)
    return start, end, latencies, failed


def _one_each(
    port: int, called: str, part: Sequence[tuple[str, bytes]], gate: Any
) -> tuple[float, float, list[float], int]:
    messages = [store_message(number, uid, data, 16000) for number, (uid, data) in enumerate(part)]
    gate.wait(120)
    latencies, failed = [], 0
    start = time.perf_counter()
    for message in messages:
        before = time.perf_counter()
        sock, _ = associate(port, called)
        sock.sendall(message)
        failed += read_status(sock) not in (0, 0xB007)
        release(sock)
        latencies.append(time.perf_counter() - before)
    return start, time.perf_counter(), latencies, failed


def send_big(port: int, called: str, uid: str, start: bytes, size: int) -> tuple[float, int]:
    """One object: ``start`` and then ``size`` zero bytes, made while they are sent. (seconds, status)."""
    sock, max_pdu = associate(port, called)
    command = store_message(1, uid, b"", max_pdu)
    block = bytes(max_pdu - 6)
    full, rest = _p_data(0, block), size % len(block)
    before = time.perf_counter()
    sock.sendall(command + _p_data(0, start))
    for _ in range(size // len(block)):
        sock.sendall(full)
    sock.sendall(_p_data(2, bytes(rest)))
    status = read_status(sock)
    seconds = time.perf_counter() - before
    release(sock)
    return seconds, status


def stay(port: int, called: str, count: int) -> list[socket.socket]:
    """Associations that say nothing more."""
    return [associate(port, called)[0] for _ in range(count)]


def associate(port: int, called: str) -> tuple[socket.socket, int]:
    """(socket, longest PDU the peer takes)."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=60)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    body = struct.pack(">HH16s16s32x", 1, 0, called.encode().ljust(16), b"BENCH".ljust(16))
    body += _item(0x10, b"1.2.840.10008.3.1.1.1")
    body += _item(0x20, b"\1\0\0\0" + _item(0x30, MR.encode()) + _item(0x40, EXPLICIT.encode()))
    body += _item(0x50, _item(0x51, struct.pack(">I", 1 << 17)) + _item(0x52, b"1.2.3.4"))
    sock.sendall(struct.pack(">BBI", 1, 0, len(body)) + body)
    kind, answer = _pdu(sock)
    if kind != 2:
        raise ConnectionError(f"association not accepted (PDU type {kind})")
    at = answer.find(b"\x51\0\0\4")
    limit = struct.unpack_from(">I", answer, at + 4)[0] if at >= 0 else 16384
    return sock, min(limit or 1 << 17, 1 << 17)


def store_message(number: int, uid: str, data: bytes, max_pdu: int) -> bytes:
    body = b"".join(
        (
            _element(0x0002, MR.encode()),
            _element(0x0100, b"\1\0"),
            _element(0x0110, struct.pack("<H", number % 65535 + 1)),
            _element(0x0700, b"\0\0"),
            _element(0x0800, b"\0\0"),
            _element(0x1000, uid.encode()),
        )
    )
    parts = [_p_data(3, _element(0, struct.pack("<I", len(body))) + body)]
    step = max_pdu - 6
    for at in range(0, len(data), step):
        parts.append(_p_data(2 if at + step >= len(data) else 0, data[at : at + step]))
    return b"".join(parts)


def _p_data(control: int, data: bytes) -> bytes:
    return struct.pack(">BBIIBB", 4, 0, len(data) + 6, len(data) + 2, 1, control) + data


def _element(number: int, value: bytes) -> bytes:
    value += b"\0" * (len(value) % 2)
    return struct.pack("<HHI", 0, number, len(value)) + value


def _item(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(body)) + body


def _pdu(sock: socket.socket) -> tuple[int, bytes]:
    kind, _, length = struct.unpack(">BBI", _exactly(sock, 6))
    return kind, _exactly(sock, length)


def _exactly(sock: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = sock.recv(count - len(data))
        if not more:
            raise ConnectionError("the receiver hung up")
        data += more
    return data


def read_status(sock: socket.socket) -> int:
    _, body = _pdu(sock)
    at = body.rindex(struct.pack("<HHI", 0, 0x0900, 2)) + 8  # the last one: message ID 0x0209 looks the same
    return int.from_bytes(body[at : at + 2], "little")


def release(sock: socket.socket) -> None:
    sock.sendall(struct.pack(">BBI", 5, 0, 4) + bytes(4))
    _pdu(sock)
    sock.close()
