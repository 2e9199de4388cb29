"""Objects that another program converted: elements in its own sequences, times in seconds, no words left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset

from tests.builders_dicom import T1_PHYSICS, a_series, an_enhanced_object, planes, write
from tests.workers.reading.heads import adc_of_a_head, head_of_grey_levels, signal_of_a_head, stored
from tests.workers.reading.reading import ADC, DWI, FLAIR, T1, T1_GD, T2, private_element
from triage.model import SequenceKind
from workers.reading.study import read_study

LEGACY = "1.2.840.10008.5.1.4.1.1.4.4"
SHARED, OWN = "UnassignedSharedConvertedAttributesSequence", "UnassignedPerFrameConvertedAttributesSequence"
FLAIR_TIMES = {"RepetitionTime": 9000, "EchoTime": 125, "InversionTime": 2500, "ScanningSequence": ["SE", "IR"]}
T1_TIMES = {"RepetitionTime": 550, "EchoTime": 12, "ScanningSequence": ["SE"]}
VOLUME_TIMES = {"RepetitionTime": 2200, "EchoTime": 3, "InversionTime": 900, "ScanningSequence": ["GR", "IR"]}


def elements(**values: Any) -> Dataset:
    ds = Dataset()
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return ds


def converted(pixels: Any, of_all: Dataset | None, of_each: list[Dataset] | None = None) -> Dataset:
    """A legacy converted object: what has no macro of its own lies in the sequences of the conversion."""
    ds = an_enhanced_object(pixels, contrast="", inversion_time_ms=None, SeriesDescription="")
    ds.SOPClassUID = LEGACY
    del ds.SharedFunctionalGroupsSequence[0].MRTimingAndRelatedParametersSequence
    if of_all is not None:
        setattr(ds.SharedFunctionalGroupsSequence[0], SHARED, [of_all])
    for n, own in enumerate(ds.PerFrameFunctionalGroupsSequence):
        del own.MREchoSequence
        if of_each is not None:
            setattr(own, OWN, [of_each[n]])
    return ds


@pytest.mark.parametrize(
    ("times", "kind"),
    [
        pytest.param(FLAIR_TIMES, FLAIR, id="FLAIR"),
        pytest.param(T1_TIMES, T1, id="T1"),
        pytest.param({}, None, id="not stated"),
    ],
)
@pytest.mark.parametrize("shared", [True, False], ids=["shared", "of each frame"])
def test_what_an_archive_found_no_macro_for_is_read(
    tmp_path: Path, times: dict[str, Any], kind: SequenceKind | None, *, shared: bool
) -> None:
    own = elements(**times)
    ds = converted(planes(14), own) if shared else converted(planes(14), None, [own] * 14)
    images = read_study([write(ds, tmp_path / "one")])
    assert set(images.volumes) == ({kind} if kind else set())


@pytest.mark.parametrize("private", [True, False], ids=["private", "standard"])
def test_b_values_of_the_conversion(tmp_path: Path, *, private: bool) -> None:
    weighted, low = signal_of_a_head(1000.0), signal_of_a_head(0.0)
    each = []
    for b in (0, 1000):
        own = elements(RepetitionTime=5000, EchoTime=90, ScanningSequence=["EP", "SE"])
        if private:
            private_element(own, 0x0019, "SIEMENS MR HEADER", 0x0C, "IS", str(b))
        else:
            own.DiffusionBValue = float(b)
        each += [own] * len(low)
    ds = converted(np.concatenate([low, weighted]), None, each)
    for n, own in enumerate(ds.PerFrameFunctionalGroupsSequence):
        own.PlanePositionSequence[0].ImagePositionPatient = [-10.0, -8.0, 5.0 * (n % len(low))]
    images = read_study([write(ds, tmp_path / "one")])
    np.testing.assert_array_equal(images.volumes[DWI].voxels, weighted)
    assert images.dwi_b0 is not None


@pytest.mark.parametrize(
    ("factor", "times", "kind"),
    [
        pytest.param(1.0, FLAIR_TIMES, FLAIR, id="noop: milliseconds"),
        pytest.param(1e-3, FLAIR_TIMES, FLAIR, id="FLAIR"),
        pytest.param(1e-3, {**T1_TIMES, "RepetitionTime": 4000, "EchoTime": 95}, T2, id="T2"),
        pytest.param(1e-3, T1_TIMES, T1, id="T1"),
        pytest.param(1e-3, VOLUME_TIMES, T1, id="T1 volume"),
        pytest.param(
            1e-3, {"RepetitionTime": 4000, "EchoTime": 95}, None, id="not measured: the sequence is not stated"
        ),
    ],
)
def test_times_in_seconds(tmp_path: Path, factor: float, times: dict[str, Any], kind: SequenceKind | None) -> None:
    stated = {key: value if isinstance(value, list) else value * factor for key, value in times.items()}
    stated = {"InversionTime": None, "ScanningSequence": None, "SeriesDescription": "", **stated}
    images = read_study(a_series(tmp_path, **stated))
    assert set(images.volumes) == ({kind} if kind else set())


@pytest.mark.parametrize(
    ("pixels", "left", "kinds", "codes"),
    [
        pytest.param(stored(adc_of_a_head().clip(0)), {}, set(), {"diffusion_map"}, id="an ADC map"),
        pytest.param(
            stored(adc_of_a_head().clip(0)), {"ImageType": ["DERIVED", "PRIMARY", "ADC"]}, {ADC}, set(),
            id="noop: an ADC map that says so",
        ),
        pytest.param(head_of_grey_levels().astype(np.uint16), {}, {T2}, set(), id="noop: a T2"),
    ],
)  # fmt: skip
def test_a_map_without_any_word_is_no_t2(
    tmp_path: Path, pixels: Any, left: dict[str, Any], kinds: set[SequenceKind], codes: set[str]
) -> None:
    none = dict.fromkeys(("InversionTime", "ScanningSequence", "SequenceVariant", "ImageType", "SeriesDescription"))
    paths = a_series(tmp_path, pixels=pixels, **{**none, "RepetitionTime": 5000, "EchoTime": 90, **left})
    images = read_study(paths)
    assert set(images.volumes) == kinds
    assert {one.code for one in images.skipped} == codes


@pytest.mark.parametrize(
    ("after", "said"),
    [
        pytest.param(T1_TIMES, False, id="noop: alike"),
        pytest.param(VOLUME_TIMES, True, id="another sequence"),
    ],
)
def test_t1_of_two_kinds_before_and_after_contrast_is_said(
    tmp_path: Path, after: dict[str, Any], *, said: bool
) -> None:
    bare = {**T1_PHYSICS, "InversionTime": None}
    paths = a_series(tmp_path / "a", series=1, **{**bare, **T1_TIMES})
    paths += a_series(tmp_path / "b", series=2, ContrastBolusAgent="Gadovist", **{**bare, **after})
    images = read_study(paths)
    assert set(images.volumes) == {T1, T1_GD}
    assert any("otherwise than the T1 before contrast" in one for one in images.notices) is said


def double_inversion() -> Any:
    """Grey matter round white matter and fluid that are nulled both."""
    radius = np.sqrt(sum(np.square(one) for one in np.meshgrid(*(np.linspace(-1.1, 1.1, n) for n in (14, 32, 36)),
                                                               indexing="ij")))  # fmt: skip
    bright = np.select([radius < 0.8, radius < 1.0], [90.0, 400.0], 8.0)
    return stored(bright * np.random.default_rng(3).normal(1.0, 0.03, bright.shape))


@pytest.mark.parametrize(
    ("times", "pixels", "codes"),
    [
        pytest.param({"InversionTime": None}, double_inversion(), {"double_inversion"}, id="no inversion time"),
        pytest.param({"RepetitionTime": None}, double_inversion(), {"double_inversion"}, id="no repetition time"),
        pytest.param({}, double_inversion(), set(), id="noop: the times are those of FLAIR"),
        pytest.param(
            {"InversionTime": None}, head_of_grey_levels().astype(np.uint16), set(), id="noop: a FLAIR without a time"
        ),
    ],
)
def test_a_double_inversion_that_states_half_of_its_times(
    tmp_path: Path, times: dict[str, Any], pixels: Any, codes: set[str]
) -> None:
    images = read_study(a_series(tmp_path, pixels=pixels, **times))
    assert {one.code for one in images.skipped} == codes
    assert (FLAIR in images.volumes) is (not codes)


UNWEIGHTED, WEIGHTED = signal_of_a_head(0.0), signal_of_a_head(1000.0)


@pytest.mark.parametrize(
    ("pixels", "elements", "codes"),
    [
        pytest.param(WEIGHTED, {}, set(), id="noop: fluid is dark"),
        pytest.param(UNWEIGHTED, {}, {"unweighted"}, id="fluid is bright"),
        pytest.param(UNWEIGHTED, {"DiffusionBValue": 1000.0}, set(), id="noop: a b-value is stated"),
        pytest.param(
            (WEIGHTED * np.random.default_rng(5).gamma(2.0, 0.5, WEIGHTED.shape)).astype(np.uint16),
            {"DiffusionBValue": 1000.0, "ImageType": None}, {"diffusion_map"}, id="a map of anisotropy without a type",
        ),
        pytest.param(WEIGHTED, {"DiffusionBValue": 1000.0, "ImageType": None}, set(), id="noop: a DWI without a type"),
    ],
)  # fmt: skip
def test_diffusion_images_that_lost_what_tells_them(
    tmp_path: Path, pixels: Any, elements: dict[str, Any], codes: set[str]
) -> None:
    planar = {"ScanningSequence": ["EP", "SE"], "InversionTime": None, "RepetitionTime": 5000, "EchoTime": 90,
              "SeriesDescription": "DWI"}  # fmt: skip
    images = read_study(a_series(tmp_path, pixels=pixels, **{**planar, **elements}))
    assert {one.code for one in images.skipped} == codes
    assert (DWI in images.volumes) is (not codes)
