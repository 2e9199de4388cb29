"""Durable files: what is stored, refused, stored once, kept aside, swept; in which order things become durable."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from tests.workers.data_sets import (
    BIG_ENDIAN,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    MR,
    STUDY,
    a_data_set,
    announce,
    as_file,
    encoded,
    put,
)
from triage.errors import Rejected
from workers import part10
from workers.disk import file_system_of
from workers.files import FileStore, Outcome, read_row, relative_path, valid_uid

UID_1 = f"{STUDY}.1.1"


@pytest.fixture(params=["unnamed while it comes in", "named from the start"])
def store(tmp_path: Path, request: pytest.FixtureRequest) -> FileStore:
    """Both ways of receiving; the second is taken where the file system cannot name a file later."""
    found = FileStore(tmp_path)
    if request.param == "named from the start":
        found.unnamed = False
    elif not found.unnamed:
        pytest.skip("the file system of the temporary folder cannot name a file later")
    return found


def names(folder: Path) -> list[str]:
    """Every file under a folder, temporary ones included."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# --- storing


@pytest.mark.parametrize("transfer_syntax", [IMPLICIT, EXPLICIT, DEFLATED, BIG_ENDIAN])
def test_the_data_set_is_stored_byte_for_byte(store: FileStore, transfer_syntax: str) -> None:
    data_set = a_data_set()
    stored = put(store, data_set, transfer_syntax)
    content = stored.path.read_bytes()
    assert content.endswith(encoded(data_set, transfer_syntax))
    read = dcmread(stored.path)
    assert read.file_meta.TransferSyntaxUID == transfer_syntax
    assert read.file_meta.SourceApplicationEntityTitle == "SCANNER"
    assert read.PixelData == data_set.PixelData
    assert (stored.outcome, stored.status) == (Outcome.NEW, 0x0000)
    assert (stored.row.size_bytes, stored.row.transfer_syntax_uid) == (len(content), transfer_syntax)
    assert (stored.row.calling_ae, stored.row.patient_id) == ("SCANNER", "P-1")


def test_where_it_lies(store: FileStore, tmp_path: Path) -> None:
    row = put(store, a_data_set()).row
    assert row.path == relative_path(UID_1)
    assert names(tmp_path) == [f"store/{row.path}"]
    assert store.path(row) == tmp_path / "store" / row.path
    assert list(store.all_files()) == [store.path(row)]


@pytest.mark.parametrize("path", ["../evil", "ab/../../evil", "/etc/passwd"])
def test_a_damaged_index_leads_nowhere_else(store: FileStore, path: str) -> None:
    row = put(store, a_data_set()).row
    with pytest.raises(ValueError, match="not a path in the store"):
        store.path(replace(row, path=path))


@pytest.mark.parametrize(
    ("uid", "valid"),
    [
        pytest.param("1.2.840.10008.1.1", True, id="noop"),
        pytest.param("1", True, id="one component"),
        pytest.param("1.02.3", True, id="leading zero, as some devices send"),
        pytest.param("1." * 31 + "12", True, id="64 characters"),
        pytest.param("1." * 31 + "123", False, id="65 characters"),
        pytest.param("", False, id="empty"),
        pytest.param("../../evil", False, id="path"),
        pytest.param("1..2", False, id="empty component"),
        pytest.param(".1", False, id="hidden file"),
        pytest.param("1.2.", False, id="dot at the end"),
        pytest.param("1.2/3", False, id="slash"),
        pytest.param("1.2\n", False, id="line end"),
        pytest.param("1.2\0", False, id="NUL"),
        pytest.param("1.2 ", False, id="space"),
        pytest.param("1.²", False, id="digit that is not ASCII"),
        pytest.param("1.٣", False, id="Arabic digit"),
        pytest.param("1.2a", False, id="letter"),
    ],
)
def test_uids(uid: str, valid: bool, store: FileStore, tmp_path: Path) -> None:
    assert valid_uid(uid) is valid
    if not valid:
        with pytest.raises(Rejected, match="invalid_uid") as caught:
            store.spool(part10.Announced(MR, uid, EXPLICIT))
        assert caught.value.dicom_status == 0xA900
    assert names(tmp_path) == []


# --- refusing


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        pytest.param({"SOPInstanceUID": "1.2.3"}, 0xA900, "uid_mismatch", id="another object than announced"),
        pytest.param({"StudyInstanceUID": None}, 0xC000, "missing_uid", id="no study"),
        pytest.param({"StudyInstanceUID": "../1"}, 0xC000, "invalid_uid", id="study UID is a path"),
    ],
)
@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_refused_data_sets_leave_nothing(
    store: FileStore, tmp_path: Path, changes: dict[str, Any], status: int, reason: str
) -> None:
    data = encoded(a_data_set(**changes))
    spool = store.spool(announce(a_data_set()))
    spool.write([data], len(data))
    with pytest.raises(Rejected) as caught:
        spool.finish()
    assert (caught.value.dicom_status, caught.value.reason) == (status, reason)
    assert names(tmp_path) == []


