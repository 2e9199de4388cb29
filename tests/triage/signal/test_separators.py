"""Parts of regions: a rise is found in the part where it was made, and nowhere else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from tests.builders import toy_grid, toy_labels, toy_scan
from triage.alignment.grid import Grid
from triage.alignment.normalisation import common_scale
from triage.measurements import lookup
from triage.signal.change import MeasurementLimits
from triage.signal.separators import separators

LABELS = toy_labels()
BASELINE, FOLLOWUP = toy_scan(LABELS, seed=1), toy_scan(LABELS, seed=2)
LIMITS = MeasurementLimits()
I = np.arange(LABELS.shape[2])[None, None, :] * np.ones(LABELS.shape, dtype=int)  # noqa: E741 - the voxel axis
J = np.arange(LABELS.shape[1])[None, :, None] * np.ones(LABELS.shape, dtype=int)
MIDDLE = LABELS.shape[2] // 2


def values(where: npt.NDArray[np.bool_], grid: Grid | None = None) -> dict[tuple[str, str], float | None]:
    """Figures when the voxels rise by a quarter."""
    grid = grid or toy_grid(LABELS)
    followup = np.where(where, FOLLOWUP * np.float32(1.25), FOLLOWUP).astype(np.float32)
    scale = common_scale(followup, BASELINE, grid.labels, grid.names, grid.seen)
    return {(m.region, m.quantity): m.value for m in separators(scale, grid, LIMITS, 1.0)}


def flair(found: dict[tuple[str, str], float | None], region: str) -> float | None:
    return found[region, "flair_change_percent"]


def thalami(grid: npt.NDArray[np.uint8] = LABELS) -> npt.NDArray[np.bool_]:
    return np.asarray((grid == 5) | (grid == 6))


def test_noop_nothing_rises() -> None:
    found = values(np.zeros(LABELS.shape, dtype=bool))
    for region in ("thalami_medial", "thalami_lateral", "pons_core", "pons_rim"):
        assert flair(found, region) == pytest.approx(0.0, abs=0.8)


def test_medial_and_lateral_halves() -> None:
    medial = thalami() & (np.abs(I - (MIDDLE - 0.5)) < 6.5)
    found = values(medial)
    assert flair(found, "thalami_medial") == pytest.approx(25.0, abs=3.0)
    assert flair(found, "thalami_lateral") == pytest.approx(0.0, abs=3.0)
    other = values(thalami() & ~medial)
    assert flair(other, "thalami_medial") == pytest.approx(0.0, abs=3.0)
    assert flair(other, "thalami_lateral") == pytest.approx(25.0, abs=3.0)


def test_core_and_rim_of_the_pons() -> None:
    from triage.signal.change import inside_distance

    core = inside_distance(LABELS == 7, 2.0) > 5.0
    found = values(core)
    assert flair(found, "pons_core") == pytest.approx(25.0, abs=3.0)
    assert flair(found, "pons_rim") == pytest.approx(0.0, abs=3.0)


def test_white_matter_behind_and_in_front() -> None:
    """The cortex of the toy head is called parietal behind and frontal in front."""
    labels = LABELS.copy()
    labels[(labels == 3) & (J >= MIDDLE)] = 9
    labels[(labels == 4) & (J >= MIDDLE)] = 10
    grid = toy_grid(labels)
    grid = replace(grid, names={**grid.names, 9: "cortex_parietal_left", 10: "cortex_parietal_right"})
    white = (labels == 1) | (labels == 2)
    found = values(white & (J > MIDDLE + 9) & (np.abs(I - MIDDLE) < 7), grid)
    behind, before = (found[f"white_matter_{part}", "raised_fraction_percent"] for part in ("posterior", "anterior"))
    assert behind is not None
    assert before == pytest.approx(0.0, abs=0.5)
    assert behind > 4.0


def test_what_is_not_there_says_why() -> None:
    grid = toy_grid(np.where(thalami() | (LABELS == 7), 1, LABELS).astype(np.uint8))
    scale = common_scale(FOLLOWUP, BASELINE, grid.labels, grid.names, grid.seen)
    found = separators(scale, grid, LIMITS, 1.0)
    for region in ("thalami_medial", "thalami_lateral", "pons_core", "pons_rim", "basal_ganglia_left"):
        figure = lookup(found, region, "flair_change_percent")
        assert (figure.reason or "").startswith("region_missing")
