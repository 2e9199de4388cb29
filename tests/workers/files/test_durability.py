"""In which order stored files become durable, and what is answered when a flush fails or two senders meet."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.patience import PATIENCE_S
from tests.workers.reading.data_sets import (
    STUDY,
    a_data_set,
    encoded,
    names,
    put,
)
from triage.errors import Rejected
from workers.files.disk import file_system_of
from workers.files.store import FileStore
from workers.files.stored import Outcome
from workers.files.uid_paths import relative_path

UID_1 = f"{STUDY}.1.1"


def recorded_calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is asked of the disk, in order, in words."""
    calls: list[str] = []

    def what(fd: int) -> str:
        target = Path(f"/proc/self/fd/{fd}").readlink()
        return "folder" if target.is_dir() else "file"

    def watch(name: str, describe: Callable[..., str]) -> None:
        real = getattr(os, name)

        def call(*arguments: Any, **keywords: Any) -> Any:
            calls.append(describe(*arguments))
            return real(*arguments, **keywords)

        monkeypatch.setattr(os, name, call)

    watch("writev", lambda *_: "write")
    watch("pwrite", lambda *_: "seal")
    watch("link", lambda *_: "name")
    watch("fsync", lambda fd: f"flush {what(fd)}")
    return calls


@pytest.mark.parametrize(
    ("sync_folders", "order", "flushes"),
    [
        pytest.param(
            True, ["flush file", "name", "flush folder"], ["flush file", "flush folder"], id="any file system"
        ),
        pytest.param(False, ["name", "flush file"], ["flush file"], id="one journal for both"),
    ],
)
def test_name_and_content_are_flushed_before_it_is_called_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sync_folders: bool, order: list[str], flushes: list[str]
) -> None:
    store = FileStore(tmp_path, sync_folders=sync_folders)
    calls = recorded_calls(monkeypatch)
    put(store, a_data_set())
    assert calls == ["write", "write", "seal", *order]
    calls.clear()
    put(store, a_data_set())  # the same again may have come a moment ago and not be durable yet
    assert calls[-len(flushes) :] == flushes


def failing_flush(monkeypatch: pytest.MonkeyPatch, *, of_folders: bool, just_before: Callable[[], object]) -> None:
    real = os.fsync

    def flush(fd: int) -> None:
        if Path(f"/proc/self/fd/{fd}").readlink().is_dir() is not of_folders:
            return real(fd)
        just_before()
        raise OSError(errno.EIO, "as wanted")

    monkeypatch.setattr(os, "fsync", flush)


@pytest.mark.parametrize("outcome", [Outcome.NEW, Outcome.CONFLICT])
def test_on_a_shared_file_system_nobody_sees_what_could_not_be_flushed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outcome: Outcome
) -> None:
    store = FileStore(tmp_path, sync_folders=True)
    if outcome is Outcome.CONFLICT:
        put(store, a_data_set(pixels=b"\7\7"))
    before, seen = names(tmp_path), []
    with monkeypatch.context() as patch:
        failing_flush(patch, of_folders=False, just_before=lambda: seen.extend(names(tmp_path)))
        with pytest.raises(Rejected, match="disk_error"):
            put(store, a_data_set())
    assert [name for name in seen if not name.endswith(".part")] == before
    assert names(tmp_path) == before
    assert put(store, a_data_set()).outcome is outcome


