"""Diffusion series whose headers lie: a map is never measured as a weighted image, nor a wrongly scaled one at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from tests.builders_dicom import a_series, an_enhanced_object, planes, write
from tests.workers.reading.heads import adc_of_a_head, signal_of_a_head, stored
from tests.workers.reading.reading import ADC, DWI, private_element
from triage.diffusion.evidence import check_coefficients, check_pair, is_coefficients, is_weighted
from triage.errors import NotAssessable
from triage.model import SequenceKind
from workers.reading.study import read_study

PLANAR: dict[str, Any] = {
    "ScanningSequence": ["EP", "SE"],
    "InversionTime": None,
    "RepetitionTime": 5000,
    "EchoTime": 90,
    "SeriesDescription": None,
}
GE, PHILIPS, CANON, UIH = "GE MEDICAL SYSTEMS", "Philips Medical Systems", "TOSHIBA", "UIH"
MAP, SIGNAL = stored(adc_of_a_head()), signal_of_a_head(1000.0)
ANISOTROPY = np.where(SIGNAL > 100, np.random.default_rng(3).gamma(1.5, 150.0, SIGNAL.shape), 0)


def with_b(b: float) -> Any:
    return lambda _k, ds: private_element(ds, 0x0043, "GEMS_PARM_01", 0x39, "IS", [int(b) + 1_000_000_000, 8, 0, 0])


@pytest.mark.parametrize("beside", [True, False], ids=["with its DWI", "alone"])
@pytest.mark.parametrize("maker", [GE, PHILIPS, CANON, UIH, ""])
@pytest.mark.parametrize(
    "image_type",
    [["DERIVED", "SECONDARY", "PROCESSED"], ["DERIVED", "PRIMARY", "OTHER"], ["ORIGINAL", "PRIMARY", "OTHER"], None],
    ids=["processed", "other", "original", "none"],
)  # fmt: skip
def test_an_unnamed_map_is_read_as_a_map(tmp_path: Path, maker: str, image_type: Any, beside: bool) -> None:
    physics = {**PLANAR, "Manufacturer": maker}
    paths = a_series(tmp_path, pixels=MAP, series=1, DiffusionBValue=1000.0, ImageType=image_type, **physics)
    if beside:
        paths += a_series(tmp_path, pixels=SIGNAL, series=2, DiffusionBValue=1000.0, **physics)
    images = read_study(paths)
    np.testing.assert_array_equal(images.volumes[ADC].voxels, MAP)
    assert (DWI in images.volumes) is beside
    if beside:
        np.testing.assert_array_equal(images.volumes[DWI].voxels, SIGNAL)
    kinds = {one.header.series_instance_uid: one.identification for one in images.study.series}
    assert kinds[images.used[ADC]].kind is ADC
    assert "values are those of an ADC map" in kinds[images.used[ADC]].reasons[-1]


def test_the_private_b_value_of_ge_makes_no_dwi_of_a_map(tmp_path: Path) -> None:
    paths = a_series(tmp_path, pixels=MAP, change=with_b(1000), ImageType=["DERIVED", "SECONDARY", "PROCESSED"],
                     Manufacturer=GE, **PLANAR)  # fmt: skip
    assert set(read_study(paths).volumes) == {ADC}


@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e-6])
def test_the_unit_of_an_unnamed_map_does_not_matter(tmp_path: Path, scale: float) -> None:
    paths = a_series(tmp_path, pixels=MAP, DiffusionBValue=1000.0, RescaleSlope=scale, RescaleIntercept=0, **PLANAR)
    images = read_study(paths)
    assert set(images.volumes) == {ADC}
    np.testing.assert_allclose(images.volumes[ADC].voxels, MAP, rtol=1e-5)


@pytest.mark.parametrize(
    ("pixels", "kind", "elements"),
    [
        pytest.param(SIGNAL, DWI, {"DiffusionBValue": 1000.0}, id="weighted"),
        pytest.param(MAP, ADC, {"ImageType": ["DERIVED", "PRIMARY", "ADC"]}, id="a map"),
    ],
)
@pytest.mark.parametrize("empty", [slice(4, 8), slice(0, None)], ids=["between others", "all"])
def test_of_two_series_the_one_with_empty_slices_is_passed_over(
    tmp_path: Path, pixels: Any, kind: SequenceKind, elements: dict[str, Any], empty: slice
) -> None:
    """It comes last, with a higher number: of two alike the later repeat is taken."""
    blank = pixels.copy()
    blank[empty] = 0
    paths = a_series(tmp_path / "a", pixels=pixels, series=3, spacing_mm=10.0, **elements, **PLANAR)
    paths += a_series(tmp_path / "b", pixels=blank, series=4, spacing_mm=10.0, **elements, **PLANAR)
    images = read_study(paths)
    assert images.used[kind].endswith(".3")
    assert [one.code for one in images.skipped] != []


@pytest.mark.parametrize(
    "image_type",
    [["DERIVED", "SECONDARY", "COMBINED"], ["DERIVED", "PRIMARY", "DIFFUSION", "TRACEW"], ["ORIGINAL", "PRIMARY"]],
)
@pytest.mark.parametrize("level", [150.0, 900.0, 1900.0])
def test_noop_a_weighted_image_stays_one(tmp_path: Path, image_type: list[str], level: float) -> None:
    signal = signal_of_a_head(1000.0, level=level)
    images = read_study(a_series(tmp_path, pixels=signal, DiffusionBValue=1000.0, ImageType=image_type, **PLANAR))
    assert set(images.volumes) == {DWI}
    np.testing.assert_array_equal(images.volumes[DWI].voxels, signal)


@pytest.mark.parametrize(
    ("pixels", "image_type"),
    [
        pytest.param(ANISOTROPY, ["DERIVED", "SECONDARY", "PROCESSED"], id="anisotropy"),
        pytest.param(MAP, ["DERIVED", "PRIMARY", "DIFFUSION", "TRACEW"], id="a map called a trace"),
    ],
)
def test_what_cannot_be_weighted_is_refused_by_name(tmp_path: Path, pixels: Any, image_type: list[str]) -> None:
    images = read_study(
        a_series(tmp_path, pixels=stored(pixels), DiffusionBValue=1000.0, ImageType=image_type, **PLANAR)
    )
    assert not images.volumes
    assert [one.code for one in images.skipped] == ["diffusion_map"]


@pytest.mark.parametrize("factor", [0.4, 2.0, 4.0])
def test_a_wrongly_scaled_map_is_refused_by_name(tmp_path: Path, factor: float) -> None:
    paths = a_series(
        tmp_path, pixels=MAP, RescaleSlope=factor, RescaleIntercept=0, ImageType=["DERIVED", "PRIMARY", "ADC"], **PLANAR
    )
    images = read_study(paths)
    assert not images.volumes
    assert [one.code for one in images.skipped] == ["adc_implausible"]


def test_a_weighted_image_called_a_map_is_refused_by_name(tmp_path: Path) -> None:
    signal = signal_of_a_head(1000.0, level=1900.0)
    images = read_study(a_series(tmp_path, pixels=signal, ImageType=["DERIVED", "PRIMARY", "ADC"], **PLANAR))
    assert not images.volumes
    assert [one.code for one in images.skipped] == ["adc_implausible"]


def test_a_brain_that_is_ill_as_a_whole_is_measured() -> None:
    """Illness slows tissue, not fluid."""
    adc = adc_of_a_head()
    check_coefficients(np.where(adc > 1500, adc, 0.55 * adc))
    with pytest.raises(NotAssessable, match="wrongly scaled"):
        check_coefficients(0.5 * adc)


def test_a_large_infarct_is_no_map() -> None:
    """A fifth of the head three times as bright as the rest, in a trace image without a name."""
    signal = SIGNAL.astype(np.float32)
    signal[:, 18:, 20:] *= 3.0
    assert is_weighted(signal)
    assert not is_coefficients(signal)


def head_of(tissue: float, *parts: tuple[float, float]) -> Any:
    """A volume of tissue with noise of 8 %; parts: (share, value) of other tissue."""
    values = np.random.default_rng(7).normal(tissue, 0.08 * tissue, (24, 40, 40))
    order = np.random.default_rng(8).permutation(values.size)
    begun = 0
    for share, value in parts:
        chosen = order[begun : begun + round(share * values.size)]
        values.ravel()[chosen] *= value / tissue
        begun += len(chosen)
    return values.astype(np.float32)


@pytest.mark.parametrize(("share", "bright"), [(0.05, 2.3), (0.08, 2.3), (0.12, 2.1)])
def test_an_infarct_in_a_brain_with_little_fluid_is_no_map(share: float, bright: float) -> None:
    assert not is_coefficients(head_of(700.0, (0.03, 170.0), (share, bright * 700.0)))


def test_oedema_that_leaves_no_fluid_is_measured() -> None:
    check_coefficients(head_of(540.0, (0.01, 2800.0)))
    with pytest.raises(NotAssessable, match="wrongly scaled"):
        check_coefficients(head_of(540.0, (0.08, 1300.0)))


def test_nothing_in_the_middle_is_no_map() -> None:
    nothing = np.zeros((12, 20, 20), np.float32)
    assert not is_coefficients(nothing)
    assert not is_weighted(nothing)
    with pytest.raises(NotAssessable):
        check_coefficients(nothing)
    check_pair(nothing, nothing, 1000.0)


B0 = signal_of_a_head(0.0)


def both_b(tmp_path: Path, apart: bool, low: dict[str, Any], high: dict[str, Any], scales: Any = (None, None)) -> Any:
    """A study of b = 0 and b = 1000; scales: of Philips' private scale slope."""

    def change(scale: float | None) -> Any:
        def add(_k: int, ds: Any) -> None:
            if scale is not None:
                private_element(ds, 0x2005, "Philips MR Imaging DD 001", 0x0E, "FL", scale)

        return add

    paths = a_series(tmp_path, series=1, DiffusionBValue=1000.0, change=change(scales[1]), **{**PLANAR, **high})
    return read_study(
        paths + a_series(tmp_path, series=1 + apart, DiffusionBValue=0.0, change=change(scales[0]), **{**PLANAR, **low})
    )


