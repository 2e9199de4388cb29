"""Of several volumes in one series the right one is taken, what is dropped is named, and what nobody can tell is
refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset

from tests.builders_dicom import T1_PHYSICS, a_series, planes
from tests.workers.reading.heads import adc_of_a_head, signal_of_a_head, stored
from tests.workers.reading.reading import DWI, FLAIR
from tests.workers.reading.test_order import PLANAR, read_in_any_order
from workers.reading.study import read_study

RIGHT, OTHER = planes(12), planes(12, seed=9)
M = ["ORIGINAL", "PRIMARY", "M", "ND"]


@pytest.mark.parametrize(
    ("right", "other", "notices"),
    [
        pytest.param(M, ["DERIVED", "SECONDARY", "OTHER"], 1, id="acquired before derived"),
        pytest.param(["DERIVED", "PRIMARY", "W"], ["DERIVED", "PRIMARY", "F"], 1, id="water before fat"),
        pytest.param([*M, "NORM"], M, 1, id="normalised"),
        pytest.param(["ORIGINAL", "PRIMARY", "M", "A"], ["ORIGINAL", "PRIMARY", "M", "B"], None, id="refused: no word"),
        pytest.param(M, None, 0, id="no-op: one type"),
    ],
)
def test_which_type_of_image_is_taken(tmp_path: Path, right: Any, other: Any, notices: int | None) -> None:
    paths = a_series(tmp_path / "other", pixels=OTHER, ImageType=other) if other else []
    images = read_in_any_order(paths + a_series(tmp_path / "right", pixels=RIGHT, ImageType=right))
    if notices is None:
        assert {one.code for one in images.skipped} == {"mixed_contrasts"}
        assert not images.volumes
        return
    np.testing.assert_array_equal(images.volumes[FLAIR].voxels, RIGHT)
    assert len(images.notices) == notices


EARLY, LATE = {"AcquisitionTime": "100000"}, {"AcquisitionTime": "113000"}
NO_TI = {**T1_PHYSICS, "InversionTime": None}


@pytest.mark.parametrize(
    ("one", "other", "codes"),
    [
        pytest.param({**EARLY, "EchoTime": 10}, {**LATE, "EchoTime": 9.2}, {"mixed_contrasts"}, id="two acquisitions"),
        pytest.param({**EARLY, "EchoTime": 10}, {**EARLY, "EchoTime": 20}, set(), id="no-op: acquired together"),
        pytest.param({**EARLY, "EchoTime": 10, "EchoNumbers": 1}, {**LATE, "EchoTime": 20, "EchoNumbers": 2}, set(),
                     id="no-op: called echoes"),
        pytest.param({"EchoTime": 10}, {"EchoTime": 20}, set(), id="not measured: no time is stated"),
    ],
)  # fmt: skip
def test_echoes_are_of_one_acquisition(tmp_path: Path, one: Any, other: Any, codes: set[str]) -> None:
    paths = a_series(tmp_path / "a", **{**NO_TI, **one}) + a_series(tmp_path / "b", **{**NO_TI, **other})
    assert {skipped.code for skipped in read_in_any_order(paths).skipped} == codes


@pytest.mark.parametrize(
    ("times", "series", "voxels"),
    [
        pytest.param((EARLY, LATE), 2, RIGHT, id="an agent was given between them"),
        pytest.param(({}, {}), 1, OTHER, id="not measured: no time is stated"),
        pytest.param((EARLY, EARLY), 1, OTHER, id="no-op: one time"),
    ],
)
def test_a_run_after_the_contrast_agent_is_no_repeat(tmp_path: Path, times: Any, series: int, voxels: Any) -> None:
    paths = a_series(tmp_path / "a", pixels=RIGHT, AcquisitionNumber=1, **times[0])
    paths += a_series(tmp_path / "b", pixels=OTHER, AcquisitionNumber=2, **times[1])
    paths += a_series(tmp_path / "gd", series=2, AcquisitionTime="110000", ContrastBolusAgent="Gadovist", **NO_TI)
    images = read_in_any_order(paths)
    assert sum(one.identification.kind is FLAIR for one in images.study.series) == series
    np.testing.assert_array_equal(images.volumes[FLAIR].voxels, voxels)
    assert images.notices


SIGNAL, B0 = signal_of_a_head(1000.0), signal_of_a_head(0.0)
FACTORS = (0.5, 1.0, 2.0)


@pytest.mark.parametrize(
    ("b_values", "number", "directions"),
    [
        pytest.param((995.0, 1000.0, 1005.0), {}, True, id="b-values as they are played out"),
        pytest.param((1000.0,) * 3, {}, True, id="no-op: one b-value"),
        pytest.param((1000.0,) * 3, {"AcquisitionNumber": 1}, False, id="directions are not stated"),
    ],
)
def test_all_directions_make_the_trace(tmp_path: Path, b_values: Any, number: Any, directions: bool) -> None:
    paths = []
    for n, (b, factor) in enumerate(zip(b_values, FACTORS, strict=True)):
        stated = {"DiffusionGradientOrientation": [float(n == axis) for axis in range(3)]} if directions else {}
        stated |= dict.fromkeys(number, n + 1)
        paths += a_series(tmp_path / str(n), pixels=stored(SIGNAL * factor), DiffusionBValue=b, **stated, **PLANAR)
    images = read_in_any_order(paths)
    np.testing.assert_allclose(images.volumes[DWI].voxels, SIGNAL, atol=2.0)
    assert images.diffusion.b_high == 1000.0


@pytest.mark.parametrize(
    ("low", "found"),
    [
        pytest.param(PLANAR, True, id="no-op: echo planar"),
        pytest.param({"ScanningSequence": "SE", "RepetitionTime": 5500, "EchoTime": 95, "InversionTime": None,
                      "SeriesDescription": "T2 TSE"}, False, id="a T2 that states b 0"),
    ],
)  # fmt: skip
def test_a_t2_is_no_image_without_weighting(tmp_path: Path, low: dict[str, Any], found: bool) -> None:
    paths = a_series(tmp_path, pixels=SIGNAL, series=1, DiffusionBValue=1000.0, **PLANAR)
    paths += a_series(tmp_path, pixels=B0, series=2, DiffusionBValue=0.0, **low)
    assert (read_in_any_order(paths).dwi_b0 is not None) is found


def sloped(k: int, ds: Dataset) -> None:
    ds.RescaleSlope, ds.RescaleIntercept = 1.0 + 0.05 * k, 0


@pytest.mark.parametrize(
    ("maker", "change", "codes"),
    [
        pytest.param("SIEMENS", sloped, set(), id="no-op: a scale of each image"),
        pytest.param("Philips", sloped, {"mixed_rescale"}, id="made for display"),
        pytest.param(None, sloped, {"mixed_rescale"}, id="not measured: no maker is stated"),
        pytest.param("Philips", None, set(), id="no-op: no rescale"),
    ],
)
def test_a_rescale_for_display_within_a_stack(tmp_path: Path, maker: Any, change: Any, codes: set[str]) -> None:
    images = read_in_any_order(a_series(tmp_path, Manufacturer=maker, change=change))
    assert {one.code for one in images.skipped} == codes


def test_a_map_is_displayed_in_its_unit(tmp_path: Path) -> None:
    voxels = stored(adc_of_a_head())
    slopes = 1.0 + 0.05 * np.arange(len(voxels))
    image_type = ["DERIVED", "PRIMARY", "DIFFUSION", "ADC"]
    paths = a_series(tmp_path, pixels=stored(voxels / slopes[:, None, None]), Manufacturer="Philips", change=sloped,
                     ImageType=image_type, **PLANAR)  # fmt: skip
    assert not read_study(paths).skipped


def a_planning_image(_k: int, ds: Dataset) -> None:
    ds.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
    ds.RepetitionTime, ds.EchoTime, ds.ScanningSequence = 8.6, 4, "GR"
    del ds.InversionTime


def a_capture(_k: int, ds: Dataset) -> None:
    ds.SOPClassUID, ds.ImageType = "1.2.840.10008.5.1.4.1.1.7", ["DERIVED", "SECONDARY"]
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RepetitionTime", "EchoTime",
                    "InversionTime", "ScanningSequence"):  # fmt: skip
        delattr(ds, keyword)


def a_lost_place(_k: int, ds: Dataset) -> None:
    del ds.ImagePositionPatient


@pytest.mark.parametrize(
    ("change", "only", "ignored"),
    [
        pytest.param(None, [], [], id="no-op"),
        pytest.param(a_planning_image, [0], ["other_image"], id="planning image"),
        pytest.param(a_capture, [0], ["other_image"], id="capture"),
        pytest.param(a_lost_place, [0], None, id="refused: a slice that lost its place"),
        pytest.param(a_planning_image, range(6), None, id="refused: many"),
    ],
)
def test_lone_images_of_another_kind_are_set_aside(
    tmp_path: Path, change: Callable[[int, Dataset], None] | None, only: Any, ignored: list[str] | None
) -> None:
    paths = a_series(tmp_path / "beside", only=only, change=change)
    images = read_in_any_order(paths + a_series(tmp_path / "flair", pixels=RIGHT))
    if ignored is None:
        assert not images.volumes
        assert images.skipped
        return
    np.testing.assert_array_equal(images.volumes[FLAIR].voxels, RIGHT)
    assert [one.code for one in images.ignored] == ignored
    assert sum(one.header.instance_count for one in images.study.series) + len(ignored) == len(paths) + 12
