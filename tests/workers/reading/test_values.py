"""Pixels into values: rescale, sign, padding, transfer syntaxes, and data that must not be decoded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from tests.builders_dicom import (
    a_series,
    planes,
)
from tests.workers.reading.reading import (
    FLAIR,
    compressed,
    only_refusal,
)
from triage.errors import NotAssessable
from workers.reading import limits, pixels
from workers.reading.study import read_header, read_study


def test_each_slice_has_its_own_rescale(tmp_path: Path) -> None:
    voxels = planes(12)

    def change(k: int, ds: Dataset) -> None:
        ds.RescaleSlope, ds.RescaleIntercept = float(k + 1), -3.0

    volume = read_study(a_series(tmp_path, pixels=voxels, change=change)).volumes[FLAIR]
    expected = voxels.astype(np.float32) * np.arange(1, 13, dtype=np.float32)[:, None, None] - 3
    np.testing.assert_allclose(volume.voxels, expected)


@pytest.mark.parametrize(
    ("written", "every", "code"),
    [
        pytest.param("0,5", 1, "absurd_values", id="a comma"),
        pytest.param("abc", 3, "absurd_values", id="a word in some images"),
        pytest.param("NaN", 3, "absurd_values", id="no number in some images"),
        pytest.param("", 3, "mixed_rescale", id="empty in some images"),
        pytest.param("0", 3, "mixed_rescale", id="0 in some images"),
        pytest.param("", 1, "", id="empty in all: as if it were not there"),
        pytest.param("1.0", 3, "", id="noop"),
    ],
)
def test_a_slope_that_is_no_number(tmp_path: Path, written: str, every: int, code: str) -> None:
    paths = a_series(tmp_path, pixels=planes(12), RescaleSlope="1.0", RescaleIntercept="0")
    for path in paths[::every]:
        ds = dcmread(path)
        ds["RescaleSlope"]._value = written
        ds.save_as(path)
    images = read_study(paths)
    assert [one.code for one in images.skipped] == [code] * bool(code)
    assert (FLAIR in images.volumes) is not bool(code)


def test_signed_sixteen_bit(tmp_path: Path) -> None:
    voxels = planes(12, dtype=np.int16) - np.int16(500)
    assert voxels.min() < 0
    np.testing.assert_array_equal(read_study(a_series(tmp_path, pixels=voxels)).volumes[FLAIR].voxels, voxels)


@pytest.mark.parametrize(
    ("inside", "air", "codes"),
    [
        pytest.param(-1800, 4, ["pixel_sign"], id="a head below its air"),
        pytest.param(1800, 4, [], id="noop: above it"),
        pytest.param(1800, -1000, [], id="air of one negative value"),
        pytest.param(-30, 4, [], id="not measured: all of it is about 0"),
    ],
)
def test_a_head_is_above_its_air(tmp_path: Path, inside: int, air: int, codes: list[str]) -> None:
    voxels = np.full((12, 16, 20), air, np.int16)
    voxels[:, 4:12, 5:15] = inside + planes(12, 8, 10, dtype=np.int16) % 100
    voxels[0, 0, 0] = 2000
    assert [one.code for one in read_study(a_series(tmp_path, pixels=voxels)).skipped] == codes


def test_monochrome1_is_turned_the_same_in_every_slice(tmp_path: Path) -> None:
    voxels = planes(12)
    paths = a_series(tmp_path, pixels=voxels, PhotometricInterpretation="MONOCHROME1", BitsStored=12, HighBit=11)
    np.testing.assert_array_equal(read_study(paths).volumes[FLAIR].voxels, 4095.0 - voxels)


def test_padding_becomes_zero(tmp_path: Path) -> None:
    voxels = planes(12)
    voxels[:, 0, :] = 4000
    paths = a_series(tmp_path, pixels=voxels, PixelPaddingValue=4000, RescaleSlope=2.0, RescaleIntercept=5.0)
    volume = read_study(paths).volumes[FLAIR]
    assert np.all(volume.voxels[:, 0, :] == 0)
    np.testing.assert_array_equal(volume.voxels[:, 1:, :], voxels[:, 1:, :] * 2.0 + 5.0)


SYNTAXES = [ImplicitVRLittleEndian, ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian]
COMPRESSED = [RLELossless, JPEGLSLossless, JPEG2000Lossless]


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda s: s.name)
@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.uint8], ids=str)
def test_native_syntaxes(tmp_path: Path, syntax: UID, dtype: Any) -> None:
    voxels = (planes(12) % 200).astype(dtype)
    bits = voxels.itemsize * 8
    paths = a_series(tmp_path, pixels=voxels, syntax=syntax, BitsAllocated=bits, BitsStored=bits, HighBit=bits - 1)
    np.testing.assert_array_equal(read_study(paths).volumes[FLAIR].voxels, voxels)


@pytest.mark.parametrize("syntax", COMPRESSED, ids=lambda s: s.name)
def test_compressed_syntaxes(tmp_path: Path, syntax: UID) -> None:
    voxels = planes(12, 32, 32)
    paths = compressed(a_series(tmp_path, pixels=voxels), syntax)
    np.testing.assert_array_equal(read_study(paths).volumes[FLAIR].voxels, voxels)


@pytest.mark.parametrize("syntax", COMPRESSED, ids=lambda s: s.name)
def test_truncated_compressed_file_is_refused(tmp_path: Path, syntax: UID) -> None:
    paths = compressed(a_series(tmp_path, pixels=planes(12, 32, 32)), syntax)
    paths[6].write_bytes(paths[6].read_bytes()[:-700])
    code, _ = only_refusal(read_study(paths))
    assert code == "undecodable"


@pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEG2000Lossless], ids=lambda s: s.name)
def test_a_codestream_larger_than_its_header_is_not_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, syntax: UID
) -> None:
    paths = compressed(a_series(tmp_path, pixels=planes(12, 64, 48)), syntax)
    for path in paths:
        ds = dcmread(path)
        ds.Rows = 32
        ds.save_as(path)

    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("decoded")

    monkeypatch.setattr(pixels, "iter_pixels", never)
    code, message = only_refusal(read_study(paths))
    assert code == "undecodable"
    assert message == "an image is (64, 48) inside, its header says (32, 48)"


def test_a_hostile_frame_count_is_not_believed(tmp_path: Path) -> None:
    paths = a_series(tmp_path, NumberOfFrames=2_000_000_000)
    assert only_refusal(read_study(paths))[0] == "undecodable"


def test_a_deflated_bomb_is_refused_before_parsing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    voxels = np.zeros((12, 512, 512), np.uint16)
    paths = a_series(tmp_path, pixels=voxels, syntax=DeflatedExplicitVRLittleEndian)
    assert FLAIR in read_study(paths).volumes
    monkeypatch.setattr(limits, "MAX_UNPACKED_BYTES", 400_000)
    assert paths[0].stat().st_size < 10_000
    with pytest.raises(NotAssessable) as refused:
        read_header(paths[0])
    assert refused.value.code == "too_large"


def test_truncated_native_file_is_refused(tmp_path: Path) -> None:
    paths = a_series(tmp_path)
    paths[6].write_bytes(paths[6].read_bytes()[:-100])
    assert only_refusal(read_study(paths))[0] == "undecodable"


def test_a_decompression_bomb_is_refused_before_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("decoded")

    monkeypatch.setattr(pixels, "_decoded", never)

    def change(k: int, ds: Dataset) -> None:
        ds.Rows = ds.Columns = 30000

    code, message = only_refusal(read_study(a_series(tmp_path, change=change)))
    assert code == "too_large"
    assert "at most 1024 MiB" in message
