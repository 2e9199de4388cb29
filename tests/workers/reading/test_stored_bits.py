"""What lies above the stored bits is masked, unless the values go on there: then the header is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.uid import UID, JPEG2000Lossless, JPEGLSLossless, RLELossless

from tests.builders_dicom import a_series
from tests.workers.reading.reading import FLAIR, compressed, only_refusal
from triage.errors import NotAssessable
from workers.reading.stored_bits import Steps, check_stored_bits, steps
from workers.reading.study import read_study

Values = NDArray[Any]
SIZE = 64


def head(largest: int, noise: float = 0.01) -> Values:
    """A smooth disc with noise, (64, 64), int64."""
    y, x = np.mgrid[-1.2 : 1.2 : SIZE * 1j, -1.2 : 1.2 : SIZE * 1j]
    rough = np.random.default_rng(3).normal(0.0, noise, x.shape)
    return np.rint(np.clip(np.clip(1.0 - x**2 - y**2, 0.0, None) + rough, 0, 1) * largest).astype(np.int64)


def above(values: Values) -> Values:
    return values << 12


def box() -> Values:
    shown = np.zeros((SIZE, SIZE), np.int64)
    shown[10:30, 20:50] = 1
    return shown


RANDOM = np.random.default_rng(5).integers(0, 16, (SIZE, SIZE))


def beside_air(values: Values) -> Values:
    """The values in a square, with a hard rim, and little noise around it."""
    inside = np.zeros((SIZE, SIZE), bool)
    inside[4:60, 4:60] = True
    return np.where(inside, values, RANDOM % 4)


@pytest.mark.parametrize(
    ("values", "signed", "wraps"),
    [
        pytest.param(head(9000), False, True, id="14 bits in use"),
        pytest.param(head(65535), False, True, id="16 bits in use"),
        pytest.param(head(6000), False, True, id="a little above 12 bits"),
        pytest.param(head(9000) - 2000, True, True, id="14 bits in use, signed"),
        pytest.param(head(40000) - 20000, True, True, id="16 bits in use, signed"),
        pytest.param((head(3000) - 900) & 0xFFFF, False, True, id="negative values under an unsigned header"),
        pytest.param(head(4095), False, False, id="noop: 12 bits"),
        pytest.param(head(4000) - 2000, True, False, id="noop: 12 bits, signed, sign extended"),
        pytest.param((head(4000) - 2000) & 0x0FFF, True, False, id="12 bits, signed, zeros above"),
        pytest.param(head(4095) | above(box()), False, False, id="an overlay"),
        pytest.param((head(4000) - 2000) & 0x0FFF | above(box()), True, False, id="an overlay, signed"),
        pytest.param(head(4095) | above(RANDOM), False, False, id="rubbish"),
        pytest.param(head(4095) | above(1 * (head(4095) > 2500)), False, False, id="a mask of what is bright"),
        pytest.param(head(4095) | above(head(15)), False, False, id="a second image"),
        pytest.param(head(4095) | above(box() * 0 + 15), False, False, id="the same everywhere"),
        pytest.param(np.where(np.eye(SIZE) > 0, 4096, 4090) * (box() > 0), False, False, id="few values above"),
        pytest.param(np.zeros((SIZE, SIZE), np.int64), False, False, id="not measured: nothing is shown"),
    ],
)
def test_whether_values_wrap_round(values: Values, signed: bool, wraps: bool) -> None:
    plane = (values & 0xFFFF).astype(np.uint16).view(np.int16 if signed else np.uint16)
    assert steps(plane, 12, 11, signed=signed).wrap is wraps


@pytest.mark.parametrize(
    ("values", "bits", "signed", "wrong"),
    [
        pytest.param((head(500) - 100) & 0xFFF, 12, False, True, id="negative values, no sign stated"),
        pytest.param((head(500) - 100) & 0xFFFF, 16, False, True, id="the same in 16 bits"),
        pytest.param(head(60000), 16, True, True, id="large values, a sign stated"),
        pytest.param(head(4095), 12, False, False, id="noop: the whole range"),
        pytest.param((head(4000) - 2000) & 0xFFF, 12, True, False, id="noop: the whole range, signed"),
        pytest.param(np.where(box() > 0, head(500), 0x8000), 16, True, False, id="air of the lowest value"),
        pytest.param(box() * 0xFFFF, 16, False, False, id="a mask"),
        pytest.param(beside_air(3000 + RANDOM), 12, False, False, id="fluid beside masked air"),
        pytest.param(beside_air(2200 + 95 * RANDOM), 12, False, False, id="a head of 12 bits with a hard rim"),
        pytest.param(np.zeros((SIZE, SIZE), np.int64), 16, True, False, id="not measured: nothing is shown"),
    ],
)
def test_whether_the_sign_is_wrong(values: Values, bits: int, signed: bool, wrong: bool) -> None:
    plane = values.astype(np.uint16).view(np.int16 if signed else np.uint16)
    found = steps(plane, bits, bits - 1, signed=signed)
    assert found.sign_is_wrong is wrong
    if wrong:
        with pytest.raises(NotAssessable, match="1 of 1 objects have values with another sign") as refused:
            check_stored_bits([found])
        assert refused.value.code == "pixel_sign"
    else:
        check_stored_bits([found])


@pytest.mark.parametrize(
    ("values", "high_bit", "refused"),
    [
        pytest.param(head(4000), 15, True, id="at the low end, the high end stated"),
        pytest.param(head(4000) << 4 | 5, 15, False, id="noop: at the high end, something below"),
        pytest.param(head(200) << 4, 15, False, id="dark, at the high end, nothing below"),
        pytest.param(head(200), 11, False, id="noop: at the low end"),
    ],
)
def test_values_at_the_other_end_of_the_word(values: Values, high_bit: int, refused: bool) -> None:
    found = steps(values.astype(np.uint16), 12, high_bit, signed=False)
    assert found.below is refused
    if refused:
        with pytest.raises(NotAssessable, match="below the bits"):
            check_stored_bits([found, found])
        with pytest.raises(NotAssessable, match="below the bits"):  # a slice of air says nothing
            check_stored_bits([found, steps(np.zeros((SIZE, SIZE), np.uint16), 12, high_bit, signed=False)])
        bright = steps((head(4000) << 4).astype(np.uint16), 12, high_bit, signed=False)
        check_stored_bits([found, bright])  # the highest bits are in use


def test_few_values_above_in_each_of_many_objects_count_together() -> None:
    check_stored_bits([Steps(90, 0)])
    check_stored_bits([Steps(40, 800)] * 20)
    with pytest.raises(NotAssessable, match="20 of 21 objects have values of more bits") as refused:
        check_stored_bits([*[Steps(40, 3)] * 20, Steps()])
    assert refused.value.code == "bits_stored"


@pytest.mark.parametrize("dtype", ["<u2", "<i2"])
def test_values_beyond_the_stored_bits_are_refused(tmp_path: Path, dtype: Any) -> None:
    pixels = np.stack([head(9000 + 40 * k) for k in range(12)]).astype(dtype)
    refused = only_refusal(read_study(a_series(tmp_path, pixels=pixels, BitsStored=12, HighBit=11)))
    assert refused == ("bits_stored", "12 of 12 objects have values of more bits than BitsStored states")


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless], ids=lambda s: s.name)
def test_compressed_values_beyond_the_stored_bits_are_refused(tmp_path: Path, syntax: UID) -> None:
    pixels = np.stack([head(9000 + 40 * k) for k in range(12)]).astype("<u2")
    paths = compressed(a_series(tmp_path, pixels=pixels), syntax)
    for path in paths:
        ds = dcmread(path)
        ds.BitsStored, ds.HighBit = 12, 11
        ds.save_as(path)
    assert only_refusal(read_study(paths))[0] == "bits_stored"


def test_noop_values_within_the_stored_bits_are_read(tmp_path: Path) -> None:
    right = np.stack([head(3900 + 10 * k) for k in range(12)]).astype("<u2")
    paths = a_series(tmp_path, pixels=right, BitsStored=12, HighBit=11)
    np.testing.assert_array_equal(read_study(paths).volumes[FLAIR].voxels, right)
