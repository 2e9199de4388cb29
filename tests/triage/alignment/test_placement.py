"""The atlas on a scan: arithmetic of masks and filters, and a head whose regions are known."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import labels_on, rigid, scanned, small_head
from triage.alignment.images import isotropic_grid, resample, to_sitk
from triage.alignment.normalisation import smooth_over
from triage.alignment.painting import ScanOnTemplate, fits_near
from triage.alignment.placement import (
    Placement,
    RegionLimits,
    brain_grid,
    check_volumes,
    place_atlas,
    plausible,
    region_doubts,
    regions_on,
    structures_apart,
)
from triage.alignment.template import LEVELS_MM, template_of
from triage.anatomy import BRAIN_STEM, THALAMI, mask_of, tissue_group
from triage.errors import NotAssessable
from triage.model import Atlas, Mask, Volume

# -- arithmetic ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("region", "group"),
    [
        pytest.param("thalamus_left", "thalamus", id="a side is dropped"),
        pytest.param("pons", "brain_stem", id="brain stem"),
        pytest.param("medulla", "brain_stem", id="brain stem, too"),
        pytest.param("cortex_occipital_right", "cortex", id="lobes are one cortex"),
        pytest.param("white_matter_right", "white", id="white matter"),
        pytest.param("external_extreme_capsule_left", "white", id="capsules are white matter"),
        pytest.param("lateral_ventricle_left", "csf", id="ventricle"),
        pytest.param("sulcal_csf", "csf", id="sulci"),
        pytest.param("putamen_left", "putamen", id="a group of its own"),
    ],
)
def test_tissue_group(region: str, group: str) -> None:
    assert tissue_group(region) == group


@pytest.mark.parametrize(
    ("volumes_ml", "named"),
    [
        pytest.param({"thalamus_left": 7.5, "thalamus_right": 7.6, "pons": 15.0}, None, id="usual"),
        pytest.param({"thalamus_left": 11.5, "thalamus_right": 11.4, "pons": 21.4}, None, id="a large head"),
        pytest.param(
            {"thalamus_left": 11.6, "thalamus_right": 11.6, "pons": 25.9}, "pons 25.9", id="a fifth too large"
        ),
        pytest.param({"thalamus_left": 13.0, "thalamus_right": 13.2, "pons": 20.0}, None, id="swollen thalami"),
        pytest.param({"thalamus_left": 8.0, "thalamus_right": 8.1, "pons": 25.9}, None, id="a swollen pons"),
        pytest.param({"pons": 2.0}, None, id="cut by the field of view"),
        pytest.param({}, None, id="not in view"),
    ],
)
def test_an_atlas_placed_too_large_is_refused(volumes_ml: dict[str, float], named: str | None) -> None:
    if named is None:
        check_volumes(volumes_ml, RegionLimits())
        return
    with pytest.raises(NotAssessable, match=f"atlas_failed.*too large: .*{named}"):
        check_volumes(volumes_ml, RegionLimits())


@pytest.mark.parametrize(
    ("fits", "whole", "named"),
    [
        pytest.param({"brain stem": 0.6, "thalami": 0.59}, 0.54, None, id="right"),
        pytest.param({"brain stem": 0.71, "thalami": 0.2}, 0.55, "thalami .* 0.20", id="8 mm too low"),
        pytest.param({"brain stem": 0.02, "thalami": 0.52}, 0.53, "brain stem .* 0.02", id="beside the brain stem"),
        pytest.param({"brain stem": 0.33, "thalami": 0.24}, 0.7, "brain stem .* 0.33", id="beside both, all else fits"),
        pytest.param({"thalami": 0.7}, 0.54, None, id="the brain stem is not in view"),
        pytest.param({}, 0.54, None, id="nothing is in view"),
    ],
)
def test_an_atlas_beside_its_structures_is_refused(fits: dict[str, float], whole: float, named: str | None) -> None:
    if named is None:
        assert structures_apart(fits, whole, RegionLimits()) == {}
        return
    with pytest.raises(NotAssessable, match=f"atlas_failed.*around the {named}"):
        structures_apart(fits, whole, RegionLimits())


@pytest.mark.parametrize(
    ("fits", "doubted"),
    [
        pytest.param({"brain stem": 0.7, "thalami": 0.6}, set(), id="noop: both fit"),
        pytest.param({"brain stem": 0.3, "thalami": 0.6}, {"midbrain", "pons", "medulla"}, id="a tumour of the pons"),
        pytest.param(
            {"brain stem": 0.7, "thalami": 0.3},
            {"thalamus_left", "thalamus_right", "thalami", "third_ventricle"},
            id="the thalami",
        ),
        pytest.param({"brain stem": 0.3}, {"midbrain", "pons", "medulla"}, id="the thalami are not in view"),
    ],
)
def test_where_all_else_fits_only_the_structure_is_doubted(fits: dict[str, float], doubted: set[str]) -> None:
    apart = structures_apart(fits, RegionLimits().sure_fit, RegionLimits())
    doubts = region_doubts(Placement(np.eye(4), None, None, tuple(apart.items())))
    assert set(doubts) == doubted
    assert all(reason.startswith("region_fit: around the ") and "0.30" in reason for reason in doubts.values())


@pytest.mark.parametrize(
    ("moved", "rows", "least", "most"),
    [
        pytest.param(0, slice(None), 0.7, 1.0, id="noop: where it lies"),
        pytest.param(3, slice(None), -1.0, 0.45, id="9 mm to the back"),
        pytest.param(0, slice(0, 4), None, None, id="too little in view"),
    ],
)
def test_the_fit_near_a_structure(
    moved: int, rows: slice, least: float | None, most: float | None, atlas: Atlas
) -> None:
    template = template_of(atlas)
    grid, members = template.levels[LEVELS_MM[-1]]
    scan = np.roll(sitk.GetArrayFromImage(resample(to_sitk(atlas.template_flair), grid)), moved, axis=1)
    still = sitk.GetImageFromArray(np.zeros((*scan.shape, 3)), isVector=True)
    still.CopyInformation(grid)
    shown = np.zeros(scan.shape, dtype=bool)
    shown[rows] = True
    there = ScanOnTemplate(scan, np.ones(scan.shape, dtype=bool), shown)
    found = fits_near(there, members, still, grid, template.zones)
    if least is None or most is None:
        assert found == {}
        return
    assert found.keys() == {"brain stem", "thalami"}
    assert all(least < fit <= most for fit in found.values())


def test_left_and_right_share_a_group(atlas: Atlas) -> None:
    for name in atlas.label_names.values():
        assert tissue_group(name) == tissue_group(name.replace("_left", "_right"))


@pytest.mark.parametrize(
    ("regions", "expected"),
    [
        pytest.param((), [False, False, False], id="noop: none"),
        pytest.param(("a",), [False, True, False], id="one"),
        pytest.param(("a", "b", "not there"), [False, True, True], id="two and an unknown"),
    ],
)
def test_mask_of(regions: tuple[str, ...], expected: list[bool]) -> None:
    assert mask_of(np.array([0, 1, 2]), {1: "a", 2: "b"}, regions).tolist() == expected


@given(value=st.floats(-50, 50), sigma=st.floats(0.5, 4.0), seed=st.integers(0, 20))
@settings(max_examples=15, deadline=None)
def test_smoothing_a_constant_gives_the_constant(value: float, sigma: float, seed: int) -> None:
    """Whatever the weights are, near any of them."""
    weight = (np.random.default_rng(seed).random((9, 10, 11)) > 0.5).astype(np.float64)
    np.testing.assert_allclose(
        smooth_over(np.full(weight.shape, value), weight, sigma)[weight > 0], value, rtol=1e-4, atol=1e-12
    )


def test_smoothing_hears_only_what_has_weight() -> None:
    values, weight = np.zeros((9, 9, 9)), np.ones((9, 9, 9))
    values[4, 4, 4], weight[4, 4, 4] = 1000.0, 0.0
    assert np.abs(smooth_over(values, weight, 1.5)).max() == 0.0


def test_smoothing_far_from_any_weight_is_zero() -> None:
    weight = np.zeros((40, 5, 5))
    weight[0] = 1.0
    assert smooth_over(np.ones(weight.shape), weight, 1.0)[30:].max() == 0.0


# -- placements ------------------------------------------------------------------------------------


def a_placement(matrix: np.ndarray, field: np.ndarray | None = None, affine: np.ndarray | None = None) -> Placement:
    return Placement(matrix, field, affine)


def test_a_linear_placement_maps_points_like_its_matrix() -> None:
    matrix = rigid((5, 10, 15), (3, 2, 1))
    point = (10.0, -20.0, 30.0)
    assert a_placement(matrix).transform().TransformPoint(point) == pytest.approx((matrix @ [*point, 1])[:3])


def test_the_deformation_comes_after_the_matrix() -> None:
    """A field that adds (1, 2, 3) mm in template space within its box."""
    field = np.broadcast_to([1.0, 2.0, 3.0], (20, 20, 20, 3)).copy()
    matrix = rigid((0, 0, 90), (4, 0, 0))
    placed = a_placement(matrix, field, np.diag([2.0, 2.0, 2.0, 1.0]))
    point = (10.0, -8.0, 12.0)
    expected = (rigid(shift_mm=(1, 2, 3)) @ matrix @ [*point, 1])[:3]
    assert placed.transform().TransformPoint(point) == pytest.approx(expected)


def test_the_atlas_placed_on_itself_is_itself(atlas: Atlas) -> None:
    labels, brain = regions_on(to_sitk(atlas.labels, sitk.sitkUInt8), a_placement(np.eye(4)), atlas)
    assert np.array_equal(labels.voxels, atlas.labels.voxels)
    assert np.array_equal(brain.voxels > 0, atlas.brain_mask.voxels > 0)


@pytest.mark.parametrize("shown", [np.s_[:], np.s_[:50], np.s_[40:]], ids=["whole head", "no top", "no neck"])
def test_the_brain_grid_is_the_box_of_the_whole_brain(atlas: Atlas, head: Volume, shown: slice) -> None:
    """Also of what the scan does not show: what is not in view must be known."""
    affine = head.affine.copy()
    affine[:3, 3] += (shown.start or 0) * affine[:3, 2]
    grid = brain_grid(Volume(head.voxels[shown], affine), a_placement(np.eye(4)), atlas, 2.0)
    whole = isotropic_grid(to_sitk(head), 2.0)
    assert grid.GetSpacing() == pytest.approx((2.0, 2.0, 2.0))
    assert np.prod(grid.GetSize()) < 0.8 * np.prod(whole.GetSize())
    _, brain = regions_on(grid, a_placement(np.eye(4)), atlas)
    assert brain.voxels.sum() * 8 == pytest.approx(atlas.brain_mask.voxels.astype(bool).sum(), rel=0.02)


def test_an_atlas_beside_the_scan_is_refused(atlas: Atlas, head: Volume) -> None:
    with pytest.raises(NotAssessable) as refused:
        brain_grid(head, a_placement(rigid(shift_mm=(900, 0, 0))), atlas, 2.0)
    assert refused.value.code == "atlas_failed"


# -- a head whose regions are known ----------------------------------------------------------------

POSE = rigid((8, -5, 6), (4, 10, -8)) @ np.diag([0.93, 0.95, 0.9, 1.0])  # a smaller head, turned


def dice(one: Mask, other: Mask) -> float:
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


@pytest.fixture(scope="module")
def patient(atlas: Atlas) -> Volume:
    return scanned(small_head(atlas, POSE), seed=5, gain=4.0)


@pytest.fixture(scope="module")
def placement(patient: Volume, atlas: Atlas) -> Placement:
    return place_atlas(patient, atlas, RegionLimits())


@pytest.mark.parametrize("region", [*THALAMI, *BRAIN_STEM])
def test_regions_are_found(region: str, placement: Placement, patient: Volume, atlas: Atlas) -> None:
    found, _ = regions_on(to_sitk(patient), placement, atlas)
    truth = labels_on(patient, atlas, POSE)
    one, other = (mask_of(labels, atlas.label_names, [region]) for labels in (found.voxels, truth))
    assert dice(one, other) > 0.85


@pytest.mark.parametrize(
    "degrees",
    [
        pytest.param((0, 0, 0), id="noop: as it is"),
        pytest.param((-40, 0, 0), id="nods by 40 degrees"),
        pytest.param((0, 0, 40), id="turns by 40 degrees"),
    ],
)
def test_a_head_that_is_turned_far_is_placed_as_the_upright_one(
    degrees: tuple[float, float, float], placement: Placement, patient: Volume, atlas: Atlas
) -> None:
    """Only the header turns, so both placements must name the same voxels."""
    turned = Volume(patient.voxels, rigid(degrees) @ patient.affine)
    placed = place_atlas(turned, atlas, RegionLimits())
    upright, _ = regions_on(to_sitk(patient), placement, atlas)
    found, _ = regions_on(to_sitk(turned), placed, atlas)
    for region in (*THALAMI, *BRAIN_STEM):
        one, other = (mask_of(labels.voxels, atlas.label_names, [region]) for labels in (upright, found))
        assert dice(one, other) > 0.9, region


@pytest.mark.parametrize(
    ("scales", "good"),
    [
        pytest.param((1.0, 1.0, 1.0), True, id="noop: the size of the template"),
        pytest.param((0.99, 0.94, 0.78), True, id="the longest real head"),
        pytest.param((1.04, 0.95, 0.66), False, id="a head that nods by 40 degrees, placed 49 mm away"),
        pytest.param((1.12, 1.03, 0.71), False, id="a head that nods by 40 degrees, placed 31 mm away"),
        pytest.param((0.55, 0.55, 0.55), False, id="half the size"),
        pytest.param((1.35, 1.3, 1.3), False, id="too large"),
    ],
)
def test_a_plausible_affine(scales: tuple[float, float, float], good: bool) -> None:
    assert plausible(rigid((20, -10, 5)) @ np.diag([*scales, 1.0])) is good


def test_left_stays_left(placement: Placement, patient: Volume, atlas: Atlas) -> None:
    """LPS: left is at larger x."""
    found, _ = regions_on(to_sitk(patient), placement, atlas)
    x = [found.affine[0] @ _centre(mask_of(found.voxels, atlas.label_names, [side])) for side in THALAMI]
    assert x[0] > x[1] + 10


def _centre(mask: Mask) -> np.ndarray:
    return np.array([*np.argwhere(mask).mean(axis=0)[::-1], 1.0])


@pytest.mark.parametrize(
    "scan",
    [
        pytest.param("ball", id="a phantom ball"),
        pytest.param("crown", id="only the crown of a head"),
    ],
)
def test_what_is_no_whole_head_is_refused(scan: str, head: Volume, atlas: Atlas) -> None:
    with pytest.raises(NotAssessable) as refused:
        place_atlas(a_ball() if scan == "ball" else crown_of(head), atlas, RegionLimits())
    assert refused.value.code in ("atlas_failed", "coverage")


def a_ball() -> Volume:
    index = np.indices((60, 60, 60)) - 29.5
    voxels = 100.0 * ((index**2).sum(axis=0) < 15**2)
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    return Volume(voxels.astype(np.float32), affine)


def crown_of(head: Volume) -> Volume:
    start = int(head.voxels.shape[0] * 0.8)
    affine = head.affine.copy()
    affine[:3, 3] += affine[:3, 2] * start
    return Volume(head.voxels[start:].copy(), affine)
