"""Focal changes: a place that became brighter than its surroundings did is found, and each harmless cause is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import scipy.ndimage as ndi

from tests.builders import TOY_NAMES, rigid, toy_grid, toy_labels, toy_scan
from triage.alignment.comparison import Pair
from triage.alignment.images import to_sitk
from triage.alignment.normalisation import CommonScale, common_scale
from triage.lesions.candidates import candidates
from triage.lesions.focal import focal_changes
from triage.lesions.limits import LesionLimits
from triage.measurements import lookup
from triage.model import Found, Mask, Presence, ProtocolMatch, Volume
from triage.patterns.focal_white_matter import FocalWhiteMatterLimits, detect

Array = npt.NDArray[Any]
LIMITS = LesionLimits()
SPACING_MM = 2.0
# follow-up and baseline lie apart by twice this
TO_HALF_WAY = rigid((0, 0, 0), (1.0, -2.0, 3.0))
LESION = (24, 14, 14)  # (k, j, i) in the right white matter


def a_pair(change: Callable[[Array], Array] = lambda scan: scan, *, noise: float = 0.01) -> Pair:
    labels = toy_labels()
    grid = toy_grid(labels, SPACING_MM)
    baseline, followup = toy_scan(labels, seed=1, noise=noise), change(toy_scan(labels, seed=2, noise=noise))
    scale = common_scale(followup, baseline, labels, grid.names, grid.seen)
    affine = np.diag([SPACING_MM, SPACING_MM, SPACING_MM, 1.0])
    return Pair(grid, to_sitk(Volume(labels, affine)), scale, TO_HALF_WAY)


def ball(centre: tuple[int, int, int], radius_mm: float, shape: tuple[int, ...] = (48,) * 3) -> Mask:
    away = sum((a - c) ** 2 for a, c in zip(np.ogrid[tuple(slice(0, n) for n in shape)], centre, strict=True))
    return np.asarray(away * SPACING_MM**2 <= radius_mm**2)


def brighter(mask: Mask, percent: float) -> Callable[[Array], Array]:
    return lambda scan: np.where(mask, scan * (1 + percent / 100), scan).astype(np.float32)


def region(name: str) -> Mask:
    label = next(label for label, known in TOY_NAMES.items() if known == name)
    return np.asarray(toy_labels() == label)


def found_in(pair: Pair, chronic: Volume | None = None, **changes: Any) -> Found:
    limits = replace(LIMITS, **changes)
    return focal_changes(pair, candidates(pair, chronic, limits), None, limits)


def value(found: Found, quantity: str) -> float | None:
    return lookup(found.measurements, "brain", quantity).value


# -- what is found ---------------------------------------------------------------------------------


def test_a_new_lesion_has_its_volume_site_and_place() -> None:
    mask = ball(LESION, 6.0)
    found = found_in(a_pair(brighter(mask, 40)))
    (lesion,) = found.lesions
    assert lesion.kind == "new"
    assert lesion.site == "white_matter_right"
    assert lesion.volume_ml == pytest.approx(mask.sum() * SPACING_MM**3 / 1000, rel=0.35)
    assert lesion.change_percent == pytest.approx(40, abs=12)
    assert lesion.enhancing_volume_ml is None
    assert lesion.prior_injury_mm is None
    # voxel (k, j, i) -> half-way LPS mm -> follow-up LPS mm
    assert lesion.centre_lps_mm == pytest.approx((28 - 1, 28 + 2, 48 - 3), abs=1.0)
    assert value(found, "lesion_count") == 1
    assert value(found, "lesion_volume_ml") == pytest.approx(lesion.volume_ml)
    assert value(found, "largest_lesion_ml") == pytest.approx(lesion.volume_ml)
    assert value(found, "lesions_at_prior_injury") is None, "the old lesions of the baseline are not known"


def test_the_mask_carries_the_numbers_and_the_largest_comes_first() -> None:
    small, large = ball(LESION, 5.0), ball((24, 34, 34), 8.0)
    found = found_in(a_pair(lambda s: brighter(large, 30)(brighter(small, 50)(s))))
    labels = found.masks["new_lesions"].voxels
    assert [one.number for one in found.lesions] == [1, 2]
    assert set(np.unique(labels[large])) <= {0, 1}
    assert labels[24, 34, 34] == 1
    assert labels[LESION] == 2


@pytest.mark.parametrize("where", [pytest.param((14, 24, 24), id="pons"), pytest.param((28, 24, 31), id="thalamus")])
def test_a_focal_lesion_in_deep_tissue_is_found(where: tuple[int, int, int]) -> None:
    found = found_in(a_pair(brighter(ball(where, 5.0), 40)))
    assert len(found.lesions) == 1


def test_scaling_a_scan_changes_nothing() -> None:
    change = brighter(ball(LESION, 6.0), 40)
    one, other = found_in(a_pair(change)), found_in(a_pair(lambda s: 3.5 * change(s)))
    assert np.array_equal(one.masks["new_lesions"].voxels, other.masks["new_lesions"].voxels)


# -- T2 beside FLAIR -------------------------------------------------------------------------------


OLD = ball(LESION, 5.0)  # a lesion at both dates, a little brighter on FLAIR at the second


def t2_of(change: Callable[[Array], Array]) -> CommonScale:
    labels = toy_labels()
    followup, baseline = change(toy_scan(labels, seed=12, noise=0.01)), toy_scan(labels, seed=11, noise=0.01)
    return common_scale(followup, baseline, labels, TOY_NAMES, np.ones(labels.shape, dtype=bool))


AROUND = np.abs(np.arange(OLD.shape[0]) - LESION[0])[:, None, None] <= 8  # a third of the slices
T2_CASES = [
    pytest.param(brighter(OLD, 20), True, 1, id="T2 rises with it"),
    pytest.param(lambda scan: scan, True, 0, id="T2 does not: another FLAIR contrast"),
    pytest.param(brighter(OLD, -20), True, 0, id="T2 falls"),
    pytest.param(brighter(OLD, 20), False, 0, id="T2 is not in view there"),
    pytest.param(None, True, 0, id="no T2"),
    pytest.param(brighter(OLD, 20), AROUND, 1, id="T2 is a slab, and rises there"),
    pytest.param(brighter(OLD, 1.5), AROUND, 0, id="T2 is a slab, and rises less than its noise"),
]


@pytest.mark.parametrize(("t2_change", "seen", "count"), T2_CASES)
def test_a_faint_rise_counts_when_t2_rises_too(
    t2_change: Callable[[Array], Array] | None, seen: bool | Mask, count: int
) -> None:
    pair = _old_lesion_pair(brighter(OLD, 10))
    t2 = None if t2_change is None else (t2_of(t2_change), np.broadcast_to(seen, OLD.shape))
    found = focal_changes(pair, candidates(pair, None, LIMITS, t2=t2), None, LIMITS)
    assert len(found.lesions) == count
    assert all(one.kind == "enlarging" for one in found.lesions)


def test_t2_takes_nothing_away_and_counts_nothing_twice() -> None:
    pair = a_pair(brighter(OLD, 40))
    alone = focal_changes(pair, candidates(pair, None, LIMITS), None, LIMITS)
    for t2_change in (brighter(OLD, 40), brighter(OLD, -40)):
        both = candidates(pair, None, LIMITS, t2=(t2_of(t2_change), np.full(OLD.shape, True)))
        assert focal_changes(pair, both, None, LIMITS).lesions == alone.lesions


def test_t2_alone_is_no_lesion_of_flair() -> None:
    pair = a_pair()
    both = candidates(pair, None, LIMITS, t2=(t2_of(brighter(OLD, 40)), np.full(OLD.shape, True)))
    assert both.clusters == ()


def _old_lesion_pair(change: Callable[[Array], Array]) -> Pair:
    """A pair with an old lesion at OLD on both dates, changed at the second."""
    old = brighter(OLD, 25)
    pair, labels = a_pair(), toy_labels()
    baseline, followup = (old(toy_scan(labels, seed=seed, noise=0.01)) for seed in (1, 2))
    scale = common_scale(change(followup), baseline, labels, pair.grid.names, pair.grid.seen)
    return replace(pair, scale=scale)


# -- what is not -----------------------------------------------------------------------------------


def _shifted(scan: Array) -> Array:
    return np.asarray(ndi.shift(scan, (0.6, 0.4, 0.5), order=1, mode="nearest"), dtype=np.float32)


HARMLESS = [
    pytest.param(lambda s: s, id="nothing but noise"),
    pytest.param(_shifted, id="half a voxel of misregistration"),
    pytest.param(brighter(region("thalamus_left") | region("thalamus_right"), 25), id="both thalami as a whole"),
    pytest.param(brighter(region("pons"), 25), id="the pons as a whole"),
    pytest.param(brighter(ball(LESION, 8.0), -35), id="a place that became darker"),
    pytest.param(brighter(ball(LESION, 1.0), 60), id="smaller than 0.1 mL"),
    pytest.param(brighter(ball(LESION, 7.0), 8), id="a rise below the limit"),
    pytest.param(brighter(ball((24, 13, 14), 9.0) | ball((24, 13, 33), 9.0), 25), id="large and alike on both sides"),
    pytest.param(brighter(region("white_matter_left") | region("white_matter_right"), 30), id="all white matter"),
    pytest.param(brighter(region("cortex_frontal_left"), 30), id="cortex of one side"),
]


@pytest.mark.parametrize("change", HARMLESS)
def test_no_lesion(change: Callable[[Array], Array]) -> None:
    found = found_in(a_pair(change))
    assert found.lesions == ()
    assert value(found, "lesion_count") == 0
    assert not found.masks["new_lesions"].voxels.any(), "measured, so the mask is there, and empty"


def test_a_symmetric_change_is_told() -> None:
    change = brighter(ball((24, 13, 14), 9.0) | ball((24, 13, 33), 9.0), 25)
    assert any("both sides" in notice for notice in found_in(a_pair(change)).notices)


def test_a_scanner_of_another_field_strength_needs_larger_lesions() -> None:
    pair = a_pair(brighter(ball(LESION, 3.6), 60))
    limits = replace(LIMITS, volume_other_field_ml=0.5)
    same, other = (candidates(pair, None, limits, other_field=differs) for differs in (False, True))
    assert len(focal_changes(pair, same, None, LIMITS).lesions) == 1
    assert focal_changes(pair, other, None, LIMITS).lesions == ()


def test_an_enhancing_lesion_may_be_smaller() -> None:
    pair = a_pair(brighter(ball(LESION, 3.6), 60))
    small = candidates(pair, None, replace(LIMITS, volume_ml=5.0))
    enhancing = ball(LESION, 3.0)
    assert focal_changes(pair, small, np.zeros_like(enhancing), LIMITS).lesions == ()
    (lesion,) = focal_changes(pair, small, enhancing, LIMITS).lesions
    assert lesion.enhancing_volume_ml is not None
    assert lesion.enhancing_volume_ml > 0


def test_white_matter_out_of_view_is_said() -> None:
    pair = a_pair()
    pair.grid.seen[:, :20] = False
    found = found_in(pair)
    assert {m.quantity for m in found.measurements} == {
        "lesion_count", "lesion_volume_ml", "largest_lesion_ml", "lesions_at_prior_injury",
    }  # fmt: skip
    assert all(not m.assessable and (m.reason or "").startswith("coverage") for m in found.measurements)
    assert not found.masks


# -- history ---------------------------------------------------------------------------------------


def chronic_at(centre: tuple[int, int, int], radius_mm: float = 4.0) -> Volume:
    """An old lesion in baseline space: half-way points + the shift."""
    affine = np.diag([SPACING_MM, SPACING_MM, SPACING_MM, 1.0])
    affine[:3, 3] = TO_HALF_WAY[:3, 3]
    return Volume(ball(centre, radius_mm).astype(np.uint8), affine)


@pytest.mark.parametrize(
    ("old", "kind", "near"),
    [
        pytest.param((24, 14, 14), "enlarging", 1, id="on an old lesion"),
        pytest.param((24, 14, 19), "new", 1, id="beside an old lesion"),
        pytest.param((24, 34, 34), "new", 0, id="far from it"),
    ],
)
def test_prior_injury(old: tuple[int, int, int], kind: str, near: int) -> None:
    found = found_in(a_pair(brighter(ball(LESION, 5.0), 45)), chronic_at(old, 3.0))
    (lesion,) = found.lesions
    assert lesion.prior_injury_mm is not None
    assert lesion.kind == kind
    assert value(found, "lesions_at_prior_injury") == near


# -- a contrast agent between the dates ------------------------------------------------------------

DEEP = ball(LESION, 5.0)
AGENT_CASES = [
    pytest.param(False, DEEP, None, None, 1, id="noop: no agent"),
    pytest.param(False, OLD, None, OLD, 1, id="noop: no agent, enhancing"),
    pytest.param(True, DEEP, None, None, 1, id="deep tissue, where nothing enhances in everybody"),
    pytest.param(True, DEEP, None, DEEP, None, id="it enhances on T1"),
    pytest.param(True, DEEP, None, ball(LESION, 1.0), 1, id="one voxel of it enhances"),
    pytest.param(True, DEEP, None, ball(LESION, 3.0), 1, id="its core enhances"),
    pytest.param(True, DEEP, 0.0, None, None, id="T2 does not rise"),
    pytest.param(True, DEEP, 20.0, DEEP, 1, id="T2 rises"),
]


@pytest.mark.parametrize(("agent", "place", "t2_percent", "lit", "count"), AGENT_CASES)
def test_what_an_agent_brightens_is_no_new_lesion(
    agent: bool, place: Mask, t2_percent: float | None, lit: Mask | None, count: int | None
) -> None:
    """count None: a lesion may hide behind the agent, so that the figures are not measured; they are not zero."""
    pair = replace(a_pair(brighter(place, 40)), agent_between=agent)
    t2 = None if t2_percent is None else (t2_of(brighter(place, t2_percent)), np.full(place.shape, True))
    found = focal_changes(pair, candidates(pair, None, LIMITS, t2=t2), lit, LIMITS)
    assert value(found, "lesion_count") == count
    assert len(found.lesions) == (count or 0)
    said = [one for one in found.notices if "acquired after contrast" in one]
    assert len(said) == agent
    assert ("are not counted among the new lesions" in " ".join(said)) is (count is None)


def test_an_old_lesion_that_brightens_by_an_agent_did_not_grow() -> None:
    pair = _old_lesion_pair(brighter(OLD, 40))
    assert len(focal_changes(pair, candidates(pair, None, LIMITS), None, LIMITS).lesions) == 1
    pair = replace(pair, agent_between=True)
    _not_denied(focal_changes(pair, candidates(pair, None, LIMITS), None, LIMITS))


def _not_denied(found: Found) -> None:
    """No lesion, and no zero: what the agent explains may be a lesion, so that pattern B is not absent."""
    assert (found.lesions, found.masks) == ((), {})
    assert {m.value for m in found.measurements} == {None}
    assert all("mL may be the agent or a lesion" in (m.reason or "") for m in found.measurements)
    finding = detect(found.measurements, ProtocolMatch.SAME, FocalWhiteMatterLimits())
    assert finding.presence is Presence.INDETERMINATE
    assert "agent: " in finding.explanation


def test_the_border_of_the_brain_enhances_in_everybody() -> None:
    pair = replace(a_pair(brighter(ball(LESION, 5.0), 40)), agent_between=True)
    near = replace(LIMITS, agent_edge_mm=40.0)
    assert len(focal_changes(pair, candidates(pair, None, LIMITS), None, LIMITS).lesions) == 1
    _not_denied(focal_changes(pair, candidates(pair, None, near), None, near))


@pytest.mark.parametrize(
    ("places", "edge_mm", "presence"),
    [
        pytest.param((), 40.0, Presence.ABSENT, id="noop: nothing rises"),
        pytest.param((ball(LESION, 3.0),), 40.0, Presence.ABSENT, id="too small for a lesion with or without an agent"),
        pytest.param((DEEP,), 40.0, Presence.INDETERMINATE, id="not measured: all may be the agent"),
        pytest.param((DEEP,), 0.0, Presence.PRESENT, id="none may be the agent"),
    ],
)
def test_pattern_b_with_an_agent_between(places: tuple[Mask, ...], edge_mm: float, presence: Presence) -> None:
    change = brighter(np.any([np.zeros_like(DEEP), *places], axis=0), 40)
    pair, limits = replace(a_pair(change), agent_between=True), replace(LIMITS, agent_edge_mm=edge_mm, volume_ml=0.3)
    found = focal_changes(pair, candidates(pair, None, limits), None, limits)
    assert detect(found.measurements, ProtocolMatch.SAME, FocalWhiteMatterLimits()).presence is presence
