"""Which files of a folder are read, and what is said of the others."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.builders_dicom import STUDY_UID, a_series
from tests.unreadable import make_unreadable
from triage.errors import Misconfigured
from workers.archives import advice, archive_kind
from workers.reading.folder import not_read, read_folder


def zipped() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("IM1", b"x" * 600)
    return out.getvalue()


def tarred() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("IM1"), io.BytesIO())
    return out.getvalue()


FILES = {
    "zip": (zipped(), "a zip archive: unpack it"),
    "tar": (tarred(), "a tar archive: unpack it"),
    "tar.gz": (gzip.compress(tarred()), "a gzip archive: unpack it"),
    "empty zip": (b"PK\x05\x06" + bytes(18), "an empty zip archive: unpack it"),
    "7z": (b"7z\xbc\xaf\x27\x1c" + bytes(40), "a 7z archive: unpack it"),
    "text": (b"study notes", "no DICOM object"),
    "nothing": (b"", "no DICOM object"),
    "cut": (bytes(128) + b"DICM", "an object without a Study Instance UID"),
}


@pytest.mark.parametrize(("content", "said"), FILES.values(), ids=FILES)
def test_what_is_no_object_is_said(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "other").write_bytes(content)
    a_series(tmp_path / "series")
    assert {uid: len(paths) for uid, paths in read_folder(tmp_path).items()} == {STUDY_UID: 12}
    assert not_read(tmp_path) == (f"other: {said}",)


def test_noop_only_images_and_their_directory(tmp_path: Path) -> None:
    a_series(tmp_path)
    (tmp_path / "DICOMDIR").write_bytes(b"lists files")
    assert not_read(tmp_path) == ()


def test_many_are_counted(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"{number}.txt").write_text("notes", encoding="utf-8")
    assert not_read(tmp_path) == ("0.txt, 1.txt, 2.txt and 2 more: no DICOM object",)


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured):
        not_read(tmp_path / "absent")


def test_an_object_is_no_archive(tmp_path: Path) -> None:
    assert archive_kind(a_series(tmp_path)[0].read_bytes()[:512]) is None
    assert advice("zip") == "a zip archive: unpack it"


def test_a_folder_below_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What shows something may lie in it."""
    (tmp_path / "FLAIR").mkdir()
    assert read_folder(tmp_path) == {}
    make_unreadable(monkeypatch, tmp_path / "FLAIR")
    with pytest.raises(Misconfigured, match=r"FLAIR: cannot be read \(Permission denied\)"):
        read_folder(tmp_path)
