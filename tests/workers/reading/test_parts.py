"""The parts of a series that holds several: which UID each has, whatever order the files come in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.builders_dicom import FLAIR_PHYSICS, STUDY_UID, T1_PHYSICS, a_series
from tests.workers.reading.reading import FLAIR, T1, T2
from workers.reading.joining import series_of
from workers.reading.objects import ReadObject, read_object
from workers.reading.splitting import LONGEST_UID, taken_apart
from workers.reading.study import read_study

T2_PHYSICS = {**T1_PHYSICS, "RepetitionTime": 4000, "EchoTime": 100, "SeriesDescription": "Ax T2"}
T1_ONLY = {**T1_PHYSICS, "InversionTime": None}
T2_ONLY = {**T2_PHYSICS, "InversionTime": None}
SPLIT = f"{STUDY_UID}.1"


@pytest.mark.parametrize("first", [True, False], ids=["first", "last"])
@pytest.mark.parametrize(
    ("uid", "part"),
    [
        pytest.param(f"{SPLIT}.2", f"{SPLIT}.3", id="the next number is that of a series"),
        pytest.param(f"{SPLIT}.3", f"{SPLIT}.2", id="no-op: another number is"),
        pytest.param(f"{STUDY_UID}.7", f"{SPLIT}.2", id="no-op: another UID"),
    ],
)
def test_a_part_takes_the_uid_of_no_series(tmp_path: Path, uid: str, part: str, *, first: bool) -> None:
    both = a_series(tmp_path / "t1", SeriesInstanceUID=SPLIT, **T1_ONLY)
    both += a_series(tmp_path / "t2", SeriesInstanceUID=SPLIT, **T2_ONLY)
    flair = a_series(tmp_path / "flair", SeriesInstanceUID=uid, **FLAIR_PHYSICS)
    images = read_study(flair + both if first else both + flair)
    assert images.used == {FLAIR: uid, T1: SPLIT, T2: part}
    assert images.skipped == ()


def objects(folder: Path, **elements: Any) -> list[ReadObject]:
    return [read_object(path) for path in a_series(folder, **elements)]


def named(groups: Mapping[str, list[ReadObject]]) -> dict[str, set[str]]:
    return {uid: {str(one.header.SOPInstanceUID) for one in group} for uid, group in taken_apart(groups)[0].items()}


def test_two_long_uids_that_differ_at_the_end_have_parts_of_their_own(tmp_path: Path) -> None:
    long = [f"1.{'2' * (LONGEST_UID - 3)}{end}" for end in "17"]
    groups = {
        uid: objects(tmp_path / uid[-1] / "a", SeriesInstanceUID=uid)
        + objects(tmp_path / uid[-1] / "b", SeriesInstanceUID=uid, **T2_ONLY)
        for uid in long
    }
    found = named(groups)
    assert sorted(map(len, found.values())) == [12] * 4
    assert all(len(uid) <= LONGEST_UID for uid in found)
    assert named(dict(reversed(groups.items()))) == found


def test_a_part_takes_the_uid_of_no_slice_that_was_joined(tmp_path: Path) -> None:
    both = objects(tmp_path / "a", SeriesInstanceUID=SPLIT) + objects(
        tmp_path / "b", SeriesInstanceUID=SPLIT, **T2_ONLY
    )
    lone = objects(tmp_path / "c", change=lambda k, ds: setattr(ds, "SeriesInstanceUID", f"{SPLIT}.{k + 1}"), **T1_ONLY)
    assert set(named(series_of(both + lone))) == {SPLIT, f"{SPLIT}.1", f"{SPLIT}.13"}


BEFORE, AFTER = {"AcquisitionTime": "100000"}, {"AcquisitionTime": "103000"}
PAIRS = {
    "contrast agent, and later": ({**BEFORE}, {**AFTER, "ContrastBolusAgent": "Gd"}),
    "contrast agent, and earlier: the clock is wrong": ({**AFTER}, {**BEFORE, "ContrastBolusAgent": "Gd"}),
    "time": ({**BEFORE}, {**AFTER, "PixelSpacing": [0.5, 0.5]}),
    "time, one is not dated": ({**AFTER}, {"PixelSpacing": [0.5, 0.5]}),
    "not measured: only the UIDs differ": ({}, {"PixelSpacing": [0.5, 0.5]}),
    "no-op: the kind differs": ({**AFTER}, {**BEFORE, **T2_ONLY}),
}


@pytest.mark.parametrize(("one", "other"), PAIRS.values(), ids=PAIRS)
def test_which_part_keeps_the_uid(tmp_path: Path, one: dict[str, Any], other: dict[str, Any]) -> None:
    """Facts decide, and not the order of the files."""

    def uid(letter: int) -> Any:
        return lambda k, ds: setattr(ds, "SOPInstanceUID", f"1.2.{letter}.{k + 10}")

    main, second = objects(tmp_path / "a", change=uid(1), **one), objects(tmp_path / "b", change=uid(2), **other)
    mixed = [each for pair in zip(second, main, strict=True) for each in pair]
    expected = {SPLIT: {f"1.2.1.{k + 10}" for k in range(12)}, f"{SPLIT}.2": {f"1.2.2.{k + 10}" for k in range(12)}}
    for group in (main + second, second + main, mixed):
        assert named({SPLIT: group}) == expected
