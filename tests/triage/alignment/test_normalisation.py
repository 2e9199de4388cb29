"""One intensity scale for two dates: what must vanish vanishes, what must stay stays."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import TOY_NAMES, toy_labels, toy_scan
from triage.alignment.normalisation import CommonScale, common_scale, robust_sd, smooth_field
from triage.errors import NotAssessable

LABELS = toy_labels()
BASELINE = toy_scan(LABELS, seed=1)
FOLLOWUP = toy_scan(LABELS, seed=2)
EVERYWHERE = np.ones(LABELS.shape, dtype=bool)
THALAMI, WHITE, CORTEX = (np.isin(LABELS, pair) for pair in ((5, 6), (1, 2), (3, 4)))


def scale_of(
    followup: npt.NDArray[np.float32],
    baseline: npt.NDArray[np.float32] = BASELINE,
    labels: npt.NDArray[np.uint8] = LABELS,
) -> CommonScale:
    return common_scale(followup, baseline, labels, TOY_NAMES, EVERYWHERE)


def changed(mask: npt.NDArray[np.bool_], percent: float) -> npt.NDArray[np.float32]:
    return np.where(mask, FOLLOWUP * np.float32(1 + percent / 100), FOLLOWUP)


def seen_change(scale: CommonScale, mask: npt.NDArray[np.bool_]) -> float:
    """Median change in percent."""
    return float(100 * np.expm1(np.median(scale.change[mask])))


def a_field(amount: float) -> npt.NDArray[np.float32]:
    """A receive field: smooth, bent, +-amount (log units)."""
    k, j, i = np.meshgrid(*(np.linspace(-1, 1, n) for n in LABELS.shape), indexing="ij")
    return np.exp(amount * (0.5 * k - 0.6 * j * i + 0.4 * i**2)).astype(np.float32)


def test_nothing_changed_is_no_change() -> None:
    scale = scale_of(FOLLOWUP)
    for mask in (THALAMI, WHITE, CORTEX):
        assert seen_change(scale, mask) == pytest.approx(0.0, abs=0.3)


@given(one=st.floats(0.05, 20), other=st.floats(0.05, 20))
@settings(max_examples=3, deadline=None)
def test_scaling_both_scans_changes_no_ratio(one: float, other: float) -> None:
    plain = scale_of(FOLLOWUP)
    scaled = scale_of(FOLLOWUP * np.float32(one), BASELINE * np.float32(other))
    tissue = LABELS > 0
    np.testing.assert_allclose(scaled.change[tissue], plain.change[tissue], atol=1e-3)
    np.testing.assert_allclose(scaled.baseline_level, plain.baseline_level, rtol=1e-4)
    # a voxel exactly at a limit may fall on the other side by rounding
    assert (scaled.reference != plain.reference).mean() < 1e-3


@pytest.mark.parametrize("percent", [-20.0, 8.0, 15.0, 40.0])
def test_a_change_of_the_thalami_is_seen_as_it_is(percent: float) -> None:
    scale = scale_of(changed(THALAMI, percent))
    assert seen_change(scale, THALAMI) == pytest.approx(percent, abs=0.7)
    assert seen_change(scale, WHITE) == pytest.approx(0.0, abs=0.5)


@pytest.mark.parametrize("amount", [0.1, 0.3])
def test_a_receive_field_vanishes(amount: float) -> None:
    scale = scale_of(changed(THALAMI, 15.0) * a_field(amount))
    assert seen_change(scale, THALAMI) == pytest.approx(15.0, abs=1.5)
    assert seen_change(scale, CORTEX) == pytest.approx(0.0, abs=1.0)
    assert scale.field_spread > 0.05 * amount


def test_another_contrast_between_grey_and_white_vanishes() -> None:
    """The follow-up's protocol makes grey matter 10 % darker relative to white; the thalami lie half way."""
    followup = changed(CORTEX, -10.0) * np.where(THALAMI, np.float32(0.95), np.float32(1.0))
    scale = scale_of(followup)
    assert scale.contrast == pytest.approx(np.log(0.9), abs=0.01)
    for mask in (THALAMI, WHITE, CORTEX):
        assert seen_change(scale, mask) == pytest.approx(0.0, abs=1.0)


