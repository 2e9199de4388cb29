"""A change of the contrast curve is taken out, a change of a region is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from tests.builders import TOY_NAMES, toy_grid, toy_labels, toy_scan
from triage.alignment.normalisation import CommonScale, common_scale
from triage.signal.curve import MOST_SLOPE, without_curve

LABELS = toy_labels()
GRID = toy_grid(LABELS)
BASELINE, FOLLOWUP = toy_scan(LABELS, seed=1), toy_scan(LABELS, seed=2)
STEM = next(label for label, name in TOY_NAMES.items() if name == "pons")


def scaled(followup: npt.NDArray[np.float32] = FOLLOWUP) -> CommonScale:
    return common_scale(followup, BASELINE, GRID.labels, GRID.names, GRID.seen)


def by_brightness(slope: float, scale: CommonScale) -> CommonScale:
    """As another protocol would see it: the log ratio runs with the brightness."""
    bright = np.log(np.clip(scale.baseline_level, 0.3, 3.0))
    change = scale.change + slope * bright
    return replace(scale, change=change, followup_level=scale.baseline_level * np.exp(change))


@pytest.mark.parametrize("slope", [-0.15, 0.0, 0.15])
def test_a_curve_is_taken_out(slope: float) -> None:
    scale = by_brightness(slope, scaled())
    inside = (LABELS == STEM) & GRID.seen
    moved = np.median(without_curve(scale, GRID).change[inside]) - np.median(scaled().change[inside])
    middle = slope * np.median(np.log(scale.baseline_level[scale.reference]))
    assert moved == pytest.approx(middle, abs=0.006)


def test_a_changed_region_keeps_its_change() -> None:
    """A region is no reference tissue, so its own rise makes no slope."""
    followup = FOLLOWUP.copy()
    followup[LABELS == STEM] *= np.float32(1.1)
    inside = (LABELS == STEM) & GRID.seen
    rise = np.median(without_curve(scaled(followup), GRID).change[inside])
    assert rise - np.median(without_curve(scaled(), GRID).change[inside]) == pytest.approx(np.log(1.1), abs=0.006)


def test_a_slope_has_a_limit() -> None:
    scale = by_brightness(3 * MOST_SLOPE, scaled())
    taken = scale.change - without_curve(scale, GRID).change
    spread = np.ptp(np.log(scale.baseline_level[scale.reference]))
    assert np.ptp(taken[scale.reference]) < 2.2 * MOST_SLOPE * spread


def test_without_reference_nothing_changes() -> None:
    scale = replace(scaled(), reference=np.zeros_like(scaled().reference))
    assert without_curve(scale, GRID) is scale
