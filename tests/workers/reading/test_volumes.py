"""Several volumes in one series, and enhanced multi-frame objects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from tests.builders_dicom import (
    a_series,
    an_enhanced_object,
    planes,
    write,
)
from tests.workers.reading.reading import (
    ADC,
    DWI,
    FLAIR,
    T2,
    compressed,
    only_refusal,
    private_element,
)
from workers.reading.study import read_study

DIFFUSION = {
    "ScanningSequence": ["EP", "SE"],
    "InversionTime": None,
    "RepetitionTime": 5000,
    "EchoTime": 90,
    "SeriesDescription": "DWI",
}


B_VALUE_WRITERS = [
    pytest.param(lambda ds, b: setattr(ds, "DiffusionBValue", b), id="standard"),
    pytest.param(lambda ds, b: private_element(ds, 0x0019, "SIEMENS MR HEADER", 0x0C, "IS", int(b)), id="siemens"),
    pytest.param(
        lambda ds, b: private_element(ds, 0x0043, "GEMS_PARM_01", 0x39, "IS", [int(b) + 1_000_000_000, 8, 0, 0]),
        id="ge-biased",
    ),
    pytest.param(lambda ds, b: private_element(ds, 0x0043, "GEMS_PARM_01", 0x39, "IS", [int(b), 8, 0, 0]), id="ge"),
    pytest.param(lambda ds, b: private_element(ds, 0x2001, "Philips Imaging DD 001", 0x03, "FL", b), id="philips"),
    pytest.param(lambda ds, b: private_element(ds, 0x0065, "Image Private Header", 0x09, "FD", b), id="uih"),
]


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian], ids=["explicit", "implicit"])
@pytest.mark.parametrize("set_b", B_VALUE_WRITERS)
def test_highest_b_value_is_the_diffusion_volume(tmp_path: Path, set_b: Any, syntax: UID) -> None:
    low, high = planes(12, seed=1), planes(12, seed=2)
    paths = a_series(tmp_path, pixels=low, change=lambda k, ds: set_b(ds, 0.0), syntax=syntax, **DIFFUSION)
    paths += a_series(tmp_path, pixels=high, change=lambda k, ds: set_b(ds, 1000.0), syntax=syntax, **DIFFUSION)
    images = read_study(paths)
    assert images.study.series[0].header.b_values == (0.0, 1000.0)
    np.testing.assert_array_equal(images.volumes[DWI].voxels, high)


@pytest.mark.parametrize("set_b", B_VALUE_WRITERS)
def test_the_image_without_weighting_is_read_beside_the_dwi(tmp_path: Path, set_b: Any) -> None:
    low, high = 2 * planes(12, seed=2), planes(12, seed=2)
    paths = a_series(tmp_path, pixels=high, change=lambda k, ds: set_b(ds, 1000.0), **DIFFUSION)
    paths += a_series(tmp_path, pixels=low, change=lambda k, ds: set_b(ds, 0.0), **DIFFUSION)
    images = read_study(paths)
    assert images.dwi_b0 is not None
    np.testing.assert_array_equal(images.dwi_b0.voxels, low)
    np.testing.assert_array_equal(images.dwi_b0.affine, images.volumes[DWI].affine)
    assert (images.diffusion.b_high, images.diffusion.b_low, images.diffusion.adc_unit) == (1000.0, 0.0, "")


def test_repeats_without_weighting_are_averaged(tmp_path: Path) -> None:
    lows = [factor * planes(12, seed=3) for factor in (2, 3)]
    paths = [path for low in lows for path in a_series(tmp_path, pixels=low, DiffusionBValue=0.0, **DIFFUSION)]
    paths += a_series(tmp_path, pixels=planes(12, seed=3), DiffusionBValue=1000.0, **DIFFUSION)
    images = read_study(paths)
    assert images.dwi_b0 is not None
    np.testing.assert_allclose(images.dwi_b0.voxels, np.mean(lows, axis=0))


def test_the_image_without_weighting_may_lie_in_another_series(tmp_path: Path) -> None:
    low, high = 2 * planes(12, seed=2), planes(12, seed=2)
    paths = a_series(tmp_path, pixels=high, series=1, DiffusionBValue=1000.0, **DIFFUSION)
    paths += a_series(tmp_path, pixels=low, series=2, DiffusionBValue=0.0, **DIFFUSION)
    images = read_study(paths)
    np.testing.assert_array_equal(images.volumes[DWI].voxels, high)
    assert images.dwi_b0 is not None
    np.testing.assert_array_equal(images.dwi_b0.voxels, low)
    assert (images.diffusion.b_high, images.diffusion.b_low) == (1000.0, 0.0)


@pytest.mark.parametrize(
    "low", [{}, {"DiffusionBValue": 500.0}, {"DiffusionBValue": 0.0, "origin": (0.0, 0.0, -30.0)}],
    ids=["b 1000 alone", "b 500 is no such image", "on another grid"],
)  # fmt: skip
def test_nothing_without_weighting_on_the_grid_of_the_dwi(tmp_path: Path, low: dict[str, Any]) -> None:
    high = planes(12, seed=2)
    paths = a_series(tmp_path, pixels=high, series=1, DiffusionBValue=1000.0, **DIFFUSION)
    if low:
        paths += a_series(tmp_path, series=2, **low, **DIFFUSION)
    images = read_study(paths)
    np.testing.assert_array_equal(images.volumes[DWI].voxels, high)
    assert images.dwi_b0 is None
    assert (images.diffusion.b_high, images.diffusion.b_low) == (1000.0, None)


def test_directions_are_averaged_to_a_trace(tmp_path: Path) -> None:
    volumes = [planes(12, seed=n) + 1 for n in range(3)]
    paths = []
    for n, voxels in enumerate(volumes):
        direction = [float(n == axis) for axis in range(3)]
        paths += a_series(
            tmp_path, pixels=voxels, DiffusionBValue=1000.0, DiffusionGradientOrientation=direction, **DIFFUSION
        )
    expected = np.cbrt(volumes[0].astype(float) * volumes[1] * volumes[2])
    np.testing.assert_allclose(read_study(paths).volumes[DWI].voxels, expected, rtol=1e-4)


def test_isotropic_frames_are_preferred_to_directions(tmp_path: Path) -> None:
    trace = planes(12, seed=9)
    paths = a_series(
        tmp_path,
        DiffusionBValue=1000.0,
        DiffusionGradientOrientation=[1.0, 0, 0],
        DiffusionDirectionality="DIRECTIONAL",
        **DIFFUSION,
    )
    paths += a_series(tmp_path, pixels=trace, DiffusionBValue=1000.0, DiffusionDirectionality="ISOTROPIC", **DIFFUSION)
    np.testing.assert_array_equal(read_study(paths).volumes[DWI].voxels, trace)


def test_last_complete_repeat_is_taken(tmp_path: Path) -> None:
    second = planes(12, seed=2)
    paths = a_series(tmp_path, TemporalPositionIdentifier=1) + a_series(
        tmp_path, pixels=second, TemporalPositionIdentifier=2
    )
    np.testing.assert_array_equal(read_study(paths).volumes[FLAIR].voxels, second)


def test_dual_echo_series_gives_the_long_echo_as_t2(tmp_path: Path) -> None:
    physics = {"ScanningSequence": "SE", "InversionTime": None, "RepetitionTime": 3000, "SeriesDescription": "PD T2"}
    long = planes(12, seed=2)
    paths = a_series(tmp_path, **physics, EchoTime=12) + a_series(tmp_path, pixels=long, **physics, EchoTime=100)
    np.testing.assert_array_equal(read_study(paths).volumes[T2].voxels, long)


@pytest.mark.parametrize(
    ("scale", "stored"), [(1.0, 800), (1e-3, 800), (1e-6, 800)], ids=["um2/s", "mm2/s-e3", "mm2/s"]
)
def test_adc_comes_out_in_um2_per_s(tmp_path: Path, scale: float, stored: int) -> None:
    voxels = np.full((12, 8, 8), stored, np.uint16)
    paths = a_series(
        tmp_path,
        pixels=voxels,
        RescaleSlope=scale,
        RescaleIntercept=0.0,
        ImageType=["DERIVED", "PRIMARY", "DIFFUSION", "ADC"],
        **DIFFUSION,
    )
    images = read_study(paths)
    np.testing.assert_allclose(images.volumes[ADC].voxels, 800.0, rtol=1e-5)
    assert images.diffusion.adc_unit == {1.0: "1e-6 mm2/s", 1e-3: "1e-3 mm2/s", 1e-6: "mm2/s"}[scale]


def test_adc_of_no_known_unit_is_refused(tmp_path: Path) -> None:
    voxels = np.full((12, 8, 8), 20, np.uint16)
    paths = a_series(tmp_path, pixels=voxels, ImageType=["DERIVED", "PRIMARY", "DIFFUSION", "ADC"], **DIFFUSION)
    assert only_refusal(read_study(paths))[0] == "adc_unit_unknown"


def test_enhanced_object_equals_simpleitk(tmp_path: Path) -> None:
    voxels = planes(14)
    path = write(an_enhanced_object(voxels, rescale=(2.0, 1.0)), tmp_path / "enhanced")
    images = read_study([path])
    volume = images.volumes[FLAIR]
    np.testing.assert_array_equal(volume.voxels, voxels * 2.0 + 1.0)
    header = images.study.series[0].header
    assert (header.repetition_time_ms, header.echo_time_ms, header.inversion_time_ms) == (9000.0, 125.0, 2500.0)
    assert (header.frame_count, header.instance_count, header.orientation) == (14, 1, "axial")
    theirs = sitk.ReadImage(str(path))
    assert volume.spacing_mm == pytest.approx(theirs.GetSpacing())
    assert volume.affine[:3, 3] == pytest.approx(theirs.GetOrigin())


def test_enhanced_frames_in_any_order(tmp_path: Path) -> None:
    voxels = planes(14)
    ds = an_enhanced_object(voxels[::-1].copy())
    ds.PerFrameFunctionalGroupsSequence = list(ds.PerFrameFunctionalGroupsSequence)[::-1]
    volume = read_study([write(ds, tmp_path / "enhanced")]).volumes[FLAIR]
    np.testing.assert_array_equal(volume.voxels, voxels)
    assert volume.affine[2, 3] == pytest.approx(-30.0)


def test_enhanced_b_values_in_one_object(tmp_path: Path) -> None:
    voxels = planes(36)
    ds = an_enhanced_object(voxels, b_values=(0.0, 1000.0, 500.0), contrast="DIFFUSION", inversion_time_ms=None)
    images = read_study([write(ds, tmp_path / "enhanced")])
    assert images.study.series[0].header.b_values == (0.0, 500.0, 1000.0)
    np.testing.assert_array_equal(images.volumes[DWI].voxels, voxels[12:24])


def test_enhanced_compressed(tmp_path: Path) -> None:
    voxels = planes(14, 32, 32)
    path = write(an_enhanced_object(voxels), tmp_path / "enhanced")
    compressed([path], RLELossless)
    np.testing.assert_array_equal(read_study([path]).volumes[FLAIR].voxels, voxels)
