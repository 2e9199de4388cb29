"""Files without a preamble: those of old consoles are read as any other, and other files are none of our business."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from tests.builders_dicom import STUDY_UID, a_series, planes
from tests.workers.reading.data_sets import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT, a_data_set, as_file, encoded
from tests.workers.reading.reading import FLAIR
from triage.errors import NotAssessable
from workers.reading.beginning import has_magic, is_bare
from workers.reading.folder import read_folder
from workers.reading.study import read_header, read_study

COUNT = 12


def bare(path: Path, *, implicit: bool) -> None:
    """The data set alone."""
    ds = dcmread(path)
    out = DicomBytesIO()
    out.is_little_endian, out.is_implicit_VR = True, implicit
    write_dataset(out, Dataset({element.tag: element for element in ds}))
    path.write_bytes(out.getvalue())


def without_preamble(path: Path) -> None:
    """File meta information and data set."""
    path.write_bytes(path.read_bytes()[132:])


def nothing(_path: Path) -> None:
    """A file of PS3.10."""


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(nothing, id="with a preamble"),
        pytest.param(lambda path: bare(path, implicit=True), id="implicit VR"),
        pytest.param(lambda path: bare(path, implicit=False), id="explicit VR"),
        pytest.param(without_preamble, id="meta information without a preamble"),
    ],
)
@pytest.mark.parametrize("every", [1, 2])
def test_what_an_old_console_wrote_is_read(tmp_path: Path, spoil: Callable[[Path], None], every: int) -> None:
    paths = a_series(tmp_path, count=COUNT)
    for path in paths[::every]:
        spoil(path)
    found = read_folder(tmp_path)
    assert {uid: len(files) for uid, files in found.items()} == {STUDY_UID: COUNT}
    images = read_study(found[STUDY_UID])
    assert images.skipped == ()
    np.testing.assert_array_equal(images.volumes[FLAIR].voxels, planes(COUNT).astype(np.float32))


@pytest.mark.parametrize(
    ("content", "magic", "is_one"),
    [
        pytest.param(bytes(128) + b"DICM" + b"\x02\x00\x00\x00UL\x04\x00", True, False, id="preamble"),
        pytest.param(b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 100", False, True, id="explicit VR"),
        pytest.param(b"\x08\x00\x05\x00\x0a\x00\x00\x00ISO_IR 100", False, True, id="implicit VR"),
        pytest.param(b"\x08\x00\x00\x00\x04\x00\x00\x00\x10\x00\x00\x00", False, True, id="group length"),
        pytest.param(b"\x08\x00\x05\x00\x00\x00\x00\x10", False, False, id="a value of 256 MB"),
        pytest.param(b"\x08\x00\x07\x07CS\x0a\x00", False, False, id="no such element"),
        pytest.param(b"\x10\x00\x10\x00PN\x0a\x00", False, False, id="another group"),
        pytest.param(b"study notes, page 1", False, False, id="text"),
        pytest.param(b"\x08\x00\x05", False, False, id="three bytes"),
        pytest.param(b"", False, False, id="nothing"),
    ],
)
def test_how_a_file_begins(content: bytes, magic: bool, is_one: bool) -> None:
    file = BytesIO(content)
    assert (has_magic(file), is_bare(file)) == (magic, is_one)
    assert file.tell() == 0


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    a_series(tmp_path, count=COUNT)
    (tmp_path / "notes.txt").write_text("read me", encoding="utf-8")
    (tmp_path / "cut.dcm").write_bytes(b"\x08\x00\x05\x00CS\x0a\x00ISO_")
    assert {uid: len(files) for uid, files in read_folder(tmp_path).items()} == {STUDY_UID: COUNT}


ENCODINGS = {"little endian": EXPLICIT, "implicit": IMPLICIT, "big endian": BIG_ENDIAN, "deflated": DEFLATED}


def stated_as(data: bytes, syntax: str) -> bytes:
    """A file whose meta information states that syntax, whatever the data are."""
    file = as_file(a_data_set(), syntax)
    meta = 132 + 12 + int.from_bytes(file[140:144], "little")
    return file[:meta] + data


@pytest.mark.parametrize(
    ("written", "stated"),
    [
        ("little endian", "big endian"),
        ("implicit", "big endian"),
        ("big endian", "little endian"),
        ("big endian", "implicit"),
        ("little endian", "deflated"),
        ("little endian", "implicit"),
        ("implicit", "little endian"),
    ],
)
def test_another_encoding_than_stated_is_read_as_it_is(tmp_path: Path, written: str, stated: str) -> None:
    path = tmp_path / "lying"
    path.write_bytes(stated_as(encoded(a_data_set(), ENCODINGS[written]), ENCODINGS[stated]))
    assert read_header(path).PatientID == "P-1"
    assert {uid: len(files) for uid, files in read_folder(tmp_path).items()} == {read_header(path).StudyInstanceUID: 1}


@pytest.mark.parametrize("stated", ["little endian", "implicit"])
def test_deflated_under_another_name_is_named_as_such(tmp_path: Path, stated: str) -> None:
    """Its first bytes, taken for lengths, are no excuse to call the file too large."""
    path = tmp_path / "lying"
    path.write_bytes(stated_as(encoded(a_data_set(), DEFLATED), ENCODINGS[stated]))
    with pytest.raises(NotAssessable) as refused:
        read_header(path)
    assert refused.value.code == "not_dicom"
    assert "is encoded otherwise than its transfer syntax says" in refused.value.message


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_noop_the_encoding_that_is_stated(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "right"
    path.write_bytes(stated_as(encoded(a_data_set(), ENCODINGS[encoding]), ENCODINGS[encoding]))
    assert read_header(path).PatientID == "P-1"
