"""The order of series whose clocks differ, and of enhanced objects that state times of frames alone."""

from __future__ import annotations

from datetime import date, time
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset

from tests.builders_dicom import STUDY_UID, T1_PHYSICS, a_series, an_enhanced_object, planes, write
from tests.workers.reading.reading import FLAIR, T1, T1_GD
from workers.moments import minutes_ahead
from workers.reading.study import read_study
from workers.reading.values import acquisition_moment
from workers.reading.zones import moved, offset_of, to_one_clock

DAY = {"AcquisitionDate": "20240105"}
LOCAL = {**DAY, "TimezoneOffsetFromUTC": "+0900"}
UTC = {**DAY, "TimezoneOffsetFromUTC": "+0000"}
T1_ONLY = {**T1_PHYSICS, "InversionTime": None}


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("+0900", 540), ("-0330", -210), ("Z", 0), ("20240105101112+0100", 60), ("20240105101112", None), ("", None),
     ("+9", None), ("20240105101112.5-0800", -480)],
)  # fmt: skip
def test_the_zone_of_a_text(text: str, minutes: int | None) -> None:
    assert minutes_ahead(text) == minutes


@pytest.mark.parametrize(
    ("offsets", "shifts"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param([None, None], [0, 0], id="noop: not stated"),
        pytest.param([60, 60], [0, 0], id="noop: one zone"),
        pytest.param([0, 0], [0, 0], id="noop: UTC alone"),
        pytest.param([60, None], [0, 0], id="noop: a zone that is not stated is the local one"),
        pytest.param([540, 0, 540], [0, 540, 0], id="UTC beside local clocks"),
        pytest.param([540, 0, None], [0, 540, 0], id="and one that states none"),
        pytest.param([0, None], [None, 0], id="UTC beside clocks without a zone"),
    ],
)
def test_clocks_become_one(offsets: list[int | None], shifts: list[int | None]) -> None:
    assert to_one_clock(offsets) == shifts


@pytest.mark.parametrize(
    ("day", "at", "minutes", "then"),
    [
        pytest.param(date(2024, 1, 5), time(10), 0, (date(2024, 1, 5), time(10)), id="noop"),
        pytest.param(date(2024, 1, 5), time(23), 120, (date(2024, 1, 6), time(1)), id="over midnight"),
        pytest.param(None, time(10), -60, (None, time(9)), id="no day"),
        pytest.param(date.max, time(23), 120, (date.max, time(23)), id="no later day"),
    ],
)
def test_a_moment_on_another_clock(day: date | None, at: time, minutes: int, then: tuple[date | None, time]) -> None:
    assert moved(day, at, minutes) == then


@pytest.mark.parametrize(
    ("elements", "minutes"),
    [
        pytest.param({}, None, id="not stated"),
        pytest.param({"TimezoneOffsetFromUTC": "+0900"}, 540, id="its own element"),
        pytest.param({"AcquisitionDateTime": "20240105101112+0000"}, 0, id="behind the moment"),
        pytest.param({"AcquisitionDateTime": "20240105101112+0000", "AcquisitionTime": "191112"}, None,
                     id="behind a moment that is not the time"),
    ],
)  # fmt: skip
def test_the_zone_of_an_object(elements: dict[str, str], minutes: int | None) -> None:
    ds = Dataset()
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    assert offset_of(ds) == minutes


@pytest.mark.parametrize("zone", [UTC, {"AcquisitionDateTime": "20240105010000+0000"}], ids=["element", "moment"])
def test_a_t1_of_another_clock_is_before_the_agent_when_it_was(tmp_path: Path, zone: dict[str, str]) -> None:
    """01:00 UTC is 10:00 at +09:00, after the agent at 09:30."""
    own = {"AcquisitionTime": "010000"} if zone is UTC else {}
    paths = a_series(tmp_path / "a", series=1, ContrastBolusAgent="Gadovist", AcquisitionTime="093000", **LOCAL,
                     **T1_ONLY)  # fmt: skip
    paths += a_series(tmp_path / "b", series=2, **{**T1_ONLY, "SeriesDescription": "t1"}, **own, **zone)
    paths += a_series(tmp_path / "c", series=3, AcquisitionTime="090000", **LOCAL)
    kinds = [one.identification.kind for one in read_study(paths, kinds=()).study.series]
    assert kinds == [T1_GD, T1_GD, FLAIR]


