"""A folder that cannot be read is never an empty one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unreadable import make_unreadable
from workers.listing import files_below, files_in


@pytest.mark.parametrize(
    ("names", "ending", "found"),
    [
        pytest.param((), "", [], id="noop: empty"),
        pytest.param(("b.x", "a.x", "c.y"), ".x", ["a.x", "b.x"], id="by their ending, in order"),
        pytest.param(("b.x", ".a.x"), "", ["b.x"], id="not what is being written"),
    ],
)
def test_what_lies_in_a_folder(tmp_path: Path, names: tuple[str, ...], ending: str, found: list[str]) -> None:
    for name in names:
        (tmp_path / name).touch()
    assert [path.name for path in files_in(tmp_path, ending=ending)] == found


def test_not_measured_a_folder_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError):
        files_in(tmp_path / "gone")
    make_unreadable(monkeypatch, tmp_path)
    with pytest.raises(PermissionError):
        files_in(tmp_path)


def test_what_lies_below_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a/1", "b/2", "3"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    unread: list[Path] = []

    def below() -> list[str]:
        found = files_below(tmp_path, unread=lambda folder, _error: unread.append(folder))
        return [str(path.relative_to(tmp_path)) for path in found]

    assert (below(), unread) == (["3", "a/1", "b/2"], [])
    make_unreadable(monkeypatch, tmp_path / "a")
    assert (below(), unread) == (["3", "b/2"], [tmp_path / "a"])
