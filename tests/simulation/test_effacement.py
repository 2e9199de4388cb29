"""Fluid turned into tissue: as much as asked for, nowhere else, and not at all when nothing is asked for."""

from __future__ import annotations

import numpy as np
import pytest

from simulation.effacement import effaced, share_of_fluid, uneven_loss
from triage.model import Volume

TISSUE, FLUID = 1.0, 3.0


def a_scan() -> Volume:
    voxels = np.full((6, 8, 10), TISSUE, dtype=np.float32)
    voxels[2:4, 3:5] = FLUID
    voxels[2:4, 5] = 2.0  # half and half
    return Volume(voxels, np.diag([2.0, 2.0, 3.0, 1.0]))


@pytest.mark.parametrize(
    "loss", [pytest.param(0.4, id="40 %"), pytest.param(1.0, id="all"), pytest.param(0.0, id="noop")]
)
def test_the_loss_asked_for_is_the_loss_that_is_seen(loss: float) -> None:
    before = a_scan()
    after, change = effaced(before, np.ones(before.voxels.shape, dtype=bool), tissue=TISSUE, fluid=FLUID, loss=loss)
    seen = share_of_fluid(after.voxels, TISSUE, FLUID).sum() / share_of_fluid(before.voxels, TISSUE, FLUID).sum() - 1
    assert change == pytest.approx(-100 * loss, abs=1e-3)
    assert 100 * seen == pytest.approx(-100 * loss, abs=1e-3)


def test_nothing_changes_outside() -> None:
    before = a_scan()
    where = np.zeros(before.voxels.shape, dtype=bool)
    where[2] = True
    after, _ = effaced(before, where, tissue=TISSUE, fluid=FLUID, loss=0.5)
    np.testing.assert_array_equal(after.voxels[~where], before.voxels[~where])
    assert (after.voxels[2, 3:5] == 2.0).all()


def test_dark_fluid_rises_to_tissue() -> None:
    before = Volume(np.full((3, 3, 3), 0.2, dtype=np.float32), np.eye(4))
    after, _ = effaced(before, np.ones((3, 3, 3), dtype=bool), tissue=1.0, fluid=0.2, loss=0.5)
    np.testing.assert_allclose(after.voxels, 0.6, atol=1e-6)


def test_the_loss_is_a_function_of_place_alone() -> None:
    fine = Volume(np.zeros((12, 12, 12), dtype=np.float32), np.diag([1.0, 1.0, 1.0, 1.0]))
    coarse = Volume(np.zeros((6, 6, 6), dtype=np.float32), np.diag([2.0, 2.0, 2.0, 1.0]))
    np.testing.assert_allclose(uneven_loss(fine, 0.4, 3)[::2, ::2, ::2], uneven_loss(coarse, 0.4, 3), atol=1e-6)
    assert np.ptp(uneven_loss(fine, 0.4, 3)) > 0.01


def test_what_cannot_be_told_apart_or_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="same level"):
        share_of_fluid(np.ones((2, 2, 2)), 1.0, 1.0)
    with pytest.raises(ValueError, match=r"\(2, 2, 2\)"):
        effaced(a_scan(), np.ones((2, 2, 2), dtype=bool), tissue=TISSUE, fluid=FLUID, loss=0.5)