@pytest.mark.parametrize(
    ("zone", "used"),
    [
        pytest.param({}, 2, id="noop: no zone"),
        pytest.param({"TimezoneOffsetFromUTC": "+0000"}, 1, id="UTC beside clocks without a zone: by the number"),
    ],
)
def test_the_later_run_where_the_clocks_cannot_be_compared(tmp_path: Path, zone: dict[str, str], used: int) -> None:
    """Los Angeles: 18:00 UTC is 10:00, before 10:30, and looks later."""
    paths = a_series(tmp_path / "a", series=2 if zone else 1, AcquisitionTime="103000", **DAY)
    paths += a_series(tmp_path / "b", series=1 if zone else 2, AcquisitionTime="180000", **DAY, **zone)
    assert read_study(paths).used == {FLAIR: f"{STUDY_UID}.2"}


@pytest.mark.parametrize("local", ["+0900", ""], ids=["stated", "not stated"])
def test_a_series_in_utc_is_of_the_same_visit(tmp_path: Path, local: str) -> None:
    zone = {"TimezoneOffsetFromUTC": local} if local else {}
    paths = a_series(tmp_path / "a", series=1, AcquisitionTime="100000", **DAY, **zone)
    paths += a_series(tmp_path / "b", series=2, AcquisitionTime="010500", **UTC, **T1_ONLY)
    images = read_study(paths)
    assert set(images.volumes) == {FLAIR, T1}
    assert images.ignored == ()


def at_times(folder: Path, *, series: int, times: list[str], seed: int, **elements: Any) -> Path:
    """An enhanced object that states when its frames were acquired, and nothing of the kind for itself."""
    ds = an_enhanced_object(
        planes(12, seed=seed), SeriesInstanceUID=f"{STUDY_UID}.{series}", SeriesNumber=series, **elements
    )
    for n, own in enumerate(ds.PerFrameFunctionalGroupsSequence):
        own.FrameContentSequence[0].FrameAcquisitionDateTime = times[n % len(times)]
    return write(ds, folder / f"{series}.dcm")


T1_TIMING = {"contrast": "T1", "inversion_time_ms": None, "repetition_time_ms": 550, "echo_time_ms": 12}


@pytest.mark.parametrize(
    ("at", "kind"),
    [("20240105094500", T1_GD), ("20240105090000", T1), ("20240105004500+0000", T1_GD)],
    ids=["after", "before", "after, in UTC"],
)
def test_frames_tell_whether_a_t1_is_after_contrast(tmp_path: Path, at: str, kind: Any) -> None:
    zone = {"TimezoneOffsetFromUTC": "+0900"}
    paths = [
        at_times(tmp_path, series=1, times=["20240105093000"], seed=1, ContrastBolusAgent="Gadovist", **T1_TIMING,
                 **zone, SeriesDescription="t1 km"),
        at_times(tmp_path, series=2, times=[at], seed=2, **T1_TIMING, **zone, SeriesDescription="t1"),
    ]  # fmt: skip
    assert read_study(paths, kinds=()).study.series[1].identification.kind is kind


def test_frames_tell_which_run_is_the_later(tmp_path: Path) -> None:
    paths = [at_times(tmp_path, series=1, times=["20240105100500", "20240105100400"], seed=1),
             at_times(tmp_path, series=2, times=["20240105090000"], seed=2)]  # fmt: skip
    assert read_study(paths).used == {FLAIR: f"{STUDY_UID}.1"}


@pytest.mark.parametrize(
    ("elements", "at"),
    [
        pytest.param({}, (date(2024, 1, 5), time(9)), id="that of the earliest frame"),
        pytest.param({"AcquisitionDateTime": "20240105083000"}, (date(2024, 1, 5), time(8, 30)), id="noop: its own"),
    ],
)
def test_the_moment_of_an_enhanced_object(tmp_path: Path, elements: dict[str, str], at: Any) -> None:
    times = ["20240105091000", "20240105090000", "never"]
    path = at_times(tmp_path, series=1, times=times, seed=1, **elements)
    from pydicom import dcmread

    assert acquisition_moment(dcmread(path)) == at


def test_frames_whose_date_an_anonymiser_left_are_those_of_their_object(tmp_path: Path) -> None:
    paths = [at_times(tmp_path, series=1, times=["20200101090000"], seed=1, AcquisitionDateTime="20240105090000")]
    header = read_study(paths, kinds=()).study.series[0].header
    assert (header.acquisition_date, header.acquisition_time) == (date(2024, 1, 5), time(9))