def rescaled(slope: float, **others: Any) -> dict[str, Any]:
    return {"RescaleSlope": slope, "RescaleIntercept": 0, **others}


APART = pytest.mark.parametrize("apart", [False, True], ids=["one series", "two series"])


@APART
@pytest.mark.parametrize("slopes", [(1.0, 1.0), (1.0, 2.0), (2.0, 1.0), (3.0, 0.5)])
@pytest.mark.parametrize("scales", [(1.0, 1.0), (0.5, 0.25)])
def test_philips_scale_slope_leads_to_one_scale(tmp_path: Path, apart: bool, slopes: Any, scales: Any) -> None:
    low, high = (rescaled(slope, Manufacturer=PHILIPS) for slope in slopes)
    low["pixels"], high["pixels"] = stored(B0 * scales[0]), stored(SIGNAL * scales[1])
    images = both_b(tmp_path, apart, low, high, scales)
    assert images.dwi_b0 is not None
    np.testing.assert_allclose(images.dwi_b0.voxels, B0, atol=2.0)
    np.testing.assert_allclose(images.volumes[DWI].voxels, SIGNAL, atol=4.0)


@APART
@pytest.mark.parametrize(
    ("low", "high", "scales"),
    [
        pytest.param(rescaled(1.0), rescaled(2.0), (None, None), id="weighted doubled"),
        pytest.param(rescaled(2.0), {}, (None, None), id="unweighted doubled"),
        pytest.param({"Manufacturer": PHILIPS}, rescaled(1.3, Manufacturer=PHILIPS), (None, None),
                     id="Philips, no scale slope"),
        pytest.param(rescaled(1.3, Manufacturer=PHILIPS), rescaled(1.3, Manufacturer=PHILIPS), (None, 1.0),
                     id="Philips, half of the scale slopes"),
    ],
)  # fmt: skip
def test_two_scales_are_refused_by_name(tmp_path: Path, apart: bool, low: Any, high: Any, scales: Any) -> None:
    images = both_b(tmp_path, apart, {**low, "pixels": B0}, {**high, "pixels": SIGNAL}, scales)
    assert DWI in images.volumes
    assert images.dwi_b0 is None
    assert "rescale_between_b" in {one.code for one in images.skipped}


