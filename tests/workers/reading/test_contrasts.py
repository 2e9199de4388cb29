"""Two contrasts under one series UID are taken apart or refused; what varies within one acquisition is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread

from tests.builders_dicom import a_series
from tests.workers.reading.reading import FLAIR, T2
from workers.reading.contrasts import mixed_contrasts
from workers.reading.frames import frames_of
from workers.reading.pixels import PixelData
from workers.reading.study import read_study

T2_PHYSICS = {"ScanningSequence": "SE", "RepetitionTime": 5500, "EchoTime": 95, "InversionTime": None}


def header(**elements: Any) -> Dataset:
    ds = Dataset()
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


@pytest.mark.parametrize(
    ("headers", "mixed"),
    [
        pytest.param([], False, id="nothing"),
        pytest.param([header()] * 2, False, id="not stated"),
        pytest.param([header(RepetitionTime=9000, InversionTime=2500)] * 2, False, id="noop: one contrast"),
        pytest.param([header(RepetitionTime=9000), header(RepetitionTime=9900)], False, id="triggered"),
        pytest.param([header(RepetitionTime=9000), header(RepetitionTime=5500)], True, id="two repetition times"),
        pytest.param([header(InversionTime=2500), header()], True, id="some are inverted"),
        pytest.param([header(InversionTime=0), header()], False, id="no inversion, said in two ways"),
        pytest.param([header(InversionTime=700), header(InversionTime=2500)], False, id="two inversions"),
        pytest.param([header(RepetitionTime=0), header(RepetitionTime=9000)], False, id="a repetition time of zero"),
    ],
)
def test_what_counts_as_two_contrasts(headers: list[Dataset], mixed: bool) -> None:
    frames = [frame for ds in headers for frame in frames_of(ds, PixelData(Path()))]
    assert (mixed_contrasts(frames) is not None) is mixed


@pytest.mark.parametrize("names", [("a", "b"), ("b", "a")])
def test_a_t2_under_the_uid_of_the_flair_is_a_series_of_its_own(tmp_path: Path, names: tuple[str, str]) -> None:
    paths = a_series(tmp_path / names[0])
    uid = str(dcmread(paths[0]).SeriesInstanceUID)
    paths += a_series(tmp_path / names[1], **T2_PHYSICS)
    images = read_study(sorted(paths))
    assert images.used == {FLAIR: uid, T2: f"{uid}.2"}
    assert images.skipped == ()
    assert images.notices == ("one series UID holds 2 series of 12, 12 images: each is looked at by itself",)


CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)


@pytest.mark.parametrize(
    ("other", "kinds"),
    [
        pytest.param(T2_PHYSICS, ["flair", "t2"], id="timing"),
        pytest.param({"orientation": CORONAL}, ["flair", "flair"], id="orientation"),
        pytest.param({"PixelSpacing": [0.5, 0.5]}, ["flair", "flair"], id="spacing"),
        pytest.param({"ContrastBolusAgent": "Gadovist"}, ["flair", "flair"], id="contrast agent"),
        pytest.param({"ContrastBolusVolume": "7.5"}, ["flair", "flair"], id="dose of an agent without a name"),
        pytest.param({"ContrastBolusStartTime": "101500"}, ["flair", "flair"], id="time of an agent without a name"),
        pytest.param({"ContrastBolusVolume": "0"}, ["flair"], id="noop: a dose of zero"),
        pytest.param({"ContrastBolusAgent": "none"}, ["flair"], id="noop: no agent, said in two ways"),
        pytest.param({"EchoTime": 130}, ["flair"], id="noop: two echoes"),
        pytest.param({"orientation": (1.0, 0.001, 0.0, -0.001, 1.0, 0.0)}, ["flair"], id="noop: rounded directions"),
    ],
)
def test_what_takes_a_series_apart(tmp_path: Path, other: dict[str, Any], kinds: list[str]) -> None:
    paths = a_series(tmp_path / "a") + a_series(tmp_path / "b", **other)
    study = read_study(paths, kinds=()).study
    assert [one.identification.kind.value for one in study.series] == kinds
    assert sum(one.header.instance_count for one in study.series) == 24


@pytest.mark.parametrize(
    ("counts", "start_mm"), [((12, 6), -30.0), ((12, 12), 30.0)], ids=["too few for a stack", "slabs above each other"]
)
def test_parts_that_are_no_stacks_are_refused_together(
    tmp_path: Path, counts: tuple[int, int], start_mm: float
) -> None:
    """Where the images are slices of one stack, or nobody knows, two contrasts stay one series, and it is refused."""
    paths = a_series(tmp_path / "a", count=counts[0])
    paths += a_series(tmp_path / "b", count=counts[1], origin=(-10.0, -8.0, start_mm), **T2_PHYSICS)
    images = read_study(paths)
    assert FLAIR not in images.volumes
    assert [one.code for one in images.skipped] == ["mixed_contrasts"]
