"""How dates and times are written, and what is read: one parser for headers, the index, archives and messages."""

from __future__ import annotations

from datetime import date, time
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from tests.builders_dicom import a_series
from tests.workers.reading.data_sets import EXPLICIT, encoded
from workers.files.dataset_head import Head, head_in, read_values, uids_in
from workers.moments import END_OF_DAY, first_date, parse_date, parse_moment, parse_time, plain_time
from workers.reading.study import read_study

DAY = date(2024, 3, 11)


@pytest.mark.parametrize(
    "text",
    [
        "20240311", " 20240311 ", "20240311\0", "2024.03.11", "2024-03-11", "2024/03/11", "2024-3-11", "2024.3.11",
        "20240311151400", "20240311151400.123456", "20240311151400.5+0100", "20240311+0100", "202403111514",
        "2024-03-11T15:14:00", "2024-03-11 15:14", "2024-03-11T15:14:00.25Z", "2024-03-11T15:14:00+01:00",
        "2024.03.11 15:14:00", "20240311T151400", "20240311240000",
    ],
)  # fmt: skip
def test_a_day_in_every_form(text: str) -> None:
    assert parse_date(text) == DAY


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "\0", "unknown", "none", "0", "00000000", "00010101", "99999999", "20240230", "20241301", "2024031",
        "202403", "2024", "20240311-", "-20240311", "20240301-20240311", "2024-03-01-2024-03-11", "2024.03-11",
        "11.03.2024", "03/11/2024", "11-MAR-2024", "20240311x", "x20240311", "2024 03 11", "٢٠٢٤٠٣١١",
        "20240311\\20240312",
        "2024-0311", "20240311+9900", "1e7",
    ],
)  # fmt: skip
def test_no_single_day(text: str) -> None:
    assert parse_date(text) is None
    assert parse_moment(text) == (None, None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("151400", time(15, 14)),
        ("15:14:00", time(15, 14)),
        ("15.14.00", time(15, 14)),
        ("1514", time(15, 14)),
        ("15:14", time(15, 14)),
        ("15.14", time(15, 14)),
        ("15", time(15)),
        ("9:05", time(9, 5)),
        ("151400.5", time(15, 14, 0, 500_000)),
        ("151400.123456789", time(15, 14, 0, 123_456)),
        ("15:14:00,25", time(15, 14, 0, 250_000)),
        ("151400.", time(15, 14)),
        (" 151400 ", time(15, 14)),
        ("151400+0100", time(15, 14)),
        ("151400Z", time(15, 14)),
        ("151460", time(15, 14, 59)),
        ("000000", time()),
        ("240000", END_OF_DAY),
        ("2400", END_OF_DAY),
        ("24:00", END_OF_DAY),
        *((text, None) for text in ("", "x", "250000", "156000", "151461", "151", "1514001", "15:1", "240001", "-1")),
        ("151400-161400", None),
    ],
)
def test_a_time_in_every_form(text: str, expected: time | None) -> None:
    assert parse_time(text) == expected


@pytest.mark.parametrize(
    ("text", "zone", "expected"),
    [
        ("20240311141400+0000", "+0100", (DAY, time(15, 14))),
        ("20240310233000+0000", "+0100", (DAY, time(0, 30))),
        ("20240312003000+0100", "+0000", (DAY, time(23, 30))),
        ("2024-03-11T14:14:00Z", "+0100", (DAY, time(15, 14))),
        ("20240311151400", "+0100", (DAY, time(15, 14))),
        ("20240311151400+0100", "", (DAY, time(15, 14))),
        ("20240311151400+0100", "zone", (DAY, time(15, 14))),
        ("20240311", "+0100", (DAY, None)),
    ],
)
def test_a_moment_is_local_to_what_stands_beside_it(text: str, zone: str, expected: Any) -> None:
    assert parse_moment(text, zone) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("151400", "151400"),
        ("151400.25", "151400.25"),
        ("1514", "1514"),
        ("15:14:00", "151400"),
        ("15.14", "151400"),
        ("15:14:00.5", "151400.500000"),
        ("151400+0100", "151400"),
        ("2400", "235959.999999"),
        ("later", ""),
        ("", ""),
        ("996000", ""),
    ],
)
def test_times_that_are_kept_as_text_can_be_compared(text: str, expected: str) -> None:
    assert plain_time(text) == expected


def test_the_first_text_that_is_a_date() -> None:
    assert first_date(["", "unknown", "2024.03.11", "20240312"]) == DAY
    assert first_date([]) is None


def head_of(path: Path) -> Head:
    """What the index keeps of a file."""
    data = encoded(dcmread(path))
    values = read_values(lambda position, count: data[position : position + count], 0, EXPLICIT)
    return head_in(values, uids_in(values))


OTHERS = ("AcquisitionDate", "SeriesDate", "ContentDate")


@pytest.mark.parametrize("stated", OTHERS)
@pytest.mark.parametrize("study_date", [None, "", "unknown"])
def test_another_date_stands_in_for_the_study_date(tmp_path: Path, stated: str, study_date: str | None) -> None:
    """In the reader and in the index alike."""
    elements = {**dict.fromkeys(OTHERS), "StudyDate": None, stated: "20240311"}

    def change(_k: int, ds: Any) -> None:
        if study_date is not None:
            ds.StudyDate = ""
            ds["StudyDate"]._value = study_date

    paths = a_series(tmp_path, change=change, **elements)
    assert read_study(paths).study.study_date == DAY
    assert head_of(paths[0]).study_date == DAY


def test_noop_the_study_date_counts(tmp_path: Path) -> None:
    paths = a_series(tmp_path, StudyDate="20240311", AcquisitionDate="20240312", SeriesDate="20240312")
    assert read_study(paths).study.study_date == head_of(paths[0]).study_date == DAY


def test_no_date_at_all(tmp_path: Path) -> None:
    paths = a_series(tmp_path, StudyDate=None, AcquisitionDate=None, SeriesDate=None, ContentDate=None)
    assert read_study(paths).study.study_date is None
    assert head_of(paths[0]).study_date is None
