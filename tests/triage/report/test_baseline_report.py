"""Figures of the scan before treatment in, its report out: abnormal, normal, or not known, with words for each part."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from triage.measurements import not_measured
from triage.model import Found, Measurement, Volume
from triage.report.baseline_report import RISK, BaselineReportLimits, baseline_report
from triage.report.contents import BaselineReport

NAMES = {1: "white_matter_left", 2: "pons"}
LABELS = Volume(np.repeat(np.array([1, 2], dtype=np.uint8), 32).reshape(4, 4, 4), np.eye(4))


def figures(
    lesions: float = 0.0, ml: float = 0.0, cavity: float = 0.0, ventricles: float = 1.2, sulci: float = 4.0
) -> Found:
    values = (
        ("brain", "chronic_lesion_count", lesions),
        ("brain", "chronic_lesion_volume_ml", ml),
        ("brain", "cavity_volume_ml", cavity),
        ("ventricles", "fluid_share_percent", ventricles),
        ("sulcal_csf", "fluid_share_percent", sulci),
    )
    return Found(tuple(Measurement(region, quantity, value, "1") for region, quantity, value in values))


def report(found: Found) -> BaselineReport:
    made = baseline_report(("1.1", date(2026, 2, 20)), found, (LABELS, NAMES), BaselineReportLimits())
    assert made is not None
    return made


@pytest.mark.parametrize(
    ("found", "abnormal", "words"),
    [
        pytest.param(figures(), False, "No old bright lesion", id="noop: nothing"),
        pytest.param(figures(2, 0.1), False, "2 old bright lesions, 0.1 mL together (few", id="a few small foci"),
        pytest.param(figures(7, 3.4), True, "7 old bright lesions, 3.4 mL together", id="lesions"),
        pytest.param(figures(cavity=2.0), True, "A cavity of 2.0 mL: prior injury", id="cavity"),
        pytest.param(figures(ventricles=4.0), True, "The lateral ventricles take 4.0 %", id="wide ventricles"),
        pytest.param(figures(sulci=11.0), True, "The deep sulci take 11.0 %", id="wide sulci"),
    ],
)
def test_what_is_abnormal(found: Found, abnormal: bool, words: str) -> None:
    made = report(found)
    assert made.abnormal is abnormal
    assert any(words in sentence for sentence in made.statements)
    assert (RISK in made.statements) is abnormal, "the risk is named only where it applies"
    assert bool(made.found) is abnormal
    assert set(made.found) <= set(made.statements) - {RISK}


def without(found: Found, quantity: str) -> Found:
    return Found(
        tuple(
            not_measured(m.region, quantity, "1", "cut: x") if m.quantity == quantity else m for m in found.measurements
        )
    )


def test_what_was_not_measured_is_no_clean_report() -> None:
    made = report(without(figures(), "chronic_lesion_volume_ml"))
    assert made.abnormal is None
    assert "Old lesions could not be measured (cut: x)." in made.statements
    assert report(without(figures(cavity=2.0), "fluid_share_percent")).abnormal is True


def test_nothing_ever_measured_is_no_report() -> None:
    assert baseline_report(("1.1", None), Found(), (LABELS, NAMES), BaselineReportLimits()) is None


def test_sites_with_most_first() -> None:
    mask = np.zeros((4, 4, 4), dtype=np.uint8)
    mask[3, :, :2], mask[0, 0, 0] = 1, 1
    found = figures(3, 2.0)
    made = report(Found(found.measurements, {"chronic_lesions": Volume(mask, np.eye(4))}))
    assert made.sites == ("pons", "white_matter_left")
    assert any("mostly in pons, white matter left" in sentence for sentence in made.statements)


def test_no_grade() -> None:
    assert "grade" not in " ".join(report(figures(7, 3.4)).statements)
