"""The values tell in which order the two bytes of each are written; where they do not, nothing is turned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.builders_dicom import a_series, planes
from tests.workers.reading.reading import FLAIR
from triage.errors import NotAssessable
from workers.reading.byte_order import as_written, written_otherwise
from workers.reading.study import read_study

Image = NDArray[np.uint16]


def head(largest: int) -> Image:
    """A smooth disc with fine noise, (64, 64)."""
    y, x = np.mgrid[-1.2:1.2:64j, -1.2:1.2:64j]
    bright = np.clip(1.0 - x**2 - y**2, 0.0, None)
    noise = np.random.default_rng(3).normal(0.0, 0.004, bright.shape)
    return np.asarray(np.clip((bright + noise) * largest, 0, 65535), np.uint16)


def turned(plane: Image) -> Image:
    return plane.byteswap()


@pytest.mark.parametrize(
    ("plane", "bits", "expected"),
    [
        pytest.param(head(4095), 16, True, id="12 bits in 16"),
        pytest.param(head(4095), 12, True, id="12 bits"),
        pytest.param(head(60000), 16, True, id="16 bits"),
        pytest.param(head(500), 16, True, id="few bits of the high byte"),
        pytest.param(head(200), 16, True, id="one byte"),
        pytest.param(turned(head(4095)), 16, False, id="12 bits in 16, turned"),
        pytest.param(turned(head(60000)), 16, False, id="16 bits, turned"),
        pytest.param(turned(head(500)), 16, False, id="few bits of the high byte, turned"),
        pytest.param(turned(head(200)), 16, False, id="one byte, turned"),
        pytest.param(head(4000) // 16 * 16, 16, None, id="noop: multiples of 16"),
        pytest.param(np.zeros((64, 64), np.uint16), 16, None, id="nothing is shown"),
        pytest.param(np.eye(64, dtype=np.uint16) * 256, 16, None, id="two values"),
        pytest.param(
            np.random.default_rng(1).integers(0, 65536, (64, 64)).astype(np.uint16), 16, None, id="not measured: noise"
        ),
    ],
)
def test_the_order_of_one_plane(plane: Image, bits: int, expected: bool | None) -> None:
    found = as_written([plane], bits, signed=False)
    assert found is not False if expected is None else found is expected


@pytest.mark.parametrize("offset", [0, 1000])
def test_signed_values_around_zero(offset: int) -> None:
    values = head(4095).astype(np.int32) - offset
    plane = (values & 0xFFFF).astype(np.uint16)
    assert as_written([plane], 16, signed=True) is True
    assert as_written([turned(plane)], 16, signed=True) is False


@pytest.mark.parametrize(
    ("orders", "files"),
    [
        pytest.param([True, True, None], [], id="noop: as stated"),
        pytest.param([None, None], [], id="not measured"),
        pytest.param([False, False, None], [0, 1, 2], id="what does not tell is like the others"),
        pytest.param([False, True], [0], id="both orders"),
        pytest.param([False, *[True] * 20, None], [0], id="one file"),
    ],
)
def test_which_files_are_turned(orders: list[bool | None], files: list[int]) -> None:
    assert written_otherwise(dict(enumerate(orders))) == files


def test_both_orders_beside_files_that_do_not_tell_are_refused() -> None:
    with pytest.raises(NotAssessable, match="1 of 3 files have another byte order") as refused:
        written_otherwise({"a": True, "b": False, "c": None})
    assert refused.value.code == "byte_order"


@pytest.mark.parametrize("dtype", ["<u2", "<i2"])
def test_turned_pixels_are_read_right(tmp_path: Path, dtype: Any) -> None:
    right = np.stack([head(900 + 40 * k) for k in range(12)]).astype(dtype)
    paths = a_series(tmp_path, pixels=right.byteswap().view(dtype))
    np.testing.assert_array_equal(read_study(paths).volumes[FLAIR].voxels, right)


def test_noop_noise_is_left_as_it_is(tmp_path: Path) -> None:
    right = planes(12)
    np.testing.assert_array_equal(read_study(a_series(tmp_path, pixels=right)).volumes[FLAIR].voxels, right)
