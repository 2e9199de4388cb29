"""A file is whole or not there, and what was there before stays when it cannot be written."""

from __future__ import annotations

from pathlib import Path

import pytest

from workers.files.replace_file import write_whole


def half(path: Path) -> None:
    path.write_text("half", encoding="utf-8")
    raise OSError("for the test")


def test_a_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.nii.gz"
    path.write_text("before", encoding="utf-8")
    seen: list[str] = []

    def write(growing: Path) -> None:
        seen.append(growing.name)
        growing.write_text("after", encoding="utf-8")

    assert write_whole(path, write) == path
    assert path.read_text(encoding="utf-8") == "after"
    assert [one.name for one in tmp_path.iterdir()] == ["a.nii.gz"]
    assert seen[0].startswith("."), "nobody takes it for a file"
    assert seen[0].endswith(".nii.gz"), "the format follows from the suffixes"


@pytest.mark.parametrize(
    "before", [pytest.param("before", id="what was there stays"), pytest.param(None, id="nothing")]
)
def test_a_file_that_cannot_be_written_leaves_nothing(before: str | None, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    if before is not None:
        path.write_text(before, encoding="utf-8")
    with pytest.raises(OSError, match="for the test"):
        write_whole(path, half)
    assert [one.read_text(encoding="utf-8") for one in tmp_path.iterdir()] == [before] * (before is not None)
