"""The stored figures of one study in, its findings and decision under the given settings out. No image is needed."""

from __future__ import annotations

from triage.course import carried_on, merged, seen_alone
from triage.decision import decide, opening
from triage.detection import Patterns, before_infusion, detect, detect_alone, diffusion_only, judged_in_diffusion
from triage.model import Decision, Finding, Presence, ProtocolMatch
from triage.patterns.all import PATTERNS
from triage.report.contents import Assessment, JudgedFrom, Since
from triage.settings import TriageSettings


def judge_again(
    stored: Assessment, settings: TriageSettings, patterns: Patterns = PATTERNS
) -> tuple[tuple[Finding, ...], Decision]:
    """What the detectors and the policy say of figures that were measured before.

    Only the limits of the patterns can change the answer: the figures stay as the settings of their time made them. A
    study of which nothing was measured keeps its findings and its decision. The priority of earlier versions is not
    kept here (``keep_priority``).

    Args:
        stored: an assessment, or what ``from_document`` gives: there figures have six decimals, so that a figure
            within that distance of a limit may fall on its other side.
    """
    if stored.judged.source is JudgedFrom.NOTHING:
        return stored.findings, stored.decision
    findings = _carried(stored, _findings(stored, settings, patterns))
    compared = stored.judged.source is JudgedFrom.COMPARISON or stored.since is not None
    named = stored.baseline is not None and stored.baseline.study_instance_uid is not None
    has_baseline = compared or (named and stored.judged.source is not JudgedFrom.SINGLE_SCAN)
    first = opening(stored.baseline)
    return findings, decide(findings, patterns, refusal=stored.judged.refusal, has_baseline=has_baseline, first=first)


def _carried(stored: Assessment, findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """A pattern that the compared study or a copy showed stays as it was stored: what it rests on is not kept beside
    the figures."""
    if stored.judged.source is JudgedFrom.COURSE or not stored.judged.carried:
        return findings
    before = {f.pattern: f for f in stored.findings if f.pattern in stored.judged.carried}
    return tuple(f if f.presence is Presence.PRESENT else before.get(f.pattern, f) for f in findings)


def _findings(stored: Assessment, settings: TriageSettings, patterns: Patterns) -> tuple[Finding, ...]:
    if stored.judged.source is JudgedFrom.COMPARISON:
        match = stored.judged.protocol or ProtocolMatch.DIFFERENT
        # of the single scan the figures are stored that say what the comparison could not
        alone = _alone(stored, settings, patterns)
        return seen_alone(detect(stored.measurements, match, settings, patterns), alone, ())
    if stored.judged.source is JudgedFrom.COURSE and stored.since is not None:
        return _course_findings(stored, stored.since, settings, patterns)
    if stored.judged.source is JudgedFrom.DIFFUSION:
        names, known = judged_in_diffusion(patterns), {f.pattern: f for f in stored.findings}
        again = diffusion_only(stored.measurements, "not judged without a FLAIR", settings, patterns)
        return tuple(f if f.pattern in names else known.get(f.pattern, f) for f in again)
    return _alone(stored, settings, patterns)


def _alone(stored: Assessment, settings: TriageSettings, patterns: Patterns) -> tuple[Finding, ...]:
    findings = detect_alone(stored.measurements, settings, patterns)
    early = stored.days_after_infusion is not None and stored.days_after_infusion < 0
    return before_infusion(findings, patterns) if early else findings


def _course_findings(
    stored: Assessment, since: Since, settings: TriageSettings, patterns: Patterns
) -> tuple[Finding, ...]:
    judged, added = stored.judged, since.findings
    if judged.protocol is not None:
        added = detect(since.measurements, judged.protocol, settings, patterns)
    alone = _alone(stored, settings, patterns)
    findings = merged(added, alone, since.study_date)
    return carried_on(findings, dict.fromkeys(judged.carried, judged.carried_on or since.study_date))
