"""Frames that do not belong to the volume of their series, and slices whose series is torn apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.uid import generate_uid

from tests.builders_dicom import T1_PHYSICS, a_series, planes, with_pixels
from tests.workers.reading.reading import DWI, FLAIR, T2
from triage.model import StudyImages
from workers.reading.study import read_study

RIGHT = planes(12)


def read_with(tmp_path: Path, *more: list[Path], **elements: Any) -> StudyImages:
    return read_study(a_series(tmp_path, pixels=RIGHT, **elements) + [path for paths in more for path in paths])


def codes(images: StudyImages) -> list[str]:
    return [one.code for one in images.skipped]


def sagittal(_k: int, ds: Dataset) -> None:
    ds.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]


def small(_k: int, ds: Dataset) -> None:
    with_pixels(ds, planes(1, 8, 8)[0])


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("change", [sagittal, small], ids=["another orientation", "another matrix"])
def test_a_few_images_of_another_geometry_are_set_aside(tmp_path: Path, change: Any, count: int) -> None:
    images = read_with(tmp_path, a_series(tmp_path, pixels=planes(count, seed=5), change=change))
    np.testing.assert_array_equal(images.volumes[FLAIR].voxels, RIGHT)
    said = f"flair: {count} of {12 + count} images have another orientation or size and are left out"
    assert images.notices == (said,)


def test_many_images_of_another_geometry_refuse_the_series(tmp_path: Path) -> None:
    images = read_with(tmp_path, a_series(tmp_path, pixels=planes(6, seed=5), change=small))
    assert not images.volumes
    assert codes(images) == ["mixed_geometry"]


@pytest.mark.parametrize("which", [range(12), [3], [0, 4, 8]], ids=["all", "one", "every fourth"])
@pytest.mark.parametrize("others", [{}, {"InstanceNumber": 99, "AcquisitionNumber": 7}], ids=["equal", "numbered anew"])
def test_equal_pixels_under_other_instance_uids_are_one_image(tmp_path: Path, which: Any, others: Any) -> None:
    images = read_with(tmp_path, a_series(tmp_path, pixels=RIGHT, only=which, **others))
    np.testing.assert_array_equal(images.volumes[FLAIR].voxels, RIGHT)


LATER: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"AcquisitionNumber": 1}, {"AcquisitionNumber": 2}),
    ({"TemporalPositionIdentifier": 1}, {"TemporalPositionIdentifier": 2}),
    ({"AcquisitionTime": "101500"}, {"AcquisitionTime": "10:19:00.5"}),
    ({"AcquisitionDateTime": "20240105235900"}, {"AcquisitionDateTime": "20240106000300"}),
]


@pytest.mark.parametrize("later_first", [False, True])
@pytest.mark.parametrize(("sooner", "later"), LATER, ids=["acquisition", "temporal position", "time", "date and time"])
def test_of_slices_repeated_after_motion_the_later_are_taken(
    tmp_path: Path, sooner: dict[str, Any], later: dict[str, Any], later_first: bool
) -> None:
    spoilt = a_series(tmp_path / "spoilt", pixels=planes(12, seed=6), only=[3, 4, 5], **sooner)
    again = a_series(tmp_path / "again", pixels=RIGHT, only=[3, 4, 5], **later)
    rest = a_series(tmp_path / "rest", pixels=RIGHT, only=[0, 1, 2, *range(6, 12)], **sooner)
    images = read_study(again + rest + spoilt if later_first else spoilt + rest + again)
    np.testing.assert_array_equal(images.volumes[FLAIR].voxels, RIGHT)
    assert images.notices == ("flair: 3 slices were repeated: the later ones are taken",)


def test_a_repeat_that_nothing_dates_refuses_the_series(tmp_path: Path) -> None:
    images = read_with(tmp_path, a_series(tmp_path, pixels=planes(12, seed=6), only=[3]))
    assert not images.volumes
    assert codes(images) == ["duplicate_slices"]


HALF = (-10.0, -8.0, -27.5)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param({"AcquisitionNumber": 1}, {"AcquisitionNumber": 2}, id="acquisition numbers"),
        pytest.param({"AcquisitionTime": "101500"}, {"AcquisitionTime": "101900"}, id="times"),
        pytest.param({}, {}, id="the same instance numbers"),
        pytest.param({}, {"change": lambda k, ds: setattr(ds, "InstanceNumber", k + 13)}, id="numbered on"),
    ],
)
def test_of_two_runs_half_a_slice_apart_the_later_is_taken(
    tmp_path: Path, one: dict[str, Any], other: dict[str, Any]
) -> None:
    second = planes(12, seed=6)
    images = read_with(tmp_path, a_series(tmp_path, pixels=second, origin=HALF, **other), **one)
    np.testing.assert_array_equal(images.volumes[FLAIR].voxels, second)
    assert "flair: 2 runs lie in one another: slices of 5 mm overlap; the later run is taken" in images.notices


def test_of_two_runs_of_t1_none_is_taken(tmp_path: Path) -> None:
    """The later one may be after contrast."""
    paths = a_series(tmp_path, **{**T1_PHYSICS, "InversionTime": None, "AcquisitionNumber": 1})
    paths += a_series(tmp_path, origin=HALF, **{**T1_PHYSICS, "InversionTime": None, "AcquisitionNumber": 2})
    images = read_study(paths)
    assert not images.volumes
    assert codes(images) == ["duplicate_slices"]


@pytest.mark.parametrize("thickness", [5.0, 2.5, None], ids=["overlapping slab", "contiguous", "not stated"])
def test_noop_slices_that_overlap_in_one_run(tmp_path: Path, thickness: float | None) -> None:
    """3-D slabs are resampled to slices that overlap."""
    voxels = planes(24)
    images = read_study(a_series(tmp_path, pixels=voxels, spacing_mm=2.5, SliceThickness=thickness))
    np.testing.assert_array_equal(images.volumes[FLAIR].voxels, voxels)


def test_noop_two_packages_that_fill_their_gaps(tmp_path: Path) -> None:
    """Every second slice is of another acquisition, and none overlaps."""
    voxels = planes(24)
    images = read_study(
        a_series(tmp_path, pixels=voxels, change=lambda k, ds: setattr(ds, "AcquisitionNumber", 1 + k % 2))
    )
    np.testing.assert_array_equal(images.volumes[FLAIR].voxels, voxels)


def own_uid(k: int, ds: Dataset) -> None:
    ds.SeriesInstanceUID = generate_uid(entropy_srcs=[str(ds.SeriesInstanceUID), str(ds.SOPInstanceUID)])


def test_a_uid_for_each_slice_is_one_series(tmp_path: Path) -> None:
    t2 = {"InversionTime": None, "SeriesDescription": "T2", "ScanningSequence": "SE"}
    other = planes(12, seed=7)
    images = read_with(tmp_path, a_series(tmp_path, pixels=other, series=2, change=own_uid, **t2), change=own_uid)
    np.testing.assert_array_equal(images.volumes[FLAIR].voxels, RIGHT)
    np.testing.assert_array_equal(images.volumes[T2].voxels, other)
    assert sorted(one.header.instance_count for one in images.study.series) == [12, 12]
    assert images.notices == ("12 series hold one slice each of one acquisition: measured as one",) * 2


def test_both_b_values_are_joined(tmp_path: Path) -> None:
    planar: dict[str, Any] = {
        "ScanningSequence": ["EP", "SE"], "InversionTime": None, "SeriesDescription": "DWI", "change": own_uid,
    }  # fmt: skip
    paths = a_series(tmp_path, pixels=2 * RIGHT, DiffusionBValue=0.0, **planar)
    images = read_study(paths + a_series(tmp_path, pixels=RIGHT, DiffusionBValue=1000.0, **planar))
    np.testing.assert_array_equal(images.volumes[DWI].voxels, RIGHT)
    assert images.dwi_b0 is not None
    assert len(images.study.series) == 1


@pytest.mark.parametrize("count", [3, 9])
def test_noop_a_few_single_images_stay_apart(tmp_path: Path, count: int) -> None:
    images = read_study(a_series(tmp_path, pixels=planes(count), change=own_uid))
    assert len(images.study.series) == count


def test_slices_of_another_acquisition_are_not_joined(tmp_path: Path) -> None:
    def change(k: int, ds: Dataset) -> None:
        own_uid(k, ds)
        ds.RepetitionTime = 9000 + k

    assert len(read_study(a_series(tmp_path, change=change)).study.series) == 12
