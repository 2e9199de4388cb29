"""Objects whose bytes come in pieces of every size, on both receive paths."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.listener.harness import Node, running
from tests.listener.rawscu import (
    Raw,
    command,
    data_pdus,
    pdu,
    pdv,
    store_pdus,
)
from tests.workers.reading.data_sets import STUDY, a_data_set, encoded
from workers.files.store import Spool

UID = f"{STUDY}.1.1"
DATA = encoded(a_data_set())
PATHS = ["stream", "stock"]


@pytest.fixture(params=PATHS)
def node(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Node]:
    with running(tmp_path / "state", receive_path=request.param) as one:
        yield one


def _one_pdu(uid: str, data: bytes) -> list[bytes]:
    return [pdu(4, pdv(1, 3, command(uid=uid)) + pdv(1, 0, data[:50]) + pdv(1, 2, data[50:]))]


def _split_command(uid: str, data: bytes) -> list[bytes]:
    whole = command(uid=uid)
    first, second = pdu(4, pdv(1, 1, whole[:33])), pdu(4, pdv(1, 3, whole[33:]) + pdv(1, 0, data[:1]))
    return [first, second, *data_pdus(data[1:])]


def _empty_fragments(uid: str, data: bytes) -> list[bytes]:
    fragments = [pdv(1, 0, b""), pdv(1, 0, data), pdv(1, 0, b""), pdv(1, 2, b"")]
    return [*data_pdus(command(uid=uid), control=1), *(pdu(4, fragment) for fragment in fragments)]


@pytest.mark.parametrize(
    "cut",
    [
        pytest.param(store_pdus, id="noop: as everybody does"),
        pytest.param(lambda uid, data: store_pdus(uid, data, size=7), id="seven bytes a PDU"),
        pytest.param(_one_pdu, id="command and data set in one PDU"),
        pytest.param(_split_command, id="command in two fragments"),
        pytest.param(_empty_fragments, id="empty fragments"),
    ],
)
def test_fragments(node: Node, cut: Any) -> None:
    with Raw.connect(node.port).associate() as raw:
        for number in (1, 2):  # the second one shows that nothing of the first is left over
            raw.send(*cut(f"{STUDY}.1.{number}", encoded(a_data_set(number))))
            assert raw.status() == 0
        raw.release()
    stored = node.data_sets()
    assert all(stored[f"{STUDY}.1.{number}"].endswith(encoded(a_data_set(number))) for number in (1, 2))


def test_fragments_of_a_byte_each_are_not_kept_waiting(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    counts: list[int] = []
    real = Spool.write

    def write(self: Spool, parts: list[Any], count: int) -> None:
        counts.append(len(parts))
        real(self, parts, count)

    monkeypatch.setattr(Spool, "write", write)
    data = encoded(a_data_set())
    with Raw.connect(node.port).associate() as raw:
        assert raw.store(UID, data, size=1) == 0
    assert node.data_sets()[UID].endswith(data)
    assert len(data) > 2 * max(counts)


@pytest.mark.parametrize("size", [1_001, 16_000, 130_000])
def test_an_object_larger_than_every_buffer(node: Node, size: int) -> None:
    data = encoded(a_data_set(pixels=random.Random(size).randbytes(5_000_000)))  # no part of it looks like another
    with Raw.connect(node.port).associate() as raw:
        assert raw.store(UID, data, size=size) == 0
    assert node.data_sets()[UID].endswith(data)


def test_a_network_that_delivers_byte_by_byte(node: Node) -> None:
    with Raw.connect(node.port).associate() as raw:
        for byte in b"".join(store_pdus(UID, DATA)):
            raw.send(bytes([byte]))
        assert raw.status() == 0
    assert node.data_sets()[UID].endswith(DATA)
