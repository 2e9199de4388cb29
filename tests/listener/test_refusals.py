"""Refusals in the log: one line for an address and a reason in a minute, the next one says how many were left out."""

from __future__ import annotations

import socket
from typing import cast

import pytest
import structlog

from listener.door import port
from listener.door.port import ConnectionServer
from listener.meters import Meter
from listener.refusals import EVERY_S, MOST_ADDRESSES, RefusalLog
from workers.audit.spool import NoAudit
from workers.settings import ListenerSettings, Peer

ONE, OTHER = "10.0.0.1", "10.0.0.2"
FLOOD = [(0.0, "10.0.0.1", "not a listed peer")] * 500


@pytest.mark.parametrize(
    ("refusals", "said"),
    [
        pytest.param([], [], id="noop"),
        pytest.param(FLOOD, [("10.0.0.1", None)], id="a flood is one line"),
        pytest.param([*FLOOD, (EVERY_S, *FLOOD[0][1:])], [("10.0.0.1", None), ("10.0.0.1", 499)], id="then the count"),
        pytest.param([FLOOD[0], (1.0, OTHER, "not a listed peer")], [(ONE, None), (OTHER, None)], id="another address"),
        pytest.param([FLOOD[0], (1.0, ONE, "too many")], [(ONE, None), (ONE, None)], id="another reason"),
    ],
)  # fmt: skip
def test_lines(refusals: list[tuple[float, str, str]], said: list[tuple[str, int | None]]) -> None:
    clock = [0.0]
    log = RefusalLog("hl7.refused", lambda: clock[0])
    with structlog.testing.capture_logs() as lines:
        for at_s, address, reason in refusals:
            clock[0] = at_s
            log.refused(address, reason)
    assert [(line["address"], line.get("left_out")) for line in lines] == said


def test_many_addresses_take_bounded_memory() -> None:
    log = RefusalLog("hl7.refused", lambda: 0.0)
    for number in range(3 * MOST_ADDRESSES):
        log.refused(f"10.0.{number // 256}.{number % 256}", "not a listed peer")
    assert len(log._said) == MOST_ADDRESSES


def test_a_flood_at_the_port_is_one_line() -> None:
    settings = ListenerSettings(port=0, peers=(Peer(ae_title="PACS", hosts=("10.1.2.3",)),))
    refusals, server = RefusalLog("connection.refused"), cast(ConnectionServer, None)
    with port.listening_socket(settings) as listening, structlog.testing.capture_logs() as lines:
        for _ in range(20):
            with socket.create_connection(listening.getsockname()):
                listening.setblocking(True)
                port._accept_one(listening, settings, server, Meter(), NoAudit(), refusals)
    assert [line["event"] for line in lines] == ["connection.refused"]
