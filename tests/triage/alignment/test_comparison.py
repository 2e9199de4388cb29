"""Both dates on one half-way grid: equally interpolated, equally blurred, nothing invented."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from tests.builders import prepared_from, raised, rigid, scanned, small_head
from triage.alignment.comparison import Pair, equal_blur, on_common_grid, tissue_spread
from triage.alignment.images import to_sitk
from triage.anatomy import THALAMI, WHITE, mask_of
from triage.model import Affine, Atlas, Mask, RegistrationResult, Volume

SPACING_MM = 2.5
POSE = rigid((4, -3, 5), (6, -8, 5))


def pair_of(followup: Volume, baseline: Volume, atlas: Atlas, matrix: Affine) -> Pair:
    prepared = prepared_from(baseline, atlas)
    return on_common_grid(
        to_sitk(followup),
        to_sitk(baseline),
        (prepared.labels, prepared.brain, prepared.label_names),
        RegistrationResult(True, None, {}, matrix),
        SPACING_MM,
    )


def inside(pair: Pair, regions: tuple[str, ...]) -> Mask:
    return mask_of(pair.grid.labels, pair.grid.names, regions) & pair.grid.seen


def test_the_same_scan_twice_has_no_change(head: Volume, atlas: Atlas) -> None:
    pair = pair_of(head, head, atlas, np.eye(4))
    assert np.abs(pair.scale.change[pair.scale.reference]).max() < 1e-5
    assert pair.grid.seen.all()
    assert pair.image_grid.GetSpacing() == pytest.approx((SPACING_MM,) * 3)


def test_a_moved_scan_meets_its_baseline_half_way(head: Volume, atlas: Atlas) -> None:
    pair = pair_of(small_head(atlas, POSE), head, atlas, np.linalg.inv(POSE))
    for regions in (THALAMI, WHITE, ("pons",)):
        assert np.median(pair.scale.change[inside(pair, regions)]) == pytest.approx(0.0, abs=0.005)
    twice = pair.followup_to_half_way @ pair.followup_to_half_way
    assert twice == pytest.approx(np.linalg.inv(POSE), abs=1e-6)


def test_another_contrast_leaves_a_spread_that_another_scale_does_not(head: Volume, atlas: Atlas) -> None:
    labels = prepared_from(head, atlas).labels.voxels
    rng = np.random.default_rng(3)
    patchwork = (
        1.0 + 0.25 * rng.standard_normal(256)[labels]
    )  # every region its own level: nothing smooth, no grey against white
    brighter = Volume((1.3 * head.voxels).astype(np.float32), head.affine)
    other = Volume(
        (head.voxels * patchwork * (1 + 0.15 * rng.standard_normal(head.voxels.shape))).astype(np.float32), head.affine
    )
    assert tissue_spread(pair_of(brighter, head, atlas, np.eye(4))) < 0.01
    assert tissue_spread(pair_of(other, head, atlas, np.eye(4))) > 0.05


def test_a_rise_of_the_follow_up_is_a_rise(head: Volume, atlas: Atlas) -> None:
    """And a fall when the dates are exchanged."""
    labels = prepared_from(head, atlas).labels.voxels
    brighter = raised(head, labels, atlas, THALAMI, 20.0)
    for followup, baseline, expected in ((brighter, head, 1.2), (head, brighter, 1 / 1.2)):
        pair = pair_of(followup, baseline, atlas, np.eye(4))
        thalami = inside(pair, THALAMI)
        assert np.exp(np.median(pair.scale.change[thalami])) == pytest.approx(expected, abs=0.03)


def test_what_only_one_scan_shows_is_not_seen(head: Volume, atlas: Atlas) -> None:
    """The follow-up lacks the lower third of the head."""
    start = head.voxels.shape[0] // 3
    affine = head.affine.copy()
    affine[:3, 3] += affine[:3, 2] * start
    pair = pair_of(Volume(head.voxels[start:].copy(), affine), head, atlas, np.eye(4))
    stem = mask_of(pair.grid.labels, pair.grid.names, ("medulla",))
    assert not pair.grid.seen[stem].any()
    assert pair.grid.seen[mask_of(pair.grid.labels, pair.grid.names, ("thalamus_left",))].all()


def a_stack(spacing: tuple[float, float, float]) -> sitk.Image:
    rng = np.random.default_rng(8)
    size = [round(60 / s) for s in spacing]
    return to_sitk(Volume(rng.uniform(0, 100, size[::-1]).astype(np.float32), np.diag([*spacing, 1.0])))


def roughness(image: sitk.Image, axis: int) -> float:
    """Mean square of steps along an array axis (k, j, i)."""
    return float((np.diff(sitk.GetArrayFromImage(image), axis=axis) ** 2).mean())


def test_alike_and_coarse_enough_is_left_alone() -> None:
    one, other = a_stack((1.5, 1.5, 4.0)), a_stack((1.5, 1.5, 4.0))
    for before, after in zip((one, other), equal_blur(one, other, 1.5), strict=True):
        assert np.array_equal(sitk.GetArrayFromImage(before), sitk.GetArrayFromImage(after))


def test_thin_slices_are_blurred_along_the_other_scans_thick_axis_only() -> None:
    thin, thick = a_stack((1.5, 1.5, 1.5)), a_stack((1.5, 1.5, 4.5))
    blurred, untouched = equal_blur(thin, thick, 1.5)
    assert roughness(blurred, axis=0) < 0.2 * roughness(thin, axis=0)
    assert roughness(untouched, axis=0) == roughness(thick, axis=0)
    mixed = (
        sitk.GetArrayFromImage(blurred).var(axis=(1, 2)).mean() / sitk.GetArrayFromImage(thin).var(axis=(1, 2)).mean()
    )
    assert mixed > 0.15, "in-plane detail is kept"


def test_the_thick_axis_is_found_in_space_not_by_name() -> None:
    """A sagittal stack against an axial one: its thick axis is the other's first."""
    sagittal = a_stack((1.5, 1.5, 4.5))
    sagittal.SetDirection((0, 0, 1, 1, 0, 0, 0, 1, 0))  # columns: i -> y, j -> z, k -> x
    cubic = a_stack((1.5, 1.5, 1.5))
    blurred, _ = equal_blur(cubic, sagittal, 1.5)
    assert roughness(blurred, axis=2) < 0.2 * roughness(cubic, axis=2)
    assert roughness(blurred, axis=0) > 0.15 * roughness(cubic, axis=0)


@pytest.mark.parametrize("seed", [1, 2])
def test_noise_and_receive_field_are_no_change_of_a_region(head: Volume, atlas: Atlas, seed: int) -> None:
    pair = pair_of(scanned(head, seed=seed, gain=2.0), scanned(head, seed=seed + 10), atlas, np.eye(4))
    for regions in (THALAMI, ("pons",)):
        assert np.median(pair.scale.change[inside(pair, regions)]) == pytest.approx(0.0, abs=0.03)
