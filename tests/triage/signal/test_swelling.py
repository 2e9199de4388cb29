"""Local volume change from deformation: zero for no change, the truth for a known one, opposite when the dates swap."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
import scipy.ndimage as ndi

from tests.builders import TOY_NAMES, toy_grid
from triage.alignment.grid import Grid
from triage.alignment.normalisation import CommonScale
from triage.measurements import lookup
from triage.signal.swelling import FLOOR_PERCENT, WORKING_MM, Deformation, deform, volume_changes

SIZE, RADIUS = 44, 10.0  # voxels of 2 mm; a ball of 34 mL, bright in a darker textured cube
REGIONS = ("thalamus_left", "pons")
Array = npt.NDArray[np.float64]


def a_ball(growth_percent: float = 0.0, *, seed: int = 1) -> Array:
    """White matter level 1; the ball's radius grows so that its volume does by the given percent, and its surroundings
    give way."""
    centre = (SIZE - 1) / 2
    index = np.indices((SIZE,) * 3) - centre
    away = np.sqrt((index**2).sum(axis=0))
    factor = (1 + growth_percent / 100) ** (1 / 3)
    source = np.where(away < RADIUS * factor, away / factor, RADIUS + (away - RADIUS * factor) * 1.0)
    fade = np.exp(-((np.maximum(away - RADIUS, 0) / RADIUS) ** 2))
    pulled = index * ((source * fade + away * (1 - fade)) / np.maximum(away, 1e-6)) + centre
    texture = ndi.gaussian_filter(np.random.default_rng(seed).normal(size=(SIZE,) * 3), 1.5)
    still = 1.0 + 0.15 * texture / texture.std() + 0.5 * (away < RADIUS)
    return np.asarray(ndi.map_coordinates(ndi.gaussian_filter(still, 0.7), pulled, order=1, mode="nearest"))


def labels() -> npt.NDArray[np.uint8]:
    index = np.indices((SIZE,) * 3) - (SIZE - 1) / 2
    away = np.sqrt((index**2).sum(axis=0))
    out = np.ones((SIZE,) * 3, dtype=np.uint8)
    out[away < RADIUS] = 5
    out[:6] = 7
    return out


def between(baseline: Array, followup: Array) -> CommonScale:
    """Both on one scale; no signal change to take out."""
    nothing = np.zeros_like(baseline)
    everywhere = np.ones(baseline.shape, dtype=bool)
    return CommonScale(nothing, everywhere, baseline, followup, 0.0, 0.0, everywhere)


def grid() -> Grid:
    return toy_grid(labels())


def change_of(deformation: Deformation, region: str = "thalamus_left") -> float:
    value = lookup(volume_changes(deformation, grid(), REGIONS), region, "volume_change_percent").value
    assert value is not None
    return value


def test_nothing_changed() -> None:
    found = deform([between(a_ball(), a_ball())], grid())
    assert found.spacing_mm == pytest.approx(WORKING_MM)
    assert change_of(found) == pytest.approx(0.0, abs=1e-3)
    assert change_of(found, "pons") == pytest.approx(0.0, abs=1e-3)


@pytest.fixture(scope="module")
def grown() -> Deformation:
    return deform([between(a_ball(), a_ball(20.0))], grid())


def test_a_grown_region_is_larger_at_the_follow_up(grown: Deformation) -> None:
    assert change_of(grown) == pytest.approx(20.0, abs=5.0)
    assert change_of(grown, "pons") == pytest.approx(0.0, abs=1.5)
    assert grown.folded_percent == 0.0


def test_swapping_the_dates_turns_growth_into_shrinking(grown: Deformation) -> None:
    back = deform([between(a_ball(20.0), a_ball())], grid())
    np.testing.assert_allclose(back.log_jacobian, -grown.log_jacobian, atol=1e-6)


def test_the_smaller_of_two_growths_measures_smaller(grown: Deformation) -> None:
    assert 3.0 < change_of(deform([between(a_ball(), a_ball(10.0))], grid())) < change_of(grown) - 3.0


def test_a_brighter_region_is_not_a_larger_one() -> None:
    """30 % more signal in the ball and nothing moved."""
    baseline, ball = a_ball(), labels() == 5
    followup = np.where(ball, 1.3 * baseline, baseline)
    scale = replace(between(baseline, followup), change=np.where(ball, np.log(1.3), 0.0))
    assert change_of(deform([scale], grid())) == pytest.approx(0.0, abs=3.0)


@pytest.mark.parametrize(
    ("deformation", "region", "code"),
    [
        pytest.param(Deformation(np.zeros((SIZE,) * 3), 2.0, 0.5), "thalamus_left", "folding", id="folded"),
        pytest.param(Deformation(np.zeros((SIZE,) * 3), 2.0, 0.0), "medulla", "coverage", id="not in view"),
    ],
)
def test_what_cannot_be_measured_says_why(deformation: Deformation, region: str, code: str) -> None:
    figure = lookup(volume_changes(deformation, grid(), (region,)), region, "volume_change_percent")
    assert not figure.assessable
    assert (figure.reason or "").startswith(code)


def test_a_region_seen_at_one_date_only_is_not_measured() -> None:
    seen = labels() != 5
    half = Grid(labels(), dict(TOY_NAMES), seen, 2.0)
    found = volume_changes(Deformation(np.zeros((SIZE,) * 3), 2.0, 0.0), half, REGIONS)
    assert not lookup(found, "thalamus_left", "volume_change_percent").assessable
    assert lookup(found, "pons", "volume_change_percent").value == 0.0


@pytest.mark.parametrize("log_jacobian", [-0.2, 0.0, 0.05])
def test_the_figure_is_the_mean_log_jacobian(log_jacobian: float) -> None:
    found = volume_changes(Deformation(np.full((SIZE,) * 3, log_jacobian), 2.0, 0.0), grid(), REGIONS)
    figure = lookup(found, "thalamus_left", "volume_change_percent")
    assert figure.value == pytest.approx(100 * np.expm1(log_jacobian))
    assert figure.uncertainty == pytest.approx(FLOOR_PERCENT)  # everything changed alike
