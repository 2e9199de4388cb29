"""The name of a node: the same wherever its folder is used again, and another one for a copy of the folder."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from workers.node_name import FILE_NAME, node_name


def test_noop_a_restart(tmp_path: Path) -> None:
    assert node_name(tmp_path) == node_name(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME], "nothing is left of making it"


def test_a_new_container_on_the_same_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = node_name(tmp_path)
    monkeypatch.setattr(socket, "gethostname", lambda: "4f1c2d3e5a6b")
    assert node_name(tmp_path) == before


def copied(folder: Path, other: Path) -> None:
    shutil.copytree(folder, other)


def fresh(_folder: Path, other: Path) -> None:
    other.mkdir()


@pytest.mark.parametrize("made", [copied, fresh])
def test_another_node(tmp_path: Path, made: Callable[[Path, Path], None]) -> None:
    (tmp_path / "one").mkdir()
    before = node_name(tmp_path / "one")
    made(tmp_path / "one", tmp_path / "other")
    assert node_name(tmp_path / "other") != before


def test_not_measured_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "state"
    assert node_name(folder) == f"{socket.gethostname()}:{folder}"
