"""Pattern C from measurements alone: limits, what cannot be measured, and the loss that follows."""

from __future__ import annotations

import pytest

from triage.measurements import not_measured
from triage.model import Measurement, Presence, ProtocolMatch, Strength
from triage.patterns.cortical_diffusion import CorticalDiffusionLimits, SiteLater, detect, detect_alone, later_loss

LIMITS = CorticalDiffusionLimits()
OCCIPITAL = "cortex_occipital_right"


def figures(cortex_ml: float, gyri: float = 1.0, deep_ml: float = 0.0) -> tuple[Measurement, ...]:
    return (
        Measurement("brain", "restricted_volume_ml", cortex_ml + deep_ml, "mL", 0.1),
        Measurement("cortex", "restricted_volume_ml", cortex_ml, "mL", 0.1),
        Measurement(OCCIPITAL, "restricted_volume_ml", cortex_ml, "mL", 0.1),
        *((Measurement("internal_capsule_left", "restricted_volume_ml", deep_ml, "mL", 0.1),) if deep_ml else ()),
        Measurement("cortex", "restricted_gyri", gyri, "1"),
    )


@pytest.mark.parametrize(
    ("cortex_ml", "gyri", "presence", "strength"),
    [
        pytest.param(0.0, 0.0, Presence.ABSENT, None, id="nothing"),
        pytest.param(0.29, 0.0, Presence.ABSENT, None, id="too little"),
        pytest.param(0.3, 1.0, Presence.PRESENT, Strength.POSSIBLE, id="one small gyrus"),
        pytest.param(0.7, 2.0, Presence.PRESENT, Strength.SUSPECTED, id="two gyri"),
        pytest.param(1.0, 1.0, Presence.PRESENT, Strength.SUSPECTED, id="one large gyrus"),
    ],
)
def test_limits(cortex_ml: float, gyri: float, presence: Presence, strength: Strength | None) -> None:
    for found in (
        detect(figures(cortex_ml, gyri), ProtocolMatch.DIFFERENT, LIMITS),
        detect_alone(figures(cortex_ml, gyri), LIMITS),
    ):
        assert (found.presence, found.strength) == (presence, strength)


@pytest.mark.parametrize(
    ("cortex_ml", "presence"),
    [
        pytest.param(0.2, Presence.INDETERMINATE, id="too little, but it may lie where nothing was judged"),
        pytest.param(0.3, Presence.PRESENT, id="what was judged is enough"),
    ],
)
def test_a_lobe_that_was_not_judged_is_named(cortex_ml: float, presence: Presence) -> None:
    hidden = not_measured("cortex_temporal_left", "restricted_volume_ml", "mL", "coverage: 40 % of it")
    found = detect_alone((*figures(cortex_ml), hidden), LIMITS)
    assert found.presence is presence
    assert ("left temporal" in found.explanation) is (presence is Presence.INDETERMINATE)


def test_not_measured_is_not_absent() -> None:
    found = detect_alone((not_measured("cortex", "restricted_volume_ml", "mL", "no_dwi: none"),), LIMITS)
    assert found.presence is Presence.INDETERMINATE
    assert "no_dwi" in found.explanation


def test_site_and_what_lies_elsewhere_are_named() -> None:
    found = detect_alone(figures(1.5, deep_ml=2.0), LIMITS)
    assert "right occipital 1.5 mL" in found.explanation
    assert "outside the cortex: left internal capsule 2.0 mL" in found.explanation


def test_without_figures_nothing_is_said_to_be_absent() -> None:
    assert detect_alone((), LIMITS).presence is Presence.INDETERMINATE


def test_unknown_gyri_leave_the_volume_to_decide() -> None:
    found = (*figures(0.5)[:3], not_measured("cortex", "restricted_gyri", "1", "no_dwi: none"))
    assert detect_alone(found, LIMITS).strength is Strength.POSSIBLE


def test_white_matter_alone_is_not_the_pattern_but_is_said() -> None:
    found = detect_alone(figures(0.0, gyri=0.0, deep_ml=12.0), LIMITS)
    assert found.presence is Presence.ABSENT
    assert "also outside the cortex: left internal capsule 12.0 mL" in found.explanation


@pytest.mark.parametrize(
    ("site", "presence"),
    [
        pytest.param(SiteLater(OCCIPITAL, 2.0, 30, -9.0, 2.0), Presence.PRESENT, id="loss"),
        pytest.param(SiteLater(OCCIPITAL, 2.0, 30, -9.0, 5.0), Presence.INDETERMINATE, id="too uncertain"),
        pytest.param(SiteLater(OCCIPITAL, 2.0, 30, -9.0, None), Presence.INDETERMINATE, id="uncertainty unknown"),
        pytest.param(SiteLater(OCCIPITAL, 2.0, 30, -2.0, 0.5), Presence.ABSENT, id="no loss"),
        pytest.param(SiteLater(OCCIPITAL, 2.0, 20, -9.0, 2.0), Presence.INDETERMINATE, id="too early"),
        pytest.param(SiteLater(OCCIPITAL, 2.0, 30, None, None), Presence.INDETERMINATE, id="not measured"),
        pytest.param(
            SiteLater(OCCIPITAL, 2.0, 30, -9.0, 2.0, baseline_before=False), Presence.INDETERMINATE, id="baseline later"
        ),
    ],
)
def test_later_loss(site: SiteLater, presence: Presence) -> None:
    assert later_loss((site,), 0.0, LIMITS).presence is presence


@pytest.mark.parametrize(
    ("elsewhere", "presence"),
    [
        pytest.param(-8.0, Presence.ABSENT, id="all sulci widened alike"),
        pytest.param(2.0, Presence.PRESENT, id="this lobe alone"),
        pytest.param(None, Presence.INDETERMINATE, id="not measured elsewhere"),
    ],
)
def test_loss_counts_beyond_what_other_lobes_lost(elsewhere: float | None, presence: Presence) -> None:
    assert later_loss((SiteLater(OCCIPITAL, 2.0, 30, -9.0, 1.5),), elsewhere, LIMITS).presence is presence


def test_one_lobe_kept_and_one_not_measured_is_not_absent() -> None:
    kept, unknown = SiteLater(OCCIPITAL, 2.0, 30, 0.0, 1.0), SiteLater("cortex_parietal_left", 2.0, 30, None, None)
    found = later_loss((kept, unknown), 0.0, LIMITS)
    assert found.presence is Presence.INDETERMINATE
    assert "left parietal was not measured" in found.explanation
