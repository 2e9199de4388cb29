"""Signs to sentences: each with its figure, nothing without a sign, nothing when it was not measured."""

from __future__ import annotations

import pytest

from tests.builders import a_finding, a_measurement, figures
from triage.model import Finding, Lesion, Measurement, SequenceKind, Strength
from triage.report.look_alikes import LookAlikeLimits, sentences

Figures = tuple[Measurement, ...]
LIMITS = LookAlikeLimits()
ALL = frozenset({SequenceKind.FLAIR, SequenceKind.T1, SequenceKind.T1_GD, SequenceKind.DWI, SequenceKind.ADC})
RAISED, ADC, FLUID = "raised_fraction_percent", "adc_um2_s", "csf_flair_change_percent"


def said(
    measured: Figures,
    findings: tuple[Finding, ...] = (),
    lesions: tuple[Lesion, ...] = (),
    examined: frozenset[SequenceKind] = ALL,
) -> tuple[str, ...]:
    """Without the last sentence, on what was not examined."""
    found = sentences(measured, findings, lesions, examined=examined, limits=LIMITS)
    assert found[-1].startswith("Not examined: ")
    return found[:-1]


def a_lesion(volume_ml: float, site: str = "white_matter_left") -> Lesion:
    return Lesion(1, "new", site, volume_ml, (0.0, 0.0, 0.0), 30.0)


def thalami(medial: float | None, lateral: float | None) -> Figures:
    return figures(thalami_medial=medial, thalami_lateral=lateral)


def white(behind: float | None, before: float | None, thalamus: float = 0.0) -> Figures:
    parts = figures(RAISED, white_matter_posterior=behind, white_matter_anterior=before)
    return parts + figures(thalamus__both=thalamus)


def fluid(sulci: float | None, ventricles: float | None) -> Figures:
    return figures(FLUID, sulcal_csf=sulci, ventricles=ventricles)


METHOTREXATE = figures(ADC, white_matter_left=560.0) + figures(white_matter_left=2.0)


@pytest.mark.parametrize(
    ("measured", "words"),
    [
        pytest.param(thalami(18.0, 3.0), ("Wernicke", "+18 %", "+3 %"), id="medial thalami"),
        pytest.param(
            figures(thalamus__both=14.0, basal_ganglia__both=12.0), ("venous thrombosis", "+12 %", "+14 %"),
            id="basal ganglia"
        ),
        pytest.param(figures(ADC, thalamus_left=480.0), ("Percheron", "left thalamus 480"), id="restricted thalamus"),
        pytest.param(figures(ADC, midbrain=500.0), ("Percheron", "midbrain 500"), id="restricted midbrain"),
        pytest.param(figures(pons_core=20.0, pons_rim=2.0), ("osmotic", "+20 %", "+2 %"), id="core of the pons"),
        pytest.param(white(6.0, 0.5), ("PRES", "6.0 %", "0.5 %", "+0 %"), id="white matter behind"),
        pytest.param((a_measurement("brain", 23.0, "adc_below_650_percent"),), ("hypoxic", "23 %"),
            id="much of the brain restricted"),
        pytest.param(METHOTREXATE, ("methotrexate", "560", "+2 %"), id="restricted white matter"),
        pytest.param(fluid(30.0, 2.0), ("leptomeningeal", "+30 %", "+2 %"), id="bright sulci"),
        pytest.param(fluid(30.0, 25.0), ("oxygen", "gadolinium", "+30 %", "+25 %"), id="bright fluid"),
    ],
)  # fmt: skip
def test_a_sign_becomes_a_sentence_with_its_figure(measured: Figures, words: tuple[str, ...]) -> None:
    (sentence,) = said(measured)
    for word in words:
        assert word in sentence


@pytest.mark.parametrize(
    "measured",
    [
        pytest.param((), id="nothing measured"),
        pytest.param(thalami(18.0, 16.0), id="the whole thalami"),
        pytest.param(thalami(6.0, -1.0), id="hardly raised"),
        pytest.param(thalami(18.0, None), id="lateral halves not measured"),
        pytest.param(figures(thalamus__both=1.0, basal_ganglia__both=12.0), id="basal ganglia without thalami"),
        pytest.param(
            figures(thalamus__both=14.0, basal_ganglia_left=12.0, basal_ganglia_right=1.0), id="one side of them"
        ),
        pytest.param(figures(thalamus__both=14.0, basal_ganglia__both=None), id="basal ganglia not measured"),
        pytest.param(figures(ADC, thalamus__both=750.0, midbrain=None), id="normal diffusion"),
        pytest.param(figures(pons_core=20.0, pons_rim=18.0), id="the whole pons"),
        pytest.param(figures(pons_core=None, pons_rim=0.0), id="core of the pons not measured"),
        pytest.param(white(6.0, 5.0), id="white matter everywhere"),
        pytest.param(white(6.0, 0.5, thalamus=12.0), id="white matter behind, with the thalami"),
        pytest.param(white(None, None), id="white matter not measured"),
        pytest.param((a_measurement("brain", 4.0, "adc_below_650_percent"),), id="little of the brain restricted"),
        pytest.param(
            figures(ADC, white_matter_left=560.0) + figures(white_matter_left=12.0), id="restricted and bright"
        ),
        pytest.param(figures(ADC, white_matter_left=560.0), id="restricted, FLAIR not measured"),
        pytest.param(fluid(2.0, 1.0), id="dark fluid"),
        pytest.param(fluid(30.0, None), id="ventricles not measured"),
    ],
)
def test_noop_no_sign_no_sentence(measured: Figures) -> None:
    assert said(measured) == ()


def test_bright_fluid_beside_a_pattern_is_not_called_fluid_only() -> None:
    assert said(fluid(30.0, 25.0), (a_finding("A", Strength.SUSPECTED),)) == ()


@pytest.mark.parametrize(
    ("lesions", "expected"),
    [
        pytest.param((), False, id="noop: none"),
        pytest.param((a_lesion(2.0),), True, id="large, one side"),
        pytest.param((a_lesion(0.2),), False, id="small"),
        pytest.param((a_lesion(2.0), a_lesion(1.8, "white_matter_right")), False, id="large, both sides alike"),
        pytest.param((a_lesion(2.0, "pons"),), False, id="in the midline"),
    ],
)
def test_large_and_lopsided_lesions(lesions: tuple[Lesion, ...], expected: bool) -> None:
    assert any("ADEM" in sentence for sentence in said((), (), lesions)) is expected


@pytest.mark.parametrize(
    ("examined", "named", "unnamed"),
    [
        pytest.param(ALL, ["SWI"], ["DWI", "contrast"], id="everything that is measured"),
        pytest.param(frozenset({SequenceKind.FLAIR}), ["DWI", "SWI", "contrast"], [], id="FLAIR alone"),
        pytest.param(ALL - {SequenceKind.T1}, ["contrast"], ["DWI"], id="only after contrast"),
        pytest.param(ALL - {SequenceKind.DWI}, [], ["DWI"], id="ADC without DWI"),
    ],
)
def test_what_was_not_examined_is_said(examined: frozenset[SequenceKind], named: list[str], unnamed: list[str]) -> None:
    (sentence,) = sentences((), (), examined=examined, limits=LIMITS)
    assert all(word in sentence for word in named)
    assert not any(word in sentence for word in unnamed)


def test_no_grade_and_no_diagnosis() -> None:
    text = " ".join(said(thalami(18.0, 3.0) + fluid(30.0, 2.0)))
    assert "grade" not in text.lower()
    assert "diagnos" not in text.lower()
