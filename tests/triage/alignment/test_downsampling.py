"""What a coarser grid reads of an image is, bit by bit, what smoothing and resampling all of it gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from triage.alignment.downsampling import downsampled
from triage.alignment.images import isotropic_grid, on_grid, resample, smooth_axis
from triage.alignment.template import crop

SHAPE = (30, 41, 36)  # k, j, i


def an_image(voxels: Any, spacing_mm: tuple[float, ...] = (1.0, 1.0, 1.0), *, turned: bool = False) -> sitk.Image:
    image = sitk.GetImageFromArray(voxels.astype(np.float32))
    image.SetSpacing(spacing_mm)
    image.SetOrigin((-90.5, 12.0, 3.25))
    if turned:
        image.SetDirection((-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0))
    return image


def noise(seed: int = 1) -> Any:
    return np.random.default_rng(seed).normal(100.0, 20.0, SHAPE)


def only(*where: slice) -> Any:
    voxels = np.zeros(SHAPE)
    voxels[where] = noise(2)[where]
    return voxels


@pytest.mark.parametrize("spacing_mm", [3.0, 4.0, 8.0])
@pytest.mark.parametrize(
    "image",
    [
        pytest.param(an_image(noise()), id="everywhere"),
        pytest.param(an_image(noise(), turned=True), id="axes turned round"),
        pytest.param(an_image(noise(), (0.9, 0.9, 5.0)), id="thick slices, which are not smoothed across"),
        pytest.param(an_image(only(slice(12, 18), slice(5, 9), slice(20, 31))), id="a structure inside"),
        pytest.param(an_image(only(slice(0, 3), slice(38, 41), slice(0, 1))), id="in a corner"),
        pytest.param(an_image(np.zeros(SHAPE)), id="noop: nothing"),
    ],
)
def test_it_is_what_smoothing_all_of_it_gives(image: sitk.Image, spacing_mm: float) -> None:
    inside = crop(image, on_grid(np.pad(np.ones((16, 21, 20), np.uint8), ((7, 7), (10, 10), (8, 8))), image), margin=0)
    smooth = image
    for axis in range(3):
        smooth = smooth_axis(smooth, axis, spacing_mm)
    for grid in (isotropic_grid(image, spacing_mm), isotropic_grid(inside, spacing_mm)):
        whole = resample(smooth, grid)
        found = downsampled(image, spacing_mm, grid)
        assert np.array_equal(sitk.GetArrayFromImage(found), sitk.GetArrayFromImage(whole))
        assert found.GetOrigin() == whole.GetOrigin()
