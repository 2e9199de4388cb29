"""An index file that is deleted, emptied or replaced while it is used -> everybody uses what is there now, and says
so."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import an_instance
from tests.workers.index.test_damage import STUDIES, an_index, fill, settings_of
from triage.errors import Transient
from workers.index.damage import damage_in, kept_aside
from workers.index.following import Loss
from workers.index.node_index import open_node_index
from workers.index.rebuilding import is_rebuilding, last_rebuilt, note_rebuilt, rebuilding_mark
from workers.index.views import open_view_table

EARLIER = 7  # studies in the copy of an earlier time


def companion(*suffixes: str) -> Callable[[Path], None]:
    def delete(path: Path) -> None:
        for suffix in suffixes:
            path.with_name(path.name + suffix).unlink()

    return delete


def nothing(_path: Path) -> None:
    pass


def emptied(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(0)


def deleted_and_made_by_a_reader(path: Path) -> None:
    """A program that knows nothing of the images connects first: it makes a file without tables."""
    path.unlink()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
    connection.close()


def replaced(path: Path) -> None:
    """From a backup, by a tool that puts it in place whole."""
    path.with_name("backup").replace(path)


@pytest.mark.parametrize(
    ("harm", "said", "studies"),
    [
        pytest.param(nothing, None, STUDIES, id="noop"),
        pytest.param(Path.unlink, Loss.DELETED, 0, id="deleted"),
        pytest.param(deleted_and_made_by_a_reader, Loss.DELETED, 0, id="deleted, then made without tables"),
        pytest.param(emptied, Loss.EMPTIED, 0, id="emptied"),
        pytest.param(companion("-wal"), Loss.LOG, STUDIES, id="its log is deleted"),
        pytest.param(companion("-shm"), Loss.LOG, STUDIES, id="what its users share is deleted"),
        pytest.param(companion("-wal", "-shm"), Loss.LOG, STUDIES, id="both are deleted"),
        pytest.param(replaced, Loss.REPLACED, EARLIER, id="replaced by an older copy"),
    ],
)
def test_what_happens_to_the_file_in_use(
    tmp_path: Path, harm: Callable[[Path], object], said: Loss | None, studies: int
) -> None:
    path, ours, other = tmp_path / "index.db", an_index(tmp_path), an_index(tmp_path)
    ours.record_instances([an_instance(f"1.2.{number}", 1) for number in range(EARLIER)])
    with sqlite3.connect(path) as connection:
        connection.execute("VACUUM INTO ?", (str(path.with_name("backup")),))
    connection.close()
    fill(ours)
    reader = open_view_table(settings_of(tmp_path).index_url)
    assert other.number_of_studies() == STUDIES
    assert reader.views_of("somebody") == []
    harm(path)
    for index in (ours, other):
        with suppress(Transient):  # once for each, at most
            index.number_of_studies()
    assert {index.number_of_studies() for index in (ours, other)} == {studies}
    assert reader.views_of("somebody") == []
    assert rebuilding_mark(tmp_path).exists() is (said is not None)
    assert said is None or rebuilding_mark(tmp_path).read_text() == said
    note_rebuilt(tmp_path)
    fill(other)
    late = open_node_index(settings_of(tmp_path))
    assert {index.number_of_studies() for index in (ours, other, late)} == {STUDIES}
    assert not rebuilding_mark(tmp_path).exists(), "it is said once"
    assert ((found := last_rebuilt(tmp_path)) and found[0]) == said
    for index in (ours, other, late):
        index.close()
    assert kept_aside(path) == []
    assert damage_in(path, thorough=True) is None


def test_a_reader_alone_makes_no_index(tmp_path: Path) -> None:
    """It would say that this node has never received anything."""
    an_index(tmp_path).close()
    reader = open_view_table(settings_of(tmp_path).index_url)
    reader.views_of("somebody")
    (tmp_path / "index.db").unlink()
    for _ in range(2):
        with pytest.raises(Transient, match="index"):
            reader.views_of("somebody")
    index = open_node_index(settings_of(tmp_path))
    assert rebuilding_mark(tmp_path).exists()
    assert reader.views_of("somebody") == []
    index.close()


def test_a_state_folder_that_was_moved_gets_no_new_index(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    index = an_index(state)
    fill(index)
    state.rename(tmp_path / "elsewhere")
    (state / "run").mkdir(parents=True)  # signs of life make it again
    for _ in range(3):
        with pytest.raises(Transient, match="the state folder is gone"):
            index.number_of_studies()
    shutil.rmtree(state)
    (tmp_path / "elsewhere").rename(state)
    assert index.number_of_studies() == STUDIES
    assert not rebuilding_mark(state).exists()
    index.close()


@pytest.mark.parametrize("what", ["index.db", "index.db.lock"])
def test_not_measured_a_folder_that_the_disk_does_not_give(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """It passes: no process ends for it, and nobody takes it for a lost index."""
    path, index = tmp_path / "index.db", an_index(tmp_path)
    real = (Path.stat, os.open)

    def stat(one: Path, **more: Any) -> Any:
        if one == tmp_path / what:
            raise PermissionError(errno.EACCES, "Permission denied")
        return real[0](one, **more)

    def opened(one: Any, *more: Any) -> Any:
        if one == tmp_path / what:
            raise PermissionError(errno.EACCES, "Permission denied")
        return real[1](one, *more)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "stat", stat)
        patch.setattr(os, "open", opened)
        for _ in range(2):
            with pytest.raises(Transient, match="Permission denied"):
                open_node_index(settings_of(tmp_path))
    assert index.number_of_studies() == 0
    assert not rebuilding_mark(tmp_path).exists()
    index.close()
    assert kept_aside(path) == []


@pytest.mark.parametrize(
    ("lies_there", "tells", "rebuilding"),
    [
        pytest.param(False, True, False, id="noop"),
        pytest.param(True, True, True, id="it is being filled again"),
        pytest.param(False, False, True, id="not measured: the disk does not tell"),
    ],
)
def test_whether_it_is_being_filled_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lies_there: bool, tells: bool, rebuilding: bool
) -> None:
    if lies_there:
        rebuilding_mark(tmp_path).touch()
    if not tells:
        monkeypatch.setattr(Path, "stat", lambda *_: (_ for _ in ()).throw(PermissionError(errno.EACCES, "no")))
    assert is_rebuilding(tmp_path) is rebuilding


def test_a_copy_put_there_while_nobody_looked(tmp_path: Path) -> None:
    """The node was stopped for it."""
    path, index = tmp_path / "index.db", an_index(tmp_path)
    index.close()
    shutil.copy(path, path.with_name("backup"))
    index = open_node_index(settings_of(tmp_path))
    fill(index)
    index.close()
    assert not rebuilding_mark(tmp_path).exists()
    replaced(path)
    index = open_node_index(settings_of(tmp_path))
    assert index.number_of_studies() == 0
    assert rebuilding_mark(tmp_path).read_text() == Loss.REPLACED
    index.close()
