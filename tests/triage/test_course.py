"""Findings against a study that is no baseline: what it shows itself is never a negative."""

from __future__ import annotations

from datetime import date

import pytest

from tests.builders import a_measurement
from triage.course import carried_on, merged, sentence
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
]  # fmt: skip


@pytest.mark.parametrize(("since", "alone", "presence", "strength", "said"), MERGED)
def test_merged(
    since: Finding, alone: Finding | None, presence: Presence, strength: Strength | None, said: str
) -> None:
    (found,) = merged([since], [] if alone is None else [alone], DAY)
    assert (found.presence, found.strength) == (presence, strength)
    assert said in found.explanation


CARRIED = [
    pytest.param(ABSENT, ("A",), [], PRESENT, id="unchanged since it was found"),
    pytest.param(UNKNOWN, ("A",), [finding(UNKNOWN)], PRESENT, id="nothing says that it is gone"),
    pytest.param(ABSENT, ("A",), [finding(ABSENT)], ABSENT, id="gone"),
    pytest.param(ABSENT, ("B",), [], ABSENT, id="another pattern"),
    pytest.param(ABSENT, (), [], ABSENT, id="no-op"),
]


@pytest.mark.parametrize(("now", "carried", "alone", "presence"), CARRIED)
def test_carried_on(now: Presence, carried: tuple[str, ...], alone: list[Finding], presence: Presence) -> None:
    (found,) = carried_on([finding(now)], carried, alone, DAY)
    assert found.presence is presence
    assert (found.strength is Strength.POSSIBLE) == (presence is PRESENT)
    assert (str(DAY) in found.explanation) == (presence is PRESENT)


def test_what_is_present_stays_as_it_is() -> None:
    strong = finding(PRESENT, Strength.STRONG)
    assert carried_on([strong], ("A",), [], DAY) == (strong,)


def test_the_course_in_a_sentence() -> None:
    figures = [
        a_measurement("thalamus_left", 1.24),
        not_measured("thalamus_right", "flair_change_percent", "%", "coverage: cut"),
        a_measurement("pons", -0.5),
    ]
    assert sentence(figures, DAY) == "course since 2024-03-09: thalamus left +1.2 %, pons -0.5 %"
    assert sentence([], DAY) == "course since 2024-03-09: could not be measured"
