"""Findings against a study that is no baseline: what it shows itself is never a negative."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from tests.builders import a_measurement
from triage.course import NOT_GONE, OF_BASELINE, carried_on, found_earlier, merged, merged_for, seen_alone, sentence
from triage.measurements import not_measured
from triage.model import Finding, Presence, Strength

DAY = date(2024, 3, 9)
PRESENT, ABSENT, UNKNOWN = Presence.PRESENT, Presence.ABSENT, Presence.INDETERMINATE


def finding(presence: Presence, strength: Strength | None = None, pattern: str = "A") -> Finding:
    return Finding(pattern, presence, strength, f"{pattern} {presence}", (f"{pattern}=1",))


MERGED = [
    pytest.param(finding(PRESENT, Strength.STRONG), None, PRESENT, Strength.STRONG, "added since",
        id="added, not measured alone"),
    pytest.param(
        finding(PRESENT, Strength.POSSIBLE), finding(PRESENT, Strength.SUSPECTED), PRESENT, Strength.SUSPECTED,
        "added since",
        id="both: the stronger one",
    ),
    pytest.param(finding(PRESENT, Strength.POSSIBLE), finding(ABSENT), PRESENT, Strength.POSSIBLE, "added since",
        id="added, little in all"),
    pytest.param(finding(ABSENT), finding(PRESENT, Strength.SUSPECTED), PRESENT, Strength.SUSPECTED, "not added since",
        id="there, not added"),
    pytest.param(finding(ABSENT), finding(ABSENT), ABSENT, None, "not added since", id="neither"),
    pytest.param(finding(ABSENT), None, UNKNOWN, None, "what was there then is not excluded",
        id="not added, not measured alone"),
    pytest.param(finding(ABSENT), finding(UNKNOWN), UNKNOWN, None, "what was there then is not excluded",
        id="not added, not clear alone"),
    pytest.param(finding(UNKNOWN), finding(ABSENT), ABSENT, None, "not added since", id="not compared, absent alone"),
    pytest.param(finding(UNKNOWN), None, UNKNOWN, None, "A indeterminate", id="nothing measured"),
    pytest.param(finding(ABSENT), replace(finding(UNKNOWN), explanation=OF_BASELINE), UNKNOWN, None, OF_BASELINE,
        id="shown before treatment"),
]  # fmt: skip


@pytest.mark.parametrize(("since", "alone", "presence", "strength", "said"), MERGED)
def test_merged(
    since: Finding, alone: Finding | None, presence: Presence, strength: Strength | None, said: str
) -> None:
    (found,) = merged([since], [] if alone is None else [alone], DAY)
    assert (found.presence, found.strength) == (presence, strength)
    assert said in found.explanation


MERGED_FOR = [
    pytest.param(ABSENT, ("A",), [finding(PRESENT, Strength.SUSPECTED)], PRESENT, id="still there"),
    pytest.param(ABSENT, ("A",), [], UNKNOWN, id="nothing says that it is gone"),
    pytest.param(ABSENT, ("A",), [finding(ABSENT)], ABSENT, id="gone"),
    pytest.param(ABSENT, ("B",), [], ABSENT, id="another pattern"),
    pytest.param(PRESENT, ("A",), [finding(ABSENT)], PRESENT, id="more than before"),
    pytest.param(ABSENT, (), [finding(PRESENT, Strength.SUSPECTED)], ABSENT, id="no-op"),
]


@pytest.mark.parametrize(("now", "patterns", "alone", "presence"), MERGED_FOR)
def test_merged_for(now: Presence, patterns: tuple[str, ...], alone: list[Finding], presence: Presence) -> None:
    (found,) = merged_for([finding(now)], patterns, alone, DAY)
    assert found.presence is presence


SUSPECTED_ALONE = finding(PRESENT, Strength.SUSPECTED)
SEEN_ALONE = [
    pytest.param(UNKNOWN, [SUSPECTED_ALONE], (), PRESENT, id="the comparison cannot tell, the single scan shows it"),
    pytest.param(UNKNOWN, [SUSPECTED_ALONE], ("A",), UNKNOWN, id="the baseline shows it by itself, too"),
    pytest.param(UNKNOWN, [finding(ABSENT)], (), UNKNOWN, id="that it is absent is for the comparison to say"),
    pytest.param(UNKNOWN, [], (), UNKNOWN, id="the single scan was not measured"),
    pytest.param(ABSENT, [SUSPECTED_ALONE], (), ABSENT, id="no-op: the comparison excludes it"),
    pytest.param(PRESENT, [SUSPECTED_ALONE], (), PRESENT, id="no-op: the comparison shows it"),
]


@pytest.mark.parametrize(("now", "alone", "before", "presence"), SEEN_ALONE)
def test_seen_alone(now: Presence, alone: list[Finding], before: tuple[str, ...], presence: Presence) -> None:
    compared = finding(now, Strength.POSSIBLE if now is PRESENT else None)
    (found,) = seen_alone([compared], alone, before)
    assert found.presence is presence
    taken = now is UNKNOWN and presence is PRESENT
    assert found.strength is (Strength.SUSPECTED if taken else compared.strength)
    assert ("against the baseline: A indeterminate" in found.explanation) is taken


def document(day: date | None, presence: Presence, explanation: str = "so") -> dict[str, Any]:
    said = {"pattern": "A", "presence": presence.value, "explanation": explanation}
    return {"study": {"study_date": None if day is None else day.isoformat()}, "findings": [said]}


DAY_2, DAY_4 = DAY + timedelta(days=2), DAY + timedelta(days=4)
FOUND_EARLIER = [
    pytest.param([document(DAY, PRESENT)], None, DAY, id="in the study before"),
    pytest.param([document(DAY, PRESENT), document(DAY_2, UNKNOWN)], None, DAY, id="not judged since"),
    pytest.param([document(DAY_2, UNKNOWN), document(DAY, PRESENT)], None, DAY, id="in any order"),
    pytest.param([document(DAY, PRESENT), document(DAY_2, PRESENT, f"found {NOT_GONE}: so")], None, DAY,
        id="went on since: the date of who found it"),
    pytest.param([document(DAY_2, PRESENT, f"found {NOT_GONE}: so")], None, DAY_2, id="who found it is not stored"),
    pytest.param([document(DAY, PRESENT), document(DAY_2, PRESENT)], None, DAY_2, id="found again"),
    pytest.param([document(DAY, PRESENT), document(DAY_2, ABSENT)], None, None, id="gone since"),
    pytest.param([document(DAY, PRESENT), document(DAY_2, ABSENT), document(DAY_4, UNKNOWN)], None, None,
        id="gone, then not judged"),
    pytest.param([document(DAY, ABSENT), document(DAY_2, PRESENT)], None, DAY_2, id="found later"),
    pytest.param([document(DAY, PRESENT)], DAY_2, None, id="before the course"),
    pytest.param([document(DAY_2, PRESENT)], DAY_2, DAY_2, id="on its first day"),
    pytest.param([document(None, PRESENT)], None, None, id="no date"),
    pytest.param([{}], None, None, id="noop: a document that says nothing"),
    pytest.param([], None, None, id="noop: no earlier study"),
]  # fmt: skip


@pytest.mark.parametrize(("documents", "start", "day"), FOUND_EARLIER)
def test_found_earlier(documents: list[dict[str, Any]], start: date | None, day: date | None) -> None:
    assert found_earlier(documents, start) == ({} if day is None else {"A": day})


CARRIED = [
    pytest.param(UNKNOWN, "A", PRESENT, id="nobody can judge it now"),
    pytest.param(ABSENT, "A", ABSENT, id="gone"),
    pytest.param(UNKNOWN, "B", UNKNOWN, id="another pattern"),
]


@pytest.mark.parametrize(("now", "found", "presence"), CARRIED)
def test_carried_on(now: Presence, found: str, presence: Presence) -> None:
    (one,) = carried_on([finding(now)], {found: DAY})
    assert one.presence is presence
    assert (one.strength is Strength.POSSIBLE) == (presence is PRESENT)
    assert (str(DAY) in one.explanation and NOT_GONE in one.explanation) == (presence is PRESENT)


def test_what_is_present_stays_as_it_is() -> None:
    strong = finding(PRESENT, Strength.STRONG)
    assert carried_on([strong], {"A": DAY}) == (strong,)


def test_the_course_in_a_sentence() -> None:
    figures = [
        a_measurement("thalamus_left", 1.24),
        not_measured("thalamus_right", "flair_change_percent", "%", "coverage: cut"),
        a_measurement("pons", -0.5),
    ]
    assert sentence(figures, DAY) == "course since 2024-03-09: thalamus left +1.2 %, pons -0.5 %"
    assert sentence([], DAY) == "course since 2024-03-09: could not be measured"