def test_changed_reference_tissue_does_not_steer_the_scale() -> None:
    """A tenth of the white matter is a new lesion, 60 % brighter."""
    lesion = np.zeros(LABELS.shape, dtype=bool)
    lesion[8:20, 28:40, 28:40] = True
    lesion &= WHITE
    assert 0.05 < lesion.sum() / WHITE.sum() < 0.2
    scale = scale_of(changed(lesion, 60.0))
    assert seen_change(scale, lesion) == pytest.approx(60.0, abs=3.0)
    assert seen_change(scale, WHITE & ~lesion) == pytest.approx(0.0, abs=0.7)
    assert scale.reference[lesion].mean() < 0.05


def test_suspect_tissue_is_never_reference() -> None:
    assert not scale_of(FOLLOWUP).reference[THALAMI | (LABELS == 7) | (LABELS == 0)].any()


def test_only_tissue_with_data_at_both_dates_is_reference() -> None:
    followup = FOLLOWUP.copy()
    followup[:, :, :20] = 0
    scale = scale_of(followup)
    assert not scale.reference[:, :, :20].any()
    assert np.isfinite(scale.change[:, :, 20:]).all()
    assert np.isfinite(scale.followup_level).all()


@pytest.mark.parametrize(
    ("labels", "what"),
    [
        pytest.param(np.where(WHITE, 0, LABELS).astype(np.uint8), "white", id="no white matter"),
        pytest.param(np.where(CORTEX, 0, LABELS).astype(np.uint8), "grey", id="no cortex"),
    ],
)
def test_too_little_reference_is_refused(labels: npt.NDArray[np.uint8], what: str) -> None:
    with pytest.raises(NotAssessable, match=what) as refused:
        scale_of(FOLLOWUP, labels=labels)
    assert refused.value.code == "no_reference_tissue"


def test_an_empty_follow_up_is_refused() -> None:
    with pytest.raises(NotAssessable):
        scale_of(np.zeros_like(FOLLOWUP))


def test_a_smooth_field_is_found_from_part_of_it() -> None:
    """Also in a hole of the mask, and with a tenth of wild values."""
    rng = np.random.default_rng(5)
    k, j, i = np.meshgrid(*(np.linspace(-1, 1, n) for n in (20, 22, 24)), indexing="ij")
    field = 0.2 + 0.3 * k - 0.2 * j * i + 0.1 * i**3
    where = np.ones(field.shape, dtype=bool)
    where[7:13, 8:14, 9:15] = False
    wild = rng.random(field.shape) < 0.1
    found = smooth_field(np.where(wild, field + 1.0, field) + rng.normal(0, 0.01, field.shape), where)
    assert np.abs(found[0] - field).max() < 0.02
    assert found[1] == 0.0


@given(value=st.floats(-3, 3))
@settings(max_examples=10, deadline=None)
def test_a_constant_field_is_the_constant(value: float) -> None:
    found, _ = smooth_field(np.full((9, 8, 7), value), np.ones((9, 8, 7), dtype=bool))
    np.testing.assert_allclose(found, value, atol=1e-9)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param([], 0.0, id="nothing"),
        pytest.param([3.0, 3.0, 3.0], 0.0, id="constant"),
        pytest.param([1.0, 2.0, 3.0, 4.0, 1000.0], 1.4826, id="one wild value"),
    ],
)
def test_robust_sd(values: list[float], expected: float) -> None:
    assert robust_sd(np.array(values)) == pytest.approx(expected)


def test_robust_sd_of_a_normal_sample_is_its_sd() -> None:
    assert robust_sd(np.random.default_rng(6).normal(5, 2, 20_000)) == pytest.approx(2.0, rel=0.03)
