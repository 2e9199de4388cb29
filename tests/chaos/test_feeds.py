"""The feeds of a live node: what was acknowledged survives kill -9."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hl7.client import MLLPClient

from tests.chaos.feeds import node_with_feeds, port_of
from tests.chaos.node import Node, wait_for
from tests.patience import PATIENCE_S
from tests.workers.feeds.test_hl7_messages import message
from workers import config
from workers.feeds.folders import open_inbox

pytestmark = [pytest.mark.chaos, pytest.mark.server, pytest.mark.timeout(900)]

ORDERS = [
    message("OMP^O09", f"PID|1||P{n}^^^^MR", f"ORC|NW|{n}", "TQ1|||||||20240304", "RXO|X1^axicabtagene")
    for n in range(20)
]


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with node_with_feeds(tmp_path, urgent_worker=False) as node:
        yield node


def test_a_process_killed_after_its_answers_loses_nothing(node: Node) -> None:
    """The index is locked meanwhile, so that nothing can be applied before the kill."""
    inbox = open_inbox(config.load(node.folder / "config.yaml"))
    killed = node.pid_of("feeds")
    with contextlib.closing(sqlite3.connect(node.state / "index.db", timeout=PATIENCE_S, isolation_level=None)) as lock:
        lock.execute("BEGIN IMMEDIATE")
        with MLLPClient("127.0.0.1", port_of(node)) as client:
            answers = [client.send_message(order) for order in ORDERS]
        assert all(b"MSA|AA|42" in answer for answer in answers)
        assert inbox.waiting() == (len(ORDERS), 0)
        os.kill(killed, signal.SIGKILL)
        lock.execute("ROLLBACK")
    node.wait_for_another("feeds", killed)
    wait_for("every order to be applied", lambda: inbox.waiting() == (0, 0))
    assert {f"P{n}" for n in range(len(ORDERS))} <= infused(node)


def infused(node: Node) -> set[str]:
    index = node.index
    try:
        return {patient.patient_id for patient in index.infusions()}
    finally:
        index.close()
