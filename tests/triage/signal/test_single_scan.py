"""A single scan: how far a region is above its normal level, and what the receive field does to that figure."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.builders import labels_on, raised, scanned
from triage.anatomy import BRAIN_STEM, CAPSULES, THALAMI
from triage.measurements import lookup
from triage.model import Atlas, Found, Volume
from triage.signal.change import MeasurementLimits
from triage.signal.single_scan import ASYMMETRY, EXCESS, SingleScanLimits, measure_alone

LIMITS = SingleScanLimits()


@pytest.fixture(scope="module")
def labels(head: Volume, atlas: Atlas) -> Volume:
    return Volume(labels_on(head, atlas), head.affine)


def measured(scan: Volume, labels: Volume, atlas: Atlas) -> Found:
    return measure_alone(scan, labels, atlas.label_names, LIMITS, MeasurementLimits())


@pytest.fixture(scope="module")
def plain(head: Volume, labels: Volume, atlas: Atlas) -> Found:
    return measured(head, labels, atlas)


def value(found: Found, region: str, quantity: str = EXCESS) -> float:
    figure = lookup(found.measurements, region, quantity)
    assert figure.value is not None, figure.reason
    return figure.value


def test_every_region_has_its_figure_with_the_spread_between_heads(plain: Found) -> None:
    for region in (*THALAMI, *BRAIN_STEM, *CAPSULES):
        figure = lookup(plain.measurements, region, EXCESS)
        assert figure.assessable, figure.reason
        assert figure.uncertainty is not None
        assert figure.uncertainty >= 3.0
        assert "single scan" in (figure.reason or "")


def test_a_rise_is_as_large_as_it_was_made(plain: Found, head: Volume, labels: Volume, atlas: Atlas) -> None:
    before, after = plain, measured(raised(head, labels.voxels, atlas, (*THALAMI, "pons"), 20.0), labels, atlas)
    for region in (*THALAMI, "pons"):
        assert value(after, region) - value(before, region) == pytest.approx(20.0, abs=4.0)
    assert value(after, "medulla") == pytest.approx(value(before, "medulla"), abs=2.0)


def test_one_side_shows_against_the_mirror_side(head: Volume, labels: Volume, atlas: Atlas) -> None:
    found = measured(raised(head, labels.voxels, atlas, ("thalamus_left",), 15.0), labels, atlas)
    assert value(found, "thalami", ASYMMETRY) == pytest.approx(15.0, abs=4.0)
    assert value(found, "external_extreme_capsules", ASYMMETRY) == pytest.approx(0.0, abs=4.0)


def test_a_receive_field_of_a_third_hardly_matters(plain: Found, head: Volume, labels: Volume, atlas: Atlas) -> None:
    """There is no second scan to cancel it."""
    shaded = measured(scanned(head, seed=3, bias=0.3, noise=0.0, gain=7.0), labels, atlas)
    for region in (*THALAMI, "pons", *CAPSULES):
        assert value(shaded, region) == pytest.approx(value(plain, region), abs=2.0)


def test_what_cannot_be_measured_says_why(head: Volume, labels: Volume, atlas: Atlas) -> None:
    names = atlas.label_names

    def lost(*regions: str) -> Found:
        gone = [label for label, name in names.items() if name in regions]
        return measured(head, Volume(np.where(np.isin(labels.voxels, gone), 0, labels.voxels), labels.affine), atlas)

    assert (lookup(lost("thalamus_left").measurements, "thalamus_left", EXCESS).reason or "").startswith(
        "region_missing"
    )
    assert not lookup(lost("thalamus_left").measurements, "thalami", ASYMMETRY).assessable
    no_deep_grey = lost("caudate_left", "caudate_right", "putamen_left", "putamen_right")
    reason = lookup(no_deep_grey.measurements, "thalamus_left", EXCESS).reason or ""
    assert reason.startswith("no_reference_tissue: caudate or putamen")
    nothing = measured(head, Volume(labels.voxels * 0, labels.affine), atlas)
    assert all((m.reason or "").startswith("no_reference_tissue") for m in nothing.measurements)
    assert not any(m.assessable for m in nothing.measurements)


def test_normal_values_are_the_zero_of_the_scale(plain: Found, head: Volume, labels: Volume, atlas: Atlas) -> None:
    shifted = replace(LIMITS, thalami_normal=LIMITS.thalami_normal + 5.0)
    moved = measure_alone(head, labels, atlas.label_names, shifted, MeasurementLimits())
    assert value(moved, "thalamus_left") < value(plain, "thalamus_left")
    assert value(moved, "pons") == value(plain, "pons")
