"""Who may read the node's files, and who may run on its folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from listener.node.private import keep_private, only_one, refuse_other_account
from triage.errors import Misconfigured
from workers.settings import NodeSettings, StoreSettings


@pytest.fixture(autouse=True)
def same_umask_afterwards() -> Iterator[None]:
    before = os.umask(0o022)
    os.umask(before)
    yield
    os.umask(before)


@pytest.mark.parametrize(
    ("group", "folder_mode", "file_mode"),
    [pytest.param(False, 0o700, 0o600, id="default"), pytest.param(True, 0o750, 0o640, id="the group may read")],
)
def test_new_and_old_files_are_private(tmp_path: Path, group: bool, folder_mode: int, file_mode: int) -> None:
    state = tmp_path / "state"
    state.mkdir(mode=0o755)
    state.chmod(0o755)
    keep_private(NodeSettings(store=StoreSettings(state_dir=state, group_readable=group)))
    (state / "inner").mkdir()
    (state / "inner" / "file").write_text("x")
    assert state.stat().st_mode & 0o777 == folder_mode
    assert (state / "inner").stat().st_mode & 0o777 == folder_mode
    assert (state / "inner" / "file").stat().st_mode & 0o777 == file_mode


def test_noop_a_folder_that_is_not_there(tmp_path: Path) -> None:
    keep_private(NodeSettings(store=StoreSettings(state_dir=tmp_path / "missing")))
    assert not (tmp_path / "missing").exists()


def test_a_second_process_is_refused_by_name(tmp_path: Path) -> None:
    second = only_one(tmp_path, "listener")
    with only_one(tmp_path, "listener"), pytest.raises(Misconfigured, match="another `icansee listener` runs"):
        second.__enter__()
    with only_one(tmp_path, "listener"), only_one(tmp_path, "serve"):
        pass


def owned_by(monkeypatch: pytest.MonkeyPatch, index: Path, owner: int) -> None:
    real = Path.stat

    def stat(path: Path, **more: bool) -> os.stat_result:
        found = real(path, **more)
        return os.stat_result((*found[:4], owner, *found[5:])) if path == index else found

    monkeypatch.setattr(Path, "stat", stat)


def test_noop_the_account_of_the_node(tmp_path: Path) -> None:
    index = tmp_path / "index.db"
    refuse_other_account(tmp_path, index)
    index.touch()
    refuse_other_account(tmp_path, index)


@pytest.mark.parametrize(
    ("owner", "said"),
    [(os.geteuid() + 4711, f"belongs to account {os.geteuid() + 4711};"), (1, r"belongs to daemon \(1\); run this")],
)
def test_another_account_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: int, said: str
) -> None:
    (tmp_path / "index.db").touch()
    owned_by(monkeypatch, tmp_path / "index.db", owner)
    with pytest.raises(Misconfigured, match=said):
        refuse_other_account(tmp_path, tmp_path / "index.db")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index.db"]


def test_a_file_system_with_one_owner_for_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "index.db").touch()
    owned_by(monkeypatch, tmp_path / "index.db", 4711)
    monkeypatch.setattr("listener.node.private._owner_of_new_files", lambda _folder: 4711)
    refuse_other_account(tmp_path, tmp_path / "index.db")
