"""The conflicts folder is the record: what lies there gets its row, at the latest when the disk gives it."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest

from tests.unreadable import make_unreadable
from tests.workers.reading.data_sets import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT, a_data_set, put
from triage.errors import Transient
from workers.files.store import FileStore
from workers.index import conflicts
from workers.index.conflicts import ConflictWatch
from workers.ports import ConflictRow


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    found = FileStore(tmp_path)
    for pixels in (b"\1\2", b"\3\4"):
        put(found, a_data_set(1, pixels=pixels))
    return found


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        pytest.param(None, [1, 0], id="noop: read, and not again"),
        pytest.param(OSError(errno.EIO, "Input/output error"), [0, 1], id="the disk does not give it at first"),
    ],
)
def test_looked_for_until_it_is_read(
    store: FileStore, monkeypatch: pytest.MonkeyPatch, fault: OSError | None, seen: list[int]
) -> None:
    rows: list[ConflictRow] = []
    watch = ConflictWatch(store, rows.extend)

    def fail(_root: Path, _path: Path) -> ConflictRow:
        assert fault is not None
        raise fault

    with monkeypatch.context() as patch:
        if fault is not None:
            patch.setattr(conflicts, "read_conflict", fail)
        found = [watch.look()]
    found.append(watch.look())
    assert found == seen
    assert len(rows) == 1


def test_a_folder_that_cannot_be_read_is_not_empty(store: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[ConflictRow] = []
    watch = ConflictWatch(store, rows.extend)
    with monkeypatch.context() as patch:
        make_unreadable(patch, store.conflicts)
        with pytest.raises(PermissionError):
            watch.look()
    assert watch.look() == 1


def test_what_is_no_object_is_left_alone(store: FileStore) -> None:
    (store.conflicts / "notes.dcm").write_bytes(b"somebody's notes")
    rows: list[ConflictRow] = []
    watch = ConflictWatch(store, rows.extend)
    assert [watch.look(), watch.look()] == [1, 0]


def test_rows_are_written_when_the_index_is_back(store: FileStore) -> None:
    away = [Transient("away")]

    def record(rows: list[ConflictRow]) -> None:
        if away:
            raise away.pop()

    watch = ConflictWatch(store, record)  # type: ignore[arg-type]
    with pytest.raises(Transient):
        watch.look()
    assert watch.look() == 1


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        pytest.param({"PatientID": "P-2", "PatientBirthDate": "19810101"}, True, id="another identity"),
        pytest.param({"PatientName": "Secret^Name^of^more^letters"}, True, id="another length"),
        pytest.param({"PatientID": "P-2", "SeriesNumber": "5"}, False, id="another place in the study"),
        pytest.param({"PatientID": "P-2", "pixels": b"\3\4" * 500}, False, id="other pixels"),
    ],
)
@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG_ENDIAN])
def test_only_the_identity_differs(tmp_path: Path, changes: dict[str, Any], same: bool, syntax: str) -> None:
    store = FileStore(tmp_path)
    put(store, a_data_set(1), syntax)
    put(store, a_data_set(1, **changes), syntax)
    rows: list[ConflictRow] = []
    ConflictWatch(store, rows.extend).look()
    (row,) = rows
    assert row.same_images is same
    assert row.patient_id == changes.get("PatientID", "P-1")
    assert (row.issuer, row.sex) == ("CLINIC", "F")


@pytest.mark.parametrize("case", ["deflated", "stored one gone"], ids=["not measured: deflated", "not measured: gone"])
def test_what_cannot_be_compared_is_not_the_same(tmp_path: Path, case: str) -> None:
    store = FileStore(tmp_path)
    syntax = DEFLATED if case == "deflated" else EXPLICIT
    first = put(store, a_data_set(1), syntax)
    put(store, a_data_set(1, PatientID="P-2"), syntax)
    if case != "deflated":
        first.path.unlink()
    rows: list[ConflictRow] = []
    ConflictWatch(store, rows.extend).look()
    assert [row.same_images for row in rows] == [False]


BLANK, SHOWS = b"\0\0" * 40_000, bytes(range(250)) * 320


@pytest.mark.parametrize(
    ("stored", "again", "fills"),
    [
        pytest.param(SHOWS, SHOWS[::-1], False, id="noop: two images"),
        pytest.param(BLANK, SHOWS, True, id="blank"),
        pytest.param(b"\7\0" * 40_000, SHOWS, True, id="one value"),
        pytest.param(SHOWS, BLANK, False, id="the blank one came later"),
        pytest.param(BLANK, b"\7\0" * 40_000, False, id="both blank"),
        pytest.param(b"", SHOWS, True, id="no pixels"),
    ],
)
@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG_ENDIAN])
def test_content_for_a_blank_image(tmp_path: Path, stored: bytes, again: bytes, fills: bool, syntax: str) -> None:
    store = FileStore(tmp_path)
    put(store, a_data_set(1, pixels=stored), syntax)
    put(store, a_data_set(1, pixels=again), syntax)
    rows: list[ConflictRow] = []
    ConflictWatch(store, rows.extend).look()
    assert [row.fills_blank for row in rows] == [fills]


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG_ENDIAN, DEFLATED])
@pytest.mark.parametrize("cut_first", [True, False], ids=["the cut one came first", "noop: the cut one came later"])
def test_whole_content_for_a_file_that_was_cut_short(tmp_path: Path, syntax: str, cut_first: bool) -> None:
    store = FileStore(tmp_path)
    for cut in (cut_first, not cut_first):
        put(store, a_data_set(1, pixels=SHOWS), syntax, cut_bytes=60 if cut else 0)
    rows: list[ConflictRow] = []
    ConflictWatch(store, rows.extend).look()
    assert [row.fills_blank for row in rows] == [cut_first]


def test_not_measured_a_deflated_object_is_not_looked_into(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    for pixels in (BLANK, SHOWS):
        put(store, a_data_set(1, pixels=pixels), DEFLATED)
    rows: list[ConflictRow] = []
    ConflictWatch(store, rows.extend).look()
    assert [row.fills_blank for row in rows] == [False]
