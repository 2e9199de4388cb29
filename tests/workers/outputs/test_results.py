"""Outcomes in, folders of results out; nothing outside the results folder is ever named."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.fakes import an_assessment, some_images
from triage.model import Stage
from workers.outputs.results import ResultFolder


def an_outcome(stage: Stage = Stage.FULL) -> object:
    from triage.assessment import Assessed

    return Assessed(assessment=an_assessment(some_images("1.2.3").study, stage), evidence=None)


def test_a_document_is_written_and_written_again(tmp_path: Path) -> None:
    folder = ResultFolder(tmp_path)
    for _ in range(2):
        folder.write("1.2.3", 1, an_outcome())  # type: ignore[arg-type]
    document = json.loads((tmp_path / "1.2.3" / "r1-full" / "document.json").read_text())
    assert document["study"]["study_instance_uid"] == "1.2.3"
    assert [entry.name for entry in (tmp_path / "1.2.3").iterdir()] == ["r1-full"]


@pytest.mark.parametrize(("mask", "mode"), [(0o077, 0o700), (0o027, 0o750)], ids=["default", "the group may read"])
def test_who_may_read_them(tmp_path: Path, mask: int, mode: int) -> None:
    before = os.umask(mask)
    try:
        ResultFolder(tmp_path).write("1.2.3", 1, an_outcome())  # type: ignore[arg-type]
    finally:
        os.umask(before)
    written = [tmp_path / "1.2.3" / "r1-full", *(tmp_path / "1.2.3" / "r1-full").iterdir()]
    assert {path.stat().st_mode & 0o777 | 0o111 for path in written} == {mode | 0o111}


def test_what_lies_beside_is_there_while_the_pictures_are_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, seen = ResultFolder(tmp_path), []

    def drawn(_growing: Path, *_: object) -> None:
        seen.extend(path.read_bytes() for path in folder.early_place("1.2.3", 1, "full").iterdir())

    monkeypatch.setattr("workers.outputs.results.write_results", drawn)
    folder.write("1.2.3", 1, an_outcome(), beside={"sources.json": b"{}"})  # type: ignore[arg-type]
    assert seen == [b"{}"]
    assert (folder.place("1.2.3", 1, "full") / "sources.json").read_bytes() == b"{}"
    assert [entry.name for entry in (tmp_path / "1.2.3").iterdir()] == ["r1-full"]


@pytest.mark.parametrize("names", [["followup.raw", "viewer.json"], []], ids=["evidence", "noop: no evidence"])
@pytest.mark.parametrize("fault", [None, OSError("no space")], ids=["written", "a fault: the results stay"])
def test_what_is_sent_does_not_wait_for_the_viewer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: list[str], fault: OSError | None
) -> None:
    folder, seen = ResultFolder(tmp_path), []
    place = folder.place("1.2.3", 1, "full")

    def written(growing: Path, *_: object) -> list[Path]:
        seen.extend(sorted(path.name for path in place.iterdir()))
        for name in names:
            (growing / name).write_bytes(b"x")
        if fault is not None:
            raise fault
        return [growing / name for name in names]

    monkeypatch.setattr("workers.outputs.evidence.volumes.write_volumes", written)
    folder.write("1.2.3", 1, an_outcome())  # type: ignore[arg-type]
    assert {"document.json", "evidence.png"} <= set(seen)
    assert not set(seen) & {"followup.raw", "viewer.json"}
    wanted = set() if fault else set(names)
    assert {path.name for path in place.iterdir()} == set(seen) | wanted
    assert [entry.name for entry in (tmp_path / "1.2.3").iterdir()] == ["r1-full"]


@pytest.mark.parametrize(
    ("pictures", "revision", "newest"),
    [
        pytest.param([], 1, None, id="none"),
        pytest.param(["r1-first_look"], 1, "r1-first_look", id="first look only"),
        pytest.param(["r1-first_look", "r1-full"], 1, "r1-full", id="full over first look"),
        pytest.param(["r9-full", "r10-first_look"], 10, "r10-first_look", id="revisions are numbers"),
        pytest.param(["r3-full"], 1, None, id="a picture of a decision that is not shown"),
        pytest.param(["r3-full"], None, None, id="no decision"),
        pytest.param([".r3-full.tmp"], 3, None, id="noop: half written"),
    ],
)
def test_picture_of_a_decision(tmp_path: Path, pictures: list[str], revision: int | None, newest: str | None) -> None:
    for name in pictures:
        (tmp_path / "1.2.3" / name).mkdir(parents=True)
        (tmp_path / "1.2.3" / name / "evidence.png").write_bytes(b"png")
    picture = ResultFolder(tmp_path).picture("1.2.3", revision)
    assert (picture.parent.name if picture else None) == newest


@pytest.mark.parametrize("uid", ["..", ".", "", "../1.2", "1/2", "1.2\n", "1" * 65, "a.b"])
def test_what_is_no_uid_names_no_folder(tmp_path: Path, uid: str) -> None:
    folder = ResultFolder(tmp_path / "results")
    (tmp_path / "r1-full").mkdir()
    (tmp_path / "r1-full" / "evidence.png").write_bytes(b"secret")
    assert folder.picture(uid, 1) is None
    with pytest.raises(ValueError, match="not a UID"):
        folder.place(uid, 1, "full")
