"""Healthy grey over white matter: one figure of a scan, alike in a single scan and in a pair."""

from __future__ import annotations

import numpy as np
import pytest

from triage.alignment.grid import Grid
from triage.alignment.normalisation import common_scale
from triage.signal.tissue_ratio import tissue_ratio, tissue_ratio_compared

NAMES = {1: "white_matter_left", 2: "cortex_frontal_left"}
SHAPE = (40, 40, 40)


def labelled() -> np.ndarray:
    labels = np.ones(SHAPE, np.uint8)
    labels[:, :, 20:] = 2
    return labels


def a_scan(ratio: float, level: float = 300.0, seed: int = 1) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(1.0, 0.02, SHAPE)
    return (level * np.where(labelled() == 2, ratio, 1.0) * noise).astype(np.float32)


@pytest.mark.parametrize("ratio", [1.0, 1.2, 1.4])
@pytest.mark.parametrize("level", [3.0, 3000.0])
def test_of_a_single_scan(ratio: float, level: float) -> None:
    scan = a_scan(ratio, level)
    scan[:, :5] *= 3.0  # what is ill or no tissue counts nowhere
    scan[:, 35:] = 0.0
    assert tissue_ratio(scan, labelled(), NAMES) == pytest.approx(ratio, abs=0.005)


@pytest.mark.parametrize("ratio", [1.1, 1.4])
def test_of_the_follow_up_of_a_pair(ratio: float) -> None:
    labels, seen = labelled(), np.ones(SHAPE, bool)
    scale = common_scale(a_scan(ratio, seed=2), a_scan(1.25, 90.0), labels, NAMES, seen)
    assert tissue_ratio_compared(scale, Grid(labels, NAMES, seen, 1.5)) == pytest.approx(ratio, abs=0.02)


def test_not_measured_with_too_little_tissue() -> None:
    assert tissue_ratio(a_scan(1.2), np.zeros(SHAPE, np.uint8), NAMES) is None
    assert tissue_ratio(a_scan(1.2), np.ones(SHAPE, np.uint8), NAMES) is None
