"""Findings to one decision: the policy as a table, and what must always hold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import a_finding
from triage.decision import days_after, fall, keep_priority, say_first, urgency
from triage.decision import decide as decide_by
from triage.model import Category, Decision, Finding, Presence, Priority, Strength
from triage.patterns.all import PATTERNS
from triage.patterns.pattern import Pattern

POSSIBLE, SUSPECTED, STRONG = Strength.POSSIBLE, Strength.SUSPECTED, Strength.STRONG
P1, P2, P3, UNCHANGED = Priority.P1, Priority.P2, Priority.P3, Priority.UNCHANGED
ORDER = [UNCHANGED, P3, P2, P1]


def decide(found: Sequence[Finding], patterns: Iterable[Pattern[Any]] = PATTERNS, **more: Any) -> Decision:
    """By the rules of the program's own patterns."""
    return decide_by(found, patterns, **more)


@pytest.mark.parametrize(
    ("pattern", "strength", "priority"),
    [
        pytest.param("A", POSSIBLE, P3, id="possible A"),
        pytest.param("A", SUSPECTED, P2, id="suspected A"),
        pytest.param("A", STRONG, P1, id="strong A"),
        pytest.param("B", POSSIBLE, P3, id="possible B"),
        pytest.param("B", SUSPECTED, P2, id="suspected B"),
        pytest.param("B", STRONG, P2, id="strong B"),
        pytest.param("C", POSSIBLE, P2, id="possible C"),
        pytest.param("C", SUSPECTED, P1, id="suspected C"),
        pytest.param("D", POSSIBLE, P2, id="possible D"),
        pytest.param("D", SUSPECTED, P1, id="suspected D"),
        pytest.param("D", STRONG, P1, id="strong D"),
        pytest.param("?", POSSIBLE, P3, id="possible, of a pattern without a rule"),
        pytest.param("?", STRONG, P2, id="strong, of a pattern without a rule"),
    ],
)
def test_one_pattern(pattern: str, strength: Strength, priority: Priority) -> None:
    decision = decide([a_finding(pattern, strength)])
    assert decision.priority is priority
    assert decision.category is (Category.POSSIBLE if strength is POSSIBLE else Category.NEUROTOXICITY_SUSPECTED)
    assert f"pattern {pattern} {strength.value}" in decision.reasons[0]


@pytest.mark.parametrize(
    ("pattern", "priority"), [pytest.param("A", P2, id="A is capped"), pytest.param("D", P1, id="D stands on its own")]
)
def test_without_a_baseline(pattern: str, priority: Priority) -> None:
    assert decide([a_finding(pattern, STRONG)], has_baseline=False).priority is priority


UNKNOWN = a_finding("B", presence=Presence.INDETERMINATE, explanation="not built")


@pytest.mark.parametrize(
    ("findings", "refusal", "category"),
    [
        pytest.param([a_finding("A"), UNKNOWN], None, Category.NO_PATTERN, id="noop: absent, another not built"),
        pytest.param([UNKNOWN], None, Category.NOT_ASSESSABLE, id="nothing could be looked at"),
        pytest.param([], None, Category.NOT_ASSESSABLE, id="no findings at all"),
        pytest.param([a_finding("A")], "coverage: cut", Category.NOT_ASSESSABLE, id="refused"),
        pytest.param([a_finding("D", STRONG)], "coverage: cut", Category.NEUROTOXICITY_SUSPECTED, id="seen even so"),
    ],
)
def test_not_seen_is_not_absent(findings: list[Finding], refusal: str | None, category: Category) -> None:
    decision = decide(findings, refusal=refusal)
    assert decision.category is category
    if category in (Category.NO_PATTERN, Category.NOT_ASSESSABLE):
        assert decision.priority is UNCHANGED
    if category is Category.NOT_ASSESSABLE and refusal:
        assert decision.reasons[0] == refusal  # what could be said in spite of it follows


def test_a_negative_names_what_was_not_looked_for() -> None:
    assert any("not built" in reason for reason in decide([a_finding("A"), UNKNOWN]).reasons)


