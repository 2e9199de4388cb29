"""Findings in, one Decision out: the whole policy, read top down. A priority is raised or left alone, never lowered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from triage.course import OF_BASELINE
from triage.model import BaselineChoice, Basis, Category, Decision, Finding, Presence, Priority
from triage.patterns.pattern import Pattern, is_sure, usual_priority
from triage.report.headline import FALLS, NOT_EXCLUDED

# from the least to the most urgent; the only place that ranks priorities
_ORDER = (Priority.UNCHANGED, Priority.P3, Priority.P2, Priority.P1)


SAME_ACQUISITION = "same_acquisition"  # code of the reason that another study holds the same images
NOT_IN_COHORT = "not_in_cohort"  # code of the reason that a study was not looked at: its patient is not on the roster
NO_CHANGE_SINCE = "no change since"  # how a negative opens when nobody knows whether its baseline lies before treatment
SET_ASIDE = "set_aside"  # code of the reason that objects of somebody else were left out of a study


def urgency(priority: str | None) -> int:
    """The rank of a priority, larger is more urgent. ``unchanged`` and None (no decision yet) rank 0."""
    return 0 if priority is None else _ORDER.index(Priority(priority))


def keep_priority(decision: Decision, earlier: Iterable[str]) -> Decision:
    """The same decision with the highest priority of the earlier versions, and a reason when that raises it.

    Args:
        earlier: the priority of every stored decision on the same study.
    """
    highest = max(map(Priority, earlier), key=urgency, default=Priority.UNCHANGED)
    if urgency(highest) <= urgency(decision.priority):
        return decision
    reason = f"priority {highest.value} of an earlier version is kept: the program never lowers a priority"
    return replace(decision, priority=highest, reasons=(*decision.reasons, reason))


def opening(choice: BaselineChoice | None) -> str | None:
    """What a negative must open with: without an infusion date nobody knows whether the baseline lies before it."""
    if choice is None or choice.study_instance_uid is None or choice.basis is not Basis.DATE_UNKNOWN:
        return None
    return f"{NO_CHANGE_SINCE} {choice.study_date}; the infusion date is not known"


def not_excluded(findings: Iterable[Finding]) -> str | None:
    """What a negative must open with: the patterns that nobody could judge. None: each was judged.

    The contract has no category between ``no_pattern`` and ``not_assessable``, so the first line tells them apart.
    """
    names = sorted({f.pattern for f in findings if f.presence is Presence.INDETERMINATE})
    return f"{NOT_EXCLUDED}: pattern{'s' * (len(names) > 1)} {', '.join(names)}" if names else None


_CERTAINTY = {Category.NEUROTOXICITY_SUSPECTED: 2, Category.POSSIBLE: 1}


def certainty(category: Category) -> int:
    """The rank of a category, larger is more certain of a finding. Categories without a finding rank 0."""
    return _CERTAINTY.get(category, 0)


def fall(now: Category, before: Category, when: str) -> str | None:
    """What must be said when the category is below an earlier one; None: it is not.

    Args:
        before: category of an earlier study of the patient, or of an earlier version of this one.
        when: which one, e.g. ``in the study of 2024-03-09``.
    """
    if certainty(now) >= certainty(before):
        return None
    return f"{FALLS}: {before.value} {when}, {now.value} now"


def say_first(decision: Decision, said: Sequence[str]) -> Decision:
    """The same decision, whose first line says all of ``said`` and what a negative opens with already; with nothing to
    say it stays as it is."""
    if not said:
        return decision
    opened, rest = _opened(decision)
    return replace(decision, reasons=("; ".join((*said, *opened)), *rest))


def _opened(decision: Decision) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What a negative opens with, and the reasons after it."""
    first, rest = decision.reasons[:1], decision.reasons[1:]
    return (first, rest) if first and first[0].startswith((NO_CHANGE_SINCE, NOT_EXCLUDED)) else ((), decision.reasons)


def days_after(study_date: date | None, infusion_date: date | None) -> int | None:
    """Whole days from the infusion to the study; negative before it; None when either date is unknown."""
    return None if study_date is None or infusion_date is None else (study_date - infusion_date).days


def decide(
    findings: Sequence[Finding],
    patterns: Iterable[Pattern[Any]],
    *,
    refusal: str | None = None,
    has_baseline: bool = True,
    first: str | None = None,
) -> Decision:
    """The category and priority for one study (docs/method.md, priority).

    Args:
        findings: one per pattern.
        patterns: whose rules rank them; a finding of another pattern gets the usual priority.
        refusal: reason code and sentence when nothing could be measured, or compared (``no_baseline``).
        has_baseline: without one a pattern whose rule asks for it gets a lower priority.
        first: what ``no_pattern`` opens with, when it holds only under a condition; the patterns that nobody could
            judge are named behind it.
    """
    present = [f for f in findings if f.presence is Presence.PRESENT]
    early = [f for f in findings if f.presence is Presence.INDETERMINATE and OF_BASELINE in f.explanation]
    refusal = refusal if refusal is None or not early else _showing(refusal, early)
    # the refusal is said first: "no_baseline: ..." changes how everything after it is read
    refused = () if refusal is None else (refusal,)
    reasons = (*refused, *(f"pattern {f.pattern} {f.strength}: {f.explanation}" for f in present))
    if present:
        rules = {pattern.name: pattern.priority for pattern in patterns}
        priorities = (rules.get(f.pattern, usual_priority)(f, has_baseline) for f in present)
        priority = max(priorities, key=urgency)
        sure = any(is_sure(f) for f in present)
        category = Category.NEUROTOXICITY_SUSPECTED if sure else Category.POSSIBLE
        return Decision(category, priority, reasons)
    if refusal is not None:
        told = [f for f in findings if f.presence is Presence.ABSENT or f in early]
        each = tuple(f"pattern {f.pattern} {f.presence}: {f.explanation}" for f in told)
        return Decision(Category.NOT_ASSESSABLE, Priority.UNCHANGED, (refusal, *each))
    if not any(f.presence is Presence.ABSENT for f in findings):
        return Decision(
            Category.NOT_ASSESSABLE,
            Priority.UNCHANGED,
            tuple(f"pattern {f.pattern}: {f.explanation}" for f in findings),
        )
    each = tuple(f"pattern {f.pattern} {f.presence}: {f.explanation}" for f in findings)
    opens = [said for said in (first, not_excluded(findings)) if said is not None]
    return say_first(Decision(Category.NO_PATTERN, Priority.UNCHANGED, each), opens)


def _showing(refusal: str, early: Sequence[Finding]) -> str:
    """The refusal of a study before the infusion, which says first what the scan shows: the date may be wrong, or
    planned."""
    code, _, why = refusal.partition(": ")
    names = ", ".join(sorted(f.pattern for f in early))
    return f"{code}: shows pattern{'s' * (len(early) > 1)} {names}, before treatment; {why}"
