"""What is abnormal in a baseline: old lesions and cavities, and what only looks like them."""

from __future__ import annotations

import numpy as np
import pytest

from tests.builders import TOY_NAMES, toy_labels, toy_scan
from triage.lesions.burden import CAVITY, LESION, BurdenLimits, burden
from triage.measurements import lookup
from triage.model import Found, Mask, Volume

SPACING_MM = 2.0
AFFINE = np.diag([SPACING_MM, SPACING_MM, SPACING_MM, 1.0])
PLACE = (24, 14, 14)


def ball(centre: tuple[int, int, int], radius_mm: float) -> Mask:
    away = sum((a - c) ** 2 for a, c in zip(np.ogrid[0:48, 0:48, 0:48], centre, strict=True))
    return np.asarray(away * SPACING_MM**2 <= radius_mm**2)


def burden_of(mask: Mask, factor: float) -> Found:
    labels = toy_labels()
    scan = np.where(mask, toy_scan(labels) * factor, toy_scan(labels)).astype(np.float32)
    brain = Volume((labels > 0).astype(np.uint8), AFFINE)
    return burden(Volume(scan, AFFINE), Volume(labels, AFFINE), brain, dict(TOY_NAMES), BurdenLimits())


def value(found: Found, quantity: str) -> float | None:
    return lookup(found.measurements, "brain", quantity).value


def test_an_old_lesion() -> None:
    mask = ball(PLACE, 5.0)
    found = burden_of(mask, 1.6)
    assert value(found, "chronic_lesion_count") == 1
    assert value(found, "chronic_lesion_volume_ml") == pytest.approx(mask.sum() * SPACING_MM**3 / 1000, rel=0.1)
    assert value(found, "cavity_volume_ml") == 0
    assert (found.masks["chronic_lesions"].voxels[mask] == LESION).all()


def test_a_cavity() -> None:
    mask = ball(PLACE, 6.0)
    found = burden_of(mask, 0.2)
    assert value(found, "cavity_volume_ml") == pytest.approx(mask.sum() * SPACING_MM**3 / 1000, rel=0.3)
    assert found.masks["chronic_lesions"].voxels[PLACE] == CAVITY


def test_what_the_scan_does_not_show_is_no_cavity() -> None:
    labels = Volume(toy_labels(), AFFINE)
    scan = Volume(toy_scan(toy_labels())[:34].copy(), AFFINE)
    found = burden(scan, labels, labels, dict(TOY_NAMES), BurdenLimits())
    assert value(found, "cavity_volume_ml") == 0


@pytest.mark.parametrize(
    ("mask", "factor"),
    [
        pytest.param(ball(PLACE, 0.0), 1.0, id="nothing"),
        pytest.param(ball(PLACE, 5.0), 1.1, id="a little brighter"),
        pytest.param(ball((24, 4, 24), 3.0), 1.6, id="bright cortex"),
    ],
)
def test_nothing_abnormal(mask: Mask, factor: float) -> None:
    found = burden_of(mask, factor)
    assert value(found, "chronic_lesion_count") == 0
    assert not found.masks["chronic_lesions"].voxels.any()


def test_too_little_white_matter_is_said() -> None:
    labels = np.where(np.isin(toy_labels(), (1, 2)), 3, toy_labels()).astype(np.uint8)
    flair = Volume(toy_scan(labels), AFFINE)
    found = burden(flair, Volume(labels, AFFINE), Volume(labels, AFFINE), dict(TOY_NAMES), BurdenLimits())
    assert not found.masks
    assert all((m.reason or "").startswith("no_reference_tissue") for m in found.measurements)


SHIFTS = [
    pytest.param(0, True, id="the atlas where it belongs"),
    pytest.param(1, True, id="two millimetres off"),
    pytest.param(12, False, id="the atlas beside the head"),
]


@pytest.mark.parametrize(("voxels", "measured"), SHIFTS)
def test_an_atlas_that_lies_wrong_is_refused(voxels: int, measured: bool) -> None:
    """Tissue of the atlas that is as dark as fluid: neither lesions nor cavities are counted there."""
    scan = np.maximum(toy_scan(toy_labels()), 1.0)  # fluid and background carry signal, as on a scan
    labels = np.roll(toy_labels(), voxels, axis=0)
    found = burden(
        Volume(scan, AFFINE), Volume(labels, AFFINE), Volume(labels, AFFINE), dict(TOY_NAMES), BurdenLimits()
    )
    assert all(m.assessable is measured for m in found.measurements)
    assert bool(found.masks) is measured
    if not measured:
        assert all((m.reason or "").startswith("atlas_misfit") for m in found.measurements)
