"""Restricted tissue on a toy head, where the exact border is known; the maps and the clusters by themselves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import scipy.ndimage as ndi

from tests.builders import TOY_NAMES, toy_labels
from triage.alignment.session import Session
from triage.diffusion.figures import ADC, ADC_CHANGE, GYRI, MASK, RESTRICTED, Anatomy, DiffusionLimits, restricted
from triage.diffusion.maps import DiffusionImages, TissueMaps, mid_sagittal_reflection, tissue_maps
from triage.diffusion.reference import LEFT, grossly_ill
from triage.diffusion.restriction import RestrictionLimits, _cores, _Judged, _shallow_factor, find_restriction
from triage.measurements import lookup
from triage.model import DiffusionFacts, Found, SequenceKind, Volume

SIZE, MM = 48, 2.0
AFFINE = np.diag([MM, MM, MM, 1.0])
COEFFICIENTS = {0: 0.0, 1: 720.0, 2: 720.0, 3: 850.0, 4: 850.0, 5: 760.0, 6: 760.0, 7: 740.0}
UNWEIGHTED = {0: 0.0, 1: 900.0, 2: 900.0, 3: 1200.0, 4: 1200.0, 5: 1000.0, 6: 1000.0, 7: 950.0}
LEFT_CORTEX = (slice(18, 28), slice(18, 28), slice(40, 44))  # 3.2 mL of cortex_frontal_left (left is at high i)
RIGHT_CORTEX = (slice(18, 28), slice(18, 28), slice(4, 8))
LEFT_AGAIN = (slice(34, 42), slice(30, 38), slice(40, 44))  # 2 mL, apart from the first
LEFT_WHITE = (slice(33, 39), slice(30, 38), slice(28, 36))  # 3.1 mL
PATCH_ML = 3.2

Patch = tuple[slice, slice, slice]


def a_session(
    *patches: Patch,
    ratio: float = 0.75,
    shine: float = 1.0,
    seed: int = 1,
    b: float = 1000.0,
    keep: str = "dab",
    texture: float = 0.05,
) -> Session:
    """A toy study.

    ratio: ADC inside the patches, of their tissue's. shine: factor on the signal without weighting there.
    keep: of d(wi), a(dc) and b(0), what the study holds.
    """
    labels, rng = toy_labels(SIZE), np.random.default_rng(seed)
    adc, unweighted = (np.take([table[n] for n in range(8)], labels) for table in (COEFFICIENTS, UNWEIGHTED))
    for patch in patches:
        adc[patch] *= ratio
        unweighted[patch] *= shine

    def noisy(values: npt.NDArray[Any], sd: float) -> Volume:
        return Volume((values * (1 + rng.normal(0, sd, labels.shape))).astype(np.float32), AFFINE)

    unweighted *= textured(rng, 1.2 * texture)
    adc *= textured(rng, texture)

    volumes = {
        SequenceKind.DWI: noisy(unweighted * np.exp(-b * 1e-6 * adc), 0.04),
        SequenceKind.ADC: noisy(adc, 0.04),
    }
    kept = {kind: v for kind, v in volumes.items() if kind.value[0] in keep}
    low = noisy(unweighted, 0.02) if "b" in keep else None
    facts = DiffusionFacts(b, 0.0 if low is not None else None)
    return Session(SequenceKind.DWI, kept, dict.fromkeys(kept, np.eye(4)), low, facts)


def textured(rng: np.random.Generator, sd: float) -> npt.NDArray[np.float64]:
    """Tissue is not uniform: factors around 1 that hold over some 4 mm, so that they outlast the smoothing."""
    field = ndi.gaussian_filter(rng.normal(size=(SIZE,) * 3), 1.0)
    return np.asarray(1 + sd * field / field.std())


def anatomy() -> Anatomy:
    return Anatomy(Volume(toy_labels(SIZE), AFFINE), dict(TOY_NAMES), np.eye(4))


def found_in(session: Session, baseline: Session | None = None) -> Found:
    return restricted(session, anatomy(), baseline, DiffusionLimits())


def ml(found: Found, region: str = "cortex") -> float | None:
    return lookup(found.measurements, region, RESTRICTED).value


@pytest.mark.parametrize(
    "keep", ["dab", "da", "db"], ids=["everything", "no image without weighting", "ADC from two b-values"]
)
def test_a_restricted_patch_is_found_on_its_side(keep: str) -> None:
    found = found_in(a_session(LEFT_CORTEX, keep=keep))
    assert ml(found) == pytest.approx(PATCH_ML, rel=0.3)
    assert ml(found, "cortex_frontal_left") == ml(found)
    assert ml(found, "cortex_frontal_right") == 0.0
    assert lookup(found.measurements, "cortex", GYRI).value == 1.0
    mask = found.masks[MASK]
    truth = np.zeros((SIZE,) * 3, bool)
    truth[LEFT_CORTEX] = True
    places = np.argwhere(mask.voxels == 1) @ (MM * np.eye(3)) + mask.affine[[2, 1, 0], 3]  # (k, j, i) mm
    hits = truth[tuple(np.round(places / MM).astype(int).T)]
    assert 2 * hits.sum() / (len(hits) + truth.sum()) > 0.8


def test_a_very_quiet_scan_hides_nothing() -> None:
    found = found_in(a_session(LEFT_CORTEX, texture=0.001))
    assert ml(found, "cortex_frontal_left") == pytest.approx(PATCH_ML, rel=0.5)


SMALL = (slice(20, 25), slice(20, 25), slice(39, 44))  # 1 mL


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [pytest.param(0.8, 1.0, id="a fifth slower"), pytest.param(0.9, 0.0, id="hardly slower")],
)
def test_a_small_patch_since_the_baseline_keeps_its_coefficient_and_its_size(ratio: float, expected: float) -> None:
    """Smoothed, four fifths of the ADC look like 0.87."""
    found = found_in(a_session(SMALL, ratio=ratio, texture=0.02), a_session(seed=2, texture=0.02))
    assert ml(found) == pytest.approx(expected, abs=0.25)


@pytest.mark.parametrize(
    ("ratio", "shine", "expected"),
    [
        pytest.param(0.75, 1.0, 1.0, id="a quarter slower"),
        pytest.param(0.93, 1.0, 0.0, id="hardly slower"),
        pytest.param(0.95, 1.4, 0.0, id="bright by T2"),
        pytest.param(1.0, 1.0, 0.0, id="noop"),
    ],
)
def test_a_small_patch_is_found_without_a_baseline(ratio: float, shine: float, expected: float) -> None:
    """Its seeds reach beyond it, so that their mean ADC says little; their core keeps it."""
    found = found_in(a_session(SMALL, ratio=ratio, shine=shine))
    assert ml(found) == pytest.approx(expected, abs=0.35)


def test_a_core_is_the_half_with_the_most_evidence() -> None:
    evidence, slow = np.array([[[5.0, 4.0, 1.0, 1.0]]]), np.log(np.array([[[0.7, 0.7, 1.0, 1.0]]]))
    judged = _Judged(evidence, None, None, slow, slow)
    assert _cores(judged, np.ones((1, 1, 4), np.int32)) == pytest.approx([np.log(0.7)])


LARGE = (slice(8, 40), slice(8, 40), slice(25, 45))  # 164 mL, two thirds of the left half
MIDDLE = (slice(14, 30), slice(14, 30), slice(30, 45))  # 31 mL of cortex and white matter


@pytest.mark.parametrize("ratio", [0.6, 0.7])
@pytest.mark.parametrize("with_baseline", [False, True], ids=["alone", "since the baseline"])
@pytest.mark.parametrize(("patch", "true_ml"), [(LARGE, 163.8), (MIDDLE, 30.7)], ids=["160 mL", "30 mL"])
def test_a_large_infarct_keeps_its_size(patch: Patch, true_ml: float, with_baseline: bool, ratio: float) -> None:
    """The statistics of a tissue of which a third is ill must not adapt to the illness."""
    found = found_in(a_session(patch, ratio=ratio), a_session(seed=2) if with_baseline else None)
    assert ml(found, "brain") == pytest.approx(true_ml, rel=0.25)
    labels = toy_labels(SIZE)[patch]
    assert ml(found) == pytest.approx(float((labels == 3).sum() + (labels == 4).sum()) * MM**3 / 1000, rel=0.3)


@pytest.mark.parametrize(
    ("patches", "ratio", "left_out"),
    [
        pytest.param((), 1.0, False, id="noop: healthy"),
        pytest.param((LEFT_CORTEX,), 0.7, False, id="noop: too small to move a median"),
        pytest.param((LARGE,), 1.3, False, id="oedema: fast"),
        pytest.param((LARGE,), 0.6, True, id="half a hemisphere"),
    ],
)
def test_only_large_slow_tissue_sets_no_statistics(patches: tuple[Patch, ...], ratio: float, left_out: bool) -> None:
    maps = maps_of(images_of(a_session(*patches, ratio=ratio)))
    ill = maps.tissue & ~maps.reference
    assert bool(ill.any()) is left_out
    if left_out:
        assert ill[LARGE].mean() > 0.95
        assert (maps.reference & (np.arange(SIZE) < SIZE // 2)).sum() > 20_000  # the other side stays


def test_without_a_side_to_compare_the_tissue_sets_its_own_level() -> None:
    """One side of each tissue hardly in view: nothing is left out."""
    rng = np.random.default_rng(3)
    log_adc = np.log(800.0 * rng.normal(1.0, 0.02, (12, 12, 12)))
    classes, sides = np.ones((12, 12, 12), np.uint8), np.full((12, 12, 12), LEFT, np.uint8)
    inside = np.ones((12, 12, 12), bool)
    assert not grossly_ill(0 * log_adc, log_adc, (classes, sides), inside, np.full(3, MM)).any()


@pytest.mark.parametrize(
    ("patches", "gyri", "left"),
    [
        pytest.param((LEFT_CORTEX, RIGHT_CORTEX), 2.0, PATCH_ML, id="both sides alike"),
        pytest.param((LEFT_CORTEX, LEFT_AGAIN), 2.0, 5.2, id="two gyri of one side"),
    ],
)
def test_two_places(patches: tuple[Patch, ...], gyri: float, left: float) -> None:
    found = found_in(a_session(*patches))
    assert lookup(found.measurements, "cortex", GYRI).value == gyri
    assert ml(found, "cortex_frontal_left") == pytest.approx(left, rel=0.3)


@pytest.mark.parametrize(
    "session",
    [
        pytest.param(a_session(), id="nothing there"),
        pytest.param(a_session(seed=2, keep="db"), id="nothing there, computed map"),
        pytest.param(a_session(LEFT_CORTEX, ratio=1.0, shine=1.4), id="T2 shine-through"),
        pytest.param(a_session(LEFT_CORTEX, ratio=1.3, shine=1.6), id="oedema: bright and fast"),
        pytest.param(a_session(LEFT_CORTEX, ratio=0.75, shine=0.7), id="slow but dark: iron"),
    ],
)
def test_not_restricted(session: Session) -> None:
    found = found_in(session)
    assert (ml(found), ml(found, "brain")) == (0.0, 0.0)
    assert lookup(found.measurements, "cortex", GYRI).value == 0.0
    assert not found.masks[MASK].voxels.any()


def test_restricted_white_matter_is_not_cortex() -> None:
    found = found_in(a_session(LEFT_WHITE, ratio=0.7))
    assert ml(found) == 0.0
    assert ml(found, "brain") == ml(found, "white_matter_left") == pytest.approx(3.1, rel=0.3)


def test_equal_b_values_make_no_map() -> None:
    session = replace(a_session(keep="db"), diffusion=DiffusionFacts(1000.0, 1000.0))
    figure = lookup(found_in(session).measurements, "cortex", RESTRICTED)
    assert (figure.value, (figure.reason or "")[:6]) == (None, "no_adc")


def test_images_outside_the_head_are_not_measured() -> None:
    far = AFFINE.copy()
    far[:3, 3] = 500.0
    session = a_session(LEFT_CORTEX)
    moved = {kind: Volume(v.voxels, far) for kind, v in session.volumes.items()}
    found = found_in(replace(session, volumes=moved, dwi_b0=None))
    assert lookup(found.measurements, "cortex", RESTRICTED).value is None
    assert "no_tissue" in (lookup(found.measurements, "cortex", RESTRICTED).reason or "")


def test_lobes_out_of_view_are_not_measured_but_the_rest_is() -> None:
    found = found_in(a_session())
    missing = lookup(found.measurements, "cortex_insula_left", RESTRICTED)
    assert (missing.value, (missing.reason or "")[:14]) == (None, "region_missing")


def test_regional_coefficients_and_their_change() -> None:
    slower = found_in(a_session((slice(None),) * 3, ratio=0.85), a_session(seed=2))
    thalamus = lookup(slower.measurements, "thalamus_left", ADC)
    assert thalamus.value == pytest.approx(0.85 * 760, rel=0.03)
    assert lookup(slower.measurements, "thalamus_left", ADC_CHANGE).value == pytest.approx(-15.0, abs=3.0)


def test_fine_pixels_and_a_wide_field_of_view_change_nothing() -> None:
    session = a_session(LEFT_CORTEX)

    def finer(volume: Volume) -> Volume:
        voxels = np.pad(volume.voxels, ((0, 0), (20, 20), (20, 20))).repeat(2, axis=1).repeat(2, axis=2)
        affine = np.diag([MM / 2, MM / 2, MM, 1.0])
        affine[:2, 3] = -20 * MM - MM / 4
        return Volume(voxels, affine)

    low = None if session.dwi_b0 is None else finer(session.dwi_b0)
    fine = replace(session, volumes={k: finer(v) for k, v in session.volumes.items()}, dwi_b0=low)
    assert ml(found_in(fine)) == pytest.approx(ml(found_in(session)), rel=0.15)


# -- maps and clusters by themselves ---------------------------------------------------------------


def images_of(session: Session) -> DiffusionImages:
    dwi, adc = (session.volumes[kind].voxels for kind in (SequenceKind.DWI, SequenceKind.ADC))
    b0 = None if session.dwi_b0 is None else session.dwi_b0.voxels
    return DiffusionImages(dwi, adc, toy_labels(SIZE), dict(TOY_NAMES), AFFINE, b0)


def maps_of(images: DiffusionImages) -> TissueMaps:
    maps = tissue_maps(images)
    assert maps is not None
    return maps


def test_maps_that_are_not_finite_are_refused() -> None:
    """Every comparison with such a value is False: a silent negative."""
    maps = maps_of(images_of(a_session()))
    with pytest.raises(ValueError, match="bright"):
        replace(maps, bright=np.where(maps.tissue, np.nan, maps.bright))


def test_maps_are_log_ratios_to_the_own_tissue() -> None:
    maps = maps_of(images_of(a_session(LEFT_CORTEX)))
    assert np.median(maps.slow[LEFT_CORTEX]) == pytest.approx(np.log(0.75), abs=0.06)
    assert np.median(maps.slow[RIGHT_CORTEX]) == pytest.approx(0.0, abs=0.06)
    assert np.median(maps.bright[LEFT_CORTEX]) > np.median(maps.bright[RIGHT_CORTEX]) + 0.1
    assert not maps.tissue[toy_labels(SIZE) == 0].any()
    assert maps.depth_mm[24, 24, 44] < maps.depth_mm[24, 24, 41]


def test_the_mirror_plane_is_the_middle_of_the_regions() -> None:
    reflection = mid_sagittal_reflection(toy_labels(SIZE), dict(TOY_NAMES), AFFINE)
    assert reflection is not None
    here = np.array([80.0, 40.0, 40.0, 1.0])
    np.testing.assert_allclose(reflection @ here, [MM * (SIZE - 1) - 80.0, 40.0, 40.0, 1.0], atol=0.3)
    np.testing.assert_allclose(reflection @ reflection, np.eye(4), atol=1e-9)


def test_one_sided_regions_have_no_mirror_plane() -> None:
    labels = np.where(toy_labels(SIZE) == 7, 7, 0).astype(np.uint8)
    assert mid_sagittal_reflection(labels, dict(TOY_NAMES), AFFINE) is None


def test_clusters_are_numbered_by_size_and_carry_their_region() -> None:
    maps = maps_of(images_of(a_session(LEFT_AGAIN, RIGHT_CORTEX)))
    found = find_restriction(maps, None, RestrictionLimits())
    sizes = np.bincount(found.clusters.ravel())[1:]
    assert list(sizes) == sorted(sizes, reverse=True)
    assert len(sizes) == 2
    assert found.cortical == (1, 2)
    assert set(np.unique(found.regions[found.clusters == 1])) == {4}
    assert set(np.unique(found.regions[found.clusters == 2])) == {3}


@pytest.mark.parametrize("void", [False, True])
def test_nothing_is_found_beside_a_signal_void(void: bool) -> None:
    patch = (slice(18, 28), slice(24, 38), slice(40, 43))
    images = images_of(a_session(patch))
    if void:  # from outside the head down to the patch, as over a sinus
        gone = np.ones(images.dwi.shape, np.float32)
        gone[14:32, 20:, 36:40] = 0.0
        images = replace(images, dwi=images.dwi * gone, adc=images.adc * gone, b0=None)
    found = find_restriction(maps_of(images), None, RestrictionLimits())
    assert bool(found.zone[24, 30, 40]) is void
    assert bool(found.clusters.any()) is not void


@pytest.mark.parametrize(
    ("share", "alone", "factor"),
    [
        pytest.param(0.4, True, 1.0, id="deep: no more than anywhere"),
        pytest.param(0.65, True, 2.5, id="half-way, without a baseline"),
        pytest.param(0.9, True, 4.0, id="flat along the rim"),
        pytest.param(0.65, False, 1.0, id="half-way, with a baseline"),
        pytest.param(0.9, False, 4.0, id="flat along the rim, with a baseline"),
    ],
)
def test_what_lies_along_the_rim_needs_more_mass(share: float, alone: bool, factor: float) -> None:
    found = _shallow_factor(np.array([share]), RestrictionLimits(), alone)
    assert found[0] == pytest.approx(factor)
