"""A head of three tissues whose diffusion is known, for tests: what a scanner would store of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

SHAPE = (14, 32, 36)
TISSUE, FLUID = 800.0, 3000.0  # um2/s
Field = npt.NDArray[np.float64]


def adc_of_a_head(seed: int = 1) -> Field:
    """ADC in um2/s: tissue, ventricles of fluid in the middle, 0 outside; (k, j, i)."""
    radius = _radius(SHAPE)
    adc = np.where(radius < 1.0, TISSUE, 0.0)
    adc[radius < 0.3] = FLUID
    noise = np.random.default_rng(seed).normal(1.0, 0.04, SHAPE)
    return np.asarray(adc * noise)


def signal_of_a_head(b: float, seed: int = 1, level: float = 900.0) -> npt.NDArray[np.uint16]:
    """Diffusion-weighted signal at ``b`` s/mm2; fluid is 2.4 times as bright as tissue without weighting."""
    adc = adc_of_a_head(seed)
    unweighted = np.where(adc > 1500, 2.4, 1.0) * np.where(adc > 0, level, 12.0)
    return np.asarray(np.rint(unweighted * np.exp(-b * 1e-6 * adc)), np.uint16)


def _radius(shape: tuple[int, ...]) -> Field:
    axes = np.meshgrid(*(np.linspace(-1.1, 1.1, n) for n in shape), indexing="ij")
    return np.asarray(np.sqrt(sum(np.square(axis) for axis in axes)))


def stored(values: Any) -> npt.NDArray[np.uint16]:
    return np.asarray(np.rint(values), np.uint16)


def head_of_grey_levels(largest: float = 900.0) -> Field:
    """A head of 24 slices in air, (k, j, i), whole numbers; a few voxels are bright, as vessels and fat are."""
    shape, draw = (24, 32, 36), np.random.default_rng(4)
    _, y, x = np.meshgrid(*(np.linspace(-1.1, 1.1, n) for n in shape), indexing="ij")
    tissue = 0.35 * (1.0 + 0.25 * np.sin(3 * x) * np.cos(3 * y)) * draw.normal(1.0, 0.04, shape)
    bright = np.where(draw.random(shape) < 0.05, draw.uniform(1.0, 2.0, shape), 1.0)
    return np.asarray(np.clip(np.rint((_radius(shape) < 1.0) * tissue * bright * largest), 0, largest))
