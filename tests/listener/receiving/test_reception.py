"""What is done after an object is durable: its row first, whatever happens to the numbers."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from listener.meters import Meter
from listener.receiving.reception import Reception, Tally
from tests.workers.reading.data_sets import a_data_set, announce, encoded
from workers.files.store import FileStore
from workers.files.stored import Outcome
from workers.ports import InstanceRow


def receive(reception: Reception, tally: Tally, pixels: bytes) -> Outcome:
    data_set = a_data_set(pixels=pixels)
    data = encoded(data_set)
    with reception.begin(announce(data_set), str(data_set.SOPClassUID)) as spool:
        spool.write([data], len(data))
        received = reception.finish(spool, since=time.monotonic())
    reception.note(received, tally)
    return received.stored.outcome


@pytest.mark.parametrize(
    ("sent", "outcomes", "rows"),
    [
        pytest.param([], [], 0, id="noop: nothing came"),
        pytest.param([b"\1\2"], [Outcome.NEW], 1, id="one"),
        pytest.param([b"\1\2", b"\1\2"], [Outcome.NEW, Outcome.SAME], 2, id="again: its row may have been lost"),
        pytest.param([b"\1\2", b"\3\4"], [Outcome.NEW, Outcome.CONFLICT], 1, id="another content has no row"),
    ],
)
def test_rows_and_numbers(tmp_path: Path, sent: list[bytes], outcomes: list[Outcome], rows: int) -> None:
    recorded: list[InstanceRow] = []
    reception, tally = Reception(FileStore(tmp_path), recorded.append), Tally()
    assert [receive(reception, tally, pixels) for pixels in sent] == outcomes
    assert (len(recorded), tally.instances) == (rows, len(sent))


def test_a_fault_in_counting_costs_no_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no numbers today")

    monkeypatch.setattr(Meter, "stored", broken)
    recorded: list[InstanceRow] = []
    with capture_logs() as logs:
        receive(Reception(FileStore(tmp_path), recorded.append), Tally(), b"\1\2")
    assert len(recorded) == 1
    assert [entry["event"] for entry in logs] == ["instance.not_counted"]


def test_the_next_file_is_prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    store = FileStore(tmp_path)
    monkeypatch.setattr(store, "prepare", lambda: calls.append("prepare"))
    receive(Reception(store, lambda _: calls.append("row")), Tally(), b"\1\2")
    assert calls == ["row", "prepare"]


def test_a_row_that_cannot_be_made_has_the_store_scanned(tmp_path: Path) -> None:
    losses: list[bool] = []

    def no_memory(_row: InstanceRow) -> None:
        raise MemoryError

    reception = Reception(FileStore(tmp_path), no_memory, on_loss=lambda: losses.append(True))
    tally = Tally()
    receive(reception, tally, b"\1\2")
    assert losses == [True]
    assert (reception.finishing, tally.instances) == (0, 1)
