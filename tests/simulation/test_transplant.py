"""raise_regions: the interior reaches the full percent, the far tissue keeps its values, the border is soft."""

from __future__ import annotations

import numpy as np
import pytest

from simulation.transplant import raise_regions
from triage.model import Volume

AFFINE = np.diag([0.9, 0.9, 4.0, 1.0])


def a_case() -> tuple[Volume, np.ndarray]:
    rng = np.random.default_rng(1)
    voxels = rng.uniform(200, 300, (12, 60, 60)).astype(np.float32)
    mask = np.zeros(voxels.shape, dtype=bool)
    mask[3:9, 20:40, 20:40] = True
    return Volume(voxels, AFFINE), mask


@pytest.mark.parametrize("percent", [15.0, -10.0])
def test_plateau_and_far_field(percent: float) -> None:
    volume, mask = a_case()
    raised = raise_regions(volume, mask, percent)
    ratio = raised.voxels / volume.voxels
    assert ratio[4:8, 24:36, 24:36] == pytest.approx(1 + percent / 100, abs=1e-5)
    assert ratio[:, :10] == pytest.approx(1.0, abs=1e-6)
    assert 0.2 < abs(float(ratio[6, 20, 30]) - 1) * 100 / abs(percent) < 0.95
    assert np.array_equal(raised.affine, volume.affine)


def test_zero_percent_changes_nothing() -> None:
    volume, mask = a_case()
    assert np.array_equal(raise_regions(volume, mask, 0.0).voxels, volume.voxels)


def test_each_region_its_own_percent() -> None:
    volume, mask = a_case()
    other = np.roll(mask, 20, axis=2)
    raised = raise_regions(volume, {"a": mask, "b": other}, {"a": 10.0, "b": 30.0})
    ratio = raised.voxels / volume.voxels
    assert float(ratio[6, 30, 26]) == pytest.approx(1.10, abs=1e-5)
    assert float(ratio[6, 30, 50]) == pytest.approx(1.30, abs=1e-5)


def test_a_missing_percent_is_refused() -> None:
    volume, mask = a_case()
    with pytest.raises(ValueError, match="lacks"):
        raise_regions(volume, {"a": mask}, {"b": 1.0})


def test_a_mask_of_another_grid_is_refused() -> None:
    volume, mask = a_case()
    with pytest.raises(ValueError, match="shape"):
        raise_regions(volume, mask[1:], 1.0)