def test_another_class_than_announced_is_stored_with_a_warning(store: FileStore) -> None:
    data = encoded(a_data_set())
    spool = store.spool(replace(announce(a_data_set()), sop_class_uid="1.2.840.10008.5.1.4.1.1.7"))
    spool.write([data], len(data))
    stored = spool.finish()
    assert (stored.status, stored.row.sop_class_uid) == (0xB007, MR)


def test_an_empty_data_set_is_refused(store: FileStore, tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="empty"):
        store.spool(announce(a_data_set())).finish()
    assert names(tmp_path) == []


@pytest.mark.parametrize(("limit", "fits"), [pytest.param(5000, True, id="noop"), pytest.param(500, False, id="large")])
def test_object_size_cap(tmp_path: Path, limit: int, fits: bool) -> None:
    store = FileStore(tmp_path, max_object_bytes=limit)
    if fits:
        assert put(store, a_data_set()).outcome is Outcome.NEW
        return
    with store.spool(announce(a_data_set())) as spool:
        for _ in range(5):
            spool.write([bytes(100)], 100)
        with pytest.raises(Rejected, match="too_large") as caught:
            spool.write([bytes(100)], 100)
    assert caught.value.dicom_status == 0xA700
    assert names(tmp_path) == []


def test_a_disk_below_its_floor_refuses_before_the_data(tmp_path: Path) -> None:
    disk = os.statvfs(tmp_path)
    store = FileStore(tmp_path, min_free_bytes=disk.f_bavail * disk.f_frsize * 2 + 1)
    with pytest.raises(Rejected, match="out_of_space") as caught:
        store.spool(announce(a_data_set()))
    assert caught.value.dicom_status == 0xA700


@pytest.mark.parametrize(
    ("call", "number", "reason"),
    [
        pytest.param("writev", errno.ENOSPC, "out_of_space", id="full while writing"),
        pytest.param("writev", errno.EIO, "disk_error", id="broken while writing"),
        pytest.param("fsync", errno.EIO, "disk_error", id="flush fails"),
        pytest.param("link", errno.ENOSPC, "out_of_space", id="no room for the name"),
    ],
)
def test_a_failing_disk_refuses_and_leaves_no_temporary(
    store: FileStore, monkeypatch: pytest.MonkeyPatch, call: str, number: int, reason: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, "as wanted")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(Rejected) as caught:
            put(store, a_data_set())
    assert (caught.value.dicom_status, caught.value.reason) == (0xA700, reason)
    assert [name for name in names(store.root) if ".part" in name] == []


def test_a_full_disk_recovers_by_itself(store: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(errno.ENOSPC, "as wanted")))
        with pytest.raises(Rejected, match="out_of_space"):
            put(store, a_data_set())
    assert names(store.root) == []
    assert put(store, a_data_set()).outcome is Outcome.NEW


# --- again and in conflict


@pytest.mark.parametrize(
    ("second", "transfer_syntax", "outcome", "aside"),
    [
        pytest.param({}, EXPLICIT, Outcome.SAME, 0, id="noop: the same again"),
        pytest.param({"pixels": b"\3\4" * 500}, EXPLICIT, Outcome.CONFLICT, 1, id="other pixels"),
        pytest.param({"pixels": b"\1\2" * 600}, EXPLICIT, Outcome.CONFLICT, 1, id="other length"),
        pytest.param({"PatientID": "P-2"}, EXPLICIT, Outcome.CONFLICT, 1, id="other patient"),
        pytest.param({}, IMPLICIT, Outcome.CONFLICT, 1, id="other encoding"),
    ],
)
def test_the_same_uid_again(
    store: FileStore, second: dict[str, Any], transfer_syntax: str, outcome: Outcome, aside: int
) -> None:
    first = put(store, a_data_set()).path.read_bytes()
    for _ in range(2):  # sending it once more changes nothing
        again = put(store, a_data_set(**second), transfer_syntax)
        assert (again.outcome, again.status) == (outcome, 0x0000)
        assert again.path.exists()
    assert store.path(again.row).read_bytes() == first
    assert len(names(store.conflicts)) == aside
    assert len(names(store.root)) == 1


def test_two_different_conflicts_are_both_kept(store: FileStore) -> None:
    for pixels in (b"\1\2", b"\3\4", b"\5\6"):
        put(store, a_data_set(pixels=pixels))
    kept = [dcmread(store.conflicts / name).PixelData for name in names(store.conflicts)]
    assert sorted(kept) == [b"\3\4", b"\5\6"]


