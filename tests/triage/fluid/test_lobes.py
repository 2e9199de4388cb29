"""Cortex lost in one lobe is found there, as a percentage; nothing lost is nothing; out of view is not measured."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triage.fluid.lobes import LobeLimits, lobe_change, lobe_names, lobes_on

SPACING, LIMITS = 2.0, LobeLimits()
NAMES = {1: "white_matter_left", 2: "cortex_frontal_left", 3: "cortex_occipital_left"}
LABELS = np.zeros((30, 40, 30), np.uint8)
LABELS[4:26, 4:36, 4:20] = 1
LABELS[4:26, 4:20, 20:24], LABELS[4:26, 20:36, 20:24] = 2, 3
EVERYWHERE = np.ones(LABELS.shape, bool)
BEFORE = np.clip((np.indices(LABELS.shape)[2] - 22) / 4.0, 0.0, 1.0)  # fluid outside, blending into cortex
LOBES = lobes_on(LABELS, NAMES, LABELS != 1, SPACING, LIMITS)


def percent(name: str, after: np.ndarray, where: np.ndarray = EVERYWHERE) -> tuple[float, float] | None:
    found = lobe_change((BEFORE, after), where, LOBES[name], SPACING, limits=LIMITS, level=0.02, contrast=0.05)
    return None if found is None else (found.value, found.sd)


def thinner(layers: float) -> np.ndarray:
    """The fluid of the occipital lobe comes nearer by that many voxels."""
    moved = np.clip((np.indices(LABELS.shape)[2] - 22 + layers) / 4.0, 0.0, 1.0)
    out = BEFORE.copy()
    out[4:26, 20:36] = moved[4:26, 20:36]
    return out


def test_names_and_places() -> None:
    assert lobe_names(NAMES) == ("cortex_frontal_left", "cortex_occipital_left")
    assert not (LOBES["cortex_frontal_left"][1] & LOBES["cortex_occipital_left"][1]).any()


def test_nothing_lost() -> None:
    for name in LOBES:
        found = percent(name, BEFORE)
        assert found is not None
        assert found[0] == 0.0
        assert found[1] > 0.0


def test_a_loss_shows_in_its_lobe_alone() -> None:
    here, there = percent("cortex_occipital_left", thinner(0.4)), percent("cortex_frontal_left", thinner(0.4))
    assert here is not None
    assert there is not None
    assert here[0] == pytest.approx(-100 * 0.4 / 3.75, rel=0.1)  # 3.75 layers of tissue before
    assert there[0] == 0.0


@settings(max_examples=15, deadline=None)
@given(st.floats(0.05, 1.0))
def test_gain_is_the_opposite_of_loss(layers: float) -> None:
    lost, gained = percent("cortex_occipital_left", thinner(layers)), percent("cortex_occipital_left", thinner(-layers))
    assert lost is not None
    assert gained is not None
    assert lost[0] < 0 < gained[0]
    assert lost[0] == pytest.approx(-gained[0], rel=0.4, abs=0.2)


def test_out_of_view_is_not_measured() -> None:
    where = EVERYWHERE.copy()
    where[:, 24:] = False
    assert percent("cortex_occipital_left", BEFORE, where) is None
    assert percent("cortex_frontal_left", BEFORE, where) is not None


def test_no_cortex_no_lobes() -> None:
    assert lobes_on(np.where(LABELS == 1, 1, 0), {1: "white_matter_left"}, EVERYWHERE, SPACING, LIMITS) == {}
