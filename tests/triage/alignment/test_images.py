"""Volumes to SimpleITK and back; grids, filters and matrices."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import rigid
from triage.alignment.images import (
    affine_of,
    affine_transform,
    around,
    from_sitk,
    isotropic_grid,
    matrix_of,
    on_grid,
    resample,
    shrink_to,
    smooth_to,
    smoothed_onto,
    to_sitk,
)
from triage.model import Volume

angles = st.floats(-60, 60)
shifts = st.floats(-100, 100)


def a_volume(affine: np.ndarray | None = None, shape: tuple[int, int, int] = (6, 8, 10)) -> Volume:
    rng = np.random.default_rng(1)
    return Volume(rng.uniform(0, 100, shape).astype(np.float32), np.eye(4) if affine is None else affine)


@given(degrees=st.tuples(angles, angles, angles), shift=st.tuples(shifts, shifts, shifts))
@settings(max_examples=30, deadline=None)
def test_there_and_back_keeps_voxels_and_geometry(
    degrees: tuple[float, float, float], shift: tuple[float, float, float]
) -> None:
    affine = rigid(degrees, shift) @ np.diag([0.7, 0.8, 4.0, 1.0])
    volume = a_volume(affine)
    back = from_sitk(to_sitk(volume))
    assert np.array_equal(back.voxels, volume.voxels)
    assert back.affine == pytest.approx(affine, abs=1e-9)


def test_a_boolean_array_becomes_zero_and_one() -> None:
    image = to_sitk(Volume(np.array([[[True, False]]]), np.eye(4)), sitk.sitkUInt8)
    assert sitk.GetArrayFromImage(image).tolist() == [[[1, 0]]]
    assert sitk.GetArrayFromImage(on_grid(np.array([[[False, True]]]), image)).tolist() == [[[0, 1]]]


def test_the_affine_agrees_with_the_image_library() -> None:
    image = to_sitk(a_volume(rigid((10, 20, 30), (1, 2, 3)) @ np.diag([1.0, 2.0, 3.0, 1.0])))
    index = (4, 3, 2)
    assert (affine_of(image) @ [*index, 1])[:3] == pytest.approx(image.TransformIndexToPhysicalPoint(index))


@given(degrees=st.tuples(angles, angles, angles), shift=st.tuples(shifts, shifts, shifts))
@settings(max_examples=30, deadline=None)
def test_a_matrix_survives_being_a_transform(
    degrees: tuple[float, float, float], shift: tuple[float, float, float]
) -> None:
    matrix = rigid(degrees, shift) @ np.diag([1.1, 0.9, 1.0, 1.0])
    assert matrix_of(affine_transform(matrix)) == pytest.approx(matrix, abs=1e-9)


def test_matrix_of_a_chain_with_a_centre() -> None:
    turn = sitk.Euler3DTransform((5.0, 6.0, 7.0), 0.1, 0.2, 0.3, (1.0, 2.0, 3.0))
    chain = sitk.CompositeTransform([affine_transform(rigid((0, 0, 30))), turn])
    matrix = matrix_of(chain)
    assert (matrix @ [9, -8, 7, 1])[:3] == pytest.approx(chain.TransformPoint((9.0, -8.0, 7.0)))


def test_resampling_onto_its_own_grid_moves_nothing() -> None:
    image = to_sitk(a_volume())
    assert np.array_equal(sitk.GetArrayFromImage(resample(image, image)), sitk.GetArrayFromImage(image))


def test_resampling_follows_the_transform_from_grid_to_moving() -> None:
    image = to_sitk(a_volume())
    moved = sitk.GetArrayFromImage(resample(image, image, affine_transform(rigid(shift_mm=(2, 0, 0))), outside=-1))
    assert np.array_equal(moved[..., :-2], sitk.GetArrayFromImage(image)[..., 2:])
    assert (moved[..., -2:] == -1).all()


@pytest.mark.parametrize("margin_mm", [0.0, 5.0])
@pytest.mark.parametrize("spacing_mm", [1.0, 2.5, 8.0])
def test_a_cubic_grid_covers_the_image_around_the_same_centre(spacing_mm: float, margin_mm: float) -> None:
    image = to_sitk(a_volume(rigid((10, 20, 30), (1, 2, 3)) @ np.diag([0.7, 0.7, 4.0, 1.0]), (9, 40, 50)))
    grid = isotropic_grid(image, spacing_mm, margin_mm=margin_mm)
    assert grid.GetSpacing() == pytest.approx((spacing_mm,) * 3)

    def centre(i: sitk.Image) -> tuple[float, ...]:
        return tuple(i.TransformContinuousIndexToPhysicalPoint([(s - 1) / 2 for s in i.GetSize()]))

    extent = np.array(grid.GetSize()) * spacing_mm - (np.array(image.GetSize()) * image.GetSpacing() + 2 * margin_mm)
    assert centre(grid) == pytest.approx(centre(image), abs=1e-6)
    assert (extent >= -1e-6).all()
    assert (extent < spacing_mm).all()


def test_smoothing_keeps_a_constant() -> None:
    flat = to_sitk(Volume(np.full((8, 9, 10), 7.0, dtype=np.float32), np.eye(4)))
    assert sitk.GetArrayFromImage(smooth_to(flat, 4.0)) == pytest.approx(7.0, rel=1e-4)


def test_smoothing_leaves_coarse_axes_alone() -> None:
    image = to_sitk(a_volume(np.diag([1.0, 1.0, 4.0, 1.0])))
    before, after = (sitk.GetArrayFromImage(i) for i in (image, smooth_to(image, 4.0)))
    alone = sitk.GetArrayFromImage(smooth_to(to_sitk(Volume(before[2:3].repeat(4, 0), np.eye(4) * [1, 1, 4, 1])), 4.0))
    assert after[2] == pytest.approx(alone[0], abs=1e-3), "slices mixed"
    assert not np.allclose(after, before)


def test_smoothing_to_a_finer_spacing_is_no_change() -> None:
    image = to_sitk(a_volume())
    assert np.array_equal(sitk.GetArrayFromImage(smooth_to(image, 1.0)), sitk.GetArrayFromImage(image))


@pytest.mark.parametrize(
    ("spacing", "size", "expected"),
    [
        pytest.param((1.0, 1.0, 1.0), (8, 8, 8), (2.0, 2.0, 2.0), id="1 mm: blocks of two"),
        pytest.param((0.5, 0.5, 4.0), (16, 16, 4), (2.0, 2.0, 4.0), id="thick slices stay"),
        pytest.param((3.0, 3.0, 3.0), (4, 4, 4), (3.0, 3.0, 3.0), id="coarse already"),
        pytest.param((1.0, 1.0, 1.0), (8, 8, 1), (2.0, 2.0, 1.0), id="a single slice"),
    ],
)
def test_shrinking_averages_blocks_and_moves_nothing(
    spacing: tuple[float, ...], size: tuple[int, ...], expected: tuple[float, ...]
) -> None:
    image = sitk.Image(list(size), sitk.sitkFloat32)
    image.SetSpacing(spacing)
    ramp = sitk.PhysicalPointSource(sitk.sitkVectorFloat32, image.GetSize(), (0, 0, 0), spacing)
    image = sitk.VectorIndexSelectionCast(ramp, 0)

    small = shrink_to(image, 3.0)

    assert small.GetSpacing() == pytest.approx(expected)
    where = small.TransformIndexToPhysicalPoint((1, 1, 0))
    assert small[1, 1, 0] == pytest.approx(where[0]), "a ramp keeps its value at each place"


# -- less work, the same images --------------------------------------------------------------------


def an_oblique_image(size: tuple[int, int, int], spacing_mm: tuple[float, float, float]) -> sitk.Image:
    """Noise; size and spacing (i, j, k)."""
    voxels = np.random.default_rng(4).uniform(0, 100, size[::-1]).astype(np.float32)
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing(spacing_mm)
    image.SetDirection(rigid((10, 20, 30))[:3, :3].ravel().tolist())
    image.SetOrigin((5.0, -70.0, 33.0))
    return image


@pytest.mark.parametrize(
    ("size", "spacing_mm"),
    [
        pytest.param((40, 50, 60), (1.0, 1.0, 1.0), id="finer along each axis"),
        pytest.param((41, 51, 9), (0.7, 0.7, 6.0), id="thick slices"),
        pytest.param((33, 32, 3), (0.9, 2.1, 0.8), id="too few planes to smooth"),
        pytest.param((20, 21, 22), (2.0, 2.0, 2.0), id="noop: as fine as asked"),
    ],
)
def test_smoothing_axis_after_axis_gives_the_same_image(
    size: tuple[int, int, int], spacing_mm: tuple[float, float, float]
) -> None:
    image = an_oblique_image(size, spacing_mm)
    whole, stepwise = resample(smooth_to(image, 2.0), isotropic_grid(image, 2.0)), smoothed_onto(image, 2.0)
    assert affine_of(stepwise) == pytest.approx(affine_of(whole), abs=1e-9)
    np.testing.assert_allclose(sitk.GetArrayFromImage(stepwise), sitk.GetArrayFromImage(whole), atol=1e-3)


@pytest.mark.parametrize(
    ("shift_mm", "size"),
    [
        pytest.param((0.0, 0.0, 0.0), (40, 50, 60), id="noop: the grid is the whole image"),
        pytest.param((20.6, 0.25, 0.25), (23, 50, 60), id="half beside it"),
        pytest.param((500.0, 0.0, 0.0), (40, 50, 60), id="not measured: apart, so nothing is taken away"),
    ],
)
def test_the_part_around_a_grid(shift_mm: tuple[float, float, float], size: tuple[int, int, int]) -> None:
    """The grid is the image's own, moved along its axes."""
    image = an_oblique_image((40, 50, 60), (1.0, 1.0, 1.0))
    along = rigid((10, 20, 30))[:3, :3] @ np.array(shift_mm)
    way = rigid(shift_mm=(float(along[0]), float(along[1]), float(along[2])))
    part = around(image, image, way, 2.0)
    assert part.GetSize() == size
    transform = affine_transform(way)
    one, other = (sitk.GetArrayFromImage(resample(of, image, transform)) for of in (image, part))
    np.testing.assert_allclose(other, one, atol=1e-3)