@APART
def test_noop_a_rescale_of_one_b_value_that_leads_to_one_scale(tmp_path: Path, apart: bool) -> None:
    images = both_b(tmp_path, apart, {"pixels": B0}, rescaled(0.5, pixels=2 * SIGNAL))
    assert images.dwi_b0 is not None
    np.testing.assert_array_equal(images.volumes[DWI].voxels, SIGNAL)
    assert not images.skipped


def test_a_rescale_that_half_of_the_slices_lack_is_refused(tmp_path: Path) -> None:
    def change(k: int, ds: Any) -> None:
        if k % 2:
            ds.RescaleSlope, ds.RescaleIntercept = 0.5, 0

    images = read_study(a_series(tmp_path, change=change))
    assert [one.code for one in images.skipped] == ["mixed_rescale"]


def test_values_behind_a_lookup_table_are_refused(tmp_path: Path) -> None:
    table = Dataset()
    table.LUTDescriptor, table.ModalityLUTType, table.LUTData = [1000, 0, 16], "US", list(range(1000))[::-1]
    table["LUTDescriptor"].VR = table["LUTData"].VR = "US"
    images = read_study(a_series(tmp_path, ModalityLUTSequence=[table]))
    assert [one.code for one in images.skipped] == ["lookup_table"]


def test_noop_an_identity_that_half_of_the_slices_state(tmp_path: Path) -> None:
    def change(k: int, ds: Any) -> None:
        if k % 2:
            ds.RescaleSlope, ds.RescaleIntercept = 1, 0

    assert not read_study(a_series(tmp_path, change=change)).skipped


