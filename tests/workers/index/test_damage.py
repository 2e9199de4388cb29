"""A damaged index file -> an empty one in its place, the damaged one aside, and everybody connected to the new one."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.fakes import an_instance
from triage.errors import Transient
from workers.config import Settings
from workers.index import damage
from workers.index.damage import damage_in, kept_aside
from workers.index.following import sqlite_path
from workers.index.node_index import NodeIndex, open_node_index
from workers.index.rebuilding import rebuilding_mark
from workers.index.schema import open_engine
from workers.settings import StoreSettings

PAGE = 4096
STUDIES = 200


def settings_of(folder: Path) -> Settings:
    return Settings(store=StoreSettings(state_dir=folder))


def an_index(folder: Path) -> NodeIndex:
    """With an image in the store, so that there is something to fill a new index from."""
    (folder / "store" / "ab").mkdir(parents=True, exist_ok=True)
    (folder / "store" / "ab" / "1.dcm").touch()
    index = open_node_index(settings_of(folder))
    rebuilding_mark(folder).unlink(missing_ok=True)
    return index


def fill(index: NodeIndex) -> None:
    index.record_instances([an_instance(f"1.2.{number}", 1) for number in range(STUDIES)])


def checkpoint(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def write_over(path: Path, *, pages: slice) -> None:
    size = path.stat().st_size // PAGE
    with path.open("r+b") as file:
        for number in range(*pages.indices(size)):
            file.seek(number * PAGE)
            file.write(b"\xa5" * PAGE)


def nothing(_path: Path) -> None:
    pass


@pytest.mark.parametrize(
    ("harm", "damaged"),
    [
        pytest.param(nothing, False, id="noop"),
        pytest.param(lambda path: path.unlink(), False, id="not measured: no file"),
        pytest.param(lambda path: path.write_bytes(b""), False, id="empty"),
        pytest.param(lambda path: path.write_bytes(b"somebody's notes"), True, id="another file"),
        pytest.param(lambda path: os.truncate(path, 5 * PAGE), True, id="cut short"),
        pytest.param(lambda path: write_over(path, pages=slice(2, None)), True, id="pages overwritten"),
        pytest.param(lambda path: write_over(path, pages=slice(0, 1)), True, id="the header overwritten"),
        pytest.param(lambda path: path.with_name("index.db-wal").write_bytes(b"\x37" * 999), False, id="a torn log"),
    ],
)
def test_damage_is_found_at_the_start(tmp_path: Path, harm: Callable[[Path], object], damaged: bool) -> None:
    path = tmp_path / "index.db"
    index = an_index(tmp_path)
    fill(index)
    index.close()
    harm(path)
    assert (damage_in(path) is not None) is damaged
    again = open_node_index(settings_of(tmp_path))
    again.verify()
    assert len(kept_aside(path)) == damaged
    assert rebuilding_mark(tmp_path).exists() is (damaged or not path.exists() or again.number_of_studies() == 0)
    fill(again)
    assert again.number_of_studies() == STUDIES
    again.close()
    assert damage_in(path, thorough=True) is None


def test_damage_in_use_costs_one_transient_error(tmp_path: Path) -> None:
    path, ours, other = tmp_path / "index.db", an_index(tmp_path), an_index(tmp_path)
    fill(ours)
    assert other.number_of_studies() == STUDIES
    fresh = open_node_index(settings_of(tmp_path))  # has no page of the studies in its memory
    checkpoint(path)
    write_over(path, pages=slice(1, None))
    with pytest.raises(Transient, match="index"):
        fresh.studies()
    assert len(kept_aside(path)) == 1
    assert rebuilding_mark(tmp_path).exists()
    for index in (fresh, ours, other):
        assert index.number_of_studies() == 0, "everybody uses the new file"
    fill(other)
    assert {index.number_of_studies() for index in (fresh, ours, other)} == {STUDIES}
    for index in (fresh, ours, other):
        index.close()
    assert damage_in(path, thorough=True) is None
    again = open_node_index(settings_of(tmp_path))
    assert again.number_of_studies() == STUDIES, "the log of the new file was not lost with the old one"
    again.close()


def test_others_that_use_the_file_follow(tmp_path: Path) -> None:
    """Deliveries and searches open it by themselves."""
    path, index = tmp_path / "index.db", an_index(tmp_path)
    other = open_engine(f"sqlite:///{path}")
    with other.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE only_in_the_old_file (x)")
        connection.commit()
    index.close()
    checkpoint(path)
    path.write_bytes(b"somebody's notes")
    again = open_node_index(settings_of(tmp_path))
    again.verify()
    again.close()
    with other.connect() as connection:
        assert not sa.inspect(connection).has_table("only_in_the_old_file")
    other.dispose()


def test_an_error_that_is_no_damage_replaces_nothing(tmp_path: Path) -> None:
    path, index = tmp_path / "index.db", an_index(tmp_path)
    fill(index)
    assert index._replace is not None
    assert index._replace(True) is False
    assert kept_aside(path) == []
    assert index.number_of_studies() == STUDIES
    index.close()


def test_few_damaged_files_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    an_index(tmp_path).close()
    for _ in range(damage.MOST_ASIDE + 2):
        path.write_bytes(b"somebody's notes")
        open_node_index(settings_of(tmp_path)).close()
    assert len(kept_aside(path)) == damage.MOST_ASIDE


def test_a_new_node_waits_for_nothing(tmp_path: Path) -> None:
    open_node_index(settings_of(tmp_path)).close()
    assert not rebuilding_mark(tmp_path).exists()


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:////a/index.db", Path("/a/index.db")),
        ("sqlite://", None),
        ("sqlite:///:memory:", None),
        ("postgresql+psycopg://u:p@h/n", None),
    ],
)
def test_path_of_a_url(url: str, path: Path | None) -> None:
    assert sqlite_path(url) == path
