"""The JSON document: exactly the contract's keys, plain and finite, and one golden file."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import a_measurement, a_study
from tests.triage.report.documents import GOLDEN, an_assessment, anything
from triage.model import (
    Category,
    Presence,
    Priority,
    RegistrationResult,
    Stage,
    Strength,
)
from triage.report.contents import (
    Course,
)
from triage.report.document import DISCLAIMER, to_document

# The contract others script against. Changed only together with schema_version.
KEYS: dict[str, set[str]] = {
    "": {
        "schema_version", "stage", "disclaimer", "study", "baseline", "series", "registration", "measurements",
        "findings", "decision", "notices", "timings_s", "versions", "lesions", "look_alikes", "evolution",
        "baseline_report",
        "judged", "since", "infusions", "ignored", "tissue_ratio",
    },
    "judged": {"from", "protocol", "refusal", "carried", "carried_on", "before_treatment"},
    "since": {"study_instance_uid", "study_date", "registration", "measurements", "findings"},
    "infusions": {"date", "kind", "source"},
    "evolution": {"patterns", "trend", "later_loss"},
    "evolution.later_loss": {"pattern", "presence", "explanation", "evidence"},
    "evolution.patterns": {"pattern", "state", "since", "reason"},
    "evolution.trend": {"region", "quantity", "unit", "points"},
    "evolution.trend.points": {
        "study_instance_uid", "study_date", "days_after_infusion", "value", "uncertainty", "stage", "protocol",
        "baseline_study_instance_uid",
    },
    "baseline_report": {"study_instance_uid", "study_date", "abnormal", "statements", "measurements", "lesions",
        "sites", "found"},
    "lesions": {
        "number", "kind", "site", "volume_ml", "centre_lps_mm", "change_percent", "enhancing_volume_ml",
        "prior_injury_mm",
    },
    "study": {"study_instance_uid", "study_date", "patient_id", "days_after_infusion"},
    "baseline": {"study_instance_uid", "study_date", "reason", "basis", "rejected"},
    "rejected": {"study_instance_uid", "reason"},
    "series": {"series_instance_uid", "kind", "used_as", "objects", "scanner", "reasons"},
    "scanner": {"manufacturer", "model", "station", "field_strength_t"},
    "ignored": {"series_instance_uid", "objects", "code", "message"},
    "registration": {"accepted", "reason", "quality", "followup_to_baseline_lps_mm"},
    "measurements": {
        "region", "quantity", "value", "unit", "uncertainty", "baseline_value", "assessable", "reason",
    },
    "findings": {"pattern", "presence", "strength", "explanation", "evidence"},
    "decision": {"category", "priority", "reasons"},
}  # fmt: skip


def parts(document: dict[str, Any], name: str) -> list[dict[str, Any]]:
    if not name:
        return [document]
    if name == "rejected":
        return list(document["baseline"]["rejected"])
    if name == "scanner":
        return [one["scanner"] for one in document["series"] if one["scanner"] is not None]
    found = [document]
    for key in name.split("."):
        values = [one[key] for one in found]
        found = [item for value in values for item in (value if isinstance(value, list) else [value])]
    return found


@pytest.mark.parametrize("name", [pytest.param(name, id=name or "document") for name in KEYS])
def test_the_keys_are_exactly_those_of_the_contract(name: str) -> None:
    found = parts(to_document(an_assessment()), name)
    assert found
    assert all(set(part) == KEYS[name] for part in found)


def test_golden() -> None:
    """A change here is a change of the contract. To accept one on purpose, write the document to the golden file."""
    document = to_document(an_assessment())
    assert json.loads(json.dumps(document)) == json.loads(GOLDEN.read_text(encoding="utf-8"))


def test_words_are_those_of_the_contract() -> None:
    """Every value of every enumeration the document can show."""
    assert {c.value for c in Category} == {"neurotoxicity_suspected", "possible", "no_pattern", "not_assessable"}
    assert {p.value for p in Priority} == {"P1", "P2", "P3", "unchanged"}
    assert {p.value for p in Presence} == {"present", "absent", "indeterminate"}
    assert {s.value for s in Strength} == {"possible", "suspected", "strong"}
    assert {s.value for s in Stage} == {"first_look", "full"}
    assert {c.value for c in Course} == {"new", "worse", "stable", "resolving", "resolved", "not_comparable"}


def test_what_is_unknown_is_null() -> None:
    bare = an_assessment(
        study=a_study(day=None),
        days_after_infusion=None,
        baseline=None,
        registration=None,
        skipped=(),
        measurements=(),
        findings=(),
    )
    document = to_document(bare)
    assert document["baseline"] is None
    assert document["registration"] is None
    assert document["study"]["study_date"] is None
    assert document["study"]["days_after_infusion"] is None
    assert document["measurements"] == document["findings"] == []


def test_a_refused_series_carries_its_reason() -> None:
    series = {row["series_instance_uid"]: row for row in to_document(an_assessment())["series"]}
    assert series["1.2.2.2"]["reasons"][-1] == "missing_slices: 2 gaps"
    assert series["1.2.2.2"]["kind"] == "t1"
    assert series[""]["reasons"] == ["not_dicom: 1 files"]
    assert series["1.2.2.1"]["used_as"] == "flair"


def test_no_grade_and_no_name() -> None:
    text = json.dumps(to_document(an_assessment()))
    assert DISCLAIMER in text
    assert "birth" not in text
    assert "PatientName" not in text


def plain(value: object) -> bool:
    """Only what JSON has, and only finite numbers."""
    if isinstance(value, dict):
        return all(type(key) is str and plain(item) for key, item in value.items())
    if isinstance(value, list):
        return all(plain(item) for item in value)
    return value is None or type(value) in (str, bool, int) or (type(value) is float and math.isfinite(value))


@given(figure=st.floats(allow_nan=False, allow_infinity=False), spread=anything, seconds=anything, similarity=anything)
def test_plain_finite_and_the_same_after_a_round_trip(
    figure: float, spread: float, seconds: float, similarity: float
) -> None:
    assessment = an_assessment(
        measurements=(a_measurement(value=figure, uncertainty=spread),),
        timings_s={"read": np.float64(seconds)},
        registration=RegistrationResult(False, "why", {"similarity": np.float64(similarity)}, np.eye(4)),
    )
    document = to_document(assessment)
    assert plain(document)
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert document["measurements"][0]["value"] == pytest.approx(figure, abs=1e-6)
