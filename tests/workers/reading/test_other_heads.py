"""Images of another head under the patient's own identity, study and series are set aside and named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from pydicom import Dataset
from pydicom.uid import generate_uid

from tests.builders_dicom import STUDY_UID, T1_PHYSICS, a_series, an_enhanced_object, write
from tests.workers.reading.reading import FLAIR, T1
from triage.model import StudyImages
from workers.reading.objects import read_object
from workers.reading.other_scans import one_scan_each
from workers.reading.study import read_study


def head(count: int = 16, *, radius: float = 0.8, at: tuple[float, float] = (0.0, 0.0)) -> npt.NDArray[np.uint16]:
    """Slices that look alike from one to the next, as those of a head do."""
    z, y, x = np.meshgrid(*(np.linspace(-1.1, 1.1, n) for n in (count, 32, 36)), indexing="ij")
    size = radius * np.sqrt(np.clip(1.5 - z**2, 0.1, None))
    inside = np.hypot(y - at[0], x - at[1]) < size
    folds = 300 * np.sin(9 * (x - at[1]) / radius) * np.cos(7 * (y - at[0]) / radius + 1.5 * z)
    noise = np.random.default_rng(count).normal(0, 20, z.shape)
    return np.asarray(np.clip(np.where(inside, 900 + folds, 20) + noise, 0, None), np.uint16)


OWN = head()
OTHER = head(radius=0.55, at=(0.3, -0.25))
ELSEWHERE = {"FrameOfReferenceUID": f"{STUDY_UID}.8"}
BETWEEN, ASIDE = (-10.0, -8.0, -28.0), (-3.0, -15.0, -30.0)

Case = tuple[list[int], dict[str, Any], str]
LONE: dict[str, Case] = {
    "another frame of reference, same place": ([7], ELSEWHERE, "another frame of reference"),
    "another frame of reference, between": ([7], {**ELSEWHERE, "origin": BETWEEN}, "another frame of reference"),
    "a few of them": ([6, 7, 8], ELSEWHERE, "another frame of reference"),
    "another scanner": ([7], {"DeviceSerialNumber": "77"}, "another scanner"),
    "another vendor": ([7], {"Manufacturer": "GE"}, "another scanner"),
    "another field strength": ([7], {"MagneticFieldStrength": 3.0}, "another field strength"),
    "days later, as a repeat would be": ([7], {"AcquisitionDate": "20240109"}, "another time of acquisition"),
    "days before": ([7], {"AcquisitionDate": "20240101"}, "another time of acquisition"),
    "between the slices": ([7], {"origin": BETWEEN}, "lie beside the slices of the others"),
    "three between the slices": ([3, 7, 8], {"origin": BETWEEN}, "lie beside the slices of the others"),
    "beside them": ([7], {"origin": ASIDE}, "lie beside the slices of the others"),
    "beyond the end, with a gap": ([15], {"origin": (-10.0, -8.0, -18.0)}, "lie beside the slices of the others"),
    "the same place": ([7], {}, "show something else than the slices around them"),
    "the same place, later": ([7], {"AcquisitionTime": "103000"}, "show something else than the slices around them"),
    "three of the same places": ([4, 7, 10], {}, "show something else than the slices around them"),
}
STATED = {"DeviceSerialNumber": "11", "AcquisitionDate": "20240105", "AcquisitionTime": "101500"}


def read_with(tmp_path: Path, only: list[int] | range, *, first: bool = False, **elements: Any) -> StudyImages:
    own = a_series(tmp_path / "own", pixels=OWN, **STATED)
    others = a_series(tmp_path / "others", pixels=OTHER, only=only, **{**STATED, **elements})
    return read_study(others + own if first else own + others)


@pytest.mark.parametrize("first", [True, False], ids=["first", "last"])
@pytest.mark.parametrize(("only", "elements", "why"), LONE.values(), ids=LONE)
def test_a_lone_image_is_set_aside_and_named(
    tmp_path: Path, only: list[int], elements: dict[str, Any], why: str, *, first: bool
) -> None:
    images = read_with(tmp_path, only, first=first, **elements)
    np.testing.assert_array_equal(images.volumes[FLAIR].voxels, OWN)
    assert images.skipped == ()
    (said,) = images.set_aside
    assert why in said
    assert f"{len(only)} of {16 + len(only)}" in said


def test_a_series_of_which_nothing_says_whose_head_is_meant_is_refused(tmp_path: Path) -> None:
    images = read_with(tmp_path, range(16), **ELSEWHERE)
    assert not images.volumes
    (refused,) = images.skipped
    assert refused.code == "mixed_scans"
    assert "their frame of reference differs" in refused.message


def test_the_other_series_say_whose_head_is_meant(tmp_path: Path) -> None:
    """As many images of the other head as of this one."""
    own = a_series(tmp_path / "own", pixels=OWN)
    others = a_series(tmp_path / "others", pixels=OTHER, **ELSEWHERE)
    t1 = a_series(tmp_path / "t1", pixels=OWN, series=2, InversionTime=None, **T1_PHYSICS)
    images = read_study(others + own + t1)
    np.testing.assert_array_equal(images.volumes[FLAIR].voxels, OWN)
    assert set(images.volumes) == {FLAIR, T1}
    assert [one.code for one in images.ignored] == ["other_scan"]


@pytest.mark.parametrize("only", [range(8), range(0, 16, 2)], ids=["one half", "every second one"])
def test_in_place_of_the_own_images_they_are_never_measured(tmp_path: Path, only: range) -> None:
    own = a_series(tmp_path / "own", pixels=OWN, only=[n for n in range(16) if n not in only])
    others = a_series(tmp_path / "others", pixels=OTHER, only=only, **ELSEWHERE)
    images = read_study(own + others)
    assert FLAIR not in images.volumes
    assert [one.code for one in images.skipped] == ["mixed_scans"]


def test_what_a_human_restored_stays(tmp_path: Path) -> None:
    own = a_series(tmp_path / "own", pixels=OWN, only=[n for n in range(16) if n != 7])
    again = a_series(tmp_path / "again", pixels=OWN, only=[7], **ELSEWHERE)
    assert FLAIR not in read_study(own + again).volumes
    images = read_study(own + again, vouched=again)
    np.testing.assert_array_equal(images.volumes[FLAIR].voxels, OWN)
    assert images.set_aside == ()


RESTORED = [
    pytest.param(range(8), "others", id="one half, the other one restored"),
    pytest.param(range(8), "own", id="one half restored"),
    pytest.param(range(0, 16, 2), "others", id="every second one"),
    pytest.param(range(8), "all", id="everything"),
]


@pytest.mark.parametrize(("only", "who"), RESTORED)
@pytest.mark.parametrize("elements", [ELSEWHERE, {"DeviceSerialNumber": "77"}], ids=["frame", "scanner"])
def test_a_series_of_two_scans_is_measured_once_a_human_says_that_they_belong_together(
    tmp_path: Path, only: range, who: str, elements: dict[str, Any]
) -> None:
    own = a_series(tmp_path / "own", pixels=OWN, only=[n for n in range(16) if n not in only], **STATED)
    others = a_series(tmp_path / "others", pixels=OWN, only=only, **{**STATED, **elements})
    assert [one.code for one in read_study(own + others).skipped] == ["mixed_scans"]
    vouched = {"own": own, "others": others, "all": own + others}[who]
    images = read_study(own + others, vouched=vouched)
    np.testing.assert_array_equal(images.volumes[FLAIR].voxels, OWN)
    assert images.skipped == images.set_aside == ()
    (said,) = images.notices
    assert f"differs within a series: {len(vouched)} of 16 objects were restored by a human" in said


def test_noop_a_restored_object_does_not_answer_for_the_others(tmp_path: Path) -> None:
    own = a_series(tmp_path / "own", pixels=OWN, only=range(8))
    others = a_series(tmp_path / "others", pixels=OTHER, only=range(8, 16), **ELSEWHERE)
    assert [one.code for one in read_study(own + others, vouched=own[:1]).skipped] == ["mixed_scans"]


def of_each(keyword: str, value: Any) -> Any:
    return lambda k, ds: setattr(ds, keyword, value(k))


def spoil(_k: int, ds: Dataset) -> None:
    ds.FrameOfReferenceUID = generate_uid()


NOOP: dict[str, Any] = {
    "nothing stated": {"FrameOfReferenceUID": None, "Manufacturer": None, "MagneticFieldStrength": None},
    "a frame of reference for each": {"change": spoil},
    "only some state the scanner": {"change": of_each("DeviceSerialNumber", lambda k: "11" if k < 3 else "")},
    "over midnight": {
        "change": of_each("AcquisitionDateTime", lambda k: f"2024010{5 + k // 8}{['23', '00'][k // 8]}59")
    },
}


@pytest.mark.parametrize("elements", NOOP.values(), ids=NOOP)
def test_noop_the_images_of_one_head(tmp_path: Path, elements: dict[str, Any]) -> None:
    images = read_study(a_series(tmp_path, pixels=OWN, **elements))
    np.testing.assert_array_equal(images.volumes[FLAIR].voxels, OWN)
    assert images.set_aside == images.notices == ()


def test_noop_a_stack_whose_spacing_changes_is_uneven_and_not_cut(tmp_path: Path) -> None:
    def change(k: int, ds: Dataset) -> None:
        ds.ImagePositionPatient = [-10.0, -8.0, -30.0 + 5.0 * k + max(0, k - 12) * 1.7]

    images = read_study(a_series(tmp_path, pixels=OWN, change=change))
    assert [one.code for one in images.skipped] == ["uneven_spacing"]


def test_noop_a_repeat_of_this_head_that_nothing_dates_is_refused(tmp_path: Path) -> None:
    noise = np.random.default_rng(3).normal(0, 30, OWN.shape)
    again = np.asarray(np.clip(OWN + noise, 0, None), np.uint16)
    images = read_study(a_series(tmp_path / "a", pixels=OWN) + a_series(tmp_path / "b", pixels=again, only=[7]))
    assert [one.code for one in images.skipped] == ["duplicate_slices"]


@pytest.mark.parametrize("with_t1", [False, True], ids=["alone", "a T1 has the frame of one"])
@pytest.mark.parametrize("only", [range(8), range(11), range(6, 16)], ids=["one half", "more below", "more above"])
def test_slabs_with_a_frame_of_reference_each_are_refused_and_not_cut(
    tmp_path: Path, only: range, *, with_t1: bool
) -> None:
    """The table moved within the series, or they are halves of two heads."""
    files = a_series(tmp_path / "a", pixels=OWN, only=[n for n in range(16) if n not in only])
    files += a_series(tmp_path / "b", pixels=OWN, only=only, **ELSEWHERE)
    if with_t1:
        files += a_series(tmp_path / "t1", pixels=OWN, series=2, InversionTime=None, **{**ELSEWHERE, **T1_PHYSICS})
    images = read_study(files)
    assert FLAIR not in images.volumes
    assert [one.code for one in images.skipped] == ["mixed_scans"]


@pytest.mark.parametrize("elements", [ELSEWHERE, {"DeviceSerialNumber": "77"}], ids=["frame", "scanner"])
def test_a_part_of_a_head_is_not_measured_in_place_of_the_whole(tmp_path: Path, elements: dict[str, Any]) -> None:
    """The other series say which images are meant, and these show one half of the head."""
    files = a_series(tmp_path / "a", pixels=OWN, only=range(8, 16), **STATED)
    files += a_series(tmp_path / "b", pixels=OTHER, only=range(8), **{**STATED, **elements})
    files += a_series(tmp_path / "t1", pixels=OWN, series=2, InversionTime=None, **{**STATED, **T1_PHYSICS})
    images = read_study(files)
    assert FLAIR not in images.volumes
    assert [one.code for one in images.skipped] == ["mixed_scans"]


def test_images_of_another_head_beyond_the_end_are_set_aside(tmp_path: Path) -> None:
    files = a_series(tmp_path / "a", pixels=OWN, only=range(13))
    images = read_study(files + a_series(tmp_path / "b", pixels=OTHER, only=range(13, 16), **ELSEWHERE))
    np.testing.assert_array_equal(images.volumes[FLAIR].voxels, OWN[:13])
    assert len(images.set_aside) == 1


def test_noop_an_anonymiser_that_gives_each_slice_a_series_and_a_frame(tmp_path: Path) -> None:
    def change(_k: int, ds: Dataset) -> None:
        ds.FrameOfReferenceUID, ds.SeriesInstanceUID = generate_uid(), generate_uid()

    images = read_study(a_series(tmp_path, pixels=OWN, change=change))
    np.testing.assert_array_equal(images.volumes[FLAIR].voxels, OWN)


def test_noop_an_anonymiser_that_gives_each_enhanced_object_a_frame(tmp_path: Path) -> None:
    """Two objects are too few to see it in one series; the others of the study show it."""
    files = []
    for number, physics in enumerate(({}, {"contrast": "T1", "inversion_time_ms": None, "repetition_time_ms": 550.0})):
        for part in range(2):
            ds = an_enhanced_object(OWN[8 * part : 8 * part + 8], **physics)
            ds.SeriesInstanceUID, ds.FrameOfReferenceUID = f"{STUDY_UID}.{number + 1}", generate_uid()
            for k, frame in enumerate(ds.PerFrameFunctionalGroupsSequence):
                frame.PlanePositionSequence[0].ImagePositionPatient = [-10.0, -8.0, 5.0 * (8 * part + k)]
            files.append(write(ds, tmp_path / f"{number}{part}"))
    images = read_study(files)
    assert "mixed_scans" not in [one.code for one in images.skipped]
    np.testing.assert_array_equal(images.volumes[FLAIR].voxels, OWN)


class Counted(Dataset):
    """Counts how often it is asked."""

    asked = 0

    def get(self, *args: Any, **kwargs: Any) -> Any:
        Counted.asked += 1
        return super().get(*args, **kwargs)


def test_each_header_is_asked_once_however_many_series_there_are(tmp_path: Path) -> None:
    paths = a_series(tmp_path, pixels=OWN, **STATED)
    read = [replace(one, header=Counted(one.header)) for one in map(read_object, paths)]
    groups = {str(number): list(read) for number in range(40)}
    Counted.asked = 0
    kept, scans = one_scan_each(groups)
    assert (kept, scans.refused, scans.strays) == (groups, (), ())
    assert 0 < Counted.asked < 20 * 40 * len(read)