findings = st.lists(
    st.builds(
        a_finding,
        st.sampled_from("ABCD"),
        st.sampled_from([None, POSSIBLE, SUSPECTED, STRONG]),
        st.none(),
    ),
    max_size=5,
)
refusals = st.sampled_from([None, "coverage: cut"])


@given(found=findings, refusal=refusals, has_baseline=st.booleans())
def test_priority_is_never_below_that_of_any_finding(
    found: list[Finding], refusal: str | None, has_baseline: bool
) -> None:
    together = decide(found, refusal=refusal, has_baseline=has_baseline).priority
    for finding in found:
        alone = decide([finding], refusal=refusal, has_baseline=has_baseline).priority
        assert ORDER.index(together) >= ORDER.index(alone)


@given(found=findings, refusal=refusals, order=st.randoms())
def test_the_order_of_findings_does_not_matter(found: list[Finding], refusal: str | None, order: object) -> None:
    shuffled = found[:]
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = decide(found, refusal=refusal), decide(shuffled, refusal=refusal)
    assert (one.category, one.priority, sorted(one.reasons)) == (other.category, other.priority, sorted(other.reasons))


@given(found=findings, more=findings)
def test_more_findings_never_lower_the_priority(found: list[Finding], more: list[Finding]) -> None:
    assert ORDER.index(decide(found + more).priority) >= ORDER.index(decide(found).priority)


@given(found=findings, refusal=refusals)
def test_every_decision_gives_a_reason(found: list[Finding], refusal: str | None) -> None:
    decision = decide(found, refusal=refusal)
    assert bool(decision.reasons) == (bool(found) or refusal is not None)


@pytest.mark.parametrize(
    ("less", "more"),
    [
        pytest.param("unchanged", "P3", id="a finding before none"),
        pytest.param("P3", "P2", id="P2 before P3"),
        pytest.param("P2", "P1", id="P1 before all"),
        pytest.param(None, "P3", id="no decision yet"),
    ],
)
def test_order_of_priorities(less: str | None, more: str) -> None:
    assert urgency(less) < urgency(more)
    assert urgency(None) == urgency("unchanged"), "neither says anything about urgency"


NOTHING = (Category.NO_PATTERN, UNCHANGED)
SURE = (Category.NEUROTOXICITY_SUSPECTED, P1)


@pytest.mark.parametrize(
    ("earlier", "now", "kept"),
    [
        pytest.param([], NOTHING, UNCHANGED, id="noop: first version"),
        pytest.param([UNCHANGED], SURE, P1, id="raised: nothing to keep"),
        pytest.param([P1], NOTHING, P1, id="would fall: kept"),
        pytest.param([P1, P3], (Category.POSSIBLE, P2), P1, id="highest of all"),
        pytest.param([P2], (Category.NOT_ASSESSABLE, UNCHANGED), P2, id="not measured: kept"),
        pytest.param([P1], SURE, P1, id="noop: the same again"),
    ],
)
def test_priority_is_never_lowered(earlier: list[Priority], now: tuple[Category, Priority], kept: Priority) -> None:
    result = keep_priority(Decision(*now, ("because",)), [priority.value for priority in earlier])
    assert (result.category, result.priority) == (now[0], kept)
    assert any("never lowers" in reason for reason in result.reasons) is (kept != now[1])


@pytest.mark.parametrize(
    ("study", "infusion", "expected"),
    [
        pytest.param(date(2026, 3, 10), date(2026, 3, 3), 7, id="a week after"),
        pytest.param(date(2026, 3, 3), date(2026, 3, 3), 0, id="the day itself"),
        pytest.param(date(2026, 2, 20), date(2026, 3, 3), -11, id="before"),
        pytest.param(None, date(2026, 3, 3), None, id="study date unknown"),
        pytest.param(date(2026, 3, 3), None, None, id="infusion date unknown"),
    ],
)
def test_days_after_infusion(study: date | None, infusion: date | None, expected: int | None) -> None:
    assert days_after(study, infusion) == expected


