"""Pattern A from figures: what calls it, how strongly, and what does not."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import figures
from triage.model import Measurement, Presence, ProtocolMatch, Strength
from triage.patterns import bithalamic
from triage.patterns.bithalamic import BithalamicLimits

SAME, DIFFERENT = ProtocolMatch.SAME, ProtocolMatch.DIFFERENT
LIMITS = BithalamicLimits()

Figures = tuple[Measurement, ...]
QUIET = {"thalamus__both": 0.5, "midbrain": 0.3, "pons": -0.4, "medulla": 0.2, "external_extreme_capsule__both": 0.1}


def flair(**values: float | None) -> Figures:
    """FLAIR changes in percent; regions that are not named stay quiet."""
    return figures(**{**QUIET, **values})


def swelling(thalami: float | None = 0.0, third_ventricle: float | None = 0.0, pons: float | None = 0.0) -> Figures:
    values = {"thalamus__both": thalami, "third_ventricle": third_ventricle, "pons": pons}
    return figures("volume_change_percent", **values)


def white(left: float | None, right: float | None) -> Figures:
    return figures("raised_fraction_percent", white_matter_left=left, white_matter_right=right)


def symmetry(value: float) -> Figures:
    return figures("symmetry", external_extreme_capsules=value)


@pytest.mark.parametrize(
    ("measured", "protocol", "expected"),
    [
        pytest.param(flair(), SAME, None, id="noop: nothing changed"),
        pytest.param(flair(thalamus__both=9.0), SAME, Strength.POSSIBLE, id="both thalami rise"),
        pytest.param(flair(thalamus__both=9.0), DIFFERENT, None, id="too little across protocols"),
        pytest.param(flair(thalamus__both=16.0), DIFFERENT, Strength.POSSIBLE, id="enough across protocols"),
        pytest.param(flair(thalamus__both=9.0, pons=12.0), SAME, Strength.SUSPECTED, id="with the pons"),
        pytest.param(flair(thalamus__both=9.0, medulla=12.0), SAME, Strength.SUSPECTED, id="with the medulla"),
        pytest.param(flair(thalamus__both=9.0, midbrain=12.0), SAME, Strength.SUSPECTED, id="with the midbrain"),
        pytest.param(flair(thalamus__both=16.0), SAME, Strength.SUSPECTED, id="both rise strongly"),
        pytest.param(flair(thalamus__both=16.0, pons=12.0), SAME, Strength.STRONG, id="strongly, with the pons"),
        pytest.param(flair(thalamus__both=17.0, pons=20.0), DIFFERENT, Strength.SUSPECTED, id="not strong elsewhere"),
        pytest.param(
            flair(thalamus__both=4.5, pons=4.5), SAME, Strength.POSSIBLE, id="a little, thalami and pons together"
        ),
        pytest.param(flair(thalamus__both=4.5, medulla=3.5), SAME, None, id="a little, the brain stem less"),
        pytest.param(flair(thalamus__both=4.5, pons=4.5), DIFFERENT, None, id="too little together across protocols"),
        pytest.param(flair(thalamus__both=7.5, pons=7.5), DIFFERENT, Strength.POSSIBLE, id="together across protocols"),
        pytest.param(flair(thalamus_left=4.5, thalamus_right=2.0, pons=4.5), SAME, None, id="a little, one side less"),
        pytest.param(flair(thalamus_left=20.0, thalamus_right=1.0), SAME, None, id="one side only"),
        pytest.param(flair(thalamus_left=1.0, thalamus_right=20.0), SAME, None, id="the other side only"),
        pytest.param(flair(thalamus__both=-12.0, pons=-12.0), SAME, None, id="both fall"),
        pytest.param(flair(pons=25.0) + swelling(), SAME, None, id="pons alone: a focal lesion"),
        pytest.param(flair(pons=25.0) + swelling(5.0, -25.0), SAME, Strength.POSSIBLE, id="pons and swollen thalami"),
        pytest.param(flair() + swelling(8.0, -30.0), SAME, None, id="swelling alone"),
        pytest.param(
            flair(thalamus__both=9.0) + swelling(5.0, -25.0), SAME, Strength.SUSPECTED, id="ventricle squeezed"
        ),
        pytest.param(
            flair(thalamus__both=9.0) + swelling(5.0, 0.0, 4.0), SAME, Strength.SUSPECTED, id="pons swells too"
        ),
        pytest.param(flair(thalamus__both=9.0) + swelling(5.0), SAME, Strength.POSSIBLE, id="swelling unsupported"),
        pytest.param(
            flair(thalamus__both=9.0) + swelling(3.9, -25.0), SAME, Strength.POSSIBLE, id="too little swelling"
        ),
        pytest.param(
            flair(thalamus__both=9.0, external_extreme_capsule__both=11.0) + symmetry(0.9),
            SAME,
            Strength.SUSPECTED,
            id="with symmetric capsules",
        ),
        pytest.param(
            flair(thalamus__both=9.0, external_extreme_capsule__both=11.0) + symmetry(0.5),
            SAME,
            Strength.POSSIBLE,
            id="lopsided capsules",
        ),
        pytest.param(
            flair(thalamus__both=9.0) + white(3.0, 2.5), SAME, Strength.SUSPECTED, id="with both white matters"
        ),
        pytest.param(flair(thalamus__both=9.0) + white(9.0, 2.5), SAME, Strength.POSSIBLE, id="lopsided white matter"),
        pytest.param(flair(thalamus__both=9.0) + white(3.0, 0.0), SAME, Strength.POSSIBLE, id="white matter, one side"),
    ],
)
def test_strength(measured: Figures, protocol: ProtocolMatch, expected: Strength | None) -> None:
    finding = bithalamic.detect(measured, protocol, LIMITS)
    assert finding.strength is expected
    assert finding.presence is (Presence.PRESENT if expected else Presence.ABSENT)
    assert finding.pattern == "A"


NO_STEM = flair(midbrain=None, pons=None, medulla=None)


@pytest.mark.parametrize(
    ("measured", "presence"),
    [
        pytest.param((), Presence.INDETERMINATE, id="nothing measured"),
        pytest.param(flair(thalamus__both=None), Presence.INDETERMINATE, id="thalami not measured"),
        pytest.param(flair(thalamus_left=None), Presence.ABSENT, id="one unknown, the other quiet: cannot be both"),
        pytest.param(
            flair(thalamus_left=None, thalamus_right=20.0), Presence.INDETERMINATE, id="one unknown, one rises"
        ),
        pytest.param(
            flair(thalamus__both=None, pons=30.0), Presence.INDETERMINATE, id="pons rises, thalami not measured"
        ),
        pytest.param(NO_STEM + swelling(), Presence.ABSENT, id="brain stem not measured, thalami quiet"),
        pytest.param(NO_STEM, Presence.INDETERMINATE, id="neither the brain stem nor swelling measured"),
        pytest.param(NO_STEM + swelling(5.0, -25.0), Presence.INDETERMINATE, id="swollen, brain stem not measured"),
        pytest.param(flair(pons=25.0), Presence.INDETERMINATE, id="pons rises, swelling not measured"),
        pytest.param(
            flair(pons=25.0) + swelling(5.0, 0.0, None), Presence.INDETERMINATE, id="pons rises, its volume unknown"
        ),
        pytest.param(
            flair(thalamus__both=6.5, midbrain=None, pons=None, medulla=None) + swelling(),
            Presence.INDETERMINATE,
            id="thalami rise a little, brain stem not measured",
        ),
        pytest.param(flair(thalamus__both=6.5, pons=None) + swelling(), Presence.INDETERMINATE, id="a part of it"),
        pytest.param(flair(thalamus__both=3.5, pons=None) + swelling(), Presence.ABSENT, id="less than a little"),
    ],
)
def test_what_was_not_measured(measured: Figures, presence: Presence) -> None:
    finding = bithalamic.detect(measured, SAME, LIMITS)
    assert finding.presence is presence
    assert finding.strength is None
    if presence is Presence.INDETERMINATE:
        assert any("not measured" in line for line in finding.evidence)


def test_unmeasured_support_does_not_weaken_the_thalami() -> None:
    measured = flair(thalamus__both=9.0, midbrain=None, pons=None, medulla=None, external_extreme_capsule__both=None)
    assert bithalamic.detect(measured + swelling(None, None, None), SAME, LIMITS).strength is Strength.POSSIBLE


def at(sd: float, **values: float) -> Figures:
    return tuple(dataclasses.replace(m, uncertainty=sd) for m in flair(**values) if m.value is not None)


@pytest.mark.parametrize(
    ("measured", "presence"),
    [
        pytest.param(at(3.5, thalamus__both=9.0), Presence.PRESENT, id="beyond both"),
        pytest.param(at(3.7, thalamus__both=9.0), Presence.INDETERMINATE, id="beyond the limit only"),
        pytest.param(at(9.0, thalamus__both=20.0, pons=20.0), Presence.INDETERMINATE, id="much, and very uncertain"),
        pytest.param(at(2.0, thalamus__both=4.5, pons=4.5), Presence.INDETERMINATE, id="a little of all of them"),
        pytest.param(at(9.0, thalamus_left=20.0), Presence.ABSENT, id="one side only"),
        pytest.param(at(9.0, thalamus__both=3.0), Presence.ABSENT, id="noop: below every limit"),
    ],
)
def test_a_rise_within_the_spread_of_the_pair_is_neither_called_nor_excluded(
    measured: Figures, presence: Presence
) -> None:
    """Absolute change and z must both hold."""
    finding = bithalamic.detect(measured + swelling(), SAME, LIMITS)
    assert finding.presence is presence
    assert ("within the uncertainty" in finding.explanation) is (presence is Presence.INDETERMINATE)


def swelling_at(sd: float, thalami: float = 0.0, third_ventricle: float = 0.0, pons: float = 0.0) -> Figures:
    return tuple(dataclasses.replace(m, uncertainty=sd) for m in swelling(thalami, third_ventricle, pons))


@pytest.mark.parametrize(
    ("measured", "presence", "strength"),
    [
        pytest.param(
            flair(thalamus__both=9.0) + swelling_at(1.9, 5.0, -25.0),
            Presence.PRESENT, Strength.SUSPECTED, id="beyond both"),
        pytest.param(
            flair(thalamus__both=9.0) + swelling_at(2.1, 5.0, -25.0),
            Presence.PRESENT, Strength.POSSIBLE, id="thalami beyond the limit only"),
        pytest.param(
            flair(thalamus__both=9.0) + swelling_at(1.3, 5.0, pons=3.1),
            Presence.PRESENT, Strength.POSSIBLE, id="pons beyond the limit only"),
        pytest.param(
            flair(pons=25.0) + swelling_at(2.1, 5.0, -25.0),
            Presence.INDETERMINATE, None, id="not excluded beside the pons"),
        pytest.param(
            flair(pons=25.0) + swelling_at(2.1, 3.9, -25.0), Presence.ABSENT, None, id="noop: below the limit"),
    ],
)  # fmt: skip
def test_swelling_within_the_spread_of_the_pair_is_neither_called_nor_excluded(
    measured: Figures, presence: Presence, strength: Strength | None
) -> None:
    finding = bithalamic.detect(measured, SAME, LIMITS)
    assert (finding.presence, finding.strength) == (presence, strength)
    assert ("A3 swelling did change, but" in finding.explanation) is (presence is Presence.INDETERMINATE)


def test_limits_of_the_site_are_used() -> None:
    strict = dataclasses.replace(LIMITS, thalami_same=20.0, thalami_strong_same=30.0)
    assert bithalamic.detect(flair(thalamus__both=16.0), SAME, strict).presence is Presence.ABSENT


def test_the_evidence_quotes_the_figures() -> None:
    finding = bithalamic.detect(flair(thalamus__both=16.25, pons=12.0), SAME, LIMITS)
    assert "thalamus_left/flair_change_percent = +16.2 ± 1.0 %" in finding.evidence
    assert "pons/flair_change_percent = +12.0 ± 1.0 %" in finding.evidence


percents = st.floats(-60, 120)


@given(left=percents, right=percents, pons=percents, different=st.booleans())
def test_sides_are_alike(left: float, right: float, pons: float, different: bool) -> None:
    protocol = DIFFERENT if different else SAME
    one = bithalamic.detect(flair(thalamus_left=left, thalamus_right=right, pons=pons), protocol, LIMITS)
    other = bithalamic.detect(flair(thalamus_left=right, thalamus_right=left, pons=pons), protocol, LIMITS)
    assert (one.presence, one.strength) == (other.presence, other.strength)


ORDER = [None, Strength.POSSIBLE, Strength.SUSPECTED, Strength.STRONG]


@given(thalami=percents, pons=percents, more=st.floats(0, 50))
def test_more_change_never_weakens(thalami: float, pons: float, more: float) -> None:
    less = bithalamic.detect(flair(thalamus__both=thalami, pons=pons), SAME, LIMITS)
    raised = bithalamic.detect(flair(thalamus__both=thalami + more, pons=pons + more), SAME, LIMITS)
    assert ORDER.index(raised.strength) >= ORDER.index(less.strength)


@given(thalami=percents, pons=percents)
def test_across_protocols_is_never_called_more_strongly(thalami: float, pons: float) -> None:
    measured = flair(thalamus__both=thalami, pons=pons)
    found = [bithalamic.detect(measured, protocol, LIMITS).strength for protocol in (SAME, DIFFERENT)]
    assert ORDER.index(found[1]) <= ORDER.index(found[0])


# -- single scans ----------------------------------------------------------------------------------


def excess(**values: float | None) -> Figures:
    """Excess over what is normal, in percent, with the spread between heads; regions that are not named are normal."""
    found = figures("flair_excess_percent", **{**QUIET, **values})
    return tuple(m if m.value is None else dataclasses.replace(m, uncertainty=6.5) for m in found)


POSSIBLE, SUSPECTED = Strength.POSSIBLE, Strength.SUSPECTED
PRESENT, ABSENT, INDETERMINATE = Presence.PRESENT, Presence.ABSENT, Presence.INDETERMINATE


@pytest.mark.parametrize(
    ("measured", "presence", "strength"),
    [
        pytest.param(excess(), ABSENT, None, id="noop: normal"),
        pytest.param(excess(thalamus__both=12.0), PRESENT, POSSIBLE, id="both above the limit"),
        pytest.param(excess(thalamus__both=12.0, pons=14.0), PRESENT, SUSPECTED, id="with the pons"),
        pytest.param(excess(thalamus__both=19.0), PRESENT, SUSPECTED, id="strong and symmetric"),
        pytest.param(excess(thalamus__both=60.0, pons=60.0), PRESENT, SUSPECTED, id="never strong"),
        pytest.param(excess(thalamus_left=30.0, thalamus_right=19.0), PRESENT, POSSIBLE, id="strong but lopsided"),
        pytest.param(excess(thalamus_left=30.0, thalamus_right=1.0), ABSENT, None, id="one side only"),
        pytest.param(excess(thalamus__both=8.0), INDETERMINATE, None, id="between normal and the limit"),
        pytest.param(excess(pons=40.0), ABSENT, None, id="pons alone"),
        pytest.param(excess(thalamus__both=None), INDETERMINATE, None, id="thalami not measured"),
        pytest.param(excess(thalamus_left=None, thalamus_right=30.0), INDETERMINATE, None, id="one side not measured"),
        pytest.param((), INDETERMINATE, None, id="nothing measured"),
        pytest.param(flair(thalamus__both=40.0), INDETERMINATE, None, id="figures of a pair are not those of a scan"),
    ],
)
def test_alone(measured: Figures, presence: Presence, strength: Strength | None) -> None:
    finding = bithalamic.detect_alone(measured, LIMITS)
    assert (finding.presence, finding.strength) == (presence, strength)
    assert "no baseline" in finding.explanation


def test_alone_a_quiet_scan_says_what_it_cannot_exclude() -> None:
    assert "is not excluded" in bithalamic.detect_alone(excess(), LIMITS).explanation