def test_on_a_shared_file_system_a_name_is_not_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its content is on the disk, and another host may have answered for it before our flush of the folder failed."""
    store, other = FileStore(tmp_path, sync_folders=True), FileStore(tmp_path, sync_folders=True)
    told = []

    def another_host_gets_the_same() -> None:
        monkeypatch.undo()
        told.append(put(other, a_data_set()).outcome)

    failing_flush(monkeypatch, of_folders=True, just_before=another_host_gets_the_same)
    with pytest.raises(Rejected, match="disk_error"):
        put(store, a_data_set())
    assert told == [Outcome.SAME]
    assert [path.stem for path in store.all_files()] == [UID_1]
    assert put(store, a_data_set()).outcome is Outcome.SAME


@pytest.mark.parametrize("others", [True, pytest.param(False, id="noop: our own file goes")])
def test_a_failed_flush_takes_back_no_file_of_somebody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, others: bool
) -> None:
    store = FileStore(tmp_path, sync_folders=False)
    final = store.root / relative_path(UID_1)

    def replaced() -> None:
        if others:
            (tmp_path / "other").write_bytes(b"theirs")
            (tmp_path / "other").replace(final)

    failing_flush(monkeypatch, of_folders=False, just_before=replaced)
    with pytest.raises(Rejected, match="disk_error"):
        put(store, a_data_set())
    assert (final.read_bytes() if final.exists() else None) == (b"theirs" if others else None)


@pytest.mark.parametrize(
    ("mountinfo", "name"),
    [
        pytest.param("36 35 {device} / / rw,noatime - ext4 /dev/vda rw", "ext4", id="one flush"),
        pytest.param("36 35 {device} / / rw master:1 - nfs4 h:/x rw", "nfs4", id="network"),
        pytest.param("36 35 99:99 / / rw - ext4 /dev/vda rw", "", id="not listed"),
    ],
)
def test_the_file_system_is_read_from_the_mounts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mountinfo: str, name: str
) -> None:
    device = tmp_path.stat().st_dev
    text = mountinfo.format(device=f"{os.major(device)}:{os.minor(device)}")
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: text)
    assert file_system_of(tmp_path) == name


def test_not_durable_mode_flushes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = recorded_calls(monkeypatch)
    put(FileStore(tmp_path, durable=False), a_data_set())
    assert [call for call in calls if call.startswith("flush")] == []


def test_nobody_answers_for_a_copy_that_is_taken_away_again(store: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The flush of the first sender fails while a second one brings the same object."""
    real, real_link, second = os.fsync, os.link, ThreadPoolExecutor(1)
    found: list[Future[Any]] = []
    met = threading.Event()

    def link(*arguments: Any, **keywords: Any) -> None:
        try:
            real_link(*arguments, **keywords)
        except FileExistsError:
            met.set()
            raise

    def flush(fd: int) -> None:
        if found:
            return real(fd)
        found.append(second.submit(put, store, a_data_set()))
        assert met.wait(PATIENCE_S), "the second sender has not met the first one's name"
        raise OSError(errno.EIO, "as wanted")

    monkeypatch.setattr(os, "fsync", flush)
    monkeypatch.setattr(os, "link", link)
    with pytest.raises(Rejected):
        put(store, a_data_set())
    stored = found[0].result(20)
    assert stored.outcome is Outcome.NEW
    assert stored.path.read_bytes().endswith(encoded(a_data_set()))


def first_flush_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    real, failed = os.fsync, []

    def flush(fd: int) -> None:
        if failed:
            return real(fd)
        failed.append(fd)
        raise OSError(errno.EIO, "as wanted")

    monkeypatch.setattr(os, "fsync", flush)


def test_a_conflict_that_comes_again_does_not_harm_the_copy_that_was_acknowledged(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, a_data_set())
    aside = put(store, a_data_set(pixels=b"\7\7")).path
    before = aside.stat().st_ino
    first_flush_fails(monkeypatch)
    with pytest.raises(Rejected):
        put(store, a_data_set(pixels=b"\7\7"))
    assert aside.stat().st_ino == before
    again = put(store, a_data_set(pixels=b"\7\7"))
    assert (again.outcome, again.path) == (Outcome.CONFLICT, aside)
    assert len(names(store.conflicts)) == 1


def test_an_earlier_copy_that_cannot_be_flushed_is_replaced(store: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failed fsync the kernel would call its lost pages clean, and the next answer for it would be a lie."""
    earlier = put(store, a_data_set()).path.stat().st_ino
    first_flush_fails(monkeypatch)
    stored = put(store, a_data_set())
    assert stored.outcome is Outcome.NEW
    assert stored.path.stat().st_ino != earlier
    assert stored.path.read_bytes().endswith(encoded(a_data_set()))
    assert len(names(store.root)) == 1


def test_a_cut_short_file_is_replaced_once(store: FileStore) -> None:
    path = put(store, a_data_set()).path
    path.write_bytes(path.read_bytes()[:-10])
    with ThreadPoolExecutor(8) as pool:
        outcomes = [one.outcome for one in pool.map(lambda _: put(store, a_data_set()), range(16))]
    assert (outcomes.count(Outcome.NEW), outcomes.count(Outcome.SAME)) == (1, 15)
    assert path.read_bytes().endswith(encoded(a_data_set()))
    assert names(store.root) == [str(path.relative_to(store.root))]