@pytest.mark.parametrize(
    ("before", "now", "falls"),
    [
        pytest.param(Category.NEUROTOXICITY_SUSPECTED, Category.NO_PATTERN, True, id="to nothing"),
        pytest.param(Category.NEUROTOXICITY_SUSPECTED, Category.POSSIBLE, True, id="one step"),
        pytest.param(Category.POSSIBLE, Category.NOT_ASSESSABLE, True, id="to not assessable"),
        pytest.param(Category.NO_PATTERN, Category.NOT_ASSESSABLE, False, id="neither is a finding"),
        pytest.param(Category.POSSIBLE, Category.POSSIBLE, False, id="noop"),
        pytest.param(Category.NO_PATTERN, Category.NEUROTOXICITY_SUSPECTED, False, id="rises"),
    ],
)
def test_a_category_that_falls_says_so_first(before: Category, now: Category, falls: bool) -> None:
    said = fall(now, before, "in the study of 2024-03-09")
    assert (said is not None) is falls
    if said is not None:
        assert all(word in said for word in (before.value, now.value, "2024-03-09"))


@pytest.mark.parametrize(
    ("said", "reasons"),
    [
        pytest.param([], ("because",), id="noop: nothing to say"),
        pytest.param(["it falls"], ("it falls", "because"), id="one thing"),
        pytest.param(["it falls", "a date came"], ("it falls; a date came", "because"), id="both are one line"),
    ],
)
def test_what_is_said_first_is_one_line(said: list[str], reasons: tuple[str, ...]) -> None:
    assert say_first(Decision(Category.NO_PATTERN, UNCHANGED, ("because",)), said).reasons == reasons


@pytest.mark.parametrize(
    "opens", ["no change since 2024-03-01; the infusion date is not known", "not excluded: pattern D"]
)
def test_what_a_negative_opens_with_stays_in_its_first_line(opens: str) -> None:
    said = say_first(Decision(Category.NO_PATTERN, UNCHANGED, (opens, "pattern A absent: x")), ["it falls"])
    assert said.reasons == (f"it falls; {opens}", "pattern A absent: x")


ABSENT_A = Finding("A", Presence.ABSENT, None, "no rise")
UNJUDGED = (Finding("D", Presence.INDETERMINATE, None, "FLAIR alone"), UNKNOWN)


@pytest.mark.parametrize(
    ("found", "first", "opens"),
    [
        pytest.param([ABSENT_A], None, "pattern A absent: no rise", id="noop: each was judged"),
        pytest.param([ABSENT_A, UNJUDGED[0]], None, "not excluded: pattern D", id="one was not"),
        pytest.param([UNJUDGED[0], ABSENT_A, UNKNOWN], None, "not excluded: patterns B, D", id="two were not"),
        pytest.param([ABSENT_A, UNKNOWN], "no change since x", "no change since x; not excluded: pattern B", id="both"),
    ],
)
def test_a_negative_opens_with_what_nobody_could_judge(found: list[Finding], first: str | None, opens: str) -> None:
    decision = decide(found, first=first)
    assert decision.category is Category.NO_PATTERN
    assert decision.reasons[0] == opens
    assert all(f"pattern {f.pattern} {f.presence}: {f.explanation}" in decision.reasons for f in found)


def test_a_positive_does_not_open_with_what_nobody_could_judge() -> None:
    present = Finding("A", Presence.PRESENT, Strength.STRONG, "rise")
    assert decide([present, UNKNOWN]).reasons == ("pattern A strong: rise",)


def test_a_negative_that_holds_under_a_condition_opens_with_it() -> None:
    absent = Finding("A", Presence.ABSENT, None, "no rise")
    decision = decide([absent], first="no change since 2024-03-01; the infusion date is not known")
    assert decision.category is Category.NO_PATTERN
    assert decision.reasons[0].startswith("no change since")
    present = Finding("A", Presence.PRESENT, Strength.POSSIBLE, "rise")
    assert not any(reason.startswith("no change") for reason in decide([present], first="no change since").reasons)