@pytest.mark.parametrize("unknown", [False, True], ids=["reserved twice", "reserved twice, as UN"])
def test_a_creator_that_reserves_two_blocks_is_read(tmp_path: Path, unknown: bool) -> None:
    def change(_k: int, ds: Any) -> None:
        creator: Any = b"GEMS_PARM_01" if unknown else "GEMS_PARM_01"
        vr = "UN" if unknown else "LO"
        ds.add_new(0x00430010, vr, creator)
        ds.add_new(0x00430011, vr, creator)
        value: Any = b"1000001000\\8\\0\\0" if unknown else ["1000001000", "8", "0", "0"]
        ds.add_new(0x00431039, "UN" if unknown else "IS", value)

    images = read_study(a_series(tmp_path, pixels=SIGNAL, change=change, **PLANAR))
    assert images.study.series[0].header.b_values == (1000.0,)
    assert set(images.volumes) == {DWI}


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian], ids=["explicit", "implicit"])
def test_the_scale_slope_of_each_frame_of_an_enhanced_object(tmp_path: Path, syntax: UID) -> None:
    """Philips keeps it in a private sequence of the frame; each frame is displayed in a range of its own."""
    scales = np.repeat([0.5, 0.25], len(B0)) * np.tile(np.linspace(0.8, 1.2, len(B0)), 2)
    pixels = stored(np.concatenate([B0, SIGNAL]) * scales[:, None, None] * 8)
    ds = an_enhanced_object(
        pixels, b_values=(0.0, 1000.0), contrast="DIFFUSION", inversion_time_ms=None, Manufacturer=PHILIPS
    )
    del ds.SharedFunctionalGroupsSequence[0].PixelValueTransformationSequence
    for frame, scale in zip(ds.PerFrameFunctionalGroupsSequence, scales, strict=True):
        own = Dataset()
        private_element(own, 0x2005, "Philips MR Imaging DD 001", 0x0E, "FL", float(8 * scale))
        private_element(frame, 0x2005, "Philips MR Imaging DD 005", 0x0F, "SQ", [own])
        rescale = Dataset()
        rescale.RescaleSlope, rescale.RescaleIntercept = f"{1.7 / scale:.6f}", 0
        frame.PixelValueTransformationSequence = [rescale]
    images = read_study([write(ds, tmp_path / "enhanced", syntax=syntax)])
    assert images.dwi_b0 is not None
    np.testing.assert_allclose(images.dwi_b0.voxels, B0, atol=1.0)
    np.testing.assert_allclose(images.volumes[DWI].voxels, SIGNAL, atol=1.0)


def test_a_rescale_that_some_frames_lack_is_refused(tmp_path: Path) -> None:
    ds = an_enhanced_object(planes(14))
    shared = ds.SharedFunctionalGroupsSequence[0].PixelValueTransformationSequence
    del ds.SharedFunctionalGroupsSequence[0].PixelValueTransformationSequence
    for frame in list(ds.PerFrameFunctionalGroupsSequence)[::2]:
        frame.PixelValueTransformationSequence = shared
        frame.PixelValueTransformationSequence[0].RescaleSlope = 2.0
    images = read_study([write(ds, tmp_path / "enhanced")])
    assert [one.code for one in images.skipped] == ["mixed_rescale"]


def test_unweighted_images_scatter_about_what_was_asked_for(tmp_path: Path) -> None:
    """As they were played out; each slice has a b-value of its own."""

    def change(k: int, ds: Any) -> None:
        ds.DiffusionBValue = float(k % 4)

    paths = a_series(tmp_path, series=1, pixels=SIGNAL, DiffusionBValue=1000.0, **PLANAR)
    images = read_study(paths + a_series(tmp_path, series=1, pixels=B0, change=change, **PLANAR))
    assert images.dwi_b0 is not None
    np.testing.assert_array_equal(images.dwi_b0.voxels, B0)
    assert images.skipped == ()


def test_unweighted_images_of_another_matrix_are_named(tmp_path: Path) -> None:
    paths = a_series(tmp_path, series=1, pixels=SIGNAL, DiffusionBValue=1000.0, **PLANAR)
    finer = np.repeat(np.repeat(B0, 2, axis=1), 2, axis=2)
    paths += a_series(tmp_path, series=2, pixels=finer, DiffusionBValue=0.0, PixelSpacing=[0.5, 0.5], **PLANAR)
    images = read_study(paths)
    assert images.dwi_b0 is None
    assert [(one.code, "another matrix" in one.message) for one in images.skipped] == [("mixed_geometry", True)]
