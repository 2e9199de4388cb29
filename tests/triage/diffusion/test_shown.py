"""Diffusion images that show a part of the brain: what was not judged is not called unrestricted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from tests.triage.diffusion.test_restriction import (
    LEFT_CORTEX,
    LEFT_WHITE,
    PATCH_ML,
    RIGHT_CORTEX,
    SIZE,
    Patch,
    a_session,
    found_in,
    ml,
)
from triage.diffusion.figures import RESTRICTED
from triage.measurements import lookup
from triage.model import SequenceKind, Volume

Shown = Callable[[Volume], Volume]


@pytest.mark.parametrize(
    ("patches", "shown", "lobe"),
    [
        pytest.param((LEFT_CORTEX,), 34, "cortex_frontal_left", id="a patch there"),
        pytest.param((), 34, "cortex_frontal_left", id="noop: nothing there"),
        pytest.param((LEFT_CORTEX,), 20, "cortex_frontal_left", id="it shows less than half of the brain"),
        pytest.param((RIGHT_CORTEX,), 20, "cortex_frontal_right", id="less than half, and the patch is in it"),
        pytest.param((), 20, "cortex_frontal_right", id="noop: less than half, and nothing there"),
        pytest.param((LEFT_CORTEX,), 0, "cortex_frontal_left", id="it is empty"),
    ],
)
def test_what_the_baseline_does_not_show_is_judged_without_it(
    patches: tuple[Patch, ...], shown: int, lobe: str
) -> None:
    """A baseline whose diffusion images end before the left side cannot say that nothing is new there."""
    before = a_session(seed=2)
    cut = {
        kind: replace(v, voxels=np.where(np.arange(SIZE) < shown, v.voxels, 0)) for kind, v in before.volumes.items()
    }
    found = found_in(a_session(*patches), replace(before, volumes=cut))
    assert any("was not compared" in notice or "no earlier DWI" in notice for notice in found.notices)
    assert ml(found, lobe) == (pytest.approx(PATCH_ML, rel=0.5) if patches else 0.0)


def cut_off(volume: Volume, first: int, last: int) -> Volume:
    """The slices from first to last as a volume of their own."""
    affine = volume.affine.copy()
    affine[:3, 3] += first * affine[:3, 2]
    return Volume(volume.voxels[first:last].copy(), affine)


def emptied(volume: Volume, first: int) -> Volume:
    """Nothing is shown from the slice ``first`` on."""
    return replace(volume, voxels=np.where(np.arange(SIZE)[:, None, None] < first, volume.voxels, 0).astype(np.float32))


@pytest.mark.parametrize(
    ("keep", "dwi", "adc", "expected"),
    [
        pytest.param("da", lambda v: cut_off(v, 20, 30), lambda v: cut_off(v, 20, 30), None, id="a thin slab"),
        pytest.param("da", lambda v: emptied(v, 17), lambda v: emptied(v, 17), None, id="empty slices"),
        pytest.param("da", lambda v: v, lambda v: emptied(v, 17), None, id="a map with empty slices"),
        pytest.param("da", lambda v: v, lambda v: cut_off(v, 0, 17), None, id="a map of fewer slices"),
        pytest.param("dab", lambda v: v, lambda v: cut_off(v, 0, 17), PATCH_ML, id="the rest of the map is computed"),
    ],
)
def test_cortex_that_was_not_judged_is_not_called_unrestricted(
    keep: str, dwi: Shown, adc: Shown, expected: float | None
) -> None:
    """An empty slice inside the field of view shows as little as one outside it."""
    whole = a_session(LEFT_CORTEX if expected else LEFT_WHITE, keep=keep)
    shown = {SequenceKind.DWI: dwi, SequenceKind.ADC: adc}
    found = found_in(replace(whole, volumes={kind: shown[kind](v) for kind, v in whole.volumes.items()}))
    cortex = lookup(found.measurements, "cortex", RESTRICTED)
    assert cortex.value == (pytest.approx(expected, rel=0.5) if expected else None)
    assert expected or (cortex.reason or "").startswith("coverage: ")
    assert not any("susceptibility" in notice for notice in found.notices)
