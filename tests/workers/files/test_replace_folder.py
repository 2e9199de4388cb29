"""A finished folder takes its final name, also when somebody else does the same at this moment."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from workers.files.replace_folder import put_in_place


def a_folder(path: Path, text: str) -> Path:
    path.mkdir()
    (path / "one").write_text(text)
    (path / "two").write_text(text)
    return path


@pytest.mark.parametrize("before", [pytest.param(True, id="replaces"), pytest.param(False, id="is new")])
def test_takes_its_place(tmp_path: Path, before: bool) -> None:
    if before:
        a_folder(tmp_path / "final", "old")
    put_in_place(a_folder(tmp_path / "new", "new"), tmp_path / "final")
    assert (tmp_path / "final" / "one").read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["final"]


def test_of_many_at_once_one_is_there_whole(tmp_path: Path) -> None:
    folders = [a_folder(tmp_path / f"new{n}", str(n)) for n in range(8)]
    threads = [threading.Thread(target=put_in_place, args=(one, tmp_path / "final")) for one in folders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    texts = {(tmp_path / "final" / name).read_text() for name in ("one", "two")}
    assert len(texts) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["final"]


def test_who_comes_second_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other one puts its folder there between our two renames."""
    new = a_folder(tmp_path / "new", "ours")
    path_rename = Path.rename

    def rename(self: Path, target: Path) -> Path:
        if self == new:
            a_folder(tmp_path / "final", "theirs")
        return path_rename(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    put_in_place(new, tmp_path / "final")
    assert (tmp_path / "final" / "one").read_text() == "theirs"
    assert [p.name for p in tmp_path.iterdir()] == ["final"]


def test_a_failure_brings_the_old_one_back(tmp_path: Path) -> None:
    a_folder(tmp_path / "final", "old")
    with pytest.raises(FileNotFoundError):
        put_in_place(tmp_path / "absent", tmp_path / "final")
    assert (tmp_path / "final" / "one").read_text() == "old"
