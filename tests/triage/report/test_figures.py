"""What the detectors write as evidence is what the report reads: the figures that carried a call."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders import a_measurement, figures
from triage.detection import detect, detect_alone
from triage.measurements import evidence_line, figure_named, not_measured
from triage.model import Measurement, Presence, ProtocolMatch
from triage.patterns.all import PATTERNS
from triage.report.figures import carrying, evidence_figures, quantity_words, telling_rank
from triage.settings import TriageSettings

SETTINGS = TriageSettings()
BRAIN_ML = {"lesion_count": 4.0, "lesion_volume_ml": 1.5, "largest_lesion_ml": 0.7, "lesions_at_prior_injury": 0.0}
MEASURED: dict[str, tuple[Measurement, ...]] = {
    "A": figures(thalamus__both=20.0, pons=16.0, midbrain=1.0, medulla=1.0),
    "B": tuple(Measurement("brain", q, v, "mL" if q.endswith("_ml") else "1") for q, v in BRAIN_ML.items()),
    "C": (
        Measurement("cortex", "restricted_volume_ml", 2.0, "mL", 0.1),
        Measurement("brain", "restricted_volume_ml", 2.0, "mL", 0.1),
        Measurement("cortex", "restricted_gyri", 3.0, "1"),
    ),
    "D": figures("volume_change_percent", sulcal_csf=-40.0, extraventricular_csf=-38.0, brain=2.0),
}

STRONGEST = {
    "A": ("thalamus_left", "flair_change_percent"),
    "B": ("brain", "lesion_volume_ml"),
    "C": ("cortex", "restricted_volume_ml"),
    "D": ("sulcal_csf", "volume_change_percent"),
}


def document(found: Any, measured: tuple[Measurement, ...]) -> dict[str, Any]:
    return {
        "findings": [{"presence": f.presence.value, "evidence": list(f.evidence)} for f in found],
        "measurements": [vars(m) for m in measured],
    }


@pytest.mark.parametrize("name", [pattern.name for pattern in PATTERNS])
def test_the_figures_of_every_detector_are_found_again(name: str) -> None:
    measured = MEASURED[name]
    found = [f for f in detect(measured, ProtocolMatch.SAME, SETTINGS) if f.pattern == name]
    assert found[0].presence is Presence.PRESENT
    carried = {(one["region"], one["quantity"]) for one in carrying(document(found, measured))}
    assert STRONGEST[name] in carried
    assert carried <= evidence_figures(document(found, measured))


def test_alone_and_absent_carry_nothing() -> None:
    quiet = figures(thalamus__both=0.0)
    assert carrying(document(detect_alone(quiet, SETTINGS), quiet)) == []
    assert carrying({}) == []


@pytest.mark.parametrize(
    ("line", "named"),
    [
        pytest.param(evidence_line(a_measurement(value=16.2)), ("thalamus_left", "flair_change_percent"), id="written"),
        pytest.param("cortex/restricted_gyri=2.00 1", ("cortex", "restricted_gyri"), id="as version 1 wrote pattern C"),
        pytest.param(evidence_line(not_measured("pons", "symmetry", "1", "a = b")), None, id="not measured"),
        pytest.param("both rise", None, id="no figure"),
        pytest.param("", None, id="noop: empty"),
    ],
)
def test_a_line_names_its_figure(line: str, named: tuple[str, str] | None) -> None:
    assert figure_named(line) == named


def test_a_quantity_without_words_is_said_by_its_name_and_comes_last() -> None:
    assert quantity_words("asymmetry_percent") == "asymmetry"
    assert telling_rank("asymmetry_percent") > telling_rank("adc_change_percent") > telling_rank("flair_change_percent")
