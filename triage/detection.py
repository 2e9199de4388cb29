"""Measurements in, one Finding per pattern out: all detectors, with or without a baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from triage.course import OF_BASELINE
from triage.model import Finding, Measurement, Presence, ProtocolMatch
from triage.patterns.all import PATTERNS
from triage.patterns.pattern import Pattern
from triage.settings import TriageSettings

Patterns = Sequence[Pattern[Any]]


def detect(
    measured: tuple[Measurement, ...], match: ProtocolMatch, settings: TriageSettings, patterns: Patterns = PATTERNS
) -> tuple[Finding, ...]:
    """A follow-up against its baseline."""
    return tuple(p.detect(measured, match, p.limits_in(settings)) for p in patterns)


def detect_alone(
    measured: tuple[Measurement, ...], settings: TriageSettings, patterns: Patterns = PATTERNS
) -> tuple[Finding, ...]:
    """A study without a baseline."""
    return tuple(p.detect_alone(measured, p.limits_in(settings)) for p in patterns)


def indeterminate(why: str, patterns: Patterns = PATTERNS) -> tuple[Finding, ...]:
    """Nothing could be judged, and why."""
    return tuple(p.indeterminate(why) for p in patterns)


def doubted(findings: tuple[Finding, ...], doubts: Sequence[str]) -> tuple[Finding, ...]:
    """The same findings; nothing is absent when a part of the images may hide it."""
    if not doubts:
        return findings
    why = "not seen, but it may be hidden: " + "; ".join(doubts)
    return tuple(
        replace(one, presence=Presence.INDETERMINATE, explanation=why) if one.presence is Presence.ABSENT else one
        for one in findings
    )


def diffusion_only(
    measured: tuple[Measurement, ...], why: str, settings: TriageSettings, patterns: Patterns = PATTERNS
) -> tuple[Finding, ...]:
    """A study with diffusion images but no FLAIR: patterns that need no FLAIR are judged, the others say why not.

    Args:
        why: there is no FLAIR.
    """
    return tuple(
        p.indeterminate(why)
        if p.detect_in_diffusion is None
        else p.detect_in_diffusion(measured, p.limits_in(settings))
        for p in patterns
    )


def judged_in_diffusion(patterns: Patterns = PATTERNS) -> tuple[str, ...]:
    """Names of the patterns that need no FLAIR."""
    return tuple(p.name for p in patterns if p.detect_in_diffusion is not None)


def before_infusion(findings: Sequence[Finding], patterns: Patterns = PATTERNS) -> tuple[Finding, ...]:
    """The findings of a study before the infusion: a pattern is part of the baseline, unless it is always urgent."""
    part_of_baseline = {p.name for p in patterns if not p.urgent_before_infusion}
    return tuple(
        _not_yet(f) if f.pattern in part_of_baseline and f.presence is Presence.PRESENT else f for f in findings
    )


def _not_yet(finding: Finding) -> Finding:
    text = f"{finding.explanation}; {OF_BASELINE}"
    return replace(finding, presence=Presence.INDETERMINATE, strength=None, explanation=text)
