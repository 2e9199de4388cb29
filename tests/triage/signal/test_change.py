"""Figures of regions: as large as the change that was made, with a side, a spread, and a reason when there is none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import TOY_NAMES, a_measurement, swapped_names, toy_grid, toy_labels, toy_scan
from triage.alignment.grid import Grid
from triage.alignment.normalisation import common_scale
from triage.alignment.slices import SlicePair, SliceStack
from triage.measurements import lookup, percent
from triage.model import Mask, Measurement
from triage.signal.change import (
    CHANGE_REGIONS,
    MeasurementLimits,
    flair_changes,
    flair_ratios,
    local_drift,
    pair_drift,
    volumes,
)

LABELS = toy_labels()
WITHOUT_THALAMUS = np.where(LABELS == 5, 0, LABELS).astype(np.uint8)
HALF_A_PONS = np.where((LABELS == 7) & (np.arange(48) < 20), 1, LABELS).astype(np.uint8)
UPPER = np.arange(48)[:, None, None] * np.ones_like(LABELS) > 16
BASELINE, FOLLOWUP = toy_scan(LABELS, seed=1), toy_scan(LABELS, seed=2)
LIMITS = MeasurementLimits(pseudo_regions=12)  # fewer: quicker
Change = dict[str, float]


def with_change(change: Change, scan: npt.NDArray[np.float32] = FOLLOWUP) -> npt.NDArray[np.float32]:
    out = scan.copy()
    for label, name in TOY_NAMES.items():
        out[label == LABELS] *= np.float32(1 + change.get(name, 0.0) / 100)
    return out


def measured(
    followup: npt.NDArray[np.float32], grid: Grid | None = None, limits: MeasurementLimits = LIMITS
) -> tuple[Measurement, ...]:
    grid = grid or toy_grid(LABELS)
    scale = common_scale(followup, BASELINE, grid.labels, grid.names, grid.seen)
    return flair_changes(scale, grid, limits)


def value(found: tuple[Measurement, ...], region: str, quantity: str = "flair_change_percent") -> float:
    figure = lookup(found, region, quantity).value
    assert figure is not None, lookup(found, region, quantity).reason
    return figure


def test_nothing_changed() -> None:
    found = measured(FOLLOWUP)
    for region in ("thalamus_left", "thalamus_right", "pons"):
        assert value(found, region) == pytest.approx(0.0, abs=0.5)
    assert value(found, "white_matter_left", "raised_fraction_percent") == pytest.approx(0.0, abs=0.5)


@pytest.mark.parametrize("rise", [-15.0, 10.0, 25.0])
@pytest.mark.parametrize("quantity", ["flair_change_percent", "flair_change_far_percent"])
def test_a_rise_is_measured_where_it_is(rise: float, quantity: str) -> None:
    found = measured(with_change({"thalamus_left": rise, "pons": 2 * rise}))
    assert value(found, "thalamus_left", quantity) == pytest.approx(rise, abs=0.8)
    assert value(found, "thalamus_right", quantity) == pytest.approx(0.0, abs=0.8)
    assert value(found, "pons", quantity) == pytest.approx(2 * rise, abs=0.8)


def test_each_figure_says_what_it_was_measured_against() -> None:
    found = measured(FOLLOWUP)
    assert lookup(found, "thalamus_left", "flair_change_percent").reason == "reference: near"
    assert lookup(found, "white_matter_left", "flair_change_percent").reason == "reference: far"
    assert lookup(found, "pons", "flair_change_percent").baseline_value == pytest.approx(1.05, abs=0.01)


@given(one=st.floats(0.05, 20))
@settings(max_examples=2, deadline=None)
def test_scaling_a_scan_changes_no_figure(one: float) -> None:
    followup = with_change({"thalamus_left": 12.0})
    plain, scaled = measured(followup), measured(followup * np.float32(one))
    for before, after in zip(plain, scaled, strict=True):
        assert (before.region, before.quantity) == (after.region, after.quantity)
        assert after.value == (None if before.value is None else pytest.approx(before.value, abs=0.05))


def test_swapping_left_and_right_swaps_the_result() -> None:
    """The same voxels with the names of the sides exchanged, and the same scan mirrored."""
    followup = with_change({"thalamus_left": 20.0, "thalamus_right": 5.0, "white_matter_left": 3.0})
    plain = measured(followup)
    swapped = measured(followup, replace(toy_grid(LABELS), names=swapped_names()))
    other = {"left": "right", "right": "left"}
    assert value(plain, "thalamus_left") > value(plain, "thalamus_right") + 10
    for m in plain:
        stem, _, side = m.region.rpartition("_")
        twin = lookup(swapped, f"{stem}_{other[side]}" if side in other else m.region, m.quantity)
        assert twin.value == (None if m.value is None else pytest.approx(m.value))


@pytest.mark.parametrize(
    ("grid", "region", "code"),
    [
        pytest.param(toy_grid(WITHOUT_THALAMUS), "thalamus_left", "region_missing", id="gone"),
        pytest.param(replace(toy_grid(LABELS), seen=UPPER), "pons", "coverage", id="cut"),
        pytest.param(toy_grid(HALF_A_PONS), "midbrain", "region_missing", id="never labelled"),
    ],
)
def test_what_cannot_be_measured_says_why(grid: Grid, region: str, code: str) -> None:
    found = measured(FOLLOWUP, grid)
    for quantity in ("flair_change_percent", "flair_change_far_percent", "flair_change_p95_percent"):
        figure = lookup(found, region, quantity)
        assert not figure.assessable
        assert (figure.reason or "").startswith(code)


def test_a_region_without_a_core_is_too_small() -> None:
    thin = LABELS.copy()
    thin[LABELS == 7] = 1
    thin[12:14, 22:26, 22:26] = 7
    figure = lookup(measured(FOLLOWUP, toy_grid(thin)), "pons", "flair_change_percent")
    assert (figure.reason or "").startswith("too_small")


def test_every_region_has_every_figure() -> None:
    found = measured(FOLLOWUP)
    names = [(m.region, m.quantity) for m in found]
    assert len(names) == len(set(names))
    for region in CHANGE_REGIONS:
        assert (region, "flair_change_percent") in names


def test_the_upper_tail_shows_a_part_that_rises() -> None:
    """A tenth of the thalamus rises by 40 %: the median stays, the 95th percentile does not."""
    followup = FOLLOWUP.copy()
    part = (LABELS == 5) & (np.arange(48)[:, None, None] >= 31)
    followup[part] *= np.float32(1.4)
    found = measured(followup)
    assert value(found, "thalamus_left") == pytest.approx(0.0, abs=1.0)
    assert (
        value(found, "thalamus_left", "flair_change_p95_percent")
        > value(found, "thalamus_right", "flair_change_p95_percent") + 10
    )


def test_raised_white_matter_is_counted_on_its_side() -> None:
    followup = FOLLOWUP.copy()
    lesion = (LABELS == 1) & (np.arange(48)[:, None, None] < 16) & (np.arange(48)[None, :, None] > 26)
    followup[lesion] *= np.float32(1.3)
    found = measured(followup)
    share = 100 * lesion.sum() / (LABELS == 1).sum()
    assert value(found, "white_matter_left", "raised_fraction_percent") == pytest.approx(share, rel=0.5)
    assert value(found, "white_matter_right", "raised_fraction_percent") == pytest.approx(0.0, abs=0.5)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param({"thalamus_left": 20.0, "thalamus_right": 20.0}, 1.0, id="alike"),
        pytest.param({"thalamus_left": 20.0, "thalamus_right": 10.0}, 0.5, id="half"),
        pytest.param({"thalamus_left": 20.0, "thalamus_right": -10.0}, 0.0, id="one falls"),
    ],
)
def test_symmetry(change: Change, expected: float) -> None:
    assert value(measured(with_change(change)), "thalami", "symmetry") == pytest.approx(expected, abs=0.08)


def test_symmetry_needs_both_sides() -> None:
    one_side = toy_grid(np.where(LABELS == 5, 0, LABELS).astype(np.uint8))
    assert not lookup(measured(FOLLOWUP, one_side), "thalami", "symmetry").assessable


def restless(seed: int) -> npt.NDArray[np.float32]:
    """A follow-up with patches of 6 % at places that nobody suspects."""
    patches = np.kron(np.random.default_rng(seed).normal(0, 0.06, (6, 6, 6)), np.ones((8, 8, 8)))
    return FOLLOWUP * (1 + patches.astype(np.float32))


def drift_of(followup: npt.NDArray[np.float32]) -> float:
    grid = toy_grid(LABELS)
    return pair_drift(common_scale(followup, BASELINE, grid.labels, grid.names, grid.seen), grid, MeasurementLimits())


def test_the_spread_of_the_pair_follows_what_is_in_it() -> None:
    """Such patches make every figure less certain; noise alone does not."""
    quiet = drift_of(FOLLOWUP)
    assert quiet < 0.5
    assert drift_of(restless(7)) > 3 * quiet
    assert drift_of(FOLLOWUP) == quiet, "the same places every time"


def test_the_uncertainty_of_a_region_is_the_spread_around_it() -> None:
    """In the middle of many pairs that of the whole pair: where patches lie differs."""
    found = []
    for seed in range(12):
        figure = lookup(measured(restless(seed)), "pons", "flair_change_percent")
        assert figure.uncertainty is not None
        found.append(figure.uncertainty / (LIMITS.drift.pons_different * drift_of(restless(seed))))
    assert np.median(found) == pytest.approx(1.0, abs=0.25)


@pytest.mark.parametrize(
    ("region", "same", "factor"),
    [
        ("thalamus_right", True, "thalami_same"),
        ("medulla", False, "medulla_different"),
        ("external_extreme_capsule_left", True, "capsules_same"),
        ("white_matter_left", False, "white_different"),
    ],
)
def test_the_spread_of_a_kind_of_region_is_its_own(region: str, same: bool, factor: str) -> None:
    assert LIMITS.drift.of(region, same=same) == getattr(LIMITS.drift, factor)


def test_a_figure_is_more_certain_in_the_same_protocol() -> None:
    grid = toy_grid(LABELS)
    scale = common_scale(FOLLOWUP, BASELINE, grid.labels, grid.names, grid.seen)
    same, other = (lookup(flair_changes(scale, grid, LIMITS, same_protocol=same), "pons", "flair_change_percent")
                   for same in (True, False))  # fmt: skip
    assert same.value == other.value
    assert same.uncertainty is not None
    assert other.uncertainty is not None
    assert LIMITS.floor_percent < same.uncertainty < other.uncertainty


@pytest.mark.parametrize(
    ("region", "floor"),
    [
        pytest.param("medulla", LIMITS.medulla_floor_percent, id="moves between real visits"),
        pytest.param("pons", LIMITS.floor_percent, id="no floor of its own"),
        pytest.param("midbrain", None, id="not measured"),
    ],
)
def test_a_quiet_pair_is_no_more_certain_of_the_medulla_than_real_visits(region: str, floor: float | None) -> None:
    """The spheres of a pair scanned again are quiet; the medulla of two real visits is not."""
    names = {**TOY_NAMES, 7: region} if floor is not None else TOY_NAMES
    grid = replace(toy_grid(LABELS), names=names)
    scale = common_scale(FOLLOWUP, BASELINE, grid.labels, grid.names, grid.seen)
    without = replace(LIMITS, floor_percent=0.0, medulla_floor_percent=0.0)
    said, bare = (lookup(flair_changes(scale, grid, limits), region, "flair_change_percent").uncertainty
                  for limits in (LIMITS, without))  # fmt: skip
    if floor is None:
        assert said is None
    else:
        assert said == pytest.approx(np.hypot(bare or 0.0, floor))


def slices(known: Mask | None = None) -> SlicePair:
    """SlicePair of 4 mm along k; known: whose gain is known."""
    place = np.broadcast_to(np.arange(48, dtype=np.float32)[:, None, None] / 2, LABELS.shape)
    stack = SliceStack(place.astype(np.float32), 2, 1, 24, 4.0)
    return SlicePair((stack, stack), np.ones(LABELS.shape, dtype=bool) if known is None else known)


def test_the_spread_is_that_of_the_same_level() -> None:
    """Only the lower half is restless: what is measured there is less certain than what is measured above."""
    rng = np.random.default_rng(7)
    patches = np.kron(rng.normal(0, 0.08, (6, 6, 6)), np.ones((8, 8, 8))).astype(np.float32)
    grid = toy_grid(LABELS)
    followup = FOLLOWUP * np.where(UPPER, 1, 1 + patches).astype(np.float32)
    scale = common_scale(followup, BASELINE, grid.labels, grid.names, grid.seen)
    limits = MeasurementLimits(alike_mm=6.0)
    drift = local_drift(scale, grid, limits, slices())
    low, high = (np.zeros(LABELS.shape, dtype=bool) for _ in range(2))
    low[10:14, 20:28, 20:28], high[34:38, 20:28, 20:28] = True, True
    assert drift.of(low) > 1.5 * drift.of(high)


def test_a_region_in_slices_of_unknown_gain_is_not_measured() -> None:
    grid = toy_grid(LABELS)
    scale = common_scale(FOLLOWUP, BASELINE, grid.labels, grid.names, grid.seen)
    found = flair_changes(scale, grid, LIMITS, slices(LABELS != 7))
    assert (lookup(found, "pons", "flair_change_percent").reason or "").startswith("slice_gain: ")
    assert lookup(found, "thalamus_left", "flair_change_percent").assessable


def test_without_places_to_compare_the_spread_is_wide() -> None:
    grid = toy_grid(LABELS)
    scale = common_scale(FOLLOWUP, BASELINE, grid.labels, grid.names, grid.seen)
    assert pair_drift(replace(scale, reference=np.zeros_like(scale.reference)), grid, LIMITS) == 5.0


# -- single scans ----------------------------------------------------------------------------------


@given(gain=st.floats(0.1, 50))
@settings(max_examples=5, deadline=None)
def test_ratios_to_white_matter_do_not_depend_on_gain(gain: float) -> None:
    found = flair_ratios(BASELINE * np.float32(gain), LABELS, TOY_NAMES)
    assert value(found, "thalamus_left", "flair_ratio") == pytest.approx(1.15, abs=0.01)
    assert value(found, "pons", "flair_ratio") == pytest.approx(1.05, abs=0.01)
    assert (lookup(found, "medulla", "flair_ratio").reason or "").startswith("region_missing")


def test_ratios_need_white_matter() -> None:
    found = flair_ratios(BASELINE, np.where(np.isin(LABELS, (1, 2)), 0, LABELS).astype(np.uint8), TOY_NAMES)
    assert len(found) == len(CHANGE_REGIONS)
    assert all((m.reason or "").startswith("no_reference_tissue") for m in found)


def test_volumes_are_counts() -> None:
    found = volumes(LABELS, {**TOY_NAMES, 9: "medulla"}, 0.008)
    for label, name in TOY_NAMES.items():
        assert value(found, name, "volume_ml") == pytest.approx((label == LABELS).sum() * 0.008)
    assert not lookup(found, "medulla", "volume_ml").assessable


@given(change=st.floats(-0.9, 3))
def test_percent_of_a_log_ratio(change: float) -> None:
    assert percent(float(np.log1p(change))) == pytest.approx(100 * change, abs=1e-9)


def test_lookup_never_leaves_a_hole() -> None:
    figure = a_measurement("pons", 3.0)
    assert lookup((figure,), "pons", "flair_change_percent") is figure
    assert not lookup((figure,), "medulla", "flair_change_percent").assessable
    assert not lookup((figure,), "pons", "symmetry").assessable
