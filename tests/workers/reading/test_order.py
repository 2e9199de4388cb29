"""What most images of a series state is the series: no order of its files changes what is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, dcmread

from tests.builders_dicom import T1_PHYSICS, a_series, planes
from tests.workers.reading.heads import adc_of_a_head, signal_of_a_head, stored
from tests.workers.reading.reading import ADC, DWI, FLAIR, T1, T1_GD
from triage.model import SequenceKind, StudyImages
from workers.reading.study import read_study

PRESENTATION = "1.2.840.10008.5.1.4.1.1.11.1"
RIGHT = planes(12)
PLANAR: dict[str, Any] = {
    "ScanningSequence": ["EP", "SE"], "InversionTime": None, "RepetitionTime": 5000, "EchoTime": 90,
    "SeriesDescription": "DWI",
}  # fmt: skip


def read_in_any_order(paths: list[Path]) -> StudyImages:
    """The study, the same in four orders of its files."""
    orders = [paths, paths[::-1], paths[-1:] + paths[:-1]]
    orders.append([paths[n] for n in np.random.default_rng(5).permutation(len(paths))])
    found = [read_study(order) for order in orders]
    for other in found[1:]:
        assert other.used == found[0].used
        assert {one.code for one in other.skipped} == {one.code for one in found[0].skipped}
        assert sorted(other.notices) == sorted(found[0].notices)
        for kind, volume in other.volumes.items():
            np.testing.assert_array_equal(volume.voxels, found[0].volumes[kind].voxels)
    return found[0]


def presentation(_k: int, ds: Dataset) -> None:
    ds.SOPClassUID, ds.Modality = PRESENTATION, "PR"
    for keyword in ("Rows", "Columns", "PixelData", "ImagePositionPatient", "RepetitionTime", "EchoTime", "ImageType",
                    "ImageOrientationPatient", "InversionTime", "ScanningSequence", "PixelSpacing"):  # fmt: skip
        delattr(ds, keyword)


def without_agent(k: int, ds: Dataset) -> None:
    if k == 0:
        del ds.ContrastBolusAgent


def in_flair(tmp_path: Path, **elements: Any) -> list[Path]:
    return a_series(tmp_path / "beside", **elements) + a_series(tmp_path / "flair", pixels=RIGHT)


FLAIRS: dict[str, Callable[[Path], list[Path]]] = {
    "no-op": lambda at: a_series(at, pixels=RIGHT),
    "a presentation": lambda at: in_flair(at, only=[0], change=presentation),
    "phase images": lambda at: in_flair(at, pixels=planes(12, seed=9), ImageType=["ORIGINAL", "PRIMARY", "P", "ND"]),
    "phase by its component": lambda at: in_flair(at, pixels=planes(12, seed=9), ComplexImageComponent="PHASE"),
    "imaginary parts": lambda at: in_flair(at, pixels=planes(12, seed=9), ImageType=["ORIGINAL", "IMAGINARY"]),
}  # fmt: skip


@pytest.mark.parametrize("write", FLAIRS.values(), ids=FLAIRS)
def test_what_lies_beside_the_images_names_no_series(tmp_path: Path, write: Callable[[Path], list[Path]]) -> None:
    images = read_in_any_order(write(tmp_path))
    np.testing.assert_array_equal(images.volumes[FLAIR].voxels, RIGHT)


@pytest.mark.parametrize(
    ("agent", "change", "kind"),
    [
        pytest.param({}, None, T1, id="not stated"),
        pytest.param({"ContrastBolusAgent": "Gadovist"}, None, T1_GD, id="no-op: all state it"),
        pytest.param({"ContrastBolusAgent": "Gadovist"}, without_agent, T1_GD, id="one slice does not"),
        pytest.param({"ContrastBolusAgent": "none"}, without_agent, T1, id="one slice does not say that there is none"),
    ],
)
def test_one_slice_without_the_agent_is_not_before_it(
    tmp_path: Path, agent: dict[str, Any], change: Any, kind: SequenceKind
) -> None:
    paths = a_series(tmp_path, change=change, **{**T1_PHYSICS, "InversionTime": None, **agent})
    assert set(read_in_any_order(paths).volumes) == {kind}


SIGNAL, B0, MAP = signal_of_a_head(1000.0), signal_of_a_head(0.0), stored(adc_of_a_head())


@pytest.mark.parametrize(
    ("image_type", "b", "read"),
    [
        pytest.param(["DERIVED", "PRIMARY", "DIFFUSION", "ADC"], 1000.0, {DWI, ADC}, id="no-op: ADC"),
        pytest.param(["DERIVED", "PRIMARY", "ADC_UNSPECIFIED"], 1000.0, {DWI, ADC}, id="unspecified"),
        pytest.param(["DERIVED", "PRIMARY", "ADC_UNSPECIFIED"], 1001.0, {DWI, ADC}, id="unspecified, a higher b"),
        pytest.param(["DERIVED", "PRIMARY", "APPARENT DIFF COEFF"], 1000.0, {DWI, ADC}, id="a name that begins so"),
        pytest.param(["DERIVED", "PRIMARY", "FRACT_ANISOTROPY"], 1000.0, {DWI}, id="anisotropy"),
        pytest.param(["DERIVED", "PRIMARY", "EXP_ADC"], 1000.0, {DWI}, id="exponential"),
        pytest.param(["ORIGINAL", "PRIMARY", "DIFFUSION"], 1100.0, set(), id="not named: refused by its values"),
    ],
)
def test_a_map_under_the_uid_of_the_dwi_is_never_the_dwi(
    tmp_path: Path, image_type: list[str], b: float, read: set[SequenceKind]
) -> None:
    paths = a_series(tmp_path / "map", pixels=MAP, DiffusionBValue=b, ImageType=image_type, **PLANAR)
    paths += a_series(tmp_path / "b0", pixels=B0, DiffusionBValue=0.0, **PLANAR)
    paths += a_series(tmp_path / "b", pixels=SIGNAL, DiffusionBValue=1000.0, **PLANAR)
    images = read_in_any_order(paths)
    assert set(images.volumes) == read
    if DWI in read:
        np.testing.assert_array_equal(images.volumes[DWI].voxels, SIGNAL)
        assert images.dwi_b0 is not None
    else:
        assert {one.code for one in images.skipped} == {"diffusion_map"}


def test_the_private_names_of_both_weightings_are_those_of_one_series(tmp_path: Path) -> None:
    """Where the b-values are gone, the name of the sequence is all that says diffusion."""
    paths = a_series(tmp_path, pixels=B0, SequenceName="*ep_b0", **PLANAR)
    paths += a_series(tmp_path, pixels=SIGNAL, SequenceName="*ep_b1000t", AcquisitionNumber=2, **PLANAR)
    kinds = {one.identification.kind for one in read_in_any_order(paths).study.series}
    assert kinds == {DWI}


def test_the_header_of_an_object_without_images_says_nothing(tmp_path: Path) -> None:
    paths = a_series(tmp_path, pixels=RIGHT)
    (lone,) = a_series(tmp_path / "other", only=[0], change=presentation)
    assert dcmread(lone).Modality == "PR"
    (series,) = read_study([lone, *paths]).study.series
    assert (series.header.modality, series.identification.kind) == ("MR", FLAIR)
