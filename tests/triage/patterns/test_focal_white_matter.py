"""Pattern B from figures alone."""

from __future__ import annotations

import pytest

from triage.measurements import not_measured
from triage.model import Measurement, Presence, ProtocolMatch, Strength
from triage.patterns.focal_white_matter import FocalWhiteMatterLimits, detect, detect_alone

LIMITS = FocalWhiteMatterLimits()
UNITS = {"lesion_count": "1", "lesions_at_prior_injury": "1", "chronic_lesion_count": "1"}


def figures(**values: float | None) -> tuple[Measurement, ...]:
    return tuple(
        not_measured("brain", name, UNITS.get(name, "mL"), "no_contrast_pair: for the test")
        if value is None
        else Measurement("brain", name, value, UNITS.get(name, "mL"))
        for name, value in values.items()
    )


NEW = {"lesion_count": 0.0, "lesion_volume_ml": 0.0, "largest_lesion_ml": 0.0, "lesions_at_prior_injury": 0.0}


@pytest.mark.parametrize(
    ("changes", "strength"),
    [
        pytest.param({}, None, id="nothing"),
        pytest.param({"enhancing_volume_ml": 0.0}, None, id="nothing enhances"),
        pytest.param({"lesion_count": 1.0, "lesion_volume_ml": 0.2}, Strength.POSSIBLE, id="one small lesion"),
        pytest.param({"lesion_count": 2.0, "lesion_volume_ml": 0.49}, Strength.POSSIBLE, id="two small lesions"),
        pytest.param({"lesion_count": 3.0, "lesion_volume_ml": 0.35}, Strength.SUSPECTED, id="three lesions"),
        pytest.param({"lesion_count": 1.0, "lesion_volume_ml": 0.5}, Strength.SUSPECTED, id="one large lesion"),
        pytest.param({"enhancing_volume_ml": 0.1}, Strength.SUSPECTED, id="enhancement alone"),
        pytest.param({"enhancing_volume_ml": 0.07}, None, id="less than a lesion enhances"),
    ],
)
def test_strength(changes: dict[str, float], strength: Strength | None) -> None:
    finding = detect(figures(**{**NEW, **changes}), ProtocolMatch.SAME, LIMITS)
    assert finding.strength is strength
    assert finding.presence is (Presence.ABSENT if strength is None else Presence.PRESENT)
    assert len(finding.evidence) == 5


def test_enhancement_that_was_not_measured_is_said() -> None:
    finding = detect(figures(**NEW, enhancing_volume_ml=None), ProtocolMatch.SAME, LIMITS)
    assert finding.presence is Presence.ABSENT
    assert "enhancement was not measured" in finding.explanation
    assert any("no_contrast_pair" in line for line in finding.evidence)


def test_lesions_that_could_not_be_looked_for_are_indeterminate() -> None:
    finding = detect(figures(**dict.fromkeys(NEW), enhancing_volume_ml=0.0), ProtocolMatch.SAME, LIMITS)
    assert finding.presence is Presence.INDETERMINATE
    assert finding.strength is None


def test_enhancement_stands_without_flair() -> None:
    finding = detect(figures(**dict.fromkeys(NEW), enhancing_volume_ml=0.3), ProtocolMatch.DIFFERENT, LIMITS)
    assert finding.strength is Strength.SUSPECTED
    assert "0.30 mL" in finding.explanation


def test_prior_injury_is_told() -> None:
    values = {**NEW, "lesion_count": 2.0, "lesion_volume_ml": 0.3, "lesions_at_prior_injury": 1.0}
    assert "1 at prior injury" in detect(figures(**values), ProtocolMatch.SAME, LIMITS).explanation


LESIONS = {"chronic_lesion_count": 12.0, "chronic_lesion_volume_ml": 6.0}
RESTRICTED = (
    Measurement("brain", "restricted_volume_ml", 1.6, "mL"),
    Measurement("cortex", "restricted_volume_ml", 0.4, "mL"),
)


def capsules(left: float, right: float) -> tuple[Measurement, ...]:
    return tuple(
        Measurement(f"external_extreme_capsule_{side}", "flair_excess_percent", value, "%", 3.5)
        for side, value in (("left", left), ("right", right))
    )


def narrowed(percent: float) -> tuple[Measurement, ...]:
    return (Measurement("brain", "ventricle_narrowing_percent", percent, "%"),)


@pytest.mark.parametrize(
    ("values", "signs", "presence", "strength"),
    [
        pytest.param({}, (), Presence.INDETERMINATE, None, id="nothing measured"),
        pytest.param({"chronic_lesion_count": 0.0}, (), Presence.INDETERMINATE, None, id="none: new is unknown"),
        pytest.param(LESIONS, (), Presence.INDETERMINATE, None, id="many without an acute sign"),
        pytest.param(
            LESIONS | {"chronic_lesion_count": 75.0, "chronic_lesion_volume_ml": 15.1},
            (*capsules(3.0, 4.0), *narrowed(0.0)),
            Presence.INDETERMINATE,
            None,
            id="very many, every sign measured and absent",
        ),
        pytest.param({"enhancing_volume_ml": 0.2}, (), Presence.PRESENT, Strength.SUSPECTED, id="enhancement"),
        pytest.param(LESIONS, RESTRICTED, Presence.PRESENT, Strength.POSSIBLE, id="restriction outside the cortex"),
        pytest.param({}, RESTRICTED, Presence.INDETERMINATE, None, id="restriction without a lesion"),
        pytest.param(
            LESIONS,
            (RESTRICTED[0], Measurement("cortex", "restricted_volume_ml", 1.5, "mL")),
            Presence.INDETERMINATE,
            None,
            id="restriction in the cortex is pattern C",
        ),
        pytest.param(LESIONS, capsules(15.0, 14.0), Presence.PRESENT, Strength.POSSIBLE, id="both capsules bright"),
        pytest.param(LESIONS, capsules(30.0, 13.0), Presence.INDETERMINATE, None, id="capsules uneven"),
        pytest.param(LESIONS, capsules(15.0, 11.9), Presence.INDETERMINATE, None, id="one capsule below"),
        pytest.param(LESIONS, capsules(15.0, 14.0)[:1], Presence.INDETERMINATE, None, id="one capsule not measured"),
        pytest.param(LESIONS, narrowed(60.0), Presence.PRESENT, Strength.POSSIBLE, id="mass effect"),
        pytest.param(LESIONS, narrowed(-60.0), Presence.INDETERMINATE, None, id="the ventricle beside it is wider"),
    ],
)
def test_alone(
    values: dict[str, float], signs: tuple[Measurement, ...], presence: Presence, strength: Strength | None
) -> None:
    finding = detect_alone((*figures(**values), *signs), LIMITS)
    assert (finding.presence, finding.strength) == (presence, strength)
    assert "baseline" in finding.explanation


def test_alone_what_was_not_measured_is_said() -> None:
    some = detect_alone((*figures(**LESIONS, enhancing_volume_ml=None), *narrowed(0.0), *capsules(1.0, 1.0)), LIMITS)
    assert (
        "12 focal white matter lesions, 6.0 mL, more than in most healthy people, without an acute sign"
        in some.explanation
    )
    assert some.explanation.endswith("not measured: enhancement, diffusion")
    everything = (*figures(**LESIONS, enhancing_volume_ml=0.0), *RESTRICTED, *narrowed(0.0), *capsules(1.0, 1.0))
    assert "not measured" not in detect_alone(everything, LIMITS).explanation
