"""The scan beside reception: what it was to find is not forgotten when it fails, hangs or is stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from listener.door import run as scp
from listener.door.lazy_index import LazyIndex
from tests.listener.harness import PATIENCE_S, eventually
from tests.workers.reading.data_sets import a_data_set, put
from triage.errors import Rejected, Transient
from workers.backoff import Backoff
from workers.files.hosts import Hosts
from workers.files.index_rows import read_row
from workers.files.store import FileStore
from workers.index import reconcile
from workers.index.reconcile import Report
from workers.index.writer import IndexWriter


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scp, "SCANS", Backoff(0.01, 0.01))


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path)


class Index:
    """Remembers rows; fails as often as wanted."""

    def __init__(self, *faults: Exception) -> None:
        self.rows: list[Any] = []
        self.faults = list(faults)
        self.unread = 0

    def paths_under(self, _prefix: str) -> dict[str, int]:
        if self.faults:
            raise self.faults.pop(0)
        return {}

    def record_instances(self, rows: Any) -> None:
        self.rows += rows

    def verify(self) -> None:
        pass

    def restore(self, _files_dir: Path, _since: int | None) -> int:
        return self.unread


class Claims:
    """A host that has lost ``held`` others. settled: how many scans came to their end."""

    def __init__(self, *held: str) -> None:
        self.held = frozenset(map(Path, held))
        self.settled = 0

    def claims(self) -> frozenset[Path]:
        return self.held

    def settle(self, claims: frozenset[Path]) -> None:
        self.held -= claims
        self.settled += 1


def scan(store: FileStore, index: Index, writer: IndexWriter, hosts: Claims) -> Any:
    return scp._scanning(store, cast(LazyIndex, index), writer, cast(Hosts, hosts))


def a_writer(index: Index) -> IndexWriter:
    return IndexWriter(index.record_instances)


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param([], id="noop: at the first time"),
        pytest.param([Transient("away")], id="the index is away"),
        pytest.param([OSError(5, "Input/output error")], id="the file system fails"),
        pytest.param([ZeroDivisionError(), ZeroDivisionError()], id="a fault of the program"),
    ],
)
def test_a_scan_is_made_again_until_it_ends_well(store: FileStore, faults: list[Exception]) -> None:
    put(store, a_data_set())
    index, hosts = Index(*faults), Claims("a")
    writer = a_writer(index)
    with scan(store, index, writer, hosts):
        eventually(lambda: not hosts.held, what="the lost host is never looked after")
        assert len(index.rows) == 1
    assert not writer.incomplete.is_set()


@pytest.mark.parametrize(
    ("unread", "ends"),
    [pytest.param(0, scp.Scan.WELL, id="noop: all is read"), pytest.param(1, scp.Scan.UNREAD, id="one file is not")],
)
def test_a_result_or_a_fact_that_cannot_be_read_is_looked_at_ever_more_rarely(
    store: FileStore, unread: int, ends: scp.Scan
) -> None:
    index = Index()
    index.unread = unread
    writer = a_writer(index)
    scanned = scp._scan_once(store, cast(LazyIndex, index), writer, threading.Event(), None)
    assert (scanned, writer.incomplete.is_set()) == (ends, False)


@pytest.mark.parametrize(
    ("faults", "rows"),
    [
        pytest.param([], 2, id="noop: both are read"),
        pytest.param([OSError(5, "Input/output error")] * 2, 2, id="the disk does not give them: until it does"),
        pytest.param([FileNotFoundError(2, "gone")], 1, id="one was deleted meanwhile"),
        pytest.param([Rejected(0xC000, "not_part10", "foreign")], 1, id="one is not ours, and stays"),
    ],
)
def test_files_that_cannot_be_read(
    store: FileStore, monkeypatch: pytest.MonkeyPatch, faults: list[Exception], rows: int
) -> None:
    for number in (1, 2):
        put(store, a_data_set(number))
    waiting = list(faults)

    def read(*arguments: Any) -> Any:
        if waiting:
            raise waiting.pop(0)
        return read_row(*arguments)

    monkeypatch.setattr(reconcile, "read_row", read)
    index, hosts = Index(), Claims("a")
    writer = a_writer(index)
    with scan(store, index, writer, hosts):
        eventually(lambda: len({row.sop_instance_uid for row in index.rows}) == rows, what="it is not looked for again")
        eventually(lambda: not hosts.held, what="the lost host is held for a file that nobody can read")
    assert waiting == []


def test_one_file_that_is_never_given_delays_nothing_else(store: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scp, "SCANS", Backoff(0.01, PATIENCE_S))
    for number in (1, 2):
        put(store, a_data_set(number))

    def read(root: Path, path: Path) -> Any:
        if path.stem.endswith(".1.1"):
            raise OSError(5, "Input/output error")
        return read_row(root, path)

    monkeypatch.setattr(reconcile, "read_row", read)
    index, hosts = Index(), Claims("a")
    writer = a_writer(index)
    with scan(store, index, writer, hosts):
        eventually(lambda: hosts.settled >= 1)
        for _ in range(12):  # so often that the pause between scans for that one file is long
            rows, settled = len(index.rows), hosts.settled
            writer.incomplete.set()
            eventually(lambda settled=settled: hosts.settled > settled, what="what was dropped is not looked for")
            assert len(index.rows) > rows
    assert not hosts.held
    assert not writer.incomplete.is_set()


def test_a_lost_host_is_held_while_scans_fail(store: FileStore) -> None:
    index, hosts = Index(*[ZeroDivisionError() for _ in range(10_000)]), Claims("a")
    writer = a_writer(index)
    with scan(store, index, writer, hosts):
        eventually(lambda: len(index.faults) < 9_998)
    assert hosts.held
    assert writer.incomplete.is_set()


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], bool]]:
    """A scan that hangs as on a file server that does not answer; whether it does."""
    begun, released = threading.Event(), threading.Event()

    def hang(*_: object, **__: object) -> Report:
        begun.set()
        released.wait(PATIENCE_S)
        return Report(finished=False)

    monkeypatch.setattr(scp, "reconcile", hang)
    monkeypatch.setattr(scp, "FLUSH_S", 0.2)
    yield begun.is_set
    released.set()


def test_who_stops_while_a_scan_hangs_says_no_goodbye(
    store: FileStore, tmp_path: Path, hanging: Callable[[], bool]
) -> None:
    index, hosts = Index(), Hosts(tmp_path / "hosts")
    hosts.beat()
    with (
        scp._writing(cast(LazyIndex, index), None, hosts) as writer,
        scp._scanning(store, cast(LazyIndex, index), writer, hosts),
    ):
        eventually(hanging)
    assert len(list((tmp_path / "hosts").glob("*.alive"))) == 1


def test_noop_who_stops_after_a_scan_says_goodbye(
    store: FileStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, hosts = Index(), Hosts(tmp_path / "hosts")
    hosts.beat()
    settled: list[frozenset[Path]] = []
    monkeypatch.setattr(hosts, "settle", settled.append)
    with (
        scp._writing(cast(LazyIndex, index), None, hosts) as writer,
        scp._scanning(store, cast(LazyIndex, index), writer, hosts),
    ):
        eventually(lambda: settled)
    assert not list((tmp_path / "hosts").glob("*.alive"))
