"""Measurements in, one Finding per pattern out: all detectors, with or without a baseline."""

from __future__ import annotations

from dataclasses import replace

from triage.model import Finding, Measurement, Presence, ProtocolMatch
from triage.patterns import bithalamic, cortical_diffusion, focal_white_matter, global_oedema
from triage.settings import TriageSettings


def detect(measured: tuple[Measurement, ...], match: ProtocolMatch, settings: TriageSettings) -> tuple[Finding, ...]:
    """A follow-up against its baseline."""
    return (
        bithalamic.detect(measured, match, settings.bithalamic),
        focal_white_matter.detect(measured, match, settings.focal_white_matter),
        cortical_diffusion.detect(measured, match, settings.cortical_diffusion),
        global_oedema.detect(measured, match, settings.global_oedema),
    )


def detect_alone(measured: tuple[Measurement, ...], settings: TriageSettings) -> tuple[Finding, ...]:
    """A study without a baseline."""
    return (
        bithalamic.detect_alone(measured, settings.bithalamic),
        focal_white_matter.detect_alone(measured, settings.focal_white_matter),
        cortical_diffusion.detect_alone(measured, settings.cortical_diffusion),
        global_oedema.detect_alone(measured, settings.global_oedema),
    )


def indeterminate(why: str) -> tuple[Finding, ...]:
    """Nothing could be judged, and why."""
    patterns = (bithalamic, focal_white_matter, cortical_diffusion, global_oedema)
    return tuple(Finding(p.PATTERN, Presence.INDETERMINATE, None, f"{p.TITLE}: {why}") for p in patterns)


def diffusion_only(measured: tuple[Measurement, ...], why: str, settings: TriageSettings) -> tuple[Finding, ...]:
    """A study without a FLAIR but with diffusion images: pattern C stands on its own, the others say why they do not."""
    finding = cortical_diffusion.detect_alone(measured, settings.cortical_diffusion)
    return tuple(finding if f.pattern == finding.pattern else f for f in indeterminate(why))


def not_yet(finding: Finding) -> Finding:
    """Before the infusion bright thalami are part of the baseline and no toxicity; oedema and restricted cortex are urgent whenever."""
    if (
        finding.pattern not in (bithalamic.PATTERN, focal_white_matter.PATTERN)
        or finding.presence is not Presence.PRESENT
    ):
        return finding
    text = f"{finding.explanation}; the study lies before the infusion, so this belongs to the baseline"
    return replace(finding, presence=Presence.INDETERMINATE, strength=None, explanation=text)
