"""Pattern D as a table: effaced sulci and a larger brain make it; no change, one protocol change and missing figures do
not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.builders import a_measurement
from triage.measurements import not_measured
from triage.model import Measurement, Presence, ProtocolMatch, Strength
from triage.patterns.global_oedema import GlobalOedemaLimits, detect, detect_alone

SAME, DIFFERENT = ProtocolMatch.SAME, ProtocolMatch.DIFFERENT
REGIONS = ("sulcal_csf", "extraventricular_csf", "brain", "ventricles", "cisterns")


def changes(
    sulcal: float | None = 0.0,
    outer: float | None = 0.0,
    brain: float | None = 0.0,
    ventricles: float | None = 0.0,
    cisterns: float | None = 0.0,
    *,
    sd: float = 1.0,
    source: str = "source: t2 +0.0, flair +0.0",
) -> tuple[Measurement, ...]:
    values = (sulcal, outer, brain, ventricles, cisterns)
    found = (
        a_measurement(r, v, "volume_change_percent", uncertainty=sd * (0.1 if r == "brain" else 1.0))
        for r, v in zip(REGIONS, values, strict=True)
    )
    return tuple(replace(m, reason=source if m.assessable else m.reason) for m in found)


@pytest.mark.parametrize(
    ("found", "protocol", "strength"),
    [
        pytest.param(changes(-40, -38, 2.0, -18, -35), SAME, Strength.SUSPECTED, id="everything"),
        pytest.param(changes(-40, -38, 2.5), DIFFERENT, Strength.SUSPECTED, id="across protocols"),
        pytest.param(changes(-55, -50, 2.0), SAME, Strength.STRONG, id="strong sulci"),
        pytest.param(changes(-30, -28, 1.0), SAME, Strength.SUSPECTED, id="normal ventricles are not required"),
        pytest.param(changes(-10, -16, 1.0), SAME, Strength.POSSIBLE, id="one sign"),
        pytest.param(changes(0, 0, 1.8), SAME, Strength.POSSIBLE, id="brain alone"),
        pytest.param(changes(-5, -20, 1.0, cisterns=-45), SAME, Strength.SUSPECTED, id="cisterns and outer fluid"),
        pytest.param(changes(None, None, 1.8, -20), SAME, Strength.SUSPECTED, id="sulci not measured"),
    ],
)
def test_present(found: tuple[Measurement, ...], protocol: ProtocolMatch, strength: Strength) -> None:
    finding = detect(found, protocol, GlobalOedemaLimits())
    assert (finding.presence, finding.strength) == (Presence.PRESENT, strength)


@pytest.mark.parametrize(
    ("found", "protocol"),
    [
        pytest.param(changes(), SAME, id="no change"),
        pytest.param(changes(-12, -10, 1.2, -10, -20), SAME, id="all below the limits"),
        pytest.param(changes(-30, -24, 1.5, -20, -40), DIFFERENT, id="a protocol change may do that"),
        pytest.param(changes(+60, +50, -2.0, +30, +40), SAME, id="more fluid"),
    ],
)
def test_absent(found: tuple[Measurement, ...], protocol: ProtocolMatch) -> None:
    finding = detect(found, protocol, GlobalOedemaLimits())
    assert (finding.presence, finding.strength) == (Presence.ABSENT, None)


@pytest.mark.parametrize(
    ("found", "unsure"),
    [
        pytest.param(changes(-40, sd=20.0), "sulci", id="sulci"),
        pytest.param(changes(-10, -16, sd=10.0), "fluid outside the ventricles", id="outer fluid"),
        pytest.param(changes(brain=1.8, sd=8.0), "brain volume", id="brain"),
        pytest.param(changes(cisterns=-35, sd=14.0), "ventricles or cisterns", id="cisterns"),
        pytest.param(changes(-45, sd=16.0, source="source: t2 -45.0, flair -13.0"), "sulci", id="two contrasts differ"),
        pytest.param(changes(-40, -38, 2.0, -18, -35, sd=20.0), "sulci, fluid outside the ventricles, brain volume, "
            "ventricles or cisterns", id="all of them"),
    ],
)  # fmt: skip
def test_beyond_the_limit_and_within_the_uncertainty_is_not_excluded(
    found: tuple[Measurement, ...], unsure: str
) -> None:
    finding = detect(found, SAME, GlobalOedemaLimits())
    assert (finding.presence, finding.strength) == (Presence.INDETERMINATE, None)
    assert finding.explanation.endswith(f"changed, but within the uncertainty: {unsure}")


@pytest.mark.parametrize(
    ("sulcal", "sd", "protocol", "presence"),
    [
        pytest.param(0.0, 10.0, SAME, Presence.ABSENT, id="no change"),
        pytest.param(14.7, 10.0, SAME, Presence.ABSENT, id="a real pair without oedema, same protocol"),
        pytest.param(-8.5, 10.0, SAME, Presence.INDETERMINATE, id="a loss within the uncertainty"),
        pytest.param(-38.0, 10.0, SAME, Presence.PRESENT, id="a loss beyond it"),
        pytest.param(-26.0, 10.0, SAME, Presence.INDETERMINATE, id="between the limit and that of FLAIR alone"),
        pytest.param(-31.0, 22.0, DIFFERENT, Presence.INDETERMINATE, id="a real pair without oedema, another protocol"),
        pytest.param(31.0, 22.0, DIFFERENT, Presence.ABSENT, id="more fluid"),
        pytest.param(0.0, 22.0, DIFFERENT, Presence.INDETERMINATE, id="no change across protocols is not excluded"),
        pytest.param(-70.0, 22.0, DIFFERENT, Presence.PRESENT, id="nearly all of it"),
        pytest.param(None, 1.0, SAME, Presence.INDETERMINATE, id="not measured"),
    ],
)
def test_flair_alone(sulcal: float | None, sd: float, protocol: ProtocolMatch, presence: Presence) -> None:
    figures = changes(sulcal, sulcal, 0.0, sd=sd, source="source: flair +0.0")
    finding = detect(tuple(replace(m, uncertainty=0.5) if m.region == "brain" else m for m in figures), protocol,
                     GlobalOedemaLimits())  # fmt: skip
    assert finding.presence is presence
    if presence is Presence.INDETERMINATE and sulcal is not None:
        assert "FLAIR alone cannot tell" in finding.explanation


@pytest.mark.parametrize(
    ("figures", "source", "strength"),
    [
        pytest.param((-70, -70), "flair +0.0", Strength.SUSPECTED, id="sulci that fluid grown bright would lose, too"),
        pytest.param((-70, -70, 2.0), "flair +0.0", Strength.STRONG, id="and the brain grew"),
        pytest.param((-70, -70, 0.0, -60.0), "flair +0.0", Strength.STRONG, id="and the ventricles are narrower"),
        pytest.param((-70, -70, None, None, None), "flair +0.0", Strength.SUSPECTED, id="the others not measured"),
        pytest.param((-70, -70), "t2 +0.0, flair +0.0", Strength.STRONG, id="noop: T2 shows it, too"),
    ],
)
def test_flair_alone_is_strong_only_beside_another_sign(
    figures: tuple[float | None, ...], source: str, strength: Strength
) -> None:
    finding = detect(changes(*figures, source=f"source: {source}"), SAME, GlobalOedemaLimits())
    assert (finding.presence, finding.strength) == (Presence.PRESENT, strength)


def test_not_measured_is_neither_and_says_which() -> None:
    finding = detect((), SAME, GlobalOedemaLimits())
    assert finding.presence is Presence.INDETERMINATE
    assert "not measured: sulci" in finding.explanation
    partly = detect(changes(None, None), SAME, GlobalOedemaLimits())
    assert partly.presence is Presence.INDETERMINATE
    assert any("coverage: for the test" in line for line in partly.evidence)


def test_absent_still_names_what_was_not_measured() -> None:
    finding = detect(changes(ventricles=None), SAME, GlobalOedemaLimits())
    assert finding.presence is Presence.ABSENT
    assert "not measured: ventricles or cisterns" in finding.explanation


def test_bright_fluid_is_shown_and_is_no_sign() -> None:
    bright = Measurement("sulcal_csf", "csf_flair_change_percent", 40.0, "% of white matter")
    finding = detect((*changes(), bright), SAME, GlobalOedemaLimits())
    assert finding.presence is Presence.ABSENT
    assert any("csf_flair_change_percent = +40.0" in line for line in finding.evidence)


@pytest.mark.parametrize(
    ("millilitres", "presence", "says"),
    [
        pytest.param(3.0, Presence.PRESENT, "young brain", id="tight"),
        pytest.param(40.0, Presence.INDETERMINATE, "cannot be seen on one scan", id="wide"),
        pytest.param(None, Presence.INDETERMINATE, "not measured", id="not measured"),
    ],
)
def test_a_single_scan_is_possible_at_most(millilitres: float | None, presence: Presence, says: str) -> None:
    figure = (
        not_measured("sulcal_csf", "fluid_volume_ml", "mL", "coverage: for the test")
        if millilitres is None
        else Measurement("sulcal_csf", "fluid_volume_ml", millilitres, "mL")
    )
    finding = detect_alone((figure,), GlobalOedemaLimits())
    assert finding.presence is presence
    assert finding.strength in (None, Strength.POSSIBLE)
    assert says in finding.explanation
