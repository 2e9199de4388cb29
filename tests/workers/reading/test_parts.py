"""The parts of a series that holds several: which UID each has, whatever order the files come in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset

from tests.builders_dicom import FLAIR_PHYSICS, STUDY_UID, T1_PHYSICS, a_series, an_enhanced_object, planes, write
from tests.effort import within
from tests.workers.reading.reading import FLAIR, T1, T1_GD, T2
from triage.errors import NotAssessable
from triage.model import SequenceKind
from workers.reading.joining import joined_notices, series_of
from workers.reading.limits import Budget
from workers.reading.objects import ReadObject, read_object
from workers.reading.splitting import LONGEST_UID, MOST_PARTS, taken_apart
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


def halves(part: Callable[[int], int], *, numbered_anew: bool = False, step_mm: float = 5.0) -> Any:
    """Slices under one of two UIDs each."""

    def change(k: int, ds: Dataset) -> None:
        ds.SeriesInstanceUID = f"{SPLIT}.{part(k)}"
        ds.InstanceNumber = 1 + (k // 2 if numbered_anew else k)
        ds.ImagePositionPatient = [*ds.ImagePositionPatient[:2], k * step_mm]

    return change


SPLITS = [
    pytest.param(halves(lambda k: 0), {}, 1, id="noop: one UID"),
    pytest.param(halves(lambda k: k // 12), {}, 1, id="lower and upper half"),
    pytest.param(halves(lambda k: k % 2), {"SliceThickness": 5.0}, 1, id="odd and even slices"),
    pytest.param(halves(lambda k: k % 2, numbered_anew=True), {}, 2, id="two runs, each with its own numbers"),
    pytest.param(halves(lambda k: k % 2, step_mm=2.5), {"SliceThickness": 5.0}, 2, id="runs in each other"),
    pytest.param(halves(lambda k: k // 12, step_mm=0.0), {}, 2, id="at one place"),
]


@pytest.mark.parametrize(("change", "elements", "series"), SPLITS)
def test_parts_of_one_series_are_joined(
    tmp_path: Path, change: Callable[[int, Dataset], None], elements: dict[str, Any], series: int
) -> None:
    groups = series_of(objects(tmp_path, count=24, change=change, **elements))
    assert sorted(map(len, groups.values())) == [24 // series] * series
    said = joined_notices(groups)
    joined = series == 1 and len({one.series for group in groups.values() for one in group}) == 2
    assert said == (("2 series hold parts of one acquisition: measured as one",) if joined else ())


def test_parts_with_a_gap_between_them_are_not_joined(tmp_path: Path) -> None:
    both = objects(tmp_path, count=24, change=halves(lambda k: k // 12))
    assert sorted(map(len, series_of([*both[:12], *both[14:]]).values())) == [10, 12]


def test_parts_of_two_protocols_are_not_joined(tmp_path: Path) -> None:
    def change(k: int, ds: Dataset) -> None:
        halves(lambda n: n // 12)(k, ds)
        ds.FlipAngle = 120 + 30 * (k // 12)

    assert sorted(map(len, series_of(objects(tmp_path, count=24, change=change)).values())) == [12, 12]


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


def turned(count: int, each: int) -> dict[str, Any]:
    """Directions, and slices of each."""

    def change(k: int, ds: Dataset) -> None:
        angle = 3.0 * (k // each) / count
        ds.ImageOrientationPatient = [round(np.cos(angle), 5), round(np.sin(angle), 5), 0, 0, 0, 1]

    return {"count": count * each, "change": change}


@pytest.mark.parametrize(
    ("directions", "parts"),
    [
        pytest.param(3, 3, id="three reformats"),
        pytest.param(MOST_PARTS, MOST_PARTS, id="as many as there may be"),
        pytest.param(MOST_PARTS + 1, 1, id="rotated planes are one series"),
        pytest.param(1, 1, id="no-op"),
    ],
)
def test_so_many_parts_are_taken_apart(tmp_path: Path, directions: int, parts: int) -> None:
    assert len(named({SPLIT: objects(tmp_path, **turned(directions, 10))})) == parts


def test_thousands_of_times_are_looked_at_once(tmp_path: Path) -> None:
    """Each compared with each would be 32 million times."""
    (one,) = objects(tmp_path, only=[0])
    frames = [
        replace(one.frames[0], number=n, position=(0.0, 0.0, float(n)), repetition_time_ms=1000 + n / 100)
        for n in range(8000)
    ]
    found, _ = within(2_000_000, lambda: taken_apart({SPLIT: [replace(one, frames=frames)]}))
    assert list(found) == [SPLIT]


def test_taking_apart_is_within_the_time_of_the_study(tmp_path: Path) -> None:
    with pytest.raises(NotAssessable, match="processor time"):
        taken_apart({SPLIT: objects(tmp_path)}, used_up())


def used_up() -> Budget:
    budget = Budget()
    budget._cpu_end_s = 0.0
    return budget


@pytest.mark.parametrize(
    ("sent", "codes"),
    [
        pytest.param([1, 2], [], id="noop: both parts"),
        pytest.param([1], ["missing_slices"], id="the last part lacks"),
        pytest.param([2], ["missing_slices"], id="the first part lacks"),
    ],
)
def test_an_object_that_was_cut_is_measured_whole(tmp_path: Path, sent: list[int], codes: list[str]) -> None:
    pixels, paths = planes(24), []
    for part in sent:
        first = 12 * (part - 1)
        ds = an_enhanced_object(
            pixels[first : first + 12],
            ConcatenationUID="1.2.9",
            InConcatenationNumber=part,
            InConcatenationTotalNumber=2,
        )
        for n, own in enumerate(ds.PerFrameFunctionalGroupsSequence, start=first):
            own.PlanePositionSequence[0].ImagePositionPatient = [-10.0, -8.0, 5.0 * n]
        paths.append(write(ds, tmp_path / f"{part}.dcm"))
    images = read_study(paths)
    assert [one.code for one in images.skipped] == codes
    if not codes:
        np.testing.assert_array_equal(images.volumes[FLAIR].voxels, pixels)


def test_the_parts_of_an_object_that_was_cut_may_be_of_different_contrasts(tmp_path: Path) -> None:
    pixels = planes(24)
    t1: dict[str, Any] = {
        "contrast": "T1",
        "inversion_time_ms": None,
        "repetition_time_ms": 500.0,
        "echo_time_ms": 10.0,
    }
    paths = []
    for part, of_contrast in enumerate(({}, t1), start=1):
        elements: dict[str, Any] = {
            **of_contrast, "ConcatenationUID": "1.2.9", "InConcatenationNumber": part, "InConcatenationTotalNumber": 2,
        }  # fmt: skip
        one = an_enhanced_object(pixels[12 * part - 12 : 12 * part], **elements)
        paths.append(write(one, tmp_path / f"{part}.dcm"))
    images = read_study(paths)
    assert images.skipped == ()
    np.testing.assert_array_equal(images.volumes[FLAIR].voxels, pixels[:12])
    np.testing.assert_array_equal(images.volumes[T1].voxels, pixels[12:])
    assert {one.code for one in read_study(paths[:1]).skipped} == {"missing_slices"}


def in_one_object(folder: Path, **usage: str) -> Path:
    """T1 before and after contrast in one enhanced object, which the groups of the frames tell apart."""
    ds = an_enhanced_object(
        planes(24), contrast="T1", inversion_time_ms=None, repetition_time_ms=550, echo_time_ms=12,
        SeriesDescription="t1", ContrastBolusAgentSequence=[an_agent()],
    )  # fmt: skip
    for n, own in enumerate(ds.PerFrameFunctionalGroupsSequence):
        own.PlanePositionSequence[0].ImagePositionPatient = [-10.0, -8.0, 5.0 * (n % 12)]
        own.FrameContentSequence[0].TemporalPositionIndex = 1 + n // 12
        item = Dataset()
        for keyword, values in usage.items():
            setattr(item, keyword, values.split()[n // 12])
        own.ContrastBolusUsageSequence = [item]
    return write(ds, folder / "one.dcm")


def an_agent() -> Dataset:
    ds = Dataset()
    ds.CodeMeaning, ds.ContrastBolusAgentNumber = "Gadobutrol", 1
    return ds


@pytest.mark.parametrize(
    ("usage", "kinds"),
    [
        pytest.param({"ContrastBolusAgentAdministered": "NO YES"}, {T1, T1_GD}, id="administered"),
        pytest.param({"ContrastBolusAgentPhase": "PRE_CONTRAST POST_CONTRAST"}, {T1, T1_GD}, id="the phase"),
        pytest.param({"ContrastBolusAgentAdministered": "YES YES"}, set(), id="noop: all after it, in two runs"),
    ],
)
def test_frames_before_and_after_contrast_in_one_object(
    tmp_path: Path, usage: dict[str, str], kinds: set[SequenceKind]
) -> None:
    images = read_study([in_one_object(tmp_path, **usage)])
    assert set(images.volumes) == kinds
    for kind, own in ((T1, planes(24)[:12]), (T1_GD, planes(24)[12:])):
        if kind in kinds:
            np.testing.assert_array_equal(images.volumes[kind].voxels, own)
