"""Gains of slices: found where healthy tissue shows them, none where there are none, not known where it is scarce."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK as sitk

from triage.alignment.slices import Gains, SliceStack, known_at, slice_gains, stack_on, uneven, without_gains
from triage.model import Mask

SHAPE = (48, 40, 40)  # of a grid of 1.5 mm; slices of 3 mm along k
EVERYWHERE = np.ones(SHAPE, dtype=bool)
Array = npt.NDArray[np.float64]


def stack(offset: float = 0.0) -> SliceStack:
    place = (np.arange(SHAPE[0], dtype=np.float32) / 2 + np.float32(offset))[:, None, None]
    return SliceStack(np.broadcast_to(place, SHAPE).astype(np.float32), 2, 1, 24, 3.0)


STACKS = (stack(), stack(0.3))


def pair_with(gain: Array, noise: float = 0.04) -> Array:
    """Log ratio of a pair whose follow-up has these log gains of its 24 slices."""
    rng = np.random.default_rng(3)
    return np.asarray(np.interp(STACKS[0].place, np.arange(24), gain) + rng.normal(0, noise, SHAPE))


def found(change: Array, healthy: Mask = EVERYWHERE) -> Array:
    """What the two dates' gains explain together, at every voxel."""
    gains = slice_gains(change, healthy, STACKS)
    parts = [np.interp(s.place, np.arange(s.slices), g.log_gain[:-1]) for g, s in zip(gains, STACKS, strict=True)]
    return np.asarray(parts[0] - parts[1])


SLICES = np.arange(24)
FAULTS = {
    "nothing": np.zeros(24),
    "fall-off over the last slices": np.where(SLICES < 4, np.log(0.5 + SLICES / 8), 0.0),
    "odd and even": 0.1 * (SLICES % 2) - 0.05,
    "one slice": np.where(SLICES == 12, -0.3, 0.0),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_gain_of_slices_is_found(fault: str) -> None:
    true = np.interp(STACKS[0].place, SLICES, FAULTS[fault])
    left = (pair_with(FAULTS[fault]) - found(pair_with(FAULTS[fault]))).mean(axis=(1, 2))
    left = np.abs(left - np.median(left))
    assert left[2:-2].max() < 0.03
    assert np.abs(true).max() == 0 or left[2:-2].max() < np.abs(true).max() / 2


def test_an_even_pair_is_left_as_it_is() -> None:
    assert not uneven(slice_gains(pair_with(FAULTS["nothing"]), EVERYWHERE, STACKS))


def test_a_change_of_a_part_of_each_slice_is_no_gain() -> None:
    """A third of the tissue of six slices becomes 15 % brighter: the rest of these slices does not."""
    change = pair_with(FAULTS["nothing"])
    change[20:32, :13] += np.log(1.15)
    assert np.abs(found(change)).max() < 0.03


@pytest.mark.parametrize("share", [0.3, 0.45, 0.55, 0.7])
def test_oedema_of_half_of_the_tissue_of_some_slices_is_no_gain(share: float) -> None:
    change = pair_with(FAULTS["nothing"])
    change[34:, : round(share * SHAPE[1])] += 0.22
    assert np.abs(found(change)[36:]).max() < 0.03


def test_slices_with_little_healthy_tissue_are_not_known() -> None:
    healthy = EVERYWHERE.copy()
    healthy[:8] = False
    gains = slice_gains(pair_with(FAULTS["odd and even"]), healthy, STACKS)
    known = known_at(gains[0], STACKS[0])
    assert not known[:5].any()
    assert known[12:40].all()


def test_no_healthy_tissue_at_all() -> None:
    gains = slice_gains(pair_with(FAULTS["one slice"]), np.zeros(SHAPE, dtype=bool), STACKS)
    assert not gains[0].known.any()
    assert not uneven(gains)


def test_slices_lie_along_the_coarse_axis() -> None:
    image = sitk.Image(30, 40, 10, sitk.sitkFloat32)
    image.SetSpacing((1.0, 1.0, 4.0))
    grid = sitk.Image(20, 20, 20, sitk.sitkUInt8)
    grid.SetSpacing((2.0, 2.0, 2.0))
    seen = stack_on(image, grid, np.eye(4))
    assert (seen.axis, seen.per_knot, seen.slices, seen.spacing_mm) == (2, 1, 10, 4.0)
    assert seen.place[:, 5, 5] == pytest.approx(np.arange(20) / 2)
    image.SetSpacing((1.0, 1.0, 1.0))
    assert stack_on(image, grid, np.eye(4)).per_knot == 3, "thin slices share a gain"


@pytest.mark.parametrize(
    ("cut", "expected"),
    [
        pytest.param(slice(0, 4), [0.5, 0.5, 0.5, 0.25], id="noop: the whole image"),
        pytest.param(slice(2, 4), [0.5, 0.25], id="its last two slices"),
        pytest.param(slice(1, 2), [0.5], id="one of its slices"),
    ],
)
def test_a_gain_is_taken_out_of_its_slice_and_unknown_ones_follow_their_neighbour(
    cut: slice, expected: list[float]
) -> None:
    part = sitk.GetImageFromArray(np.ones((4, 3, 3), dtype=np.float32)[cut])
    place = np.zeros((1, 1, 1), dtype=np.float32)
    gains = Gains(np.log([1.0, 2.0, 2.0, 4.0, 1.0]), np.zeros(5), np.array([False, True, True, True, False]))
    even = sitk.GetArrayFromImage(without_gains(part, gains, SliceStack(place, 2, 1, 4, 4.0), (0, 0, cut.start)))
    assert even[:, 0, 0] == pytest.approx(expected)


def test_no_slice_has_a_known_gain() -> None:
    image = sitk.GetImageFromArray(np.ones((4, 3, 3), dtype=np.float32))
    gains = Gains(np.zeros(5), np.zeros(5), np.zeros(5, dtype=bool))
    assert without_gains(image, gains, SliceStack(np.zeros((1, 1, 1), dtype=np.float32), 2, 1, 4, 4.0)) is image
