"""The drop folder: what is taken, left, set aside, and never followed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom import dcmread

from listener.intake import drop as drop_module
from listener.intake.drop import CUT_WAIT_S, SENDER, DropFolder, drop_folder
from listener.intake.taking import FileTaker, Taken, TakenFile
from listener.receiving.reception import Reception
from tests.builders_dicom import a_series
from tests.listener.harness import eventually, running
from triage.errors import Misconfigured
from workers.audit.spool import NoAudit
from workers.config import parse
from workers.files.store import FileStore
from workers.ports import InstanceRow
from workers.settings import ListenerSettings

SETTLE_S = 5.0
MOST_BYTES = 1 << 20


class Drop:
    """A drop folder with a clock that is moved by hand."""

    def __init__(self, tmp_path: Path, *, min_free_bytes: int = 0) -> None:
        self.folder, self.now_s, self.rows = tmp_path / "drop", 0.0, list[InstanceRow]()
        self.folder.mkdir(exist_ok=True)
        self.store = FileStore(tmp_path / "state", min_free_bytes=min_free_bytes, max_object_bytes=MOST_BYTES)
        reception = Reception(self.store, self.rows.append)
        settings = ListenerSettings()
        self._drop = DropFolder(
            self.folder,
            lambda: FileTaker(reception, settings, sender=SENDER),
            settle_s=SETTLE_S,
            now_s=lambda: self.now_s,
        )

    def look(self, after_s: float = 0.0) -> int:
        self.now_s += after_s
        return self._drop.look()

    def left(self) -> list[str]:
        return sorted(
            str(path.relative_to(self.folder))
            for path in self.folder.rglob("*")
            if not path.is_dir() and path.relative_to(self.folder).parts[0] != "refused"
        )

    def refused(self) -> dict[str, str]:
        """Name -> reason."""
        found = (self.folder / "refused").glob("*.reason.txt")
        return {path.name.removesuffix(".reason.txt"): path.read_text().strip() for path in found}


def test_files_are_taken_when_they_stop_changing(tmp_path: Path) -> None:
    drop = Drop(tmp_path)
    assert drop.look() == 0
    files = a_series(drop.folder / "a" / "b", count=2)
    assert [drop.look(), drop.look(SETTLE_S / 2)] == [0, 0]
    files[0].write_bytes(files[0].read_bytes() + b"\0\0")  # it grows
    assert drop.look(SETTLE_S / 2 + 1) == 1
    assert drop.look(SETTLE_S + 1) == 1
    assert drop.left() == []
    assert len(list(drop.store.all_files())) == 2
    assert {row.calling_ae for row in drop.rows} == {SENDER}


def cut_in_pixels(whole: bytes) -> bytes:
    return whole[:-60]


def cut_in_header(whole: bytes) -> bytes:
    return whole[:700]


def cut_in_length(whole: bytes) -> bytes:
    return whole[: whole.rindex(b"\xe0\x7f\x10\x00") + 6]


CUT_SHORT = "the file ends before its data set does: it was cut short"
ZEROS = "the file begins with zeros only: its copy broke off"


@pytest.mark.parametrize(
    ("cut", "refused"),
    [
        (cut_in_pixels, CUT_SHORT),
        (cut_in_header, CUT_SHORT),
        (cut_in_length, CUT_SHORT),
        pytest.param(lambda whole: bytes(len(whole)), ZEROS, id="a copy that makes room first"),
    ],
)
@pytest.mark.parametrize("goes_on", [True, False], ids=["the copy goes on", "the copy broke off"])
def test_a_file_whose_copy_has_not_ended_is_not_taken(
    tmp_path: Path, cut: Callable[[bytes], bytes], refused: str, goes_on: bool
) -> None:
    drop = Drop(tmp_path)
    (file,) = a_series(drop.folder, count=1)
    whole = file.read_bytes()
    file.write_bytes(cut(whole))
    drop.look()
    assert [drop.look(SETTLE_S), drop.look(SETTLE_S)] == [0, 0]
    assert (drop.left(), drop.refused()) == ([file.name], {})
    if goes_on:
        file.write_bytes(whole)
        drop.look()
        assert (drop.look(SETTLE_S), drop.left()) == (1, [])
    else:
        assert drop.look(CUT_WAIT_S) == 0
        assert drop.refused() == {file.name: refused}
    assert len(list(drop.store.all_files())) == int(goes_on)


def test_a_file_that_grows_while_it_is_taken_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drop = Drop(tmp_path)
    (file,) = a_series(drop.folder, count=1)
    end = TakenFile.end

    def and_more(self: TakenFile) -> Taken:
        file.write_bytes(file.read_bytes() + b"\0\0")
        return end(self)

    drop.look()
    monkeypatch.setattr(TakenFile, "end", and_more)
    drop.look(SETTLE_S)
    assert drop.left() == [file.name]


def test_files_that_cannot_be_taken_keep_no_others_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drop_module, "MOST_FILES", 2)
    drop = Drop(tmp_path)
    for path in a_series(drop.folder / "a", count=2):
        path.write_bytes(cut_in_pixels(path.read_bytes()))
    a_series(drop.folder / "b", count=1)
    drop.look()
    assert sum(drop.look(SETTLE_S) for _ in range(3)) == 1
    assert len(drop.left()) == 2


def test_a_file_that_is_there_already_is_taken_again(tmp_path: Path) -> None:
    drop = Drop(tmp_path)
    (file,) = a_series(drop.folder, count=1)
    content = file.read_bytes()
    drop.look()
    assert drop.look(SETTLE_S) == 1
    file.write_bytes(content)
    drop.look()
    assert drop.look(SETTLE_S) == 1
    assert (len(list(drop.store.all_files())), drop.left()) == (1, [])


def make_text(path: Path) -> None:
    path.write_text("no DICOM " * 50)


def make_zip(path: Path) -> None:
    path.write_bytes(b"PK\x03\x04" + bytes(600))


def make_link(path: Path) -> None:
    target = path.parent.parent / "secret"
    target.write_text("secret")
    path.symlink_to(target)


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_directory(path: Path) -> None:
    (file,) = a_series(path.parent.parent / "listed", count=1)
    ds = dcmread(file)
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.1.3.10"
    ds.save_as(path)


def make_large(path: Path) -> None:
    (file,) = a_series(path.parent.parent / "large", count=1)
    path.write_bytes(file.read_bytes() + bytes(MOST_BYTES))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        pytest.param(make_large, f"the object exceeds {MOST_BYTES} bytes", id="too large"),
        pytest.param(make_text, "the file has no Part-10 header", id="text"),
        pytest.param(lambda path: path.touch(), "the file has no Part-10 header", id="empty"),
        pytest.param(
            make_directory,
            "it is a DICOMDIR, a list of the files beside it: they are taken without it",
            id="DICOMDIR",
        ),
        pytest.param(make_zip, "a zip archive: unpack it", id="zip archive"),
        pytest.param(make_link, "it is a link, a device or a pipe: only plain files are taken", id="link"),
        pytest.param(make_pipe, "it is a link, a device or a pipe: only plain files are taken", id="pipe"),
    ],
)
def test_what_is_refused_is_set_aside_with_its_reason(
    tmp_path: Path, make: Callable[[Path], None], reason: str
) -> None:
    drop = Drop(tmp_path)
    for _ in range(2):  # a name that is there already costs nothing
        make_at = drop.folder / "file"
        if (tmp_path / "secret").exists():
            (tmp_path / "secret").unlink()
        make(make_at)
        drop.look()
        assert drop.look(SETTLE_S) == 0
    assert drop.left() == []
    assert drop.refused() == {"file": reason, "file.2": reason}
    assert list(drop.store.all_files()) == []
    assert not (tmp_path / "secret").exists() or (tmp_path / "secret").read_text() == "secret"


def test_a_long_name_of_other_letters_has_its_reason(tmp_path: Path) -> None:
    drop = Drop(tmp_path)
    make_text(drop.folder / ("脳" * 80))
    drop.look()
    drop.look(SETTLE_S)
    assert drop.refused() == {"脳" * 66: "the file has no Part-10 header"}


def test_linked_folders_are_not_entered_and_hidden_files_are_left(tmp_path: Path) -> None:
    drop, outside = Drop(tmp_path), tmp_path / "outside"
    a_series(outside, count=1)
    (drop.folder / "linked").symlink_to(outside, target_is_directory=True)
    (drop.folder / ".writing").write_text("half")
    drop.look()
    assert drop.look(SETTLE_S) == 0
    assert len(list(outside.iterdir())) == 1
    assert (drop.left(), list(drop.refused())) == ([".writing"], ["linked"])


@pytest.mark.parametrize(
    ("deep", "said"), [pytest.param(drop_module.MOST_FOLDERS, 0, id="no-op"), pytest.param(17, 1, id="too deep")]
)
def test_what_lies_too_deep_is_said_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], deep: int, said: int
) -> None:
    drop = Drop(tmp_path)
    a_series(drop.folder.joinpath(*"abcdefghijklmnopqrst"[:deep]), count=1)
    for _ in range(3):
        drop.look(SETTLE_S)
    assert (len(drop.left()), len(list(drop.store.all_files()))) == (said, 1 - said)
    assert capsys.readouterr().out.count("drop.folder_not_read") == said


def test_a_file_that_cannot_be_read_stays_and_is_said_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    drop = Drop(tmp_path)
    a_series(drop.folder, count=2)

    def denied(path: object, *_: object) -> int:
        raise PermissionError(13, "Permission denied")

    drop.look()
    monkeypatch.setattr(drop_module.os, "open", denied)  # root may read everything
    for _ in range(3):
        assert drop.look(SETTLE_S) == 0
    assert capsys.readouterr().out.count("drop.not_taken") == 2
    monkeypatch.undo()
    assert (drop.look(SETTLE_S), drop.left()) == (2, [])


def test_without_space_a_file_stays_until_there_is_some(tmp_path: Path) -> None:
    full = Drop(tmp_path, min_free_bytes=1 << 60)
    a_series(full.folder, count=1)
    full.look()
    assert full.look(SETTLE_S) == 0
    assert (len(full.left()), full.refused()) == (1, {})
    free = Drop(tmp_path)
    free.look()
    assert (free.look(SETTLE_S), free.left()) == (1, [])


@pytest.mark.parametrize("place", ["state", "state/drop", "."])
def test_a_folder_in_or_around_the_state_is_refused(tmp_path: Path, place: str) -> None:
    settings = parse({"store": {"state_dir": str(tmp_path / "state"), "drop_dir": str(tmp_path / place)}})
    with pytest.raises(Misconfigured, match=r"store\.drop_dir"):
        drop_folder(settings, lambda: pytest.fail("nothing is taken"), NoAudit())


def test_a_node_takes_what_is_dropped(tmp_path: Path) -> None:
    store = {"store": {"drop_dir": str(tmp_path / "drop"), "drop_settle_s": 0.2}}
    with running(tmp_path / "state", sections=store) as node:
        a_series(tmp_path / "drop" / "study", count=3)
        eventually(lambda: node.indexed() == 3, what="the files were not taken")
        eventually(lambda: not list((tmp_path / "drop").iterdir()), what="the folder was not emptied")
