"""Another process reads headers for the rules: the same answers, and what a file does to its reader ends there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.builders_dicom import a_series
from tests.fakes import an_instance
from triage.errors import Transient
from workers.rules.facts import SeriesHead
from workers.rules.head_process import HeadProcess
from workers.rules.heads import HeadReader, series_head


@pytest.fixture(scope="module")
def process() -> Iterator[HeadProcess]:
    one = HeadProcess(deadline_s=30.0)
    yield one
    one.close()


def test_it_answers_as_a_reader_in_this_process_does(tmp_path: Path, process: HeadProcess) -> None:
    paths = a_series(tmp_path, only=[0, 1, 2])
    assert process.head(paths) == series_head(paths)
    assert process.head([]) == SeriesHead(), "no-op: no file"
    (tmp_path / "damaged").write_bytes(b"no DICOM")
    assert process.head([tmp_path / "damaged"]) == SeriesHead(), "not measured"


def test_a_file_that_cannot_be_read_now_may_come_back(tmp_path: Path, process: HeadProcess) -> None:
    (tmp_path / "bad.dcm").symlink_to("/proc/self/mem")
    with pytest.raises(Transient, match="cannot be read now"):
        process.head([tmp_path / "bad.dcm"])


def test_what_takes_too_long_is_unread_and_is_not_asked_again(tmp_path: Path) -> None:
    slow = HeadProcess(deadline_s=1e-6)
    asked: list[int] = []

    def read(paths: Sequence[Path], *, whole: bool = True) -> SeriesHead:
        asked.append(len(paths))
        return slow.head(paths, whole=whole)

    (path,) = a_series(tmp_path, only=[0])
    reader = HeadReader(lambda _row: path, read)
    for _ in range(2):
        head = reader.of([an_instance("1.2.3", 1)])
        assert (head.unread, head.hostile) == (True, True), "a rule that asks for it has no value"
    assert asked == [1]
    slow.close()
