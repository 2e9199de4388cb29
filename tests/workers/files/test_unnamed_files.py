"""Files that are made before their object is announced: used once each, few at a time, and none where they cannot
be."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from tests.workers.reading.data_sets import STUDY, a_data_set, announce, encoded, names, put
from workers.files import disk
from workers.files.disk import PREPARED_FILES
from workers.files.store import FileStore
from workers.files.stored import Outcome
from workers.files.uid_paths import relative_path


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    found = FileStore(tmp_path)
    if not found.unnamed:
        pytest.skip("the file system of the temporary folder cannot name a file later")
    return found


def unnamed_files(store: FileStore) -> int:
    """Descriptors of this process that lie in the store and have no name."""
    found = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            target = str(descriptor.readlink())
            found += target.startswith(str(store.root)) and target.endswith(" (deleted)")
    return found


@pytest.mark.parametrize(
    ("prepared", "objects"),
    [
        pytest.param(0, 3, id="noop: nothing prepared"),
        pytest.param(3, 3, id="one for each"),
        pytest.param(1, 3, id="fewer than objects"),
    ],
)
def test_objects_land_under_their_own_names(store: FileStore, prepared: int, objects: int) -> None:
    for _ in range(prepared):
        store.prepare()
    for number in range(objects):
        assert put(store, a_data_set(number)).outcome is Outcome.NEW
    assert unnamed_files(store) == 0
    expected = [relative_path(f"{STUDY}.1.{number}") for number in range(objects)]
    assert names(store.root) == sorted(expected)
    for number, name in enumerate(expected):
        assert (store.root / name).read_bytes().endswith(encoded(a_data_set(number)))


def test_they_are_few_invisible_and_given_back(store: FileStore) -> None:
    for _ in range(3 * PREPARED_FILES):
        store.prepare()
    assert unnamed_files(store) == PREPARED_FILES
    assert names(store.root) == []
    store.prepared.close()
    store.prepare()
    assert unnamed_files(store) == 0


def test_a_refused_object_gives_its_file_back(store: FileStore) -> None:
    store.prepare()
    store.spool(announce(a_data_set(1))).abort()
    assert unnamed_files(store) == 0


def test_a_disk_that_has_no_room_for_them(store: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_folder: str) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(disk, "create_unnamed", full)
        store.prepare()  # nobody is there who could be told
    assert put(store, a_data_set(1)).outcome is Outcome.NEW


def test_none_when_the_folders_lie_on_several_disks(store: FileStore, tmp_path: Path) -> None:
    other = Path("/dev/shm")  # noqa: S108 - a disk of its own
    if not other.is_dir() or other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second file system at hand")
    (store.root / "7f").rmdir()
    (store.root / "7f").symlink_to(other)
    again = FileStore(tmp_path)
    again.prepare()
    assert unnamed_files(again) == 0


def test_none_where_objects_have_names_from_the_start(tmp_path: Path) -> None:
    store = FileStore(tmp_path, sync_folders=True)
    store.prepare()
    assert unnamed_files(store) == 0
