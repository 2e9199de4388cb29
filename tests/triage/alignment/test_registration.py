"""Rigid registration: the arithmetic, the gates, and a head found again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import another_head, rigid, scanned, small_head
from triage.alignment.images import affine_transform, to_sitk
from triage.alignment.registration import (
    RegistrationLimits,
    covered,
    half_way,
    mean_distance_mm,
    normalise_locally,
    orthonormal,
    points_of,
    pyramid,
    refusal,
    register_followup,
    rotation_deg,
)
from triage.errors import NotAssessable
from triage.model import Affine, Atlas, RegistrationResult, Volume

LIMITS = RegistrationLimits()
GOOD = {"brain_coverage": 0.99, "similarity": 0.7, "inverse_consistency_mm": 0.2, "scale_error": 0.01}
angles = st.tuples(*(st.floats(-50, 50),) * 3)
shifts = st.tuples(*(st.floats(-80, 80),) * 3)


# -- arithmetic ------------------------------------------------------------------------------------


@given(degrees=angles, shift=shifts)
def test_half_way_twice_is_the_whole_way(
    degrees: tuple[float, float, float], shift: tuple[float, float, float]
) -> None:
    matrix = rigid(degrees, shift)
    half = half_way(matrix)
    assert half @ half == pytest.approx(matrix, abs=1e-6)
    assert orthonormal(half) == pytest.approx(half, abs=1e-6), "half of a rigid move is rigid"


def test_half_way_of_nothing_is_nothing() -> None:
    assert half_way(np.eye(4)) == pytest.approx(np.eye(4))


@given(degrees=angles, shift=shifts, stretch=st.tuples(*(st.floats(0.7, 1.4),) * 3))
def test_orthonormal_is_idempotent_and_a_rotation(
    degrees: tuple[float, float, float], shift: tuple[float, float, float], stretch: tuple[float, float, float]
) -> None:
    once = orthonormal(rigid(degrees, shift) @ np.diag([*stretch, 1.0]))
    assert orthonormal(once) == pytest.approx(once, abs=1e-9)
    assert once[:3, :3] @ once[:3, :3].T == pytest.approx(np.eye(3), abs=1e-9)
    assert np.linalg.det(once[:3, :3]) == pytest.approx(1.0)


@given(degrees=angles, shift=shifts)
def test_orthonormal_leaves_a_rigid_move_alone(
    degrees: tuple[float, float, float], shift: tuple[float, float, float]
) -> None:
    assert orthonormal(rigid(degrees, shift)) == pytest.approx(rigid(degrees, shift), abs=1e-9)


@given(angle=st.floats(-170, 170), axis=st.sampled_from([0, 1, 2]))
def test_rotation_angle(angle: float, axis: int) -> None:
    x, y, z = (angle if one == axis else 0.0 for one in range(3))
    assert rotation_deg(rigid((x, y, z), (5, 6, 7))) == pytest.approx(abs(angle), abs=1e-4)


def some_points() -> Affine:
    rng = np.random.default_rng(2)
    return np.vstack([rng.uniform(-80, 80, (3, 200)), np.ones(200)])


@given(shift=shifts)
def test_mean_distance_of_a_shift_is_its_length(shift: tuple[float, float, float]) -> None:
    turned = rigid((3, 4, 5))
    assert mean_distance_mm(rigid(shift_mm=shift) @ turned, turned, some_points()) == pytest.approx(
        float(np.linalg.norm(shift)), abs=1e-6
    )


def test_points_are_voxel_centres_of_the_mask() -> None:
    mask = sitk.GetImageFromArray(np.array([[[0, 1, 0]]], dtype=np.uint8))
    mask.SetSpacing((2.0, 3.0, 4.0))
    mask.SetOrigin((10.0, 20.0, 30.0))
    assert points_of(mask).T.tolist() == [[12.0, 20.0, 30.0, 1.0]]


def test_points_are_limited_in_number() -> None:
    assert points_of(sitk.Image([40, 40, 40], sitk.sitkUInt8) + 1, at_most=1000).shape[1] <= 2000


@pytest.mark.parametrize(
    ("shift", "empty", "share"),
    [
        pytest.param((0, 0, 0), np.s_[:0], 1.0, id="all inside"),
        pytest.param((5, 0, 0), np.s_[:0], 0.5, id="half outside"),
        pytest.param((50, 0, 0), np.s_[:0], 0.0, id="all outside"),
        pytest.param((0, 0, 0), np.s_[6:], 0.6, id="slices at the end are empty"),
        pytest.param((0, 0, 0), np.s_[:, :, :3], 0.7, id="columns at the side are empty"),
        pytest.param((0, 0, 0), np.s_[:], 0.0, id="all is empty"),
    ],
)
def test_coverage(shift: tuple[float, float, float], empty: Any, share: float) -> None:
    whole = sitk.Image([10, 10, 10], sitk.sitkUInt8) + 1
    voxels = np.random.default_rng(1).uniform(1, 2, (10, 10, 10))
    voxels[empty] = 0
    assert covered(points_of(whole), sitk.GetImageFromArray(voxels), rigid(shift_mm=shift)) == pytest.approx(share)


def test_coverage_of_no_points_is_none() -> None:
    assert covered(np.zeros((4, 0)), sitk.Image([4, 4, 4], sitk.sitkUInt8), np.eye(4)) == 0.0


def test_affine_transform_maps_points_like_the_matrix() -> None:
    matrix = rigid((10, 20, 30), (1, 2, 3))
    point = (4.0, 5.0, 6.0)
    assert affine_transform(matrix).TransformPoint(point) == pytest.approx((matrix @ [*point, 1])[:3])


def test_local_normalisation_ignores_gain(head: Volume) -> None:
    one, other = (
        sitk.GetArrayFromImage(normalise_locally(to_sitk(v), 8.0))
        for v in (head, Volume(head.voxels * np.float32(7.0), head.affine))
    )
    np.testing.assert_allclose(other, one, atol=1e-3)


def test_local_normalisation_of_an_empty_image_is_finite() -> None:
    assert np.isfinite(sitk.GetArrayFromImage(normalise_locally(sitk.Image([9, 9, 9], sitk.sitkFloat32), 4.0))).all()


@pytest.mark.parametrize(
    "spacing_mm",
    [
        pytest.param((1e-4, 1e-4, 5.0), id="a head of a tenth of a millimetre"),
        pytest.param((1.0, 1.0, 4e5), id="slices 400 m apart"),
        pytest.param((1.0, 1.0, 0.5), id="a slab of a centimetre"),
    ],
)
def test_what_cannot_be_a_view_of_a_head_is_refused(spacing_mm: tuple[float, float, float]) -> None:
    image = sitk.GetImageFromArray(np.ones((20, 128, 128), np.float32))
    image.SetSpacing(spacing_mm)
    with pytest.raises(NotAssessable, match=r"coverage: the images cover .* mm"):
        pyramid(image)


# -- gates -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("figures", "thick", "code"),
    [
        pytest.param({}, False, None, id="noop: good"),
        pytest.param({"brain_coverage": 0.89}, False, "coverage", id="cut field of view"),
        pytest.param({"scale_error": 0.041}, False, "geometry", id="another size"),
        pytest.param({"similarity": 0.41}, False, "registration_failed", id="not alike"),
        pytest.param({"inverse_consistency_mm": 0.71}, False, "registration_failed", id="inconsistent"),
        pytest.param({"inverse_consistency_mm": 0.71}, True, None, id="allowed for thick slices"),
        pytest.param({"inverse_consistency_mm": 2.01}, True, "registration_failed", id="inconsistent even so"),
        pytest.param({"brain_coverage": 0.1, "similarity": 0.1}, False, "coverage", id="coverage is said first"),
    ],
)
def test_gates(figures: dict[str, float], thick: bool, code: str | None) -> None:
    reason = refusal({**GOOD, **figures}, LIMITS, thick=thick)
    assert (reason or "").partition(":")[0] == (code or "")


# -- a head found again ----------------------------------------------------------------------------

POSE = rigid((6, -4, 8), (5, -7, 9))


def brain_of(atlas: Atlas) -> sitk.Image:
    return to_sitk(atlas.brain_mask, sitk.sitkUInt8)


def register(followup: Volume, baseline: Volume, atlas: Atlas) -> RegistrationResult:
    return register_followup(
        to_sitk(followup), to_sitk(baseline), brain_of(atlas), LIMITS, slice_thickness_mm=max(followup.spacing_mm)
    )


@pytest.fixture(scope="module")
def baseline(head: Volume) -> Volume:
    return scanned(head, seed=1)


def test_a_moved_head_is_found_again(baseline: Volume, atlas: Atlas) -> None:
    """Another pose, gain, receive field and noise: within 0.3 mm over the brain."""
    result = register(scanned(small_head(atlas, POSE), seed=2, gain=3.0), baseline, atlas)
    assert result.accepted, result.reason
    points = POSE @ points_of(brain_of(atlas))
    assert mean_distance_mm(result.followup_to_baseline, np.linalg.inv(POSE), points) < 0.3
    assert result.quality["rotation_deg"] == pytest.approx(rotation_deg(POSE), abs=0.3)
    assert orthonormal(result.followup_to_baseline) == pytest.approx(result.followup_to_baseline, abs=1e-9)


@pytest.mark.parametrize("degrees", [pytest.param((-45, 0, 0), id="nods"), pytest.param((0, 0, 60), id="turns")])
def test_a_head_that_was_turned_far_is_found_again(
    degrees: tuple[float, float, float], baseline: Volume, atlas: Atlas
) -> None:
    moved = rigid(degrees)
    result = register(Volume(baseline.voxels, moved @ baseline.affine), baseline, atlas)
    assert result.accepted, result.reason
    points = moved @ points_of(brain_of(atlas))
    assert mean_distance_mm(result.followup_to_baseline, np.linalg.inv(moved), points) < 0.3


def test_an_unmoved_head_stays(baseline: Volume, atlas: Atlas) -> None:
    result = register(baseline, baseline, atlas)
    assert result.accepted, result.reason
    assert mean_distance_mm(result.followup_to_baseline, np.eye(4), points_of(brain_of(atlas))) < 0.05
    assert result.quality["similarity"] > 0.95


def test_another_head_is_refused(head: Volume, baseline: Volume, atlas: Atlas) -> None:
    result = register(scanned(another_head(head), seed=3), baseline, atlas)
    assert not result.accepted
    assert (result.reason or "").startswith("registration_failed")


def test_a_cut_head_is_refused(baseline: Volume, atlas: Atlas) -> None:
    """The lower half of the head is missing."""
    whole = scanned(small_head(atlas, POSE), seed=4)
    start = whole.voxels.shape[0] // 2
    affine = whole.affine.copy()
    affine[:3, 3] += affine[:3, 2] * start
    result = register(Volume(whole.voxels[start:], affine), baseline, atlas)
    assert not result.accepted
    assert (result.reason or "").startswith("coverage")
