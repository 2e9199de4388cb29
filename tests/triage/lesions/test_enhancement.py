"""Enhancement from T1 before and after contrast: thick places in tissue are found; vessels and the like are not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import scipy.ndimage as ndi

from tests.builders import TOY_NAMES, rigid, toy_grid, toy_labels, toy_scan
from triage.alignment.comparison import Pair
from triage.alignment.images import to_sitk
from triage.alignment.normalisation import common_scale
from triage.alignment.session import Session
from triage.lesions.enhancement import Enhancement, EnhancementLimits, enhancing, enhancing_alone
from triage.measurements import lookup
from triage.model import Mask, SequenceKind, Volume

LIMITS = EnhancementLimits()
SPACING_MM = 2.0
AFFINE = np.diag([SPACING_MM, SPACING_MM, SPACING_MM, 1.0])
LESION = (24, 14, 14)
T1, GD = SequenceKind.T1, SequenceKind.T1_GD
LEVELS = np.array([0, 100, 100, 70, 70, 80, 80, 90], dtype=np.float32)  # T1: white matter is the brightest


def t1(seed: int, lit: Mask | None = None, percent: float = 40.0) -> Volume:
    rng = np.random.default_rng(seed)
    labels = toy_labels()
    clean = np.where(labels > 0, LEVELS[labels], 20.0)
    voxels = clean * (1 + rng.normal(0, 0.01, labels.shape))
    if lit is not None:
        voxels = np.where(lit, voxels * (1 + percent / 100), voxels)
    return Volume(np.maximum(voxels, 1.0).astype(np.float32), AFFINE)


def a_session(
    lit: Mask | None = None, percent: float = 40.0, *, with_contrast: bool = True, gain: float = 1.0
) -> Session:
    after = t1(2, lit, percent)
    volumes = {SequenceKind.FLAIR: t1(3), T1: t1(1), GD: Volume(gain * after.voxels, after.affine)}
    if not with_contrast:
        del volumes[GD]
    return Session(SequenceKind.FLAIR, volumes, {kind: np.eye(4) for kind in volumes})


@pytest.fixture(scope="module")
def pair() -> Pair:
    labels = toy_labels()
    grid = toy_grid(labels, SPACING_MM)
    scan = toy_scan(labels)
    return Pair(
        grid, to_sitk(Volume(labels, AFFINE)), common_scale(scan, scan, labels, grid.names, grid.seen), np.eye(4)
    )


def ball(centre: tuple[int, int, int], radius_mm: float) -> Mask:
    away = sum((a - c) ** 2 for a, c in zip(np.ogrid[0:48, 0:48, 0:48], centre, strict=True))
    return np.asarray(away * SPACING_MM**2 <= radius_mm**2)


def rod(radius_mm: float) -> Mask:
    _, j, i = np.ogrid[0:48, 0:48, 0:48]
    across = ((j - 14) ** 2 + (i - 14) ** 2) * SPACING_MM**2 <= radius_mm**2
    return np.asarray(across & (np.arange(48)[:, None, None] > 12) & (np.arange(48)[:, None, None] < 36))


def volume_of(found: Enhancement) -> float | None:
    return lookup(found.found(AFFINE).measurements, "brain", "enhancing_volume_ml").value


def overlap(found: Enhancement, mask: Mask) -> npt.NDArray[Any]:
    assert found.clusters is not None
    return found.clusters[mask]


@pytest.mark.parametrize("gain", [pytest.param(1.0, id="same scale"), pytest.param(2.5, id="another scale")])
def test_a_lesion_is_found_with_its_volume(pair: Pair, gain: float) -> None:
    mask = ball(LESION, 6.0)
    found = enhancing(pair, a_session(mask, gain=gain), a_session(), LIMITS)
    assert volume_of(found) == pytest.approx(mask.sum() * SPACING_MM**3 / 1000, rel=0.5)
    assert set(np.unique(overlap(found, ball(LESION, 4.0)))) == {1}
    assert found.notices == ()
    assert found.found(AFFINE).masks["enhancing"].voxels.dtype == np.uint8


def test_small_and_faint_lesions_are_found_beside_what_always_enhances(pair: Pair) -> None:
    """A lesion of 0.2 mL that rises 25 %, with a bright thick vessel (there at both dates) two voxels away."""
    vessel = np.roll(rod(3.0), 6, axis=2)
    before, now = a_session(vessel, 90.0), a_session(vessel, 90.0)
    lesion = ball(LESION, 3.7)
    gd = now.volumes[GD]
    voxels = np.where(lesion & ~vessel, gd.voxels * 1.25, gd.voxels).astype(np.float32)
    found = enhancing(pair, replace(now, volumes={**now.volumes, GD: Volume(voxels, AFFINE)}), before, LIMITS)
    assert (overlap(found, lesion) > 0).mean() > 0.4
    assert not overlap(found, np.roll(vessel, 2, axis=2)).any()


def test_a_vessel_that_lies_one_voxel_off_is_no_lesion(pair: Pair) -> None:
    was, moved = (a_session(np.roll(rod(3.0), shift, axis=2), 60.0) for shift in (0, 1))
    assert volume_of(enhancing(pair, moved, was, LIMITS)) == 0.0
    assert volume_of(enhancing(pair, moved, a_session(), LIMITS)) != 0.0, "without the vessel before, it is one"


def test_a_ring_is_found(pair: Pair) -> None:
    ring = ball(LESION, 8.0) & ~ball(LESION, 5.0)
    assert volume_of(enhancing(pair, a_session(ring, 60), a_session(), LIMITS)) is not None
    assert overlap(enhancing(pair, a_session(ring, 60), a_session(), LIMITS), ring).any()


HARMLESS = [
    pytest.param(None, 40.0, id="nothing but noise"),
    pytest.param(rod(1.0), 80.0, id="a vessel"),
    pytest.param(ball((24, 4, 24), 5.0), 80.0, id="at the border of the brain"),
    pytest.param(ball((30, 14, 24), 3.0), 80.0, id="at the midline"),
    pytest.param(ball(LESION, 6.0), 8.0, id="below the limit"),
]


@pytest.mark.parametrize(("lit", "percent"), HARMLESS)
def test_harmless(pair: Pair, lit: Mask | None, percent: float) -> None:
    found = enhancing(pair, a_session(lit, percent), a_session(), LIMITS)
    assert volume_of(found) == 0.0
    assert "enhancing" in found.found(AFFINE).masks, "measured: the mask is there, and empty"


def test_what_enhanced_before_is_not_new(pair: Pair) -> None:
    known = a_session(ball(LESION, 6.0))
    assert volume_of(enhancing(pair, known, known, LIMITS)) == 0.0


@pytest.mark.parametrize(
    "baseline", [pytest.param(False, id="no pair in the baseline"), pytest.param(None, id="no baseline")]
)
def test_without_a_pair_in_the_baseline_limits_are_wider_and_it_is_said(pair: Pair, baseline: bool | None) -> None:
    before = None if baseline is None else a_session(with_contrast=False)
    weak, strong = (enhancing(pair, a_session(ball(LESION, 6.0), p), before, LIMITS) for p in (17.0, 40.0))
    assert volume_of(weak) == 0.0
    assert (volume_of(strong) or 0.0) > 0.1
    assert "not compared" in strong.notices[0]
    assert (volume_of(enhancing(pair, a_session(ball(LESION, 6.0), 17.0), a_session(), LIMITS)) or 0.0) > 0.1


@pytest.mark.parametrize(
    ("first", "last", "radius_mm", "measured"),
    [
        pytest.param(0, 48, 6.0, True, id="noop: whole, and something enhances"),
        pytest.param(0, 48, 0.0, True, id="noop: whole, and nothing enhances"),
        pytest.param(8, 20, 0.0, False, id="a slab, and nothing enhances in it"),
        pytest.param(8, 32, 6.0, True, id="a slab, and something enhances in it"),
    ],
)
def test_a_slab_after_contrast_excludes_nothing(
    pair: Pair, first: int, last: int, radius_mm: float, measured: bool
) -> None:
    now = a_session(ball(LESION, radius_mm) if radius_mm else None)
    affine = AFFINE.copy()
    affine[:3, 3] += first * affine[:3, 2]
    slab = Volume(now.volumes[GD].voxels[first:last].copy(), affine)
    found = enhancing(pair, replace(now, volumes={**now.volumes, GD: slab}), a_session(), LIMITS)
    assert (found.mask is not None) is measured
    assert measured or (found.reason or "").startswith("coverage: ")
    assert bool(volume_of(found)) is (radius_mm > 0)
    assert any("was looked for there" in said for said in found.notices) is (measured and last - first < 48)


def test_no_contrast_pair_is_not_measured(pair: Pair) -> None:
    found = enhancing(pair, a_session(with_contrast=False), None, LIMITS)
    assert found.mask is None
    measured = found.found(AFFINE)
    assert not measured.masks
    assert all((m.reason or "").startswith("no_contrast_pair") for m in measured.measurements)
    assert {m.quantity for m in measured.measurements} == {"enhancing_volume_ml", "enhancing_lesion_count"}


def test_alone_on_its_own_grid() -> None:
    mask = ball(LESION, 6.0)
    found, affine = enhancing_alone(a_session(mask), Volume(toy_labels(), AFFINE), dict(TOY_NAMES), LIMITS)
    lit = found.found(affine).masks["enhancing"]
    k, j, i = np.argwhere(lit.voxels > 0).mean(axis=0)
    assert (lit.affine @ [i, j, k, 1])[:3] == pytest.approx([28, 28, 48], abs=1.5)


def test_moved_series_are_measured_where_they_lie(pair: Pair) -> None:
    """The T1 series lie elsewhere than the FLAIR; to_anchor brings them back."""
    session = a_session(ball(LESION, 6.0))
    moved = rigid((0, 0, 0), (6.0, -4.0, 2.0))
    volumes = {
        k: v if k is SequenceKind.FLAIR else Volume(v.voxels, moved @ v.affine) for k, v in session.volumes.items()
    }
    placed = {k: np.eye(4) if k is SequenceKind.FLAIR else np.linalg.inv(moved) for k in volumes}
    found = enhancing(pair, replace(session, volumes=volumes, to_anchor=placed), None, LIMITS)
    assert found.clusters is not None
    assert np.array(ndi.center_of_mass(found.clusters > 0)) == pytest.approx(LESION, abs=0.5)


def test_where_the_baselines_pair_has_no_view_the_wider_limits_hold(pair: Pair) -> None:
    """What is weak there may be a vessel that was always there; what is strong and large counts."""
    before = a_session()
    cut = {
        kind: replace(v, voxels=np.where(np.arange(v.voxels.shape[0])[:, None, None] < 15, 0, v.voxels))
        for kind, v in before.volumes.items()
    }
    blind = replace(before, volumes=cut)
    spot = ball((10, *LESION[1:]), 4.0)
    weak, strong = (volume_of(enhancing(pair, a_session(spot, p), blind, LIMITS)) or 0.0 for p in (17.0, 40.0))
    seen = volume_of(enhancing(pair, a_session(spot, 17.0), before, LIMITS)) or 0.0
    assert weak == 0.0
    assert strong > 0.1
    assert seen > 0.05, "the same weak spot counts where the baseline shows that it is new"
