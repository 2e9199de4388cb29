"""A real MLLP port: an independent client, malformed and hostile senders, answers AA, AE and AR."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hl7.client import MLLPClient

from listener.mllp import server as mllp
from listener.mllp.server import Door, MllpServer, Take
from tests.patience import PATIENCE_S
from tests.workers.feeds.test_hl7_messages import PID, WORDS, message
from workers.feeds.hl7_messages import LONGEST_BYTES
from workers.feeds.inbox import Inbox

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)


@contextmanager
def serving(door: Door) -> Iterator[int]:
    """A server on a free port in a thread of its own."""
    ready, stop, port = threading.Event(), threading.Event(), [0]

    async def run() -> None:
        async with MllpServer(door, host="127.0.0.1", port=0) as server:
            port[0] = server.port
            ready.set()
            await asyncio.to_thread(stop.wait)

    thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
    thread.start()
    assert ready.wait(PATIENCE_S)
    try:
        yield port[0]
    finally:
        stop.set()
        thread.join(PATIENCE_S)


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    return Inbox(tmp_path / "inbox", WORDS)


def ask(port: int, *messages: bytes) -> list[list[str]]:
    """The segments of each answer."""
    with MLLPClient("127.0.0.1", port) as client:
        answers = [client.send_message(one) for one in messages]
    return [answer.strip(b"\x0b\x1c\r").decode().split("\r") for answer in answers]


def test_an_independent_client_is_acknowledged(inbox: Inbox) -> None:
    with serving(Door(inbox.take, LOOPBACK)) as port:
        answers = ask(port, message("ADT^A40", PID, "MRG|OLD"), message("ORU^R01", PID))
    assert [answer[1].split("|")[:3] for answer in answers] == [["MSA", "AA", "42"], ["MSA", "AA", "42"]]
    assert answers[0][0].split("|")[8] == "ACK^A40^ACK"
    assert inbox.waiting() == (1, 0)


def test_a_malformed_message_gets_ae_with_the_reason_and_the_next_one_is_read(inbox: Inbox) -> None:
    with serving(Door(inbox.take, LOOPBACK)) as port:
        answers = ask(port, message("ADT^A40", PID), b"no message", message("ADT^A40", PID, "MRG|OLD"))
    assert [answer[1].split("|")[1] for answer in answers] == ["AE", "AE", "AA"]
    assert "MRG" in answers[0][1]
    assert answers[0][2].startswith("ERR|||102^")
    assert not any("P7" in line for answer in answers for line in answer)


@pytest.mark.parametrize(
    ("size", "code"),
    [
        pytest.param(1000, "AA", id="noop: small"),
        pytest.param(LONGEST_BYTES - 1000, "AA", id="just short enough"),
        pytest.param(LONGEST_BYTES, "AE", id="a little too long"),
        pytest.param(LONGEST_BYTES + 2000, "AE", id="longer than the buffer"),
        pytest.param(5 * LONGEST_BYTES, "AE", id="an embedded document"),
    ],
)
def test_a_message_that_is_too_long_is_answered_and_the_next_one_is_read(inbox: Inbox, size: int, code: str) -> None:
    report = message("ORU^R01", PID, "OBX|1|ED|PDF||^^PDF^Base64^" + "A" * size)
    with serving(Door(inbox.take, LOOPBACK)) as port:
        answers = ask(port, report, message("ADT^A40", PID, "MRG|OLD"))
    assert [answer[1].split("|")[:3] for answer in answers] == [["MSA", code, "42"], ["MSA", "AA", "42"]]
    assert inbox.waiting() == (1, 0)


@pytest.mark.parametrize(
    ("raw", "control_id"),
    [
        pytest.param(b"A" * (2 * LONGEST_BYTES), "", id="not measured: no header"),
        pytest.param(message("ADT^A08", PID, character_set="KLINGON"), "42", id="an unknown character set"),
        pytest.param(message("ADT^A08", *["NTE|1"] * 3000), "42", id="too many segments"),
        pytest.param(message("ADT^A08", PID).replace(b"ADT^A08", b""), "42", id="no type"),
    ],
)
def test_what_cannot_be_read_is_answered_by_its_control_id(inbox: Inbox, raw: bytes, control_id: str) -> None:
    with serving(Door(inbox.take, LOOPBACK)) as port:
        (answer,) = ask(port, raw)
    assert answer[1].split("|")[1:3] == ["AE", control_id]


def full(_: bytes) -> tuple[None, str]:
    raise OSError(28, "No space left on device")


def test_what_cannot_be_stored_is_not_accepted() -> None:
    take: Take = full  # type: ignore[assignment] # it only raises
    with serving(Door(take, LOOPBACK)) as port:
        (answer,) = ask(port, message("ADT^A40", PID, "MRG|OLD"))
    assert answer[1].split("|")[1] == "AR"


def test_a_stranger_is_not_answered(inbox: Inbox) -> None:
    door = Door(inbox.take, (ipaddress.ip_network("10.1.0.0/16"),))
    with serving(door) as port, socket.create_connection(("127.0.0.1", port), 5) as stranger:
        stranger.sendall(b"\x0b" + message("ADT^A40", PID, "MRG|OLD") + b"\x1c\r")
        assert read_all(stranger) == b""
    assert inbox.waiting() == (0, 0)


def read_all(stranger: socket.socket) -> bytes:
    """Until the other side closes."""
    stranger.settimeout(10)
    try:
        return b"".join(iter(lambda: stranger.recv(4096), b""))
    except ConnectionResetError:
        return b""


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"\x0b" + b"A" * (3 << 20), id="a frame without end"),
        pytest.param(b"\x0bMSH|^~\\&|half", id="half a frame, then silence"),
    ],
)
def test_a_hostile_sender_costs_only_its_connection(inbox: Inbox, sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mllp, "FRAME_TIMEOUT_S", 0.3)
    with serving(Door(inbox.take, LOOPBACK)) as port, socket.create_connection(("127.0.0.1", port), 5) as hostile:
        try:
            hostile.sendall(sent)
            assert read_all(hostile) == b""
        except (BrokenPipeError, ConnectionResetError):
            pass
        (answer,) = ask(port, message("ADT^A40", PID, "MRG|OLD"))
    assert answer[1].split("|")[1] == "AA"


def test_connections_are_limited(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mllp, "MOST_CONNECTIONS", 1)
    with serving(Door(inbox.take, LOOPBACK)) as port, MLLPClient("127.0.0.1", port) as first:
        assert b"|AA|" in first.send_message(message("ORU^R01", PID))
        with socket.create_connection(("127.0.0.1", port), 5) as second:
            assert read_all(second) == b""
        assert b"|AA|" in first.send_message(message("ORU^R01", PID))
