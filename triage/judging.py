"""The stored figures of one study in, its findings and decision under the given settings out. No image is needed."""

from __future__ import annotations

from triage.decision import decide
from triage.detection import Patterns, before_infusion, detect, detect_alone, diffusion_only, judged_in_diffusion
from triage.model import Decision, Finding, ProtocolMatch
from triage.patterns.all import PATTERNS
from triage.report.contents import Assessment, JudgedFrom
from triage.settings import TriageSettings


def judge_again(
    stored: Assessment, settings: TriageSettings, patterns: Patterns = PATTERNS
) -> tuple[tuple[Finding, ...], Decision]:
    """What the detectors and the policy say of figures that were measured before.

    Only the limits of the patterns can change the answer: the figures stay as the settings of their time made them. A study of which
    nothing was measured keeps its findings and its decision. The priority of earlier versions is not kept here (``keep_priority``).

    Args:
        stored: an assessment, or what ``from_document`` gives: there figures have six decimals, so that a figure within that distance of
            a limit may fall on its other side.
    """
    if stored.judged.source is JudgedFrom.NOTHING:
        return stored.findings, stored.decision
    findings = _findings(stored, settings, patterns)
    compared = stored.judged.source is JudgedFrom.COMPARISON
    has_baseline = compared or (stored.baseline is not None and stored.baseline.study_instance_uid is not None)
    return findings, decide(findings, patterns, refusal=stored.judged.refusal, has_baseline=has_baseline)


def _findings(stored: Assessment, settings: TriageSettings, patterns: Patterns) -> tuple[Finding, ...]:
    if stored.judged.source is JudgedFrom.COMPARISON:
        return detect(stored.measurements, stored.judged.protocol or ProtocolMatch.DIFFERENT, settings, patterns)
    if stored.judged.source is JudgedFrom.DIFFUSION:
        names, known = judged_in_diffusion(patterns), {f.pattern: f for f in stored.findings}
        again = diffusion_only(stored.measurements, "not judged without a FLAIR", settings, patterns)
        return tuple(f if f.pattern in names else known.get(f.pattern, f) for f in again)
    findings = detect_alone(stored.measurements, settings, patterns)
    early = stored.days_after_infusion is not None and stored.days_after_infusion < 0
    return before_infusion(findings, patterns) if early else findings
