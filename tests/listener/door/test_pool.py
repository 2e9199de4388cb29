"""Several receiving processes behind one port: shared work, children that die, and children that end at the stop."""

from __future__ import annotations

import errno
import gc
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from listener.associations.admission import Address, parse_address
from listener.door import pool as pool_module
from listener.door import pool_child, program
from listener.door.pool import ProcessPool
from listener.door.pool_channel import SENT_BYTES, rows_in, rows_in_parts
from listener.door.pool_child import UNFINISHED, _serve
from listener.node.settings_descriptor import settings_from_descriptor, settings_to_descriptor
from tests.fakes import an_instance
from tests.listener.harness import PATIENCE_S, Node, eventually, process, settings_for
from tests.listener.rawscu import Raw
from tests.workers.reading.data_sets import STUDY, a_data_set, encoded
from workers.backoff import Backoff
from workers.config import parse

UID = f"{STUDY}.1.1"
NOT_UNDERSTOOD = 7  # no exit code of ours
DATA = encoded(a_data_set())


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], Node]]:
    with process(tmp_path / "state", processes=2) as one:
        yield one


def _children(parent: int) -> list[int]:
    listed = subprocess.run(["pgrep", "-P", str(parent)], capture_output=True, text=True, check=False).stdout
    return [int(line) for line in listed.split()]


def test_several_processes_share_a_port_and_an_index(
    pool: tuple[subprocess.Popen[bytes], Node], tmp_path: Path
) -> None:
    child, node = pool
    assert len(_children(child.pid)) == 2
    raws = [Raw.connect(node.port).associate() for _ in range(4)]
    for number, raw in enumerate(raws * 5):
        assert raw.store(f"{STUDY}.1.{number}", encoded(a_data_set(number))) == 0
    for raw in raws:
        raw.release()
    eventually(lambda: node.indexed() == 20, what="rows of the children did not arrive")
    children = _children(child.pid)
    child.terminate()
    assert child.wait(PATIENCE_S) == 0
    eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children), what="children outlived the pool")


@pytest.mark.chaos
def test_a_killed_child_is_replaced_and_its_rows_are_found(pool: tuple[subprocess.Popen[bytes], Node]) -> None:
    child, node = pool
    acknowledged: list[int] = []

    def send_until_dead(part: int) -> None:
        with pytest.raises(OSError), Raw.connect(node.port).associate() as raw:  # noqa: PT011, PT012
            for number in range(part, 100_000, 2):
                if raw.store(f"{STUDY}.1.{number}", encoded(a_data_set(number))) == 0:
                    acknowledged.append(number)

    with ThreadPoolExecutor(2) as senders:
        running_senders = [senders.submit(send_until_dead, part) for part in range(2)]
        eventually(lambda: len(acknowledged) > 30)
        victims = _children(child.pid)
        for victim in victims:
            os.kill(victim, signal.SIGKILL)
        for sender in running_senders:
            sender.result(timeout=PATIENCE_S)
    eventually(lambda: len(set(_children(child.pid)) - set(victims)) == 2, what="children were not replaced")
    eventually(lambda: _served(node), what="the new children do not serve")
    stored = node.data_sets()
    assert {f"{STUDY}.1.{number}" for number in acknowledged} <= set(stored)
    eventually(lambda: node.indexed() == len(stored), what="rows were not found by the scan")


@pytest.mark.chaos
def test_a_killed_child_is_replaced_when_its_numbers_cannot_be_kept(pool: tuple[subprocess.Popen[bytes], Node]) -> None:
    child, node = pool
    (node.settings.store.state_dir / "run/meters/dead.json").mkdir()
    victims = _children(child.pid)
    eventually(lambda: all((node.settings.store.state_dir / f"run/meters/{pid}.json").is_file() for pid in victims))
    for victim in victims:
        os.kill(victim, signal.SIGKILL)
    eventually(lambda: len(set(_children(child.pid)) - set(victims)) == 2, what="children were not replaced")
    eventually(lambda: _served(node), what="the new children do not serve")


def _served(node: Node) -> bool:
    try:
        with Raw.connect(node.port).associate() as raw:
            return raw.store(UID, DATA) == 0
    except OSError:
        return False


