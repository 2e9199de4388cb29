"""Rows behind the answer: batched, retried, never blocking, and honest about what was lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import pytest

from tests.patience import PATIENCE_S
from tests.workers.index.index_contract import a_row
from triage.errors import Transient
from workers.index.writer import BATCH_ROWS, IndexWriter
from workers.ports import InstanceRow


class Index:
    """Keeps batches; ``before`` runs first and may raise."""

    def __init__(self, before: Callable[[], None] = lambda: None) -> None:
        self.batches: list[list[InstanceRow]] = []
        self._before = before

    def record(self, rows: Sequence[InstanceRow]) -> None:
        self._before()
        self.batches.append(list(rows))

    @property
    def rows(self) -> list[InstanceRow]:
        return [row for batch in self.batches for row in batch]


@pytest.mark.parametrize("count", [0, 1, BATCH_ROWS, BATCH_ROWS + 1, 500])
def test_every_row_arrives_once_and_in_order(count: int) -> None:
    index = Index()
    writer = IndexWriter(index.record)
    writer.start()
    rows = [a_row(number) for number in range(count)]
    for row in rows:
        writer.put(row)
    assert writer.close(timeout_s=PATIENCE_S)
    assert index.rows == rows
    assert all(0 < len(batch) <= BATCH_ROWS for batch in index.batches)


def test_rows_that_wait_together_are_written_together() -> None:
    index = Index()
    writer = IndexWriter(index.record)
    for number in range(BATCH_ROWS * 3):
        writer.put(a_row(number))
    writer.start()
    assert writer.close(timeout_s=PATIENCE_S)
    assert [len(batch) for batch in index.batches] == [BATCH_ROWS] * 3


def test_an_index_that_is_away_is_tried_again() -> None:
    failures = iter([Transient("away")] * 3)

    def fail_at_first() -> None:
        error = next(failures, None)
        if error is not None:
            raise error

    index = Index(fail_at_first)
    writer = IndexWriter(index.record)
    writer.start()
    writer.put(a_row())
    assert writer.close(timeout_s=PATIENCE_S)
    assert index.rows == [a_row()]
    assert not writer.incomplete.is_set()


def test_what_cannot_be_written_is_confessed() -> None:
    def away() -> None:
        raise Transient("away")

    writer = IndexWriter(Index(away).record)
    writer.start()
    writer.put(a_row())
    assert writer.close(timeout_s=0.3) is False


class Picky(Index):
    """Refuses every batch with one of these rows in it."""

    def __init__(self, refused: Sequence[int]) -> None:
        super().__init__()
        self._refused = {a_row(number).sop_instance_uid for number in refused}

    def record(self, rows: Sequence[InstanceRow]) -> None:
        if self._refused & {row.sop_instance_uid for row in rows}:
            raise ValueError("bad row")
        super().record(rows)


@pytest.mark.parametrize(
    ("refused", "written"),
    [
        pytest.param([], 20, id="noop: none"),
        pytest.param([7], 19, id="one costs no other its row"),
        pytest.param([0, 1, 19], 17, id="some"),
        pytest.param(range(20), 0, id="all: nothing is tried for long"),
    ],
)
def test_rows_that_the_index_refuses(refused: Sequence[int], written: int) -> None:
    index = Picky(refused)
    writer = IndexWriter(index.record)
    for number in range(20):
        writer.put(a_row(number))
    writer.start()
    assert writer.incomplete.wait(PATIENCE_S if refused else 0.0) is bool(refused), "a scan has to look for them"
    writer.put(a_row(99))
    assert writer.close(timeout_s=PATIENCE_S) is (not refused)
    assert index.rows[-1] == a_row(99), "the writer goes on"
    assert len(index.rows) == written + 1


def test_a_full_queue_drops_instead_of_blocking() -> None:
    index = Index()
    writer = IndexWriter(index.record, waiting_rows=3)
    for number in range(5):
        writer.put(a_row(number))
    assert writer.incomplete.is_set()
    writer.start()
    writer.close(timeout_s=PATIENCE_S)
    assert index.rows == [a_row(number) for number in range(3)]


def test_listeners_hear_of_recorded_rows_and_cannot_stop_the_writer() -> None:
    heard: list[InstanceRow] = []
    twice = threading.Event()

    def hear(rows: Sequence[InstanceRow]) -> None:
        heard.extend(rows)
        if len(heard) == 2:
            twice.set()
        raise RuntimeError("listener is broken")

    writer = IndexWriter(Index().record, on_recorded=hear)
    writer.start()
    writer.put(a_row(1))
    writer.put(a_row(2))
    assert twice.wait(PATIENCE_S)
    assert writer.close(timeout_s=PATIENCE_S)
    assert heard == [a_row(1), a_row(2)]


def test_a_row_that_comes_after_the_end_is_not_forgotten_silently() -> None:
    writer = IndexWriter(Index().record)
    writer.start()
    assert writer.close(timeout_s=PATIENCE_S)
    assert not writer.incomplete.is_set()
    writer.put(a_row(1))
    assert writer.incomplete.is_set()
