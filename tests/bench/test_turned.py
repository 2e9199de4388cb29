"""Turned and cropped heads: the geometry of the variants, and what the table says of them."""

from __future__ import annotations

import numpy as np
import pytest

from bench.turned import apart, cropped, table, variants
from triage.alignment.placement import Placement
from triage.model import Volume

SHAPE = (40, 30, 20)


def a_head(step: float = 4.0) -> tuple[Volume, np.ndarray]:
    """A scan of 40 axial planes, and a brain in planes 10 to 29."""
    brain = np.zeros(SHAPE, dtype=bool)
    brain[10:30] = True
    return Volume(np.zeros(SHAPE, dtype=np.float32), np.diag([5.0, 5.0, step, 1.0])), brain


def test_every_kind_of_turn_is_there_and_moves_no_voxel() -> None:
    flair, brain = a_head()
    made = list(variants(flair, brain))
    assert sorted({one.kind for one in made}) == [
        "blur", "crop_above", "crop_below", "turn_10", "turn_20", "turn_30", "turn_40",
    ]  # fmt: skip
    for one in made:
        if one.kind.startswith("turn"):
            angle = np.degrees(np.arccos((np.trace(one.moved[:3, :3]) - 1) / 2))
            assert angle == pytest.approx(float(one.kind.removeprefix("turn_")))
            assert one.volume.voxels is flair.voxels
            assert np.allclose(one.volume.affine, one.moved @ flair.affine)


@pytest.mark.parametrize(
    ("where", "step", "first", "planes"),
    [
        pytest.param("above", 4.0, 0, 24, id="feet first: the last planes go"),
        pytest.param("below", 4.0, 16, 24, id="feet first: the first planes go"),
        pytest.param("above", -4.0, 16, 24, id="head first: the first planes go"),
    ],
)
def test_planes_are_cut_beside_the_brain(where: str, step: float, first: int, planes: int) -> None:
    flair, brain = a_head(step)
    left = cropped(flair, brain, where)
    assert left.voxels.shape[0] == planes
    assert left.affine[2, 3] == pytest.approx(first * step)


def test_the_distance_is_that_between_two_placements() -> None:
    flair, brain = a_head()
    one = next(v for v in variants(flair, brain) if v.kind == "blur")
    shifted = np.eye(4)
    shifted[0, 3] = 3.0
    points = np.array([[10.0, 20.0], [10.0, 20.0], [10.0, 20.0], [1.0, 1.0]])
    native = Placement(np.eye(4), None, None)
    assert apart(native, native, one, points) == pytest.approx(0.0)
    assert apart(native, Placement(shifted, None, None), one, points) == pytest.approx(3.0)


def test_the_table_counts_near_wrong_and_refused() -> None:
    records = [
        {"kind": "turn_30", "core": 0.2, "refused": None},
        {"kind": "turn_30", "core": 9.0, "refused": None},
        {"kind": "turn_30", "refused": "atlas_failed: ..."},
    ]
    row = table(records).splitlines()[1].split()
    assert row[:6] == ["turn_30", "0.33", "0", "1", "1", "3"]
