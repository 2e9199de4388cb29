"""ADC units are told apart by their values; two b-values make a map; the noise floor fakes no slow diffusion."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage.diffusion.adc import FLUID, adc_unit, computed_adc, noise_level
from triage.errors import NotAssessable

SHAPE = (4, 20, 20)


@pytest.mark.parametrize(
    ("stored", "name"),
    [
        pytest.param(800.0, "1e-6 mm2/s", id="Siemens and GE"),
        pytest.param(0.8, "1e-3 mm2/s", id="Philips and Canon"),
        pytest.param(0.0008, "mm2/s", id="plain"),
    ],
)
def test_units(stored: float, name: str) -> None:
    unit = adc_unit(np.full(SHAPE, stored, np.float32))
    assert unit.name == name
    assert stored * unit.factor == pytest.approx(800.0)


@pytest.mark.parametrize("stored", [pytest.param(0.0, id="blank"), pytest.param(40000.0, id="far too fast")])
def test_unknown_units_are_refused(stored: float) -> None:
    with pytest.raises(NotAssessable) as refused:
        adc_unit(np.full(SHAPE, stored, np.float32))
    assert refused.value.code == "adc_unit_unknown"


@given(adc=st.floats(300.0, 2000.0), gain=st.floats(1.0, 5000.0), low=st.sampled_from([0.0, 50.0]))
def test_two_b_values_give_the_adc_back_at_any_gain(adc: float, gain: float, low: float) -> None:
    b0, high = (np.full(SHAPE, gain * np.exp(-b * adc * 1e-6), np.float32) for b in (low, 1000.0))
    assert computed_adc(b0, high, low, 1000.0) == pytest.approx(adc, rel=1e-3, abs=0.5)


def test_fluid_at_the_noise_floor_is_not_slow() -> None:
    rng = np.random.default_rng(1)
    shape, sigma = (8, 40, 40), 10.0
    b0, high = np.zeros(shape), np.zeros(shape)
    fluid = np.s_[:, 10:30, 10:30]
    b0[:, 10:30, 30:], high[:, 10:30, 30:] = 300.0, 300.0 * np.exp(-0.8)  # tissue beside it
    b0[fluid], high[fluid] = 400.0, 400.0 * np.exp(-3.0)
    noisy = [
        np.hypot(s + rng.normal(0, sigma, shape), rng.normal(0, sigma, shape)).astype(np.float32) for s in (b0, high)
    ]
    adc = computed_adc(noisy[0], noisy[1], 0.0, 1000.0)
    assert np.median(adc[fluid]) > 2500.0
    assert (adc[:, :8, :8] == 0).mean() > 0.9  # background holds no coefficient


def test_b_values_must_rise() -> None:
    with pytest.raises(ValueError, match="must be >"):
        computed_adc(np.ones(SHAPE, np.float32), np.ones(SHAPE, np.float32), 1000.0, 1000.0)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        pytest.param(0.0, 0.0, 0.0, id="air"),
        pytest.param(100.0, 100.0, 0.0, id="no decay"),
        pytest.param(100.0, 300.0, 0.0, id="brighter with weighting"),
        pytest.param(1e4, 1e-3, FLUID, id="nothing left"),
    ],
)
def test_coefficients_stay_between_none_and_fluid(low: float, high: float, expected: float) -> None:
    found = computed_adc(np.full(SHAPE, low), np.full(SHAPE, high), 0, 1000)
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_air_and_broken_voxels_do_not_hide_the_unit() -> None:
    voxels = np.zeros(SHAPE, np.float32)
    voxels[0], voxels[1, 0], voxels[2] = -1.0, np.nan, 0.8
    assert adc_unit(voxels).factor == 1e3


def test_noise_is_read_from_the_background() -> None:
    rng, sigma = np.random.default_rng(3), 20.0
    signal = np.zeros((20, 40, 40))
    signal[5:15, 10:30, 10:30] = 500.0
    noisy = np.hypot(signal + rng.normal(0, sigma, signal.shape), rng.normal(0, sigma, signal.shape))
    assert noise_level(noisy) == pytest.approx(sigma, rel=0.05)
    assert noise_level(np.full(SHAPE, 500.0)) == 0.0
