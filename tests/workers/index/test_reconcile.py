"""Index and files made to agree again, whatever was lost."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.workers.reading.data_sets import EXPLICIT, IMPLICIT, STUDY, a_data_set, put
from workers.files.store import FileStore
from workers.index import reconcile as reconciling
from workers.index.reconcile import Report, reconcile
from workers.index.sql import SqlIndex, open_index
from workers.ports import InstanceRow


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path)


@pytest.fixture
def index(tmp_path: Path) -> Iterator[SqlIndex]:
    opened = open_index(f"sqlite:///{tmp_path / 'index.db'}")
    yield opened
    opened.close()


def fill(store: FileStore, index: SqlIndex, *, indexed: int, only_files: int = 0) -> list[Path]:
    stored = [put(store, a_data_set(number), EXPLICIT) for number in range(indexed + only_files)]
    index.record_instances([one.row for one in stored[:indexed]])
    return [one.path for one in stored]


Damage = Callable[[FileStore, SqlIndex, list[Path]], object]


def _nothing(*_: object) -> None:
    pass


def _restored_name(store: FileStore, _index: SqlIndex, _paths: list[Path]) -> None:
    (store.root / "ab" / "9.9.9.dcm").write_bytes(b"somebody's notes")


def _sent_again_by_another(store: FileStore, _index: SqlIndex, paths: list[Path]) -> None:
    paths[0].unlink()
    put(store, a_data_set(0), EXPLICIT, calling_ae="ANOTHER.SENDER")


@pytest.mark.parametrize(
    ("only_files", "damage", "report"),
    [
        pytest.param(0, _nothing, Report(files=4), id="noop: nothing to do"),
        pytest.param(3, _nothing, Report(files=7, added=3), id="rows lost in a crash"),
        pytest.param(0, lambda s, i, p: p[0].unlink(), Report(files=3, missing=1), id="a file is gone"),
        pytest.param(0, lambda s, i, p: os.truncate(p[0], 99), Report(files=4, changed=1), id="a file was shortened"),
        pytest.param(0, _sent_again_by_another, Report(files=4, renewed=1), id="a lost file was sent again"),
        pytest.param(
            1, lambda s, i, p: os.truncate(p[-1], 99), Report(files=5, incomplete=1), id="cut short by a crash"
        ),
        pytest.param(0, _restored_name, Report(files=5, incomplete=1), id="not an object"),
    ],
)
def test_what_a_scan_finds(store: FileStore, index: SqlIndex, only_files: int, damage: Damage, report: Report) -> None:
    paths = fill(store, index, indexed=4, only_files=only_files)
    damage(store, index, paths)
    assert reconcile(store, index) == report
    assert report.clean is (report == Report(files=4))


@pytest.mark.parametrize(
    ("lost", "cut", "report"),
    [
        pytest.param(False, 10, Report(files=2, added=1, incomplete=1), id="noop: never acknowledged"),
        pytest.param(True, 10, Report(files=2, added=1, damaged=1), id="the index is lost: nobody can tell"),
        pytest.param(True, None, Report(files=2, added=1, incomplete=1), id="and it does not say who it is"),
    ],
)
def test_a_file_without_a_row_that_lost_its_end(
    store: FileStore, index: SqlIndex, *, lost: bool, cut: int | None, report: Report
) -> None:
    _, path = fill(store, index, indexed=0, only_files=2)
    whole = path.stat().st_size
    os.truncate(path, 99 if cut is None else whole - cut)
    assert reconcile(store, index, lost=lost) == report
    assert path.exists() is bool(report.damaged)
    rows = {store.path(row): row.size_bytes for row in index.instances(STUDY)}
    assert rows.get(path) == (whole if report.damaged else None), "its study is not judged without it"
    assert reconcile(store, index).changed == report.damaged


def test_a_second_scan_finds_nothing_new(store: FileStore, index: SqlIndex) -> None:
    paths = fill(store, index, indexed=2, only_files=3)
    os.truncate(paths[-1], 99)
    assert reconcile(store, index) == Report(files=5, added=2, incomplete=1)
    assert reconcile(store, index) == Report(files=4)


def test_a_lost_index_is_rebuilt_from_the_files(store: FileStore, index: SqlIndex, tmp_path: Path) -> None:
    for number in range(6):
        series = f"{STUDY}.{number % 2}"
        data_set = a_data_set(number, SeriesInstanceUID=series, StudyInstanceUID=f"{STUDY}.{number // 3}")
        index.record_instances([put(store, data_set, IMPLICIT if number % 2 else EXPLICIT).row])
    before = {study.study_instance_uid: study for study in index.studies()}
    new = open_index(f"sqlite:///{tmp_path / 'new.db'}")
    assert reconcile(store, new).added == 6
    for study in new.studies():
        old = before.pop(study.study_instance_uid)
        assert (study.instance_count, study.series_count) == (old.instance_count, old.series_count)
        assert (study.patient_id, study.birth_date, study.study_date) == (
            old.patient_id,
            old.birth_date,
            old.study_date,
        )
        paths = [{row.path for row in one.instances(study.study_instance_uid)} for one in (index, new)]
        assert paths[0] == paths[1]
    assert before == {}


def test_a_whole_file_is_never_quarantined_by_a_scan_that_came_too_late(
    store: FileStore, index: SqlIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    [path] = fill(store, index, indexed=0, only_files=1)
    whole = path.read_bytes()
    os.truncate(path, 99)
    real = Path.replace

    def resent_just_before(self: Path, target: Path) -> Path:
        monkeypatch.setattr(Path, "replace", real)
        put(store, a_data_set(0))  # the sender comes back between look and move
        return real(self, target)

    monkeypatch.setattr(Path, "replace", resent_just_before)
    reconcile(store, index)
    assert path.read_bytes() == whole


def test_a_stopped_scan_says_so(store: FileStore, index: SqlIndex) -> None:
    stop = threading.Event()
    stop.set()
    fill(store, index, indexed=0, only_files=1)
    assert reconcile(store, index, stop=stop) == Report(finished=False)


def test_two_hosts_may_scan_at_once(store: FileStore, index: SqlIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    [path] = fill(store, index, indexed=0, only_files=1)
    os.truncate(path, 99)
    real = Path.replace

    def the_other_was_faster(self: Path, target: Path) -> Path:
        real(self, target)
        return real(self, target)

    monkeypatch.setattr(Path, "replace", the_other_was_faster)
    assert reconcile(store, index).finished
    assert not path.exists()


def _broken(*_: object) -> Any:
    raise OSError(errno.EIO, "Input/output error")


def _listing_fails(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    real = FileStore.files_in

    def files_in(store: FileStore, folder: str) -> Iterator[Path]:
        return _broken() if folder == path.parent.name else real(store, folder)

    monkeypatch.setattr(FileStore, "files_in", files_in)


def _cannot_be_put_aside(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    os.truncate(path, 99)
    monkeypatch.setattr(reconciling, "_quarantine", _broken)


def _reading_fails(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    real = reconciling.read_row
    monkeypatch.setattr(reconciling, "read_row", lambda root, one: _broken() if one == path else real(root, one))


def _is_deleted_meanwhile(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    real = reconciling.read_row

    def read(root: Path, one: Path) -> Any:
        path.unlink(missing_ok=True)
        return real(root, one)

    monkeypatch.setattr(reconciling, "read_row", read)


@pytest.mark.parametrize(
    ("fault", "unread"),
    [
        pytest.param(lambda *_: None, 0, id="noop: the disk works"),
        pytest.param(_listing_fails, 1, id="a folder is not listed"),
        pytest.param(_reading_fails, 1, id="a file is not read"),
        pytest.param(_cannot_be_put_aside, 1, id="a cut-short file cannot be put aside"),
        pytest.param(_is_deleted_meanwhile, 0, id="a file is deleted meanwhile"),
    ],
)
def test_a_fault_of_the_disk_costs_only_what_it_hits(
    store: FileStore, index: SqlIndex, monkeypatch: pytest.MonkeyPatch, fault: Callable[..., None], unread: int
) -> None:
    paths = sorted(fill(store, index, indexed=0, only_files=4))
    fault(monkeypatch, paths[0])
    report = reconcile(store, index)
    hit = not paths[0].exists() or bool(unread)
    assert (report.unread, report.added) == (unread, 3 if hit else 4)
    assert report.finished
    assert report.clean is False


def test_a_size_that_the_disk_does_not_tell_is_no_change(
    store: FileStore, index: SqlIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store, index, indexed=2)
    real = Path.stat
    monkeypatch.setattr(Path, "stat", lambda path, **how: _broken() if path.suffix == ".dcm" else real(path, **how))
    assert reconcile(store, index) == Report(files=2)


@pytest.mark.parametrize(
    "refused", [pytest.param(0, id="noop: none"), pytest.param(1, id="one"), pytest.param(3, id="some")]
)
def test_rows_that_the_index_refuses_cost_no_others(
    store: FileStore, index: SqlIndex, monkeypatch: pytest.MonkeyPatch, refused: int
) -> None:
    fill(store, index, indexed=0, only_files=6)
    bad = {f"{STUDY}.1.{number}" for number in range(refused)}
    real = index.record_instances

    def record(rows: Sequence[InstanceRow]) -> None:
        if bad & {row.sop_instance_uid for row in rows}:
            raise ValueError("a value that no database takes")
        real(rows)

    monkeypatch.setattr(index, "record_instances", record)
    assert reconcile(store, index) == Report(files=6, added=6 - refused, unread=refused)
    assert len(index.instances(STUDY)) == 6 - refused
