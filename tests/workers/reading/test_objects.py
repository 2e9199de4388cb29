"""Every object of a study is accounted for: in a series, or ignored with a reason and counted."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.builders_dicom import T1_PHYSICS, a_series, an_object, write
from tests.workers.reading.reading import FLAIR
from workers.reading.study import read_study


def plain(folder: Path) -> list[Path]:
    return a_series(folder / "a", AcquisitionDate="20240105", AcquisitionTime="101500")


def no_dicom(folder: Path) -> list[Path]:
    (folder / "notes.txt").write_text("not a DICOM object", encoding="ascii")
    return [*plain(folder), folder / "notes.txt"]


def copies(folder: Path) -> list[Path]:
    paths = plain(folder)
    return [*paths, *(Path(shutil.copy(path, folder / f"copy{n}")) for n, path in enumerate(paths[:3]))]


def stranger(folder: Path) -> list[Path]:
    return [*plain(folder), write(an_object(PatientID="OTHER", SOPInstanceUID="1.2.9"), folder / "odd")]


def visits(folder: Path) -> list[Path]:
    earlier = a_series(folder / "b", series=2, AcquisitionDate="20231220", AcquisitionTime="090000", **T1_PHYSICS)
    return [*plain(folder), *earlier]


def everything(folder: Path) -> list[Path]:
    made = [make(folder / make.__name__) for make in (copies,)]
    (folder / "rest").mkdir()
    return [*made[0], no_dicom(folder / "rest")[-1], stranger(folder / "rest")[-1], *visits(folder / "rest")[12:]]


@pytest.mark.parametrize(
    ("make", "ignored"),
    [
        pytest.param(plain, {}, id="noop"),
        pytest.param(no_dicom, {"not_dicom": 1}, id="no DICOM object"),
        pytest.param(copies, {"duplicate": 3}, id="the same object again"),
        pytest.param(stranger, {"other_patient": 1}, id="another patient"),
        pytest.param(visits, {"other_visit": 12}, id="another visit"),
        pytest.param(
            everything, {"duplicate": 3, "not_dicom": 1, "other_patient": 1, "other_visit": 12}, id="all at once"
        ),
    ],
)
def test_every_object_is_accounted_for(tmp_path: Path, make: object, ignored: dict[str, int]) -> None:
    paths = make(tmp_path)  # type: ignore[operator]
    images = read_study(paths)
    assert {one.code: one.objects for one in images.ignored} == ignored
    in_series = sum(series.header.instance_count for series in images.study.series)
    assert in_series + sum(ignored.values()) == len(paths)
    assert FLAIR in images.volumes
