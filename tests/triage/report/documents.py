"""Assessments that fill the document, which several tests share."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from tests.builders import a_finding, a_study, rigid
from triage.infusions import Infusion
from triage.measurements import not_measured
from triage.model import (
    BaselineChoice,
    Basis,
    Category,
    Decision,
    Finding,
    Lesion,
    Measurement,
    Presence,
    Priority,
    ProtocolMatch,
    RegistrationResult,
    RejectedBaseline,
    SequenceKind,
    SkippedSeries,
    Stage,
    Strength,
    Study,
)
from triage.report.contents import (
    Assessment,
    BaselineReport,
    Course,
    Evolution,
    Judged,
    JudgedFrom,
    PatternCourse,
    Since,
    Trend,
    TrendPoint,
)

GOLDEN = Path(__file__).with_name("golden") / "assessment.json"
EARLIER = GOLDEN.with_name("assessment_without_judged.json")  # as versions before the key "judged" wrote it

anything = st.floats(allow_nan=True, allow_infinity=True)


def scanned_by(study: Study, *scanner: Any) -> Study:
    """The study whose first series names its scanner: maker, model, station, T."""
    names = ("manufacturer", "model_name", "station_name", "magnetic_field_strength_t")
    first, *others = study.series
    header = replace(first.header, **dict(zip(names, scanner, strict=True)))
    return replace(study, series=(replace(first, header=header), *others))


FULL: dict[str, Any] = {  # something in every place
    "study": scanned_by(a_study(SequenceKind.FLAIR, SequenceKind.T1, uid="1.2.2"), "SIEMENS", "Prisma", "MR2", 3.0),
    "days_after_infusion": 7,
    "baseline": BaselineChoice(
        "1.2.1",
        date(2026, 2, 20),
        "latest before the infusion",
        (RejectedBaseline("1.2.0", "no_flair: none"),),
        Basis.BEFORE_INFUSION,
    ),
    "used_as": {"1.2.2.1": "flair"},
    "skipped": (SkippedSeries("1.2.2.2", "missing_slices", "2 gaps"), SkippedSeries("", "not_dicom", "1 files")),
    "ignored": (
        SkippedSeries("1.2.2.9", "other_visit", "20 objects are of the visit of 2026-02-20", 20),
        SkippedSeries("", "not_dicom", "1 files: not a DICOM object", 1),
    ),
    "registration": RegistrationResult(True, None, {"similarity": 0.71}, rigid((0, 0, 90), (1.5, 0, -2))),
    "measurements": (
        Measurement("thalamus_left", "flair_change_percent", 17.25, "%", 1.5, 1.1, reason="reference: near"),
        not_measured("medulla", "flair_change_percent", "%", "coverage: cut"),
    ),
    "findings": (
        a_finding("A", Strength.SUSPECTED, explanation="both thalami rise"),
        a_finding("B", presence=Presence.INDETERMINATE, explanation="not built"),
    ),
    "decision": Decision(Category.NEUROTOXICITY_SUSPECTED, Priority.P2, ("pattern A suspected: both thalami rise",)),
    "stage": Stage.FULL,
    "notices": ("protocol: same",),
    "timings_s": {"read": 0.5},
    "versions": {"icansee": "0.1.0", "config_sha256": "00ff", "atlas": "1"},
    "lesions": (Lesion(1, "new", "white_matter_left", 0.75, (12.5, -3.0, 40.0), 28.5, prior_injury_mm=2.0),),
    "look_alikes": ("something else looks like this",),
    "evolution": Evolution(
        (PatternCourse("A", Course.WORSE, date(2026, 3, 5), "against 2026-03-05: thalamus_left"),),
        (
            Trend(
                "thalamus_left",
                "flair_change_percent",
                "%",
                (
                    TrendPoint("1.2.15", date(2026, 3, 5), 2, 9.5, 1.5, "full", "same", "1.2.1"),
                    TrendPoint("1.2.2", date(2026, 3, 10), 7, None, None, "full", None, "1.2.1"),
                ),
            ),
        ),
        Finding("C", Presence.ABSENT, None, "no later loss", ("cortex_insula_left/volume_change_percent=-1.0 %",)),
    ),
    "baseline_report": BaselineReport(
        "1.2.1",
        date(2026, 2, 20),
        True,
        ("3 old lesions",),
        (Measurement("brain", "lesion_volume_ml", 2.5, "mL"),),
        (Lesion(1, "chronic", "white_matter_left", 0.75, (12.5, -3.0, 40.0), 28.5),),
        ("white_matter_left",),
    ),
    "judged": Judged(JudgedFrom.COMPARISON, ProtocolMatch.SAME, None, ("A",), date(2026, 2, 20)),
    "since": Since(
        "1.2.15",
        date(2026, 3, 5),
        None,
        (Measurement("pons", "flair_change_percent", 1.25, "%", 1.0),),
        (a_finding("A", presence=Presence.ABSENT, explanation="no rise"),),
    ),
    "infusions": (Infusion(date(2026, 3, 3), "CAR-T", "roster"),),
    "tissue_ratio": 1.27,
}


def an_assessment(**changes: Any) -> Assessment:
    """One with something in every place."""
    return Assessment(**{**FULL, **changes})