def test_of_many_senders_of_one_uid_one_is_first(store: FileStore) -> None:
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda n: put(store, a_data_set(pixels=bytes([n % 2]) * 4000)), range(16)))
    outcomes = [result.outcome for result in results]
    assert (outcomes.count(Outcome.NEW), len(names(store.root)), len(names(store.conflicts))) == (1, 1, 1)
    assert outcomes.count(Outcome.SAME) == 7


def test_a_file_cut_short_by_a_crash_is_replaced(store: FileStore) -> None:
    path = put(store, a_data_set()).path
    whole = path.read_bytes()
    for length in (0, 100, len(whole) - 1):
        os.truncate(path, length)
        assert put(store, a_data_set()).outcome is Outcome.NEW
        assert path.read_bytes() == whole
    assert names(store.conflicts) == []


def test_a_restored_file_of_another_program_counts_as_stored(store: FileStore) -> None:
    data_set = a_data_set()
    path = store.root / relative_path(UID_1)
    path.write_bytes(as_file(data_set))
    assert put(store, a_data_set()).outcome is Outcome.SAME


# --- durability


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
    real, second = os.fsync, ThreadPoolExecutor(1)
    found: list[Future[Any]] = []

    def flush(fd: int) -> None:
        if found:
            return real(fd)
        found.append(second.submit(put, store, a_data_set()))
        time.sleep(0.3)  # it has met the first one's name by now
        raise OSError(errno.EIO, "as wanted")

    monkeypatch.setattr(os, "fsync", flush)
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


# --- leftovers


def test_sweep_takes_leftovers_and_spares_the_living(store: FileStore, tmp_path: Path) -> None:
    code = """
import os, sys
from pathlib import Path
from tests.workers.data_sets import a_data_set, announce
from workers.files import FileStore
store = FileStore(Path(sys.argv[1]))
store.unnamed = sys.argv[2] == "True"
spool = store.spool(announce(a_data_set()))
spool.write([b"x" * 1000], 1000)
os._exit(9)  # like kill -9: nothing is tidied up
"""
    command = [sys.executable, "-c", code, str(tmp_path), str(store.unnamed)]
    assert subprocess.run(command, check=False).returncode == 9
    alive = store.spool(announce(a_data_set(2)))
    stored = put(store, a_data_set(3))
    visible = 0 if store.unnamed else 1
    assert len(names(store.root)) == 1 + 2 * visible
    assert store.sweep_temporary() == visible
    assert store.sweep_temporary() == 0
    assert len(names(store.root)) == 1 + visible
    alive.abort()
    assert names(store.root) == [stored.row.path]


def test_abort_twice_is_harmless(store: FileStore) -> None:
    spool = store.spool(announce(a_data_set()))
    spool.abort()
    spool.abort()
    assert names(store.root) == []


# --- reading back


@pytest.mark.parametrize("transfer_syntax", [IMPLICIT, EXPLICIT, DEFLATED, BIG_ENDIAN])
def test_a_row_can_be_read_again_from_its_file(store: FileStore, transfer_syntax: str) -> None:
    stored = put(store, a_data_set(), transfer_syntax)
    row = read_row(store, stored.path)
    assert replace(row, received_at=stored.row.received_at) == stored.row
    assert abs((row.received_at - stored.row.received_at).total_seconds()) < 60


def test_a_row_from_a_file_of_another_program(store: FileStore) -> None:
    path = store.root / relative_path(UID_1)
    path.write_bytes(as_file(a_data_set()))
    row = read_row(store, path)
    assert (row.sop_instance_uid, row.transfer_syntax_uid, row.patient_id) == (UID_1, EXPLICIT, "P-1")


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        pytest.param(lambda path: os.truncate(path, 400), "incomplete", id="cut short"),
        pytest.param(lambda path: os.truncate(path, 0), "incomplete", id="empty"),
        pytest.param(lambda path: path.write_bytes(b"x" * 500), "incomplete", id="not DICOM"),
        pytest.param(lambda path: path.write_bytes(as_file(a_data_set(7))), "uid_mismatch", id="another object"),
    ],
)
def test_files_that_are_not_what_they_should_be(
    store: FileStore, damage: Callable[[Path], object], reason: str
) -> None:
    path = put(store, a_data_set()).path
    damage(path)
    with pytest.raises(Rejected) as caught:
        read_row(store, path)
    assert caught.value.reason == reason


def test_dcmtk_reads_what_is_stored(store: FileStore) -> None:
    path = put(store, a_data_set()).path
    dcmdump = shutil.which("dcmdump", path="/usr/bin")
    assert dcmdump is not None, "dcmtk is not installed"
    text = subprocess.run([dcmdump, str(path)], check=True, capture_output=True, text=True, errors="replace").stdout
    assert UID_1 in text
    assert "ICANSEE_1" in text
