"""Findings against a study that is no baseline, and what an earlier study showed, in; the findings of the follow-up
out.

A study with an acute finding, or one after the infusion, hides what it shows itself: a comparison with it finds what
was added since, never that nothing is there (docs/method.md, Baseline). Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from triage.model import Finding, Measurement, Presence, Strength

_STRENGTHS = (None, Strength.POSSIBLE, Strength.SUSPECTED, Strength.STRONG)
SHOWN = ("thalamus_left", "thalamus_right", "pons")
"""Regions whose change a notice quotes: the strongest and most constant sign of pattern A."""


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
    if since.presence is Presence.INDETERMINATE:
        said = since.explanation
    return replace(since, presence=Presence.INDETERMINATE, strength=None, explanation=said)


def carried_on(
    findings: Sequence[Finding], carried: Sequence[str], alone: Sequence[Finding], day: date
) -> tuple[Finding, ...]:
    """The same findings; a pattern that the compared study of ``day`` showed is ``possible`` unless it is gone.

    Args:
        carried: patterns that the compared study showed and that do not lie before treatment.
        alone: findings of the single scan; only its ``absent`` says that a pattern is gone. Empty when it was not
        measured.
    """
    gone = {finding.pattern for finding in alone if finding.presence is Presence.ABSENT}
    return tuple(_carried(f, day) if f.pattern in carried and f.pattern not in gone else f for f in findings)


def _carried(finding: Finding, day: date) -> Finding:
    if finding.presence is Presence.PRESENT:
        return finding
    said = f"found on {day} and not shown to be gone: {finding.explanation}"
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
