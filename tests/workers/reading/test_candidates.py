"""Several series of one kind: what is added to a study never takes the place of images that are whole."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset

from tests.builders_dicom import STUDY_UID, T1_PHYSICS, a_series, an_object, planes, write
from tests.workers.reading.reading import FLAIR
from workers.reading.study import read_study

SLICES = 24
WHOLE = {"count": SLICES, "spacing_mm": 5.0}


def blank_slices(k: int, ds: Dataset) -> None:
    if k % 3 == 0:
        ds.PixelData = bytes(len(ds.PixelData))


def half_blank(k: int, ds: Dataset) -> None:
    if k > SLICES // 2:
        ds.PixelData = bytes(len(ds.PixelData))


def outline(_: int, ds: Dataset) -> None:
    pixels = np.frombuffer(ds.PixelData, np.uint16).reshape(ds.Rows, ds.Columns).copy()
    pixels[2, 2:14] = 4000
    ds.PixelData = pixels.tobytes()


def mask(_: int, ds: Dataset) -> None:
    ds.PixelData = (np.frombuffer(ds.PixelData, np.uint16) > 500).astype(np.uint16).tobytes()


def derived(change: Callable[[int, Dataset], None], **elements: Any) -> Callable[[Path, int], list[Path]]:
    def make(folder: Path, series: int) -> list[Path]:
        return a_series(folder, series=series, change=change, **WHOLE, **elements)

    return make


def report(folder: Path, series: int) -> list[Path]:
    sr = "1.2.840.10008.5.1.4.1.1.88.33"
    uid = f"{STUDY_UID}.{series}"
    return [
        write(an_object(Modality="SR", SOPClassUID=sr, SeriesInstanceUID=uid, ImageType=None), folder / f"{series}")
    ]


def as_it_is(_: int, __: Dataset) -> None: ...


ADDED: dict[str, Callable[[Path, int], list[Path]]] = {
    "blank slices under the header of the FLAIR": derived(blank_slices),
    "half blank": derived(half_blank),
    "an outline drawn into it": derived(outline),
    "a mask": derived(mask),
    "derived": derived(as_it_is, ImageType=["DERIVED", "SECONDARY"]),
    "a T1": derived(as_it_is, InversionTime=None, **T1_PHYSICS),
    "a localizer": lambda folder, series: a_series(
        folder, series=series, count=3, spacing_mm=40.0, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]
    ),
    "a stack of the posterior fossa": lambda folder, series: a_series(folder, series=series, count=8),
    "missing slices": lambda folder, series: a_series(
        folder, pixels=planes(SLICES), series=series, only=[k for k in range(SLICES) if k not in (5, 9, 10)]
    ),
    "a report": report,
}


def original(folder: Path, series: int) -> list[Path]:
    return a_series(folder, series=series, **WHOLE)


@pytest.mark.parametrize("added", ADDED)
def test_one_added_series_is_not_taken(tmp_path: Path, added: str) -> None:
    """It comes last, with a higher number: of two alike the later repeat is taken."""
    paths = original(tmp_path / "a", 3) + ADDED[added](tmp_path / "b", 4)
    images = read_study(paths, kinds={FLAIR})
    assert images.used == {FLAIR: f"{STUDY_UID}.3"}
    np.testing.assert_array_equal(images.volumes[FLAIR].voxels, planes(SLICES))


@pytest.mark.parametrize("seed", range(10))
def test_whatever_is_added_the_result_is_no_worse(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    numbers = draw.sample(range(1, 10), 5)
    paths = original(tmp_path / "own", numbers.pop())
    for name in draw.choices(sorted(ADDED), k=4):
        paths += ADDED[name](tmp_path / f"{len(numbers)}", numbers.pop())
    draw.shuffle(paths)
    np.testing.assert_array_equal(read_study(paths, kinds={FLAIR}).volumes[FLAIR].voxels, planes(SLICES))


def test_what_is_passed_over_says_why(tmp_path: Path) -> None:
    paths = original(tmp_path / "a", 3) + ADDED["blank slices under the header of the FLAIR"](tmp_path / "b", 4)
    skipped = read_study(paths, kinds={FLAIR}).skipped
    assert [(one.series_instance_uid, one.code) for one in skipped] == [(f"{STUDY_UID}.4", "image")]
    assert "slices are empty between others" in skipped[0].message


def test_the_only_one_is_measured_as_it_is(tmp_path: Path) -> None:
    images = read_study(ADDED["blank slices under the header of the FLAIR"](tmp_path, 4), kinds={FLAIR})
    assert images.used == {FLAIR: f"{STUDY_UID}.4"}
    assert images.skipped == ()


def test_the_others_can_be_read_when_the_first_is_refused(tmp_path: Path) -> None:
    """Best first, doubtful images last, without what has another kind and what is in use."""
    paths = original(tmp_path / "a", 3)
    for number, name in enumerate(("blank slices under the header of the FLAIR", "a T1", "missing slices"), start=4):
        paths += ADDED[name](tmp_path / f"{number}", number)
    paths += a_series(tmp_path / "more", pixels=planes(SLICES, seed=7), spacing_mm=5.0, series=1)
    images = read_study(paths, kinds={FLAIR})
    assert images.used == {FLAIR: f"{STUDY_UID}.3"}
    assert [uid for uid, _ in images.spare_flairs] == [f"{STUDY_UID}.{n}" for n in (1, 4)]
    np.testing.assert_array_equal(images.spare_flairs[0][1]().voxels, planes(SLICES, seed=7))


def test_the_right_one_is_reached_behind_others(tmp_path: Path) -> None:
    """Two FLAIRs of other heads, a noisy repeat and a copy once left the fifth untried, and a new lesion unseen."""
    paths = [path for number in range(1, 7) for path in original(tmp_path / str(number), number)]
    images = read_study(paths, kinds={FLAIR})
    assert {*images.used.values(), *(uid for uid, _ in images.spare_flairs)} == {
        f"{STUDY_UID}.{n}" for n in range(1, 7)
    }
