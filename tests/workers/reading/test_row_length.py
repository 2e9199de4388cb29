"""The values tell how long a row is; where they do not, the header counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from tests.builders_dicom import a_series, planes
from tests.workers.reading.reading import FLAIR, only_refusal
from workers.reading.row_length import other_row_length
from workers.reading.study import read_study

Voxels = NDArray[Any]
COUNT, ROWS, COLUMNS = 12, 80, 64


def heads(noise: float = 0.03) -> Voxels:
    """Oblique discs with folds and noise, in air at all sides."""
    y, x = np.mgrid[-1.3 : 1.3 : ROWS * 1j, -1.3 : 1.3 : COLUMNS * 1j]
    size = np.linspace(0.8, 1.0, COUNT)[:, None, None]
    inside = 1.2 * x**2 + y**2 + 0.3 * x * y < size**2
    folds = 0.7 + 0.3 * np.sin(9 * x + 2 * y) * np.cos(7 * y)
    rough = np.random.default_rng(2).normal(0.0, noise, (2, COUNT, ROWS, COLUMNS))
    return np.asarray(np.hypot(inside * folds + rough[0], rough[1]) * 1000, np.float32)


def cut(voxels: Voxels, columns: int) -> Voxels:
    """The same values in rows of another length; what is left over is lost."""
    rows = voxels[0].size // columns
    return voxels.reshape(len(voxels), -1)[:, : rows * columns].reshape(len(voxels), rows, columns)


def every_other_row(voxels: Voxels, *, gain: float = 1.0, moved: int = 0) -> Voxels:
    changed = voxels.copy()
    changed[:, ::2] = np.roll(gain * changed[:, ::2], moved, axis=2)
    return changed


@pytest.mark.parametrize(
    ("voxels", "expected"),
    [
        pytest.param(cut(heads(), ROWS), COLUMNS, id="rows and columns exchanged"),
        pytest.param(cut(heads().swapaxes(1, 2), COLUMNS), ROWS, id="exchanged, of wide images"),
        pytest.param(cut(heads(), COLUMNS + 2), COLUMNS, id="two columns more"),
        pytest.param(cut(heads(), COLUMNS - 2), COLUMNS, id="two columns fewer"),
        pytest.param(cut(heads(), COLUMNS + 16), COLUMNS, id="a quarter more"),
        pytest.param(cut(heads(), 2 * COLUMNS), COLUMNS, id="two rows in one"),
        pytest.param(cut(heads(), COLUMNS // 2), COLUMNS, id="half a row"),
        pytest.param(heads(), None, id="noop"),
        pytest.param(heads(0.3), None, id="noop: noise"),
        pytest.param(heads() + 0.3 * np.roll(heads(), ROWS // 2, axis=1), None, id="noop: ghost half an image below"),
        pytest.param(
            heads() + 0.3 * np.roll(heads(), COLUMNS // 2, axis=2), None, id="noop: ghost half an image aside"
        ),
        pytest.param(every_other_row(heads(), gain=0.7), None, id="noop: every other row is darker"),
        pytest.param(every_other_row(heads(), moved=4), None, id="noop: every other row is moved"),
        pytest.param(ndimage.rotate(heads(), 40, (1, 2), order=1)[:, ::2], None, id="noop: oblique, tall pixels"),
        pytest.param(planes(COUNT, ROWS, COLUMNS), None, id="not measured: nothing but noise"),
        pytest.param(np.zeros((COUNT, ROWS, COLUMNS), np.float32), None, id="not measured: nothing is shown"),
        pytest.param(cut(heads(), ROWS)[:2], None, id="not measured: two planes"),
        pytest.param(np.arange(COUNT * ROWS * COLUMNS).reshape(COUNT, ROWS, COLUMNS), None, id="noop: a ramp"),
    ],
)
def test_the_length_that_the_values_show(voxels: Voxels, expected: int | None) -> None:
    assert other_row_length(voxels) == expected


def test_background_without_a_value_tells_nothing() -> None:
    voxels = heads()
    voxels[voxels < 200] = np.nan
    assert other_row_length(voxels) is None
    assert other_row_length(cut(voxels, ROWS)) == COLUMNS


def test_exchanged_rows_and_columns_are_refused(tmp_path: Path) -> None:
    paths = a_series(tmp_path, pixels=cut(heads(), ROWS).astype("<u2"))
    refused = only_refusal(read_study(paths))
    assert refused == ("row_length", "a row has 80 pixels by the header and 64 by the values")


def test_noop_right_rows_are_read(tmp_path: Path) -> None:
    right = heads().astype("<u2")
    np.testing.assert_array_equal(read_study(a_series(tmp_path, pixels=right)).volumes[FLAIR].voxels, right)
