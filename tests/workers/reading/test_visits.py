"""Two visits under one StudyInstanceUID: the latest is read, the others are named; one visit is never torn apart."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset

from tests.builders_dicom import STUDY_UID, T1_PHYSICS, a_series
from tests.workers.reading.reading import FLAIR, T1
from workers.reading.study import read_study
from workers.reading.visits import visits_of

BEFORE, AFTER, NEXT = "20240105", "20240112", "20240113"


def scan(day: str | None, at: str | None = "101500", series: str = "1", **elements: Any) -> Dataset:
    ds = Dataset()
    said = {"AcquisitionDate": day, "AcquisitionTime": at, "SeriesInstanceUID": series, "Modality": "MR", "Rows": 16}
    said["NumberOfFrames"] = 20
    for keyword, value in {**said, **elements}.items():
        if value is not None:
            setattr(ds, keyword, value)
    return ds


DERIVED = {"ImageType": ["DERIVED", "PRIMARY"]}


@pytest.mark.parametrize(
    ("headers", "latest"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param([scan(None), scan(None, None)], [0, 1], id="not measured: no dates"),
        pytest.param([scan(BEFORE), scan(BEFORE, "103000")], [0, 1], id="noop: one visit"),
        pytest.param([scan(AFTER, "235000"), scan(NEXT, "001500", "2")], [0, 1], id="noop: one visit over midnight"),
        pytest.param([scan(BEFORE, "080000"), scan(BEFORE, "155900")], [0, 1], id="noop: a long pause"),
        pytest.param([scan(BEFORE), scan(AFTER, series="2")], [1], id="two visits"),
        pytest.param([scan(AFTER), scan(BEFORE, series="2")], [0], id="two visits, the later first"),
        pytest.param([scan(BEFORE, "180000"), scan(AFTER, series="2")], [1], id="the earlier one late in the day"),
        pytest.param([scan(BEFORE, "070000"), scan(BEFORE, "190000")], [1], id="morning and evening"),
        pytest.param([scan(AFTER, "230000"), scan(NEXT, "090000")], [1], id="evening and the morning after"),
        pytest.param([scan(BEFORE), scan(AFTER)], [1], id="one series UID for both"),
        pytest.param([scan(BEFORE), scan(AFTER), scan("20240301")], [2], id="three visits"),
        pytest.param([scan(BEFORE, None), scan(AFTER, None)], [1], id="times removed"),
        pytest.param([scan(BEFORE, "000000"), scan(AFTER, "000000")], [1], id="times blanked"),
        pytest.param([scan(AFTER, None), scan(AFTER)], [0, 1], id="noop: some have times"),
        pytest.param(
            [scan(AFTER, "235000"), scan(NEXT, "001500"), scan(NEXT, None)], [0, 1, 2], id="noop: midnight, no time"
        ),
        pytest.param([scan(BEFORE, series="1"), scan(AFTER, series="2"), scan(None, series="1")], [1], id="its series"),
        pytest.param([scan(BEFORE), scan(AFTER, series="2"), scan(None, series="3")], [1, 2], id="no date, no series"),
        pytest.param(
            [
                scan(BEFORE, StudyDate=BEFORE),
                scan(AFTER, series="2", StudyDate=AFTER),
                scan(None, series="3", StudyDate=BEFORE, ContentDate="20250101", **DERIVED),
            ],
            [1],
            id="a map made much later goes with its study date",
        ),
        pytest.param([scan(BEFORE), scan(None, series="2", SeriesDate=NEXT, **DERIVED)], [0, 1], id="noop: a late map"),
        pytest.param([scan(BEFORE), scan(AFTER, NumberOfFrames=4)], [0, 1], id="noop: few images with another date"),
        pytest.param([scan(BEFORE), scan(None, Rows=None, ContentDate=NEXT)], [0, 1], id="noop: a late report"),
        pytest.param([scan(BEFORE), scan(AFTER, Rows=None)], [0, 1], id="noop: one that states an acquisition"),
        pytest.param(
            [scan(None, None, SeriesDate=d, SeriesTime="101500", series=d) for d in (BEFORE, AFTER)],
            [1],
            id="of series",
        ),
        pytest.param([scan(None, None, StudyDate=d) for d in (BEFORE, AFTER)], [1], id="only study dates"),
        pytest.param(
            [scan(None, None, AcquisitionDateTime=f"{d}101500.25+0100") for d in (BEFORE, AFTER)],
            [1],
            id="date and time",
        ),
    ],
)
def test_the_latest_visit(headers: list[Dataset], latest: list[int]) -> None:
    found = visits_of(headers)
    assert list(found.latest) == latest
    assert set(found.latest) | set(found.earlier) == set(range(len(headers)))
    assert (found.began is None) is (not found.earlier)


def visit(folder: Path, day: str, series: int, accession: str, **elements: Any) -> list[Path]:
    said = {"StudyDate": day, "AcquisitionDate": day, "AcquisitionTime": "101500", "AccessionNumber": accession}
    return a_series(folder, series=series, **{**said, **elements})


@pytest.mark.parametrize("later_first", [False, True])
@pytest.mark.parametrize("series", [1, 2])
def test_the_earlier_visit_is_named_and_not_measured(tmp_path: Path, series: int, later_first: bool) -> None:
    earlier = visit(tmp_path / "a", BEFORE, 1, "A1", count=14)
    later = visit(tmp_path / "b", AFTER, series, "A2")
    images = read_study([*later, *earlier] if later_first else [*earlier, *later])
    assert images.volumes[FLAIR].voxels.shape[0] == 12
    assert images.used == {FLAIR: f"{STUDY_UID}.{series}"}
    assert (images.study.study_date, images.study.accession_number) == (date(2024, 1, 12), "A2")
    assert [(one.series_instance_uid, one.code) for one in images.skipped] == [(f"{STUDY_UID}.1", "other_visit")]
    assert images.notices == (
        "the study holds 2 visits, of 2024-01-05 and 2024-01-12: the latest is assessed, 14 of 26 objects are not used",
    )


def test_the_flair_of_the_earlier_visit_is_never_that_of_the_latest(tmp_path: Path) -> None:
    paths = visit(tmp_path / "a", BEFORE, 1, "A1")
    paths += visit(tmp_path / "b", AFTER, 2, "A2", InversionTime=None, **T1_PHYSICS)
    images = read_study(paths)
    assert set(images.volumes) == {T1}
    assert [one.code for one in images.skipped] == ["other_visit"]


def test_a_study_date_that_both_visits_were_given_is_not_that_of_the_latest(tmp_path: Path) -> None:
    paths = visit(tmp_path / "a", BEFORE, 1, "A1")
    paths += visit(tmp_path / "b", AFTER, 2, "A1", StudyDate=BEFORE)
    study = read_study(paths).study
    assert study.study_date == date(2024, 1, 12)
    assert study.study_time is not None
    assert study.study_time.hour == 10
