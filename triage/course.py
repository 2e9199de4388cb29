"""Findings against a study that is no baseline, and what an earlier study showed, in; the findings of the follow-up
out.

A comparison with a study that has an acute finding, or lies after the infusion, shows what was added since. It cannot
show that nothing is there (docs/method.md, Baseline). Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from triage.model import Finding, Measurement, Presence, Strength

_STRENGTHS = (None, Strength.POSSIBLE, Strength.SUSPECTED, Strength.STRONG)
SHOWN = ("thalamus_left", "thalamus_right", "pons")
"""Regions whose change a notice quotes: the strongest and most constant sign of pattern A."""
OF_BASELINE = "the study lies before the infusion, so this belongs to the baseline"  # in the same, of what a scan shows
NOT_GONE = "and not shown to be gone"  # in the explanation of a finding that rests on an earlier study alone


def merged(since: Sequence[Finding], alone: Sequence[Finding], day: date) -> tuple[Finding, ...]:
    """One finding per pattern from the comparison with the study of ``day`` and from the single scan.

    Present in either is present. Absent in the comparison says nothing about what was there on ``day``: then the single
    scan answers, and without it nothing does.

    Args:
        since: findings against the study of ``day``.
        alone: findings of the single scan; empty when it was not measured.
    """
    by_pattern = {finding.pattern: finding for finding in alone}
    return tuple(_one(finding, by_pattern.get(finding.pattern), day) for finding in since)


def _one(since: Finding, alone: Finding | None, day: date) -> Finding:
    if since.presence is Presence.PRESENT:
        strength = since.strength
        evidence = since.evidence
        if alone is not None and alone.presence is Presence.PRESENT:
            strength = max(strength, alone.strength, key=_STRENGTHS.index)
            evidence = (*evidence, *alone.evidence)
        return replace(
            since, strength=strength, explanation=f"added since {day}: {since.explanation}", evidence=evidence
        )
    if alone is not None and alone.presence is not Presence.INDETERMINATE:
        return replace(alone, explanation=f"{alone.explanation}; not added since {day}")
    said = f"nothing was added since {day}, but what was there then is not excluded"
    if alone is not None and OF_BASELINE in alone.explanation:
        said = f"{alone.explanation}; nothing was added since {day}"
    if since.presence is Presence.INDETERMINATE:
        said = since.explanation
    return replace(since, presence=Presence.INDETERMINATE, strength=None, explanation=said)


def merged_for(
    findings: Sequence[Finding], patterns: Sequence[str], alone: Sequence[Finding], day: date
) -> tuple[Finding, ...]:
    """The same findings; of these patterns only, what is not present is answered by the single scan (``merged``).

    Args:
        patterns: those that the compared study of ``day`` shows, or leaves open, though it is not before treatment.
    """
    by_pattern = {finding.pattern: finding for finding in alone}
    return tuple(
        _one(f, by_pattern.get(f.pattern), day) if f.pattern in patterns and f.presence is not Presence.PRESENT else f
        for f in findings
    )


def seen_alone(findings: Sequence[Finding], alone: Sequence[Finding], before: Sequence[str]) -> tuple[Finding, ...]:
    """The same findings; what the comparison cannot judge is present when the single scan shows it. Only the
    comparison can say that something is absent.

    Args:
        before: patterns that the scan of the baseline shows by itself, so that the same now is no news.
    """
    shown = {f.pattern: f for f in alone if f.presence is Presence.PRESENT and f.pattern not in before}
    return tuple(
        replace(shown[f.pattern], explanation=f"{shown[f.pattern].explanation}; against the baseline: {f.explanation}")
        if f.presence is Presence.INDETERMINATE and f.pattern in shown
        else f
        for f in findings
    )


def found_earlier(documents: Iterable[Mapping[str, Any]], start: date | None) -> dict[str, date]:
    """Patterns that were found in the course and not shown to be gone since, with the date of the latest study that
    found them itself.

    Args:
        documents: newest document of each earlier study; those of one day in the order of their times.
        start: of the course; None: it has none.
    """
    days = [(said, one) for one in documents if (said := (one.get("study") or {}).get("study_date")) is not None]
    found: dict[str, date] = {}
    for said, document in sorted(days, key=lambda pair: date.fromisoformat(pair[0])):
        day = date.fromisoformat(said)
        if start is not None and day < start:
            continue
        for one in document.get("findings") or ():
            if one["presence"] == Presence.ABSENT:
                found.pop(one["pattern"], None)
            elif one["presence"] == Presence.PRESENT and NOT_GONE in one["explanation"]:
                found.setdefault(one["pattern"], day)
            elif one["presence"] == Presence.PRESENT:
                found[one["pattern"]] = day
    return found


def carried_on(findings: Sequence[Finding], found: Mapping[str, date]) -> tuple[Finding, ...]:
    """The same findings; a pattern that was found earlier and that nobody can judge now is ``possible``.

    Args:
        found: pattern -> date of the study that found it.
    """
    return tuple(
        _carried(f, found[f.pattern]) if f.presence is Presence.INDETERMINATE and f.pattern in found else f
        for f in findings
    )


def _carried(finding: Finding, day: date) -> Finding:
    said = f"found on {day} {NOT_GONE}: {finding.explanation}"
    return replace(finding, presence=Presence.PRESENT, strength=Strength.POSSIBLE, explanation=said)


def carried_from_copy(findings: Sequence[Finding], found: Sequence[str], day: date) -> tuple[Finding, ...]:
    """The same findings; a pattern that was found in these very images, in the study of ``day``, is at least
    ``possible``."""
    return tuple(
        _from_copy(f, day) if f.pattern in found and f.presence is not Presence.PRESENT else f for f in findings
    )


def _from_copy(finding: Finding, day: date) -> Finding:
    said = f"found in the study of {day}, which is the same acquisition: {finding.explanation}"
    return replace(finding, presence=Presence.PRESENT, strength=Strength.POSSIBLE, explanation=said)


def sentence(measurements: Sequence[Measurement], day: date) -> str:
    """How the FLAIR signal went on since ``day``, for a notice."""
    of = {m.region: m for m in measurements if m.quantity == "flair_change_percent"}
    parts = [
        f"{region.replace('_', ' ')} {of[region].value:+.1f} %"
        for region in SHOWN
        if region in of and of[region].value is not None
    ]
    return f"course since {day}: {', '.join(parts) if parts else 'could not be measured'}"
