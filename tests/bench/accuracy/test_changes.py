"""A head scanned again lies where its pose says; faults are faults; swelling swells."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from bench.accuracy.changes import centre_of, cut, flipped, ghosted, random_rescan, rescanned, scaled, swelling_of
from triage.alignment.images import to_sitk
from triage.model import Volume

SHAPE, SPACING = (30, 40, 36), (2.0, 2.0, 3.0)


def _blob(centre: tuple[float, float, float] = (17.0, 21.0, 14.0)) -> Volume:
    """A soft ball at voxel (i, j, k), on a small background."""
    k, j, i = np.meshgrid(*[np.arange(n) for n in SHAPE], indexing="ij")
    mm2 = sum(((axis - c) * s) ** 2 for axis, c, s in zip((i, j, k), centre, SPACING, strict=True))
    affine = np.diag([*SPACING, 1.0])
    affine[:3, 3] = (-30.0, -44.0, -20.0)
    return Volume((5.0 + 100.0 * np.exp(-mm2 / (2 * 8.0**2))).astype(np.float32), affine)


def _centre_of_mass(volume: Volume) -> np.ndarray:
    k, j, i = ndimage.center_of_mass(np.clip(volume.voxels - 20.0, 0, None))
    return (volume.affine @ np.array([i, j, k, 1.0]))[:3]


@pytest.mark.parametrize("spacing", [None, (1.5, 1.5, 4.5)], ids=["same stack", "thicker slices"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_known_transform_takes_the_followup_back(seed: int, spacing: tuple[float, float, float] | None) -> None:
    before = _blob()
    how = random_rescan(seed, centre_of(before), drift=0.0, gamma=(1, 1), snr=(1e6, 1e6), spacing_mm=spacing, most_mm=5)
    after = rescanned(before, how, white_level=100.0)
    back = (how.followup_to_baseline @ np.append(_centre_of_mass(after), 1.0))[:3]
    assert back == pytest.approx(_centre_of_mass(before), abs=0.3)
    assert np.linalg.norm(_centre_of_mass(after) - _centre_of_mass(before)) > 0.5, "it must have moved"


def test_the_same_seed_gives_the_same_scan() -> None:
    one, two = (
        rescanned(
            _blob(), random_rescan(5, centre_of(_blob()), drift=0.8, gamma=(0.8, 1.2), snr=(20, 40)), white_level=100.0
        )
        for _ in range(2)
    )
    assert np.array_equal(one.voxels, two.voxels)


def test_a_map_keeps_its_values() -> None:
    how = random_rescan(5, centre_of(_blob()), drift=0.8, gamma=(0.8, 1.2), snr=(20, 40))
    flat = Volume(np.full(SHAPE, 700.0, dtype=np.float32), _blob().affine)
    middle = rescanned(flat, how, white_level=None).voxels[12:18, 15:25, 12:24]
    assert middle == pytest.approx(700.0, rel=1e-3)


def test_noise_follows_the_snr() -> None:
    flat = Volume(np.full(SHAPE, 100.0, dtype=np.float32), _blob().affine)
    how = random_rescan(5, centre_of(flat), drift=0.0, gamma=(1, 1), snr=(20, 20))
    middle = rescanned(flat, how, white_level=100.0).voxels[10:20, 12:28, 10:26] / how.gain
    assert middle.std() == pytest.approx(5.0, rel=0.15)


def test_swelling_enlarges_its_region_and_only_by_what_was_asked() -> None:
    grid = to_sitk(Volume(np.zeros((40, 44, 44), dtype=np.float32), np.diag([2.0, 2.0, 2.0, 1.0])))
    k, j, i = np.meshgrid(*[np.arange(n) for n in (40, 44, 44)], indexing="ij")
    distance = np.sqrt((k - 20) ** 2 + (j - 22) ** 2 + (i - 22) ** 2) * 2.0
    field, growth = swelling_of(grid, {"ball": distance < 12}, (distance > 14) & (distance < 20), 5.0)
    assert growth["ball"] == pytest.approx(5.0, abs=0.8)
    assert np.abs(field.vectors).max() < 2.0
    assert np.abs(field.vectors[:, 0]).max() < 0.02, "nothing moves at the border"


# -- faults ----------------------------------------------------------------------------------------


def test_a_cut_stack_tells_the_truth_about_where_it_lies() -> None:
    whole, part = _blob(), cut(_blob(), 0, (0.3, 1.0))
    assert part.voxels.shape[0] < whole.voxels.shape[0]
    assert _centre_of_mass(part) == pytest.approx(_centre_of_mass(whole), abs=0.5)


def test_a_wrong_voxel_size_changes_the_geometry_only() -> None:
    lie = scaled(_blob(), (1.0, 1.0, 1.2))
    assert lie.spacing_mm == pytest.approx((2.0, 2.0, 3.6))
    assert lie.voxels is not None
    assert np.array_equal(lie.voxels, _blob().voxels)


def test_mirroring_twice_is_nothing() -> None:
    assert np.array_equal(flipped(flipped(_blob(), 2), 2).voxels, _blob().voxels)
    assert not np.array_equal(flipped(_blob(), 2).voxels, _blob().voxels)


def test_motion_spoils_the_image_but_keeps_its_grid() -> None:
    still, moved = _blob(), ghosted(_blob(), 1, amplitude_mm=8.0, slice_shift_mm=6.0)
    assert moved.voxels.shape == still.voxels.shape
    assert np.corrcoef(moved.voxels.ravel(), still.voxels.ravel())[0, 1] < 0.95


def test_the_rescan_is_a_valid_image() -> None:
    how = random_rescan(9, centre_of(_blob()), drift=0.8, gamma=(0.8, 1.2), snr=(20, 40))
    image = to_sitk(rescanned(_blob(), how, white_level=100.0))
    assert sitk.GetArrayViewFromImage(image).min() >= 0
