"""Assessments in, the words of the picture out."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from tests.workers.outputs.evidence.evidence_builders import an_assessment
from triage.model import (
    BaselineChoice,
    Category,
    Decision,
    Finding,
    Measurement,
    Presence,
    Priority,
    Stage,
    Strength,
)
from triage.report.contents import BaselineReport, Course, Evolution, PatternCourse
from workers.outputs.evidence import text

NEAR = Measurement("pons", "flair_change_percent", 24.84, "%", 1.12, reason="reference: near")
FAR = Measurement("pons", "flair_change_far_percent", 23.0, "%", 1.12)
ONLY_FAR = replace(NEAR, region="white_matter_left", reason="reference: far")
BROKEN = Measurement("medulla", "flair_change_percent", None, "%", assessable=False, reason="region_missing: outside")
SHRUNK = Measurement("third_ventricle", "volume_change_percent", -12.3, "%", 2.0)
RATIO = Measurement("pons", "flair_ratio", 1.24, "1", 0.05)
EXCESS = Measurement("pons", "flair_excess_percent", 14.0, "%", 7.5, reason="single scan: +3 % to white matter")
P95 = Measurement("pons", "flair_change_p95_percent", 61.0, "%", 9.0)
VOLUME = Measurement("pons", "volume_ml", 15.2, "mL")


@pytest.mark.parametrize(
    ("measurements", "main", "small"),
    [
        pytest.param((NEAR,), "+24.8 ± 1.1 % (near)", "", id="near"),
        pytest.param((NEAR, FAR), "+24.8 ± 1.1 % (near)", "far +23.0 ± 1.1 %", id="near and far"),
        pytest.param((NEAR, VOLUME), "+24.8 ± 1.1 % (near)", "", id="the volume of a compared region is not news"),
        pytest.param((ONLY_FAR, replace(FAR, region="white_matter_left")), "+24.8 ± 1.1 % (far)", "", id="far once"),
        pytest.param((ONLY_FAR, replace(VOLUME, region="white_matter_left")), "+24.8 ± 1.1 % (far)", "", id="far"),
        pytest.param((replace(NEAR, value=-0.04),), "0.0 ± 1.1 % (near)", "", id="noop: no sign on nothing"),
        pytest.param((replace(NEAR, value=-5.0),), "−5.0 ± 1.1 % (near)", "", id="fall"),
        pytest.param((BROKEN,), "not measured", "region missing: outside", id="not measured"),
        pytest.param((SHRUNK,), "volume −12.3 ± 2.0 %", "", id="volume only"),
        pytest.param((RATIO, VOLUME), "1.24 ± 0.05 × WM", "volume 15.2 mL", id="ratio alone"),
        pytest.param(
            (RATIO, EXCESS, VOLUME),
            "+14.0 ± 7.5 % above normal",
            "ratio 1.24 ± 0.05 × WM, volume 15.2 mL",
            id="single scan",
        ),
        pytest.param((NEAR, P95), "+24.8 ± 1.1 % (near)", "95th percentile +61.0 ± 9.0 %", id="upper tail"),
    ],
)
def test_figures_of_a_region(measurements: tuple[Measurement, ...], main: str, small: str) -> None:
    (figure,) = text.region_texts(measurements, (measurements[0].region,))
    assert (figure.main, figure.small) == (main, small)


def test_noop_nothing_is_said_of_a_region_without_figures() -> None:
    assert text.region_texts((NEAR,), ("medulla",)) == ()


@pytest.mark.parametrize(
    ("region", "name"),
    [
        pytest.param("thalamus_left", "thalamus L", id="side"),
        pytest.param("external_extreme_capsule_right", "ext/extreme capsule R", id="long"),
        pytest.param("pons", "pons", id="noop"),
    ],
)
def test_region_names(region: str, name: str) -> None:
    assert text.region_name(region) == name


def test_headline_and_other_patterns() -> None:
    assessment = an_assessment()
    assert text.headline(assessment) == "Neurotoxicity suspected   |   priority P1   |   pattern A strong"
    assert text.reasons(assessment)[-1] == "other patterns: B indeterminate"


def test_a_pattern_named_by_the_decision_is_not_repeated() -> None:
    findings = (
        Finding("A", Presence.ABSENT, None, "no rise"),
        Finding("B", Presence.INDETERMINATE, None, "not looked for"),
    )
    reasons = ("pattern A absent: no rise", "pattern B indeterminate: not looked for")
    decision = Decision(Category.NO_PATTERN, Priority.UNCHANGED, reasons)
    assessment = replace(an_assessment(), findings=findings, decision=decision)
    assert text.headline(assessment) == "No pattern found   |   priority unchanged   |   pattern A absent"
    assert text.reasons(assessment) == reasons


@pytest.mark.parametrize(
    ("days", "words"),
    [
        pytest.param(7, "7 days after infusion", id="after"),
        pytest.param(1, "1 day after infusion", id="one"),
        pytest.param(0, "day of infusion", id="same day"),
        pytest.param(-3, "3 days before infusion", id="before"),
        pytest.param(None, "infusion date unknown", id="unknown"),
    ],
)
def test_days(days: int | None, words: str) -> None:
    assert words in text.dates(replace(an_assessment(), days_after_infusion=days))


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        pytest.param(BaselineChoice("1.2", date(2024, 1, 2), "why"), "Baseline 2024-01-02", id="dated"),
        pytest.param(BaselineChoice("1.2", None, "why"), "Baseline date unknown", id="undated"),
        pytest.param(BaselineChoice(None, None, "none fits"), "Baseline none", id="none chosen"),
        pytest.param(None, "Baseline none", id="none looked for"),
    ],
)
def test_baseline_date(choice: BaselineChoice | None, words: str) -> None:
    assert text.dates(replace(an_assessment(), baseline=choice)).startswith(words)


def test_first_look_says_so() -> None:
    assert "first look" in text.dates(replace(an_assessment(), stage=Stage.FIRST_LOOK))


def test_footer() -> None:
    lines = text.footer(an_assessment())
    assert lines[0] == "Baseline: the latest scan before the infusion."
    assert lines[1] == "Registration accepted: similarity 0.90, brain in view 99%."
    assert lines[2] == "Notices: protocol: same."
    assert lines[3].startswith("Decision support, unverified. Not a diagnosis.")
    assert lines[3].endswith("icansee 1.0   config 0123456789ab")


def test_the_headline_names_every_present_pattern_and_its_course() -> None:
    findings = (
        Finding("A", Presence.PRESENT, Strength.SUSPECTED, "thalami"),
        Finding("B", Presence.ABSENT, None, "none"),
        Finding("D", Presence.PRESENT, Strength.STRONG, "sulci"),
    )
    course = Evolution((PatternCourse("A", Course.NOT_COMPARABLE, None, "other baseline"),), ())
    line = text.headline(replace(an_assessment(), findings=findings, evolution=course))
    assert line.endswith("pattern A suspected (not comparable)   |   pattern D strong")


def test_what_was_there_before_and_what_looks_alike_are_told() -> None:
    report = BaselineReport("1.1", None, True, ("3 old lesions.", "No cavity."), (), (), ())
    lines = text.footer(replace(an_assessment(), baseline_report=report, look_alikes=("Wernicke.", "Not examined: x.")))
    assert "Before treatment: 3 old lesions. No cavity." in lines
    assert "Consider: Wernicke. Not examined: x." in lines


def test_a_single_scan_has_a_legend_of_its_own() -> None:
    assert text.legend(replace(an_assessment(), measurements=(EXCESS, RATIO))) == text.LEGEND_EXCESS
    assert text.legend(replace(an_assessment(), measurements=(RATIO,))) == text.LEGEND_ALONE
