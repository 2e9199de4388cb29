"""A stored document in, the assessment out, and the same document again."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.triage.report.documents import EARLIER, GOLDEN, an_assessment, anything
from triage.measurements import not_measured
from triage.model import (
    BaselineChoice,
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
    Stage,
    Strength,
)
from triage.report.contents import (
    Assessment,
    BaselineReport,
    Course,
    Evolution,
    Judged,
    JudgedFrom,
    PatternCourse,
    Trend,
    TrendPoint,
)
from triage.report.document import to_document
from triage.report.stored import from_document, protocol_of


def test_the_golden_document_comes_back() -> None:
    document = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert to_document(from_document(document)) == document


def test_what_a_document_holds_of_an_assessment_is_read_back() -> None:
    assessment = an_assessment()
    found = from_document(to_document(assessment))
    same = (
        "days_after_infusion", "baseline", "used_as", "measurements", "findings", "decision", "stage", "notices",
        "timings_s", "versions", "lesions", "look_alikes", "evolution", "baseline_report", "judged", "tissue_ratio",
    )  # fmt: skip
    assert {name: getattr(found, name) for name in same} == {name: getattr(assessment, name) for name in same}
    assert found.study.study_date == assessment.study.study_date
    assert found.study.patient.patient_id == assessment.study.patient.patient_id


def test_a_document_of_an_earlier_version_is_read() -> None:
    document = json.loads(EARLIER.read_text(encoding="utf-8"))
    assert "judged" not in document
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    golden |= {"since": None, "infusions": [], "ignored": [], "tissue_ratio": None}
    golden["series"] = [one | {"scanner": None} for one in golden["series"]]
    golden["baseline"]["basis"] = "none"
    golden["judged"] |= {"carried": [], "carried_on": None, "before_treatment": False}
    assert to_document(from_document(document)) == golden


@pytest.mark.parametrize(
    ("notices", "reasons", "measured", "judged"),
    [
        pytest.param(
            ["protocol: different (manufacturer A against B)"], ["pattern A absent: no rise"], True,
            Judged(JudgedFrom.COMPARISON, ProtocolMatch.DIFFERENT), id="compared",
        ),
        pytest.param(
            ["no baseline: nothing was compared"], ["no_baseline: none"], True,
            Judged(JudgedFrom.SINGLE_SCAN, None, "no_baseline: none"), id="single scan",
        ),
        pytest.param([], ["no_baseline: none"], False, Judged(refusal="no_baseline: none"),
            id="first look without a baseline"),
        pytest.param([], ["no_flair: none; only"], True, Judged(JudgedFrom.DIFFUSION, None, "no_flair: none; only"),
            id="diffusion"),
        pytest.param([], ["coverage: cut"], False, Judged(refusal="coverage: cut"), id="refused"),
    ],
)  # fmt: skip
def test_what_an_earlier_version_judged_from(
    notices: list[str], reasons: list[str], measured: bool, judged: Judged
) -> None:
    document = json.loads(EARLIER.read_text(encoding="utf-8"))
    document |= {"notices": notices, "decision": {**document["decision"], "reasons": reasons}}
    document["measurements"] *= measured
    assert from_document(document).judged == judged


def test_the_protocol_is_read_from_its_field_and_not_from_the_notices() -> None:
    document = to_document(an_assessment(judged=Judged(JudgedFrom.COMPARISON, ProtocolMatch.DIFFERENT)))
    assert document["notices"] == ["protocol: same"]
    assert protocol_of(document) is ProtocolMatch.DIFFERENT
    alone = to_document(an_assessment(judged=Judged(JudgedFrom.SINGLE_SCAN)))
    assert protocol_of(alone) is None


def test_another_schema_is_refused() -> None:
    with pytest.raises(ValueError, match="schema_version is '2'"):
        from_document({**to_document(an_assessment()), "schema_version": "2"})


words = st.text(max_size=8)
spreads = st.none() | anything
days = st.none() | st.dates(date(2000, 1, 1), date(2030, 1, 1))
measurements = st.builds(
    Measurement, words, words, st.floats(allow_nan=False, allow_infinity=False), words, spreads, spreads
) | st.builds(not_measured, words, words, words, words)
lesions = st.builds(
    Lesion, st.integers(0, 9), words, words, anything, st.tuples(anything, anything, anything), anything, spreads,
    spreads
)  # fmt: skip
strengths = st.none() | st.sampled_from(Strength)
findings = st.builds(Finding, words, st.sampled_from(Presence), strengths, words, st.tuples(words))
points = st.builds(
    TrendPoint, words, days, st.none() | st.integers(-9, 99), spreads, spreads, words, st.none() | words,
    st.none() | words
)  # fmt: skip
assessments = st.builds(
    an_assessment,
    days_after_infusion=st.none() | st.integers(-9, 99),
    baseline=st.none()
    | st.builds(BaselineChoice, st.none() | words, days, words, st.tuples(st.builds(RejectedBaseline, words, words))),
    registration=st.none()
    | st.builds(
        RegistrationResult, st.booleans(), st.none() | words, st.dictionaries(words, anything), st.just(np.eye(4))
    ),
    measurements=st.lists(measurements, max_size=3).map(tuple),
    findings=st.lists(findings, max_size=3).map(tuple),
    decision=st.builds(Decision, st.sampled_from(Category), st.sampled_from(Priority), st.tuples(words)),
    stage=st.sampled_from(Stage),
    timings_s=st.dictionaries(words, anything),
    lesions=st.lists(lesions, max_size=2).map(tuple),
    evolution=st.none()
    | st.builds(
        Evolution,
        st.tuples(st.builds(PatternCourse, words, st.sampled_from(Course), days, words)),
        st.tuples(st.builds(Trend, words, words, words, st.tuples(points))),
        st.none() | findings,
    ),
    baseline_report=st.none()
    | st.builds(
        BaselineReport,
        words,
        days,
        st.none() | st.booleans(),
        st.tuples(words),
        st.tuples(measurements),
        st.tuples(lesions),
        st.tuples(words),
    ),
    judged=st.builds(
        Judged, st.sampled_from(JudgedFrom), st.none() | st.sampled_from(ProtocolMatch), st.none() | words
    ),
)


@given(assessment=assessments)
def test_every_document_comes_back(assessment: Assessment) -> None:
    document = json.loads(json.dumps(to_document(assessment)))
    assert to_document(from_document(document)) == document


def test_a_figure_that_was_not_finite_stays_unknown() -> None:
    lesion = replace(an_assessment().lesions[0], change_percent=math.nan)
    document = to_document(an_assessment(lesions=(lesion,)))
    assert document["lesions"][0]["change_percent"] is None
    assert math.isnan(from_document(document).lesions[0].change_percent)
