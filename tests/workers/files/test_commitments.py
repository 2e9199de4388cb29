"""Requests that survive, and verdicts that can be trusted."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.unreadable import make_unreadable
from tests.workers.reading.data_sets import MR, STUDY, a_data_set, put
from workers.dicom_status import CLASS_CONFLICT, NO_SUCH_INSTANCE, PROCESSING_FAILURE
from workers.files import commitments
from workers.files.commitments import (
    Reference,
    Request,
    RequestFolder,
    TooManyWaiting,
    judge,
    later,
)
from workers.files.store import FileStore

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
UID = f"{STUDY}.1.1"
OTHER_CLASS = "1.2.840.10008.5.1.4.1.1.7"


def a_request(transaction: str = "1.2.3", **changes: object) -> Request:
    request = Request(transaction, "PACS", (Reference(MR, UID),), NOW, NOW)
    return replace(request, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        pytest.param(Reference(MR, UID), None, id="noop: here, of this class"),
        pytest.param(Reference(OTHER_CLASS, UID), CLASS_CONFLICT, id="here, of another class"),
        pytest.param(Reference(MR, f"{STUDY}.1.99"), NO_SUCH_INSTANCE, id="never came"),
        pytest.param(Reference(MR, "../../etc/passwd"), NO_SUCH_INSTANCE, id="no UID"),
        pytest.param(Reference(MR, ""), NO_SUCH_INSTANCE, id="nothing"),
        pytest.param(Reference(MR, f"{STUDY}.1.2"), PROCESSING_FAILURE, id="two contents under one UID"),
        pytest.param(Reference(MR, f"{STUDY}.1.3"), PROCESSING_FAILURE, id="cut short by a crash"),
    ],
)
def test_verdicts(tmp_path: Path, asked: Reference, reason: int | None) -> None:
    store = FileStore(tmp_path)
    for number in (1, 2, 3):
        stored = put(store, a_data_set(number))
    with stored.path.open("r+b") as file:
        file.truncate(stored.path.stat().st_size - 10)
    put(store, a_data_set(2, pixels=b"other"))
    verdict = judge(store, [asked])
    assert verdict.committed == ((asked,) if reason is None else ())
    assert verdict.failed == (() if reason is None else ((asked, reason),))


def test_nothing_is_judged_while_nobody_knows_what_is_in_dispute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two contents came under this UID; it must not count as safe because the disk does not tell."""
    store, asked = FileStore(tmp_path), Reference(MR, UID)
    put(store, a_data_set(1))
    put(store, a_data_set(1, pixels=b"other"))
    assert judge(store, [asked]).committed == ()
    make_unreadable(monkeypatch, store.conflicts)
    with pytest.raises(PermissionError):
        judge(store, [asked])


def test_requests_survive_a_restart(tmp_path: Path) -> None:
    request = a_request()
    RequestFolder(tmp_path).put(request)
    folder = RequestFolder(tmp_path)
    assert folder.due(NOW) == [request]
    folder.done(request)
    folder.done(request)
    assert RequestFolder(tmp_path).due(NOW) == []


def test_only_what_is_due_and_oldest_first(tmp_path: Path) -> None:
    folder = RequestFolder(tmp_path)
    young, old = a_request("1.1", received_at=NOW + timedelta(seconds=5)), a_request("1.2")
    for one in (young, old, a_request("1.3", not_before=NOW + timedelta(seconds=1))):
        folder.put(one)
    assert folder.due(NOW) == [old, young]
    assert folder.waiting() == 3


def test_the_same_transaction_is_one_request(tmp_path: Path) -> None:
    folder = RequestFolder(tmp_path)
    folder.put(a_request())
    folder.put(a_request(attempts=3))
    folder.put(a_request(requester="MR1"))
    assert sorted(one.attempts for one in folder.due(NOW)) == [0, 3]


def test_there_is_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commitments, "MOST_WAITING", 2)
    folder = RequestFolder(tmp_path)
    folder.put(a_request("1.1"))
    folder.put(a_request("1.2"))
    with pytest.raises(TooManyWaiting):
        folder.put(a_request("1.3"))
    folder.put(a_request("1.2", attempts=1))  # one that is there may change


def test_a_damaged_file_is_set_aside(tmp_path: Path) -> None:
    folder = RequestFolder(tmp_path)
    folder.put(a_request())
    [path] = (tmp_path / "commitments").iterdir()
    path.write_text("{", encoding="utf-8")
    assert folder.due(NOW) == []
    assert [one.suffix for one in (tmp_path / "commitments").iterdir()] == [".unreadable"]


@pytest.mark.parametrize(("attempts", "pause_s"), [(0, 60), (1, 120), (3, 480), (20, 3600)])
def test_pauses_grow(attempts: int, pause_s: float) -> None:
    again = later(a_request(attempts=attempts), NOW, retry_s=60)
    assert (again.not_before - NOW).total_seconds() == pause_s
    assert again.attempts == attempts + 1


@pytest.mark.parametrize(
    ("attempts", "waits_s", "due"),
    [
        pytest.param(1, 0.0, True, id="its time has come"),
        pytest.param(1, 60.0, False, id="noop: it waits as long as it was told"),
        pytest.param(1, 61.0, True, id="longer than its pause: the clock was set back"),
        pytest.param(3, 240.0, False, id="a later pause is longer"),
        pytest.param(3, 3600.0, True, id="set back by an hour"),
        pytest.param(0, 30.0, False, id="the first attempt on the requester's own association"),
        pytest.param(0, 31.0, True, id="not tried yet, and the clock was set back"),
    ],
)
def test_a_request_from_before_the_clock_was_set_back(tmp_path: Path, attempts: int, waits_s: float, due: bool) -> None:
    folder = RequestFolder(tmp_path)
    folder.put(a_request(attempts=attempts, not_before=NOW + timedelta(seconds=waits_s)))
    assert bool(folder.due(NOW, retry_s=60.0)) is due
