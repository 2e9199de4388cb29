"""What a reader looks at lies on the follow-up's own grid."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.builders import rigid
from triage.model import Volume
from triage.report.evidence import Evidence, on_followup_grid

GRID = rigid((0, 0, 20), (5, 6, 7)) @ np.diag([1.0, 1.0, 3.0, 1.0])


def some_evidence(**changes: object) -> Evidence:
    """Both dates, regions and change on one grid; nothing moved."""
    rng = np.random.default_rng(3)
    shape = (6, 20, 22)
    labels = np.zeros(shape, dtype=np.uint8)
    labels[2:4, 5:12, 6:15] = 9
    change = np.full(shape, np.nan, dtype=np.float32)
    change[2:4, 5:12, 6:15] = np.log(1.2)
    values = Evidence(
        followup=Volume(rng.uniform(1, 100, shape).astype(np.float32), GRID),
        baseline=Volume(rng.uniform(1, 100, shape).astype(np.float32), GRID),
        labels=Volume(labels, GRID),
        label_names={9: "thalamus_left"},
        change=Volume(change, GRID),
        followup_to_baseline=np.eye(4),
        followup_to_half_way=np.eye(4),
    )
    return replace(values, **changes)  # type: ignore[arg-type]


def test_nothing_moves_when_nothing_moved() -> None:
    evidence = some_evidence()
    maps = on_followup_grid(evidence)
    assert evidence.labels is not None
    assert evidence.baseline is not None
    assert maps.labels is not None
    assert maps.baseline is not None
    assert maps.change_percent is not None
    assert np.array_equal(maps.labels.voxels, evidence.labels.voxels)
    np.testing.assert_allclose(maps.baseline.voxels[:, 1:-1, 1:-1], evidence.baseline.voxels[:, 1:-1, 1:-1], rtol=1e-4)
    inside = evidence.labels.voxels > 0
    np.testing.assert_allclose(maps.change_percent.voxels[inside], 20.0, rtol=1e-5)
    assert np.isnan(maps.change_percent.voxels[~inside]).all()
    for volume in (maps.labels, maps.baseline, maps.change_percent):
        assert volume.affine == pytest.approx(evidence.followup.affine)


def test_regions_and_baseline_follow_the_registration() -> None:
    """The follow-up lies two voxels further along i: its points are carried back into the baseline."""
    step = np.eye(4)
    step[:3, 3] = -2 * GRID[:3, 0]
    maps = on_followup_grid(some_evidence(followup_to_baseline=step))
    still = on_followup_grid(some_evidence())
    assert maps.labels is not None
    assert still.labels is not None
    assert maps.baseline is not None
    assert still.baseline is not None
    assert np.array_equal(maps.labels.voxels[..., 2:], still.labels.voxels[..., :-2])
    inner = (slice(1, -1), slice(1, -1))
    np.testing.assert_allclose(
        maps.baseline.voxels[inner][..., 4:-2], still.baseline.voxels[inner][..., 2:-4], rtol=1e-3
    )
    assert maps.change_percent is not None, "the change has its own transform"
    assert still.change_percent is not None
    assert np.array_equal(np.isnan(maps.change_percent.voxels), np.isnan(still.change_percent.voxels))


def test_what_was_not_made_is_not_there() -> None:
    """Without a baseline: regions in the follow-up's own space and nothing else."""
    alone = some_evidence(baseline=None, change=None, followup_to_baseline=None, followup_to_half_way=None)
    maps = on_followup_grid(alone)
    assert maps.baseline is None
    assert maps.change_percent is None
    assert maps.labels is not None
    assert alone.labels is not None
    assert np.array_equal(maps.labels.voxels, alone.labels.voxels)
    assert on_followup_grid(replace(alone, labels=None)).labels is None


def test_a_lesion_between_the_slices_keeps_a_voxel() -> None:
    """Masks lie on a finer grid; a label that nearest neighbours miss is put at its centre."""
    evidence = some_evidence()
    fine = GRID @ np.diag([1.0, 1.0, 0.25, 1.0])
    mask = np.zeros((24, 20, 22), dtype=np.uint8)
    mask[8:13, 5:9, 6:10] = 1
    mask[18, 15, 15] = 2
    masks = on_followup_grid(replace(evidence, masks={"new_lesions": Volume(mask, fine)})).masks
    found = masks["new_lesions"].voxels
    assert found.shape == evidence.followup.voxels.shape
    assert set(np.unique(found)) == {0, 1, 2}
    assert (found == 2).sum() == 1
