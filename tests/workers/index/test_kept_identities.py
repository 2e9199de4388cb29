"""Merges, splits and corrections are kept as files: a start replays what the index lost, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.fakes import an_instance
from tests.workers.index.identity_contract import forget_marks
from workers.config import Settings
from workers.identity_events import Change, IdentityEvent
from workers.index import persons
from workers.index.node_index import NodeIndex, open_node_index
from workers.index.schema import identity_events
from workers.ports import PatientKey
from workers.settings import StoreSettings

NOON = datetime(2026, 5, 6, 12, tzinfo=UTC)
START = NOON + timedelta(hours=5)
A, B, C = PatientKey("A"), PatientKey("B"), PatientKey("C")
STUDY = "1.1"  # its images state A


def said(change: Change, minutes: int, old: PatientKey = A, new: PatientKey = B) -> IdentityEvent:
    """minutes: after noon, by the clock of that moment."""
    study = STUDY if change in (Change.CORRECT, Change.REJECT) else ""
    return IdentityEvent(change, old, new, "test", NOON + timedelta(minutes=minutes), study)


def opened(folder: Path) -> NodeIndex:
    index = open_node_index(Settings(store=StoreSettings(state_dir=folder)))
    index.record_instances([an_instance(STUDY, 1, patient_id="A"), an_instance("1.2", 1, patient_id="B")])
    return index


def whose(index: NodeIndex) -> str:
    row = index.study(STUDY)
    assert row is not None
    return row.patient_id


Loses = Callable[[NodeIndex], None]


def nothing(index: NodeIndex) -> None:
    pass


def every_row(index: NodeIndex) -> None:
    with index._write() as connection:
        connection.execute(identity_events.delete())


def row(number: int) -> Loses:
    """As a database that was restored from a copy, or a second one that took over, may lose one."""

    def loses(index: NodeIndex) -> None:
        with index._write() as connection:
            numbers = connection.execute(sa.select(identity_events.c.number).order_by("number")).scalars().all()
            connection.execute(identity_events.delete().where(identity_events.c.number == numbers[number]))

    return loses


MERGE, SPLIT, CORRECT, REJECT = Change.MERGE, Change.SPLIT, Change.CORRECT, Change.REJECT
HISTORIES = [
    pytest.param([], "A", id="not measured: nothing was said"),
    pytest.param([said(MERGE, 0)], "B", id="merged"),
    pytest.param([said(MERGE, 0), said(SPLIT, 30)], "A", id="split"),
    pytest.param([said(MERGE, 0), said(SPLIT, -30)], "A", id="split, the clock was set back between"),
    pytest.param([said(MERGE, 0), said(SPLIT, 0)], "A", id="split in the same moment"),
    pytest.param([said(MERGE, 0), said(MERGE, 10), said(SPLIT, 30)], "A", id="merged twice, split once"),
    pytest.param([said(MERGE, 0), said(MERGE, 10), said(SPLIT, -30)], "A", id="the same, the clock was set back"),
    pytest.param([said(MERGE, 0), said(SPLIT, 30), said(MERGE, -30)], "B", id="merged again, the clock was set back"),
    pytest.param([said(MERGE, 0), said(MERGE, 10), said(MERGE, -30, B, A)], "A", id="turned round, set back"),
    pytest.param([said(MERGE, 0), said(MERGE, -30, B, C), said(SPLIT, -40, B, C)], "B", id="a chain, set back"),
    pytest.param([said(CORRECT, 0), said(CORRECT, -30, new=C)], "C", id="corrected twice, set back"),
    pytest.param([said(CORRECT, 0), said(CORRECT, 5), said(REJECT, -30)], "A", id="corrected and rejected, set back"),
]


@pytest.mark.parametrize("loses", [nothing, every_row, row(0), row(-1)], ids=["nothing", "every row", "first", "last"])
@pytest.mark.parametrize(("events", "patient"), HISTORIES)
def test_a_start_brings_back_what_the_index_lost(
    tmp_path: Path, events: Sequence[IdentityEvent], patient: str, loses: Loses
) -> None:
    index = opened(tmp_path)
    for event in events:
        index.record_identity(event)
    assert whose(index) == patient
    before = index.identity_events("A")
    if before:
        loses(index)
    with index._reading() as connection:
        lost = len(before) - len(persons.all_events(connection))
    forget_marks(index)
    for start, restored in enumerate((lost, 0, 0)):
        assert index.restore_facts(now=START) == restored, f"start {start}"
        assert (whose(index), index.identity_events("A")) == (patient, before), f"start {start}"
        assert bool(index.marked_patients()) is bool(restored), f"start {start}: a mark means that something changed"
        forget_marks(index)
    index.close()


@pytest.mark.parametrize(("events", "patient"), HISTORIES)
def test_an_index_that_was_deleted_is_filled_from_the_files(
    tmp_path: Path, events: Sequence[IdentityEvent], patient: str
) -> None:
    index = opened(tmp_path)
    for event in events:
        index.record_identity(event)
    before = index.identity_events("A")
    index.close()
    for path in tmp_path.glob("index.db*"):
        path.unlink()
    index = opened(tmp_path)
    assert index.restore_facts(now=START) == len(before)
    assert (whose(index), index.identity_events("A")) == (patient, before)
    assert index.restore_facts(now=START) == 0, "noop: rows and files agree"
    index.close()


def test_a_merge_that_is_not_in_force_any_more_is_never_seen_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process may decide between two transactions of a start."""
    index = opened(tmp_path)
    for event in (said(MERGE, 0), said(SPLIT, 30)):
        index.record_identity(event)
    every_row(index)
    seen: list[str] = []
    write = index._write

    def watched():  # type: ignore[no-untyped-def]
        seen.append(whose(index))
        return write()

    monkeypatch.setattr(index, "_write", watched)
    index.restore_facts(now=START)
    assert set(seen) | {whose(index)} == {"A"}
    index.close()


def test_a_known_merge_gets_the_file_that_an_ended_process_did_not_write(tmp_path: Path) -> None:
    index = opened(tmp_path)
    index.record_identity(said(MERGE, 0))
    files = list((tmp_path / "facts").glob("identity-*"))
    for path in files:
        path.unlink()
    assert not index.record_identity(said(MERGE, 10))
    assert list((tmp_path / "facts").glob("identity-*")) == files, "of the event that is in force"
    index.close()