# --- the pool itself


class Programs:
    """Stands for subprocess.Popen: starts programs that only sleep, or fails as told. ends: of their channels."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *faults: Exception | None) -> None:
        self.started: list[subprocess.Popen[bytes]] = []
        self.commands: list[list[str]] = []
        self.ends: list[socket.socket] = []
        self._real, self._faults = subprocess.Popen, list(faults)
        monkeypatch.setattr(pool_module.subprocess, "Popen", self._start)
        monkeypatch.setattr(pool_module, "RESTART", Backoff(0.01, 0.05))
        monkeypatch.setattr(pool_module, "END_WAIT_S", 0.1)

    def _start(self, command: list[str], *, pass_fds: list[int]) -> subprocess.Popen[bytes]:
        self.commands.append(command)
        if self._faults and (fault := self._faults.pop(0)) is not None:
            raise fault
        self.ends.append(socket.socket(fileno=os.dup(pass_fds[0])))
        self.started.append(
            self._real([sys.executable, "-c", "import sys; sys.exit(int(input()))"], stdin=subprocess.PIPE)
        )
        return self.started[-1]

    def end(self, number: int, code: int | None = None) -> None:
        """Let one end with an exit code; None: kill it."""
        program = self.started[number]
        self.ends[number].close()
        if code is None:
            program.kill()
        program.communicate(f"{code}\n".encode(), PATIENCE_S)


@pytest.fixture
def losses() -> list[bool]:
    return []


def a_pool(tmp_path: Path, losses: list[bool]) -> ProcessPool:
    return ProcessPool(parse(settings_for(tmp_path)), lambda _: None, lambda: losses.append(True))


@pytest.mark.parametrize(
    ("code", "asks"),
    [
        pytest.param(0, False, id="noop: everything was reported"),
        pytest.param(UNFINISHED, True, id="a row may be missing"),
        pytest.param(None, True, id="it was killed"),
        pytest.param(NOT_UNDERSTOOD, True, id="it ended well, but its last words were not understood"),
    ],
)
def test_a_child_that_ends_at_the_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, losses: list[bool], code: int | None, asks: bool
) -> None:
    programs = Programs(monkeypatch)
    pool = a_pool(tmp_path, losses)
    with pool._lock:
        pool._closing = True
    if code == NOT_UNDERSTOOD:
        programs.ends[0].send(b"{")
        code = 0
    programs.end(0, code)
    pool.close(grace_s=1.0)
    for thread in pool._threads:
        thread.join(PATIENCE_S)
    assert bool(losses) is asks
    assert len(programs.started) == 1


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(b'{"rows": [{"sop_inst', id="cut off"),
        pytest.param(b'{"rows": [{}]}', id="no row"),
        pytest.param(b"[]", id="something else"),
    ],
)
def test_a_child_that_is_not_understood_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, losses: list[bool], message: bytes
) -> None:
    programs = Programs(monkeypatch)
    pool = a_pool(tmp_path, losses)
    programs.ends[0].send(message)
    eventually(lambda: len(programs.started) == 2, what="no other child was started")
    assert programs.started[0].wait(PATIENCE_S) == -signal.SIGKILL
    assert losses == [True]
    pool.close(grace_s=0.0)


def test_a_child_that_could_not_report_rows_has_the_store_scanned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, losses: list[bool]
) -> None:
    programs = Programs(monkeypatch)
    pool = a_pool(tmp_path, losses)
    programs.ends[0].send(b'{"incomplete": true}')
    eventually(lambda: losses == [True])
    pool.close(grace_s=0.0)


def test_a_child_that_cannot_be_started_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, losses: list[bool]
) -> None:
    programs = Programs(
        monkeypatch, None, OSError(errno.ENOMEM, "no memory"), OSError(errno.EMFILE, "too many"), RuntimeError("thread")
    )
    pool = a_pool(tmp_path, losses)
    gc.collect()
    descriptors = _open_descriptors()
    programs.end(0)
    eventually(lambda: len(programs.started) == 2, what="no other child was started")
    eventually(lambda: _open_descriptors() <= descriptors, what="descriptors were left open")
    pool.close(grace_s=0.0)
    assert [one.wait(PATIENCE_S) for one in programs.started] == [-signal.SIGKILL] * 2


def _open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_a_connection_goes_to_the_next_child_when_one_is_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, losses: list[bool]
) -> None:
    programs = Programs(monkeypatch)
    monkeypatch.setattr(pool_module, "RESTART", Backoff(1000.0, 1000.0))
    pool = ProcessPool(parse(settings_for(tmp_path, processes=2)), lambda _: None, lambda: losses.append(True))
    programs.ends[0].close()  # its program still runs: nobody has noticed yet
    for _ in range(2):
        ours, theirs = socket.socketpair()
        pool.take(theirs, parse_address("127.0.0.1"))
        ours.close()
    channel = programs.ends[1]
    assert [json.loads(channel.recv(1000)) for _ in range(2)] == [{"ticket": 0}, {"ticket": 1}]
    pool.close(grace_s=0.0)


@pytest.mark.parametrize("durable", [pytest.param(True, id="a node"), pytest.param(False, id="a benchmark")])
def test_only_a_benchmark_leaves_out_the_flush_in_the_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, durable: bool
) -> None:
    programs = Programs(monkeypatch)
    settings = parse(settings_for(tmp_path, processes=1))
    ProcessPool(settings, lambda _: None, lambda: None, durable=durable).close(grace_s=0.0)
    told: list[bool] = []
    monkeypatch.setattr(pool_child, "main", lambda *_fds, durable: told.append(durable))
    monkeypatch.setattr(sys, "argv", programs.commands[0][3:])
    program.main()
    assert told == [durable]


# --- what goes between


@pytest.mark.parametrize(
    ("rows", "text", "parts"),
    [
        pytest.param(1, "P", 1, id="noop: fits"),
        pytest.param(128, "P" * 30, 1, id="a full batch of usual rows"),
        pytest.param(128, "\u03b1" * 100, 2, id="long texts, six bytes for each letter"),
        pytest.param(128, "\u03b1" * 1000, 16, id="the longest texts"),
    ],
)
def test_rows_fit_the_messages(rows: int, text: str, parts: int) -> None:
    sent = [replace(an_instance(STUDY, number), patient_id=text) for number in range(rows)]
    messages = rows_in_parts(sent)
    assert len(messages) == parts
    assert all(len(message) <= SENT_BYTES for message in messages)
    assert [row for message in messages for row in rows_in(json.loads(message))] == sent


def test_settings_of_any_size_reach_a_child(tmp_path: Path) -> None:
    peers = [{"ae_title": f"SCANNER{number}", "hosts": ["10.0.0.0/8"]} for number in range(5000)]
    settings = parse(settings_for(tmp_path, peers=peers)).node()
    assert settings_from_descriptor(settings_to_descriptor(settings)) == settings


def test_a_child_that_fails_ends_at_once_says_so_and_quotes_nothing() -> None:
    settings = os.memfd_create("settings", 0)
    os.write(settings, b'{"index": {"url": "Secret"}, "listener": 5}')
    os.lseek(settings, 0, os.SEEK_SET)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours:
        with theirs:
            inherited = [theirs.fileno(), settings]
            command = [sys.executable, "-m", "listener.door.program", "child", *map(str, inherited)]
            child = subprocess.Popen(command, pass_fds=inherited, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        os.close(settings)
        said = child.communicate(timeout=PATIENCE_S)[0].decode()
    assert child.returncode == UNFINISHED
    assert "listener.child_failed" in said
    assert "Secret" not in said


def test_a_child_without_room_for_a_connection_gives_its_ticket_back() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ended: list[int] = []
    with ours, theirs:
        ours.send(b'{"ticket": 7}')  # the kernel leaves out a descriptor that does not fit
        ours.send(b'{"stop": 2.5}')
        assert _serve(theirs, NoConnections(), ended, lambda: None) == 2.5  # type: ignore[arg-type]
    assert ended == [7]


class NoConnections:
    """A receiver that has nothing and is given nothing."""

    def open_addresses(self) -> list[Address]:
        return []

    def reap(self) -> None:
        pass
