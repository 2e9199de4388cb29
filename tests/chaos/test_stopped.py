"""Processes of a live node that are stopped (SIGSTOP) -> no sign of life of theirs, while the others give theirs."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from listener.node.processes import ProcessVerdict, state_of
from tests.chaos.node import Node, running_node, wait_for
from workers.heartbeat import heartbeat_file

pytestmark = [pytest.mark.chaos, pytest.mark.server, pytest.mark.timeout(1800)]

TURNS = 2  # signs of life of a witness during which a stopped process gives none


def written(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0


def wait_for_signs(path: Path) -> None:
    for _ in range(TURNS):
        before = written(path)
        wait_for(f"a sign of life in {path.name}", lambda before=before: written(path) != before)  # type: ignore[misc]


@contextmanager
def stopped(pids: list[int]) -> Iterator[None]:
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def pid_of(node: Node, name: str) -> int:
    return node.pid if name == "serve" else node.pid_of(name)


def test_a_stopped_process_gives_no_sign_of_life(tmp_path: Path) -> None:
    with running_node(tmp_path, urgent_worker=True) as node:
        signs = {
            name: heartbeat_file(node.state, name) for name in ("listener", "worker", "urgent", "web", "serve", "beat")
        }
        for path in signs.values():
            wait_for_signs(path)
        for some, witness in ((("listener", "worker", "urgent", "web", "serve"), "beat"), (("beat",), "listener")):
            with stopped([pid_of(node, name) for name in some]):
                before = {name: written(signs[name]) for name in some}
                wait_for_signs(signs[witness])
                assert {name: written(signs[name]) for name in some} == before
            for name in some:
                wait_for_signs(signs[name])
        assert {state_of(node.state, name).verdict for name in signs} == {ProcessVerdict.WORKS}
        children = sorted(int(path.stem) for path in (node.state / "run" / "pool" / "worker").glob("*.alive"))
        worker = node.pid_of("worker")
        assert children == sorted(map(int, Path(f"/proc/{worker}/task/{worker}/children").read_text().split()))
        with stopped(children[:1]):
            sign = node.state / "run" / "pool" / "worker" / f"{children[0]}.alive"
            before_child = written(sign)
            wait_for_signs(signs["beat"])
            assert written(sign) == before_child
        wait_for_signs(sign)
    assert [name for name, path in signs.items() if path.exists()] == [], "an orderly end leaves nothing"
