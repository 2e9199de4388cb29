"""Descriptions of earlier studies: taken from beside the prepared baselines while nothing that they rest on changes."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from datetime import date, time
from pathlib import Path

import pytest

from tests.builders_dicom import a_series
from tests.fake_index import InMemoryIndex
from tests.fakes import NOON, FakeFiles, FakeReader, an_instance, some_images
from triage.errors import Transient
from triage.model import Identification, Patient, SequenceKind, Series, SeriesHeader, Study
from workers.identities import GivenAnswer, ObjectAnswer
from workers.ports import StudyRow
from workers.reading.reader import DicomReader
from workers.studies.descriptions import STUDY, KeptDescriptions
from workers.studies.program_code import reading_code

UID = "1.2.3"
FLAIR = SeriesHeader(
    "1.2.3.1",
    magnetic_field_strength_t=3.0,
    image_type=("ORIGINAL", "PRIMARY"),
    b_values=(0.0, 1000.0),
    pixel_spacing_mm=(0.5, 0.5),
    acquisition_time=time(12, 30, 1, 500000),
    acquisition_date=date(2026, 3, 10),
    vendor={"ge_pulse_sequence": "CubeT2flair"},
)
WHOLE = Study(
    UID,
    Patient("P1", "HOSP", date(1960, 1, 2), "F"),
    date(2026, 3, 10),
    time(12, 0),
    (Series(FLAIR, Identification(SequenceKind.FLAIR, 0.9, ("TI 1800 ms",))),),
    accession_number="A1",
    study_description="Schädel \u5934",
    acquisition=frozenset({"a", "b"}),
    acquired=date(2026, 3, 10),
    stated_ages=(66.0,),
)


class Node:
    """A study of two stored files, and how often they were described."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.index, self.files = folder, InMemoryIndex(), FakeFiles()
        self.files.root, self.code = folder / "store", "program 1"
        (self.files.root / UID).mkdir(parents=True)
        for number in (1, 2):
            one = an_instance(UID, number, size_bytes=1)
            self.files.path(one).write_bytes(b"x")
            self.index.record_instances([one])
        self.study, self.reads = some_images(UID).study, 0

    @property
    def row(self) -> StudyRow:
        row = self.index.study(UID)
        assert row is not None
        return row

    @property
    def kept(self) -> list[Path]:
        return sorted((self.folder / "prepared" / UID).glob("*"))

    def described(self) -> Study:
        """By a worker that has just started."""
        reader = FakeReader(dataclasses.replace(some_images(UID), study=self.study))
        real = reader.describe

        def describe(paths: list[Path], *, vouched: frozenset[Path] = frozenset()) -> Study:
            self.reads += 1
            return real(paths, vouched=vouched)

        reader.describe = describe  # type: ignore[method-assign, assignment]
        kept = self.folder / "prepared"
        return KeptDescriptions(kept, reader=reader, index=self.index, files=self.files, code=lambda: self.code).of(
            self.row
        )


def touched(node: Node) -> None:
    path = node.files.path(an_instance(UID, 2))
    os.utime(path, ns=(0, 1))


def answered(node: Node) -> None:
    given = GivenAnswer(ObjectAnswer.DISCARDED, UID, NOON)
    node.index.answer_objects(UID, {f"{UID}.1.2": given}, now=NOON, again=False)


def another_image(node: Node) -> None:
    one = an_instance(UID, 3, size_bytes=1)
    node.files.path(one).write_bytes(b"x")
    node.index.record_instances([one])


def another_program(node: Node) -> None:
    node.code = "program 2"


def cut(node: Node) -> None:
    (path,) = node.kept
    path.write_bytes(path.read_bytes()[:-20])


def emptied(node: Node) -> None:
    (path,) = node.kept
    path.write_bytes(b"")


@pytest.mark.parametrize(
    ("change", "reads"),
    [
        pytest.param(lambda _node: None, 1, id="noop"),
        pytest.param(touched, 2, id="a file was replaced"),
        pytest.param(answered, 2, id="an object was discarded"),
        pytest.param(another_image, 2, id="an image came late"),
        pytest.param(another_program, 2, id="another program"),
        pytest.param(cut, 2, id="the kept one is cut"),
        pytest.param(emptied, 2, id="the kept one is empty"),
    ],
)
def test_it_is_taken_while_nothing_changes(tmp_path: Path, change: Callable[[Node], None], reads: int) -> None:
    node = Node(tmp_path)
    node.described()
    change(node)
    assert node.described() == node.study
    assert node.reads == reads
    node.described()
    assert node.reads == reads, "the newest is kept"
    assert len(node.kept) == 1, "and no older one"


def test_not_measured_what_cannot_be_looked_at_is_neither_kept_nor_taken(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.described()
    node.files.path(an_instance(UID, 2)).unlink()
    node.files.faults[UID] = FileNotFoundError(2, "No such file or directory")
    with pytest.raises(Transient):
        node.described()
    assert len(node.kept) == 1


def test_a_folder_that_cannot_be_written_changes_nothing(tmp_path: Path) -> None:
    node = Node(tmp_path)
    (tmp_path / "prepared").write_text("no folder")
    assert [node.described() for _ in range(2)] == [node.study] * 2
    assert node.reads == 2


def test_every_fact_is_the_same_when_it_is_taken(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.study = WHOLE
    assert [node.described() for _ in range(2)] == [WHOLE] * 2
    assert node.reads == 1


def test_a_number_that_would_change_is_not_kept(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.study = dataclasses.replace(WHOLE, stated_ages=(float("nan"),))
    node.described()
    assert node.kept == []


def test_real_headers_are_the_same_when_they_are_taken(tmp_path: Path) -> None:
    study = DicomReader().describe(a_series(tmp_path / "one"))
    assert STUDY.validate_json(STUDY.dump_json(study)) == study


def test_the_code_is_that_of_this_program() -> None:
    assert len(reading_code()) == 64
