"""A blur along an axis, by a matrix: the voxels that the library's recursive filter gives."""

from __future__ import annotations

import numpy as np
import pytest

from triage.alignment.axis_filters import AxisFilter, Places, axis_filter, can_filter, filtered
from triage.alignment.images import blurred
from triage.libraries import sitk

SIZE = (150, 70, 33)  # i, j, k: more than two blocks, more than one, one


def noise(size: tuple[int, int, int] = SIZE) -> sitk.Image:
    voxels = np.random.default_rng(2).uniform(0, 1000, size[::-1])
    return sitk.GetImageFromArray(voxels.astype(np.float32))


def by_the_library(image: sitk.Image, sigmas: tuple[float, float, float]) -> sitk.Image:
    for axis, sigma in enumerate(sigmas):
        image = sitk.RecursiveGaussian(image, sigma=sigma, direction=axis) if sigma else image
    return image


@pytest.mark.parametrize(
    ("sigmas", "spacing_mm"),
    [
        pytest.param((0.475, 0.475, 0.475), (1.0, 1.0, 1.0), id="less than a voxel"),
        pytest.param((2.0, 2.0, 2.0), (1.0, 1.0, 1.0), id="two voxels"),
        pytest.param((8.0, 0.0, 8.0), (1.0, 1.0, 4.0), id="wide, and one axis is left"),
        pytest.param((0.3, 1.5, 3.0), (0.45, 0.9, 5.5), id="another sigma and spacing along each axis"),
        pytest.param((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), id="noop: no blur"),
    ],
)
def test_a_blur_is_that_of_the_library(
    sigmas: tuple[float, float, float], spacing_mm: tuple[float, float, float]
) -> None:
    image = noise()
    image.SetSpacing(spacing_mm)
    found, expected = blurred(image, sigmas), by_the_library(image, sigmas)
    assert (found.GetSpacing(), found.GetPixelID()) == (expected.GetSpacing(), expected.GetPixelID())
    np.testing.assert_allclose(sitk.GetArrayFromImage(found), sitk.GetArrayFromImage(expected), rtol=2e-6, atol=1e-3)


@pytest.mark.parametrize(
    "places",
    [
        pytest.param(Places(0.25, 2.0, 74), id="coarser"),
        pytest.param(Places(0.0, 0.4, 370), id="finer"),
        pytest.param(Places(-3.2, 1.7, 100), id="begins before the axis and ends behind it: nothing there"),
        pytest.param(Places(-900.0, 1.0, 80), id="not measured: beside the axis"),
    ],
)
def test_reading_it_elsewhere_is_that_of_the_library(places: Places) -> None:
    image = noise((150, 8, 9))
    grid = sitk.Image([places.count, 8, 9], sitk.sitkUInt8)
    grid.SetSpacing([places.step, 1.0, 1.0])
    grid.SetOrigin([places.first, 0.0, 0.0])
    expected = sitk.Resample(by_the_library(image, (0.8, 0.0, 0.0)), grid, sitk.Transform(3, sitk.sitkIdentity))
    found = filtered(sitk.GetArrayFromImage(image), [axis_filter(150, 0.8, places), None, None])
    np.testing.assert_allclose(found, sitk.GetArrayFromImage(expected), rtol=2e-6, atol=1e-3)


@pytest.mark.parametrize(
    ("voxels", "possible"),
    [
        pytest.param(3, False, id="too few for the library"),
        pytest.param(4, True, id="as few as it needs"),
        pytest.param(1024, True, id="long"),
        pytest.param(1025, False, id="too long for a matrix"),
    ],
)
def test_which_axes_a_matrix_can_blur(voxels: int, possible: bool) -> None:
    assert can_filter(voxels) is possible


@pytest.mark.parametrize("voxels", [3, 1030])
def test_an_axis_that_no_matrix_can_blur(voxels: int) -> None:
    """One of three voxels stays as it is, as before; a very long one is blurred by the library."""
    image = noise((voxels, 5, 6))
    sigmas = (0.0 if voxels < 4 else 1.2, 1.2, 1.2)
    found, expected = (
        sitk.GetArrayFromImage(one) for one in (blurred(image, [1.2] * 3), by_the_library(image, sigmas))
    )
    np.testing.assert_allclose(found, expected, rtol=2e-6, atol=1e-3)


def test_far_voxels_are_not_read() -> None:
    """What is no number spoils its surroundings alone, and an empty axis gives nothing."""
    voxels = np.ones((5, 5, 300), dtype=np.float32)
    voxels[..., 10] = np.nan
    one = axis_filter(300, 0.8)
    found = filtered(voxels, [one, None, None])
    assert np.isnan(found[..., 10]).all()
    assert found[..., 128:] == pytest.approx(1.0, abs=1e-5)
    assert all(read.stop - read.start < 120 for _, read, _ in one.parts)


def test_every_voxel_is_written_once() -> None:
    one: AxisFilter = axis_filter(150, 1.0)
    written = [index for part, _, _ in one.parts for index in range(part.start, part.stop)]
    assert written == list(range(one.count)) == list(range(150))
