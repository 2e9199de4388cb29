"""Stored figures in, findings and decision out: as stored with the same settings, by the new limit with another."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.triage.report.documents import an_assessment
from triage.anatomy import BRAIN_STEM, THALAMI
from triage.course import seen_alone
from triage.decision import decide
from triage.detection import before_infusion, detect, detect_alone, diffusion_only, indeterminate
from triage.judging import judge_again
from triage.measurements import not_measured
from triage.model import (
    BaselineChoice,
    Category,
    Measurement,
    Presence,
    Priority,
    ProtocolMatch,
)
from triage.patterns.all import PATTERNS
from triage.report.contents import Assessment, Judged, JudgedFrom
from triage.report.document import to_document
from triage.report.stored import from_document
from triage.settings import TriageSettings

SETTINGS = TriageSettings()
COUNT, VOLUME = ("brain", "lesion_count"), ("brain", "lesion_volume_ml")
QUANTITIES = [
    *((region, "flair_change_percent") for region in ("thalamus_left", "thalamus_right", "pons")),
    *((region, "flair_excess_percent") for region in ("thalamus_left", "thalamus_right")),
    COUNT, VOLUME, ("brain", "chronic_lesion_count"), ("brain", "enhancing_volume_ml"),
    ("cortex", "restricted_volume_ml"), ("cortex", "restricted_gyri"),
    ("sulcal_csf", "volume_change_percent"), ("brain", "volume_change_percent"), ("sulcal_csf", "fluid_volume_ml"),
]  # fmt: skip

figure = st.none() | st.floats(-60, 60).map(lambda value: round(value, 6))
values = st.fixed_dictionaries(dict.fromkeys(QUANTITIES, figure)).map(
    # the number of lesions and their volume are measured together or not at all
    lambda found: found | ({VOLUME: None} if found[COUNT] is None else {VOLUME: abs(found[VOLUME] or 0.0)})
)
measured = values.map(
    lambda found: tuple(
        not_measured(*where, "%", "coverage: cut") if value is None else Measurement(*where, value, "%", 1.5)
        for where, value in found.items()
    )
)
NOBODY = BaselineChoice(None, None, "none")
ALONE = Judged(JudgedFrom.SINGLE_SCAN, None, "no_baseline: none")
DIFFUSION = Judged(JudgedFrom.DIFFUSION, None, "no_flair: none; only pattern C (diffusion) was assessed")


def compared(figures: tuple[Measurement, ...], protocol: ProtocolMatch) -> Assessment:
    """Figures of the single scan are stored beside a comparison only where they answered what it left open."""
    findings = seen_alone(detect(figures, protocol, SETTINGS), detect_alone(figures, SETTINGS), ())
    judged = Judged(JudgedFrom.COMPARISON, protocol)
    return an_assessment(measurements=figures, findings=findings, decision=decide(findings, PATTERNS), judged=judged)


def alone(figures: tuple[Measurement, ...], days: int | None) -> Assessment:
    findings = detect_alone(figures, SETTINGS)
    if days is not None and days < 0:
        findings = before_infusion(findings)
    return _without_baseline(figures, findings, ALONE, days_after_infusion=days)


def by_diffusion(figures: tuple[Measurement, ...]) -> Assessment:
    return _without_baseline(figures, diffusion_only(figures, "no_flair: none", SETTINGS), DIFFUSION)


def _without_baseline(figures: tuple[Measurement, ...], findings: Any, judged: Judged, **more: Any) -> Assessment:
    decision = decide(findings, PATTERNS, refusal=judged.refusal, has_baseline=False)
    return an_assessment(
        measurements=figures, findings=findings, decision=decision, baseline=NOBODY, judged=judged, **more
    )


def stored(assessment: Assessment) -> Assessment:
    return from_document(to_document(assessment))


assessments = st.one_of(
    st.builds(compared, measured, st.sampled_from(ProtocolMatch)),
    st.builds(alone, measured, st.sampled_from([None, -5, 7])),
    st.builds(by_diffusion, measured),
)


@given(assessment=assessments)
def test_the_same_settings_say_the_same(assessment: Assessment) -> None:
    assert judge_again(stored(assessment), SETTINGS) == (assessment.findings, assessment.decision)


RISE = (
    Measurement("thalamus_left", "flair_change_percent", 11.0, "%", 1.0),
    Measurement("thalamus_right", "flair_change_percent", 10.5, "%", 1.0),
    *(Measurement(part, "flair_change_percent", 0.3, "%", 1.0) for part in BRAIN_STEM),
    *(Measurement(part, "volume_change_percent", 0.3, "%", 1.0) for part in (*THALAMI, "pons")),
)


@pytest.mark.parametrize(
    ("limit", "presence", "priority"),
    [
        pytest.param(8.0, Presence.PRESENT, Priority.P3, id="noop: the stored limit"),
        pytest.param(10.5, Presence.PRESENT, Priority.P3, id="just reached"),
        pytest.param(10.6, Presence.ABSENT, Priority.UNCHANGED, id="no longer reached"),
    ],
)
def test_another_limit_changes_what_it_is_about(limit: float, presence: Presence, priority: Priority) -> None:
    assessment = compared(RISE, ProtocolMatch.SAME)
    settings = replace(SETTINGS, bithalamic=replace(SETTINGS.bithalamic, thalami_same=limit))
    findings, decision = judge_again(stored(assessment), settings)
    assert (findings[0].presence, decision.priority) == (presence, priority)
    assert findings[1:] == assessment.findings[1:], "the other patterns say what they said"


def test_a_limit_of_diffusion_changes_a_study_without_flair() -> None:
    cortex = (Measurement("cortex", "restricted_volume_ml", 0.5, "mL"),)
    assessment = by_diffusion(cortex)
    assert assessment.decision.category is Category.POSSIBLE
    settings = replace(SETTINGS, cortical_diffusion=replace(SETTINGS.cortical_diffusion, possible_ml=0.6))
    _, decision = judge_again(stored(assessment), settings)
    assert decision.category is Category.NOT_ASSESSABLE


def test_a_study_of_which_nothing_was_measured_keeps_its_decision() -> None:
    findings = indeterminate("coverage: cut")
    decision = decide(findings, PATTERNS, refusal="coverage: cut")
    assessment = an_assessment(
        measurements=(), findings=findings, decision=decision, judged=Judged(refusal="coverage: cut")
    )
    assert judge_again(stored(assessment), SETTINGS) == (findings, decision)
