"""What old peers write into an association request: NUL padding and reserved bits are read, the rest is named."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
import structlog

from listener.receiving.associate_request import as_the_library_reads, fault_of
from tests.listener.harness import running
from tests.listener.rawscu import Raw, associate_rq
from tests.workers.reading.data_sets import STUDY, a_data_set, encoded

PLAIN = associate_rq()
VERSION, CALLED, CALLING = 6, 10, 26


def with_bytes(at: int, value: bytes) -> bytes:
    return PLAIN[:at] + value + PLAIN[at + len(value) :]


@pytest.mark.parametrize(
    "request_pdu",
    [
        pytest.param(PLAIN, id="noop"),
        pytest.param(with_bytes(CALLED, b"ICANSEE".ljust(16, b"\0")), id="called title padded with NUL"),
        pytest.param(with_bytes(CALLING, b"RAW".ljust(16, b"\0")), id="calling title padded with NUL"),
        pytest.param(with_bytes(CALLING, b"RAW\0rubbish after"[:16]), id="rubbish after the NUL"),
        pytest.param(with_bytes(VERSION, struct.pack(">H", 0x0003)), id="a reserved bit"),
        pytest.param(with_bytes(VERSION, struct.pack(">H", 0xFFFF)), id="all reserved bits"),
    ],
)
def test_read_as_what_it_means(request_pdu: bytes) -> None:
    assert as_the_library_reads(request_pdu) == PLAIN
    assert fault_of(request_pdu) is None


@pytest.mark.parametrize(
    ("request_pdu", "said"),
    [
        pytest.param(with_bytes(VERSION, b"\0\2"), "protocol version 0x0002: bit 0 is not set", id="another version"),
        pytest.param(with_bytes(CALLED, b" " * 16), "the called AE title is empty", id="empty called title"),
        pytest.param(with_bytes(CALLING, b"\0" * 16), "the calling AE title is empty", id="NUL calling title"),
        pytest.param(with_bytes(CALLING, "GRÖSSE".encode("latin1").ljust(16)), "printable ASCII", id="umlaut"),
        pytest.param(PLAIN[:40], "the request is 40 bytes long", id="not measured: too short"),
    ],
)
def test_a_fault_is_named(request_pdu: bytes, said: str) -> None:
    assert said in (fault_of(request_pdu) or "")


def test_a_node_and_its_old_peers(tmp_path: Path) -> None:
    odd = struct.pack(">H", 0x0101) + b"\0\0" + b"ICANSEE".ljust(16, b"\0") + b"OLD".ljust(16, b"\0")
    with structlog.testing.capture_logs() as lines, running(tmp_path / "state") as node:
        with Raw.connect(node.port) as raw:
            raw.send(with_bytes(VERSION, odd))
            assert raw.read()[0] == 2
            assert raw.store(f"{STUDY}.1.1", encoded(a_data_set())) == 0
            raw.release()
        with Raw.connect(node.port) as raw:
            raw.send(with_bytes(VERSION, b"\0\2"))
            assert raw.read()[0] == 3  # A-ASSOCIATE-RJ
        with Raw.connect(node.port) as raw:
            raw.send(with_bytes(CALLING, b"\0" * 16))
            assert raw.hung_up()
    said = [line["reason"] for line in lines if line["event"] == "association.unreadable"]
    assert said == ["protocol version 0x0002: bit 0 is not set", "the calling AE title is empty"]
    closed = [line["calling_ae"] for line in lines if line["event"] == "association.closed"]
    assert "OLD" in closed
