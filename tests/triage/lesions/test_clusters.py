"""A weak place beside a strong one is a cluster of its own; the slope of the strong one is not."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage as ndi

from triage.lesions.clusters import Floats, compactness, peak_of, standing_out, thickness_mm
from triage.model import Mask

SHAPE = (24, 24, 40)


def bump(centre: tuple[int, int, int], height: float, sigma: float = 2.0) -> Floats:
    away2 = sum((a - c) ** 2 for a, c in zip(np.ogrid[0:24, 0:24, 0:40], centre, strict=True))
    return np.asarray(height * np.exp(-away2 / (2 * sigma**2)), dtype=np.float32)


def found(strength: Floats, *, seed: float = 0.15, low: float = 0.05, where: Mask | None = None) -> list[Mask]:
    where = np.ones(SHAPE, dtype=bool) if where is None else where
    out = []
    for box, one in standing_out(strength, where, strength >= seed, low, 0.5):
        mask = np.zeros(SHAPE, dtype=bool)
        mask[box] = one
        out.append(mask)
    return out


TWO = bump((12, 12, 10), 1.0) + bump((12, 12, 22), 0.25)
ONE_SIDE = np.broadcast_to(np.arange(40) < 8, SHAPE)
CASES = [
    pytest.param(np.zeros(SHAPE, dtype=np.float32), [], id="nothing"),
    pytest.param(bump((12, 12, 10), 0.1), [], id="no seed"),
    pytest.param(bump((12, 12, 10), 1.0), [(12, 12, 10)], id="one"),
    pytest.param(TWO, [(12, 12, 10), (12, 12, 22)], id="a weak one that touches a strong one"),
    pytest.param(TWO + np.float32(0.06), [(12, 12, 10), (12, 12, 22)], id="on raised ground"),
]


@pytest.mark.parametrize(("strength", "centres"), CASES)
def test_standing_out(strength: Floats, centres: list[tuple[int, int, int]]) -> None:
    clusters = found(strength)
    assert len(clusters) == len(centres)
    for mask, centre in zip(clusters, centres, strict=True):
        assert np.array(ndi.center_of_mass(mask)) == pytest.approx(centre, abs=1.0)


def test_clusters_share_no_voxel_and_stay_where_they_may() -> None:
    clusters = found(TWO, where=~ONE_SIDE)
    assert clusters
    assert max(sum(mask.astype(int) for mask in clusters).ravel()) == 1
    assert not any((mask & ONE_SIDE).any() for mask in clusters)


SHAPES = [
    pytest.param(bump((12, 12, 20), 1.0, 3.0) > 0.3, 0.55, 1.2, id="ball"),
    pytest.param(np.zeros(SHAPE, dtype=bool), 0.0, 0.0, id="empty"),
    pytest.param(np.indices(SHAPE)[0] == 12, 0.0, 0.2, id="sheet"),
    pytest.param((np.indices(SHAPE)[0] == 12) & (np.indices(SHAPE)[1] == 12), 0.0, 0.3, id="line"),
]


@pytest.mark.parametrize(("mask", "least", "most"), SHAPES)
def test_compactness(mask: Mask, least: float, most: float) -> None:
    assert least <= compactness(mask, 1.5) <= most


def test_peak_and_thickness() -> None:
    assert peak_of(np.array([9.0] + [1.0] * 7 + [0.0] * 50)) == pytest.approx(2.0)
    assert thickness_mm(np.ones((1, 1, 1), dtype=bool), 1.5) == pytest.approx(1.5)
