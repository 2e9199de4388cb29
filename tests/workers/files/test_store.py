"""Durable files: what is stored, refused, stored once, kept aside, swept."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from tests.workers.reading.data_sets import (
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
    names,
    put,
)
from triage.errors import Rejected
from workers.files import part10
from workers.files.index_rows import read_row
from workers.files.store import FileStore
from workers.files.stored import Outcome
from workers.files.uid_paths import relative_path, valid_uid

UID_1 = f"{STUDY}.1.1"


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


@pytest.mark.parametrize("lost", [False, True], ids=["it is there", "it was lost"])
def test_the_row_of_what_another_sends_again_is_that_of_the_file(store: FileStore, *, lost: bool) -> None:
    first = put(store, a_data_set())
    if lost:
        first.path.unlink()
    again = put(store, a_data_set(), calling_ae="A.LONGER.TITLE")
    assert again.outcome is (Outcome.NEW if lost else Outcome.SAME)
    assert again.announced.calling_ae == "A.LONGER.TITLE"
    assert replace(again.row, received_at=first.row.received_at) == replace(
        read_row(store.root, first.path), received_at=first.row.received_at
    )


# --- refusing


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        pytest.param({"SOPInstanceUID": "1.2.3"}, 0xA900, "uid_mismatch", id="another object than announced"),
        pytest.param({"StudyInstanceUID": None}, 0xC000, "missing_uid", id="no study"),
        pytest.param({"PatientID": "P" * 513}, 0xC000, "overlong_id", id="an ID too long to compare"),
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


def test_a_store_folder_that_was_moved_away_is_a_fault_of_the_disk(tmp_path: Path) -> None:
    """The sender keeps its object and may try again."""
    store = FileStore(tmp_path / "state")
    (tmp_path / "state").rename(tmp_path / "elsewhere")
    with pytest.raises(Rejected, match="disk_error") as caught:
        store.check_free_space()
    assert caught.value.dicom_status == 0xA700


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


# --- leftovers


def test_sweep_takes_leftovers_and_spares_the_living(store: FileStore, tmp_path: Path) -> None:
    code = """
import os, sys
from pathlib import Path
from tests.workers.reading.data_sets import a_data_set, announce
from workers.files.store import FileStore
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
    row = read_row(store.root, stored.path)
    assert replace(row, received_at=stored.row.received_at) == stored.row
    assert abs((row.received_at - stored.row.received_at).total_seconds()) < 60


def test_a_row_from_a_file_of_another_program(store: FileStore) -> None:
    path = store.root / relative_path(UID_1)
    path.write_bytes(as_file(a_data_set()))
    row = read_row(store.root, path)
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
        read_row(store.root, path)
    assert caught.value.reason == reason


def test_dcmtk_reads_what_is_stored(store: FileStore) -> None:
    path = put(store, a_data_set()).path
    dcmdump = shutil.which("dcmdump", path="/usr/bin")
    assert dcmdump is not None, "dcmtk is not installed"
    text = subprocess.run([dcmdump, str(path)], check=True, capture_output=True, text=True, errors="replace").stdout
    assert UID_1 in text
    assert "ICANSEE_1" in text
