"""The memory of the read-ahead buffers."""

from __future__ import annotations

import contextlib
import ctypes
import re
from pathlib import Path
from typing import Any

import pytest

from listener.receiving.stream_socket import BUFFER_BYTES, StreamSocket
from tests.listener.harness import eventually, running
from tests.listener.rawscu import (
    Raw,
)


def resident_kb(addresses: list[int]) -> int:
    """Of the mappings of this process that hold these addresses; neighbours may be one mapping."""
    found, inside = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if mapping := re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line):
            inside = any(int(mapping[1], 16) <= one < int(mapping[2], 16) for one in addresses)
        elif inside and line.startswith("Rss:"):
            found += int(line.split()[1])
    return found


def test_an_idle_association_costs_no_buffer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The read-ahead buffer has pages of its own, which are there only as far as they were used."""
    sockets: list[StreamSocket] = []
    real = StreamSocket.__init__

    def begin(self: StreamSocket, *arguments: Any, **keywords: Any) -> None:
        real(self, *arguments, **keywords)
        sockets.append(self)

    monkeypatch.setattr(StreamSocket, "__init__", begin)
    with running(tmp_path / "state") as node, contextlib.ExitStack() as stack:
        for _ in range(30):
            stack.enter_context(Raw.connect(node.port).associate())
        assert len(sockets) == 30
        addresses = [ctypes.addressof(ctypes.c_char.from_buffer(one.view)) for one in sockets]
        idle = resident_kb(addresses)
        assert 0 < idle < 30 * 64, "kB for 30 associations; the request of an association is in the first pages"
        for one in sockets:
            one.view[:] = bytes(len(one.view))
        assert resident_kb(addresses) >= 30 * BUFFER_BYTES // 1024, "these are the mappings of the buffers"
        stack.close()
        given_back = "given back with the association, not by a collection later"
        eventually(lambda: resident_kb(addresses) < 30 * 16, what=given_back)
