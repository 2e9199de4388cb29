"""Old lesions compared with each other: the one that rises alone is found, what all of them do is not."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from triage.lesions.limits import LesionLimits
from triage.lesions.old import brighter_old
from triage.lesions.rises import Rises
from triage.model import Mask

SHAPE = (40, 40, 40)
VOXEL_ML = 0.003375
CENTRES = [(k, j, i) for k in (10, 28) for j in (10, 28) for i in (10, 28)]
LIMITS = LesionLimits()


def ball(centre: tuple[int, int, int]) -> Mask:
    away = sum((a - c) ** 2 for a, c in zip(np.ogrid[tuple(slice(0, n) for n in SHAPE)], centre, strict=True))
    return np.asarray(away <= 9)


OLD = np.any([ball(centre) for centre in CENTRES], axis=0)
ONE = ball(CENTRES[0])
LOWER = np.broadcast_to(np.arange(SHAPE[0])[:, None, None] < 19, SHAPE)
UPPER = ~LOWER


def a_map(everywhere: float, one: float, seed: int) -> np.ndarray:
    """What old lesions do, and what one of them does beyond that, in percent; with noise of 1 %."""
    noise = np.random.default_rng(seed).normal(0, 0.01, SHAPE)
    return (noise + np.log1p(everywhere / 100) * OLD + np.log1p(one / 100) * ONE).astype(np.float32)


@dataclass(frozen=True)
class OldCase:
    """flair, t2: what all old lesions do, and one of them beyond that, percent. found: clusters."""

    flair: tuple[float, float] = (0.0, 0.0)
    t2: tuple[float, float] = (0.0, 0.0)
    old: Mask | None = None
    where: bool = True
    t2_seen: Mask | bool = True
    found: int = 0


CASES = [
    pytest.param(OldCase(), id="noop: nothing rises"),
    pytest.param(OldCase((8, 0), (8, 0)), id="noop: another contrast, all alike"),
    pytest.param(OldCase((0, 8), (0, 8), found=1), id="one rises"),
    pytest.param(OldCase((-4, 12), (-4, 8), found=1), id="one rises where the others fall"),
    pytest.param(OldCase((0, 8), (0, 0)), id="on FLAIR alone"),
    pytest.param(OldCase((0, 0), (0, 8)), id="on T2 alone"),
    pytest.param(OldCase((0, 3), (0, 8)), id="by less than the limit"),
    pytest.param(OldCase((0, -8), (0, -8)), id="one falls"),
    pytest.param(OldCase((0, 8), (0, 8), old=ONE), id="not measured: too little old tissue to compare with"),
    pytest.param(OldCase((0, 8), (0, 8), where=False), id="not measured: out of view"),
    pytest.param(OldCase((0, 8), (0, 8), t2_seen=UPPER, found=0), id="not measured: T2 does not show it"),
    pytest.param(OldCase((0, 8), (0, 8), t2_seen=LOWER, found=1), id="T2 shows it and half of the others"),
    pytest.param(OldCase((0, 8), (0, 0), t2_seen=LOWER), id="on FLAIR alone, T2 shows half of the others"),
]


@pytest.mark.parametrize("case", CASES)
def test_one_old_lesion_among_others(case: OldCase) -> None:
    flat, known = np.ones(SHAPE, dtype=np.float32), np.full(SHAPE, case.where)
    rise = a_map(*case.flair, seed=1)
    rises = Rises(
        rise, rise, rise, flat, flat, flat, np.ones(SHAPE, dtype=np.uint8), known, ~known, known, sd=0.01
    )  # fmt: skip
    old = OLD if case.old is None else case.old
    t2_seen = np.broadcast_to(case.t2_seen, SHAPE)
    t2 = np.where(t2_seen, a_map(*case.t2, seed=2), 0)
    clusters = list(brighter_old(rises, (t2, t2_seen), old, VOXEL_ML, replace(LIMITS, old_least_ml=0.8)))
    assert len(clusters) == case.found
    for box, one in clusters:
        assert ONE[box][one].mean() > 0.7
