"""Associations of which only the thread of the upper layer is left: given a while, then woken from their wait."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from listener.associations import receiver
from listener.associations.admission import parse_address
from listener.associations.receiver import OpenAssociation
from tests.patience import PATIENCE_S


class Association(threading.Thread):
    """One whose own thread has ended."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__(target=lambda: None)
        self.dul: Any = threading.Thread(target=connection.recv, args=(1,))
        self.dul.socket = SimpleNamespace(socket=connection)


@pytest.fixture
def association() -> Iterator[Association]:
    ours, peer = socket.socketpair()
    with ours, peer:
        one = Association(ours)
        yield one
        peer.close()
        if one.dul.ident is not None:
            one.dul.join(PATIENCE_S)


def looked_at(association: Association, *, times: int) -> OpenAssociation:
    entry = OpenAssociation(parse_address("127.0.0.1"), association)
    for _ in range(times):
        receiver._end_what_is_left(entry)
    return entry


def test_noop_while_it_has_not_begun(association: Association) -> None:
    assert looked_at(association, times=3).half_ended is None


@pytest.mark.parametrize(
    ("patience_s", "woken"), [pytest.param(60.0, False, id="not at once"), pytest.param(-1.0, True, id="after a while")]
)
def test_only_the_upper_layer_is_left(
    association: Association, monkeypatch: pytest.MonkeyPatch, patience_s: float, woken: bool
) -> None:
    monkeypatch.setattr(receiver, "HALF_ENDED_S", patience_s)
    association.start()
    association.join()
    association.dul.start()
    looked_at(association, times=2)
    association.dul.join(PATIENCE_S if woken else 0.2)
    assert association.dul.is_alive() is not woken
    assert receiver._has_ended(association) is woken
