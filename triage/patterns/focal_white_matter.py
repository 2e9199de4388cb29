"""Pattern B: new or enlarging focal white matter lesions on FLAIR, with or without enhancement.

Some lie at sites of prior injury.

Source of the pattern: the published letter on CD19 CAR-T neurotoxicity neuroimaging (docs/method.md, pattern B).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from triage.measurements import lookup
from triage.model import Finding, Measurement, Presence, ProtocolMatch, Strength
from triage.patterns.pattern import ALL_LESIONS, Figure, Pattern

PATTERN = "B"
TITLE = "new or enlarging focal white matter lesions"
NEW = ("lesion_count", "lesion_volume_ml", "largest_lesion_ml", "lesions_at_prior_injury")


@dataclass(frozen=True)
class FocalWhiteMatterLimits:
    """Limits of pattern B, starting values (docs/method.md, pattern B).

    triage.lesions.candidates and triage.lesions.enhancement decide what counts as one lesion. Fewer and smaller
    lesions than these make the pattern possible.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    # suspected: this many new or enlarging lesions
    count: int = 3
    # or this much in all
    volume_ml: float = 0.5
    # or this much enhancing tissue: the smallest place that triage.lesions.enhancement counts (0.1 mL less the spread
    # of a measured volume), so that the pattern is called whenever the pictures show enhancement
    enhancing_ml: float = 0.08
    # without a baseline, possible at most: this many lesions. New and old lesions look the same, and healthy adults
    # commonly have 5 to 9 small bright foci (AJNR 2009;30:911)
    alone_count: int = 10
    # and this much in all
    alone_volume_ml: float = 5.0


def detect(measurements: tuple[Measurement, ...], _protocol: ProtocolMatch, limits: FocalWhiteMatterLimits) -> Finding:
    """Pattern B from the measurements of one follow-up against its baseline.

    The protocol class is not used: the sizes that count as a lesion depend on it already.
    """
    found = {quantity: lookup(measurements, "brain", quantity) for quantity in NEW}
    lit = lookup(measurements, "brain", "enhancing_volume_ml")
    evidence = tuple(_line(m) for m in (*found.values(), lit))
    count, volume = found["lesion_count"].value, found["lesion_volume_ml"].value
    enhances = _enhances(lit, limits)
    if enhances or (count or 0) >= limits.count or (volume or 0.0) >= limits.volume_ml:
        return Finding(PATTERN, Presence.PRESENT, Strength.SUSPECTED, _told(found, lit, enhances=enhances), evidence)
    if count:
        return Finding(PATTERN, Presence.PRESENT, Strength.POSSIBLE, _told(found, lit, enhances=False), evidence)
    if count is None:
        return Finding(
            PATTERN,
            Presence.INDETERMINATE,
            None,
            f"{TITLE}: could not be looked for ({found['lesion_count'].reason})",
            evidence,
        )
    unseen = "" if lit.value is not None else "; enhancement was not measured"
    return Finding(PATTERN, Presence.ABSENT, None, f"{TITLE}: none against the baseline{unseen}", evidence)


def detect_alone(measurements: tuple[Measurement, ...], limits: FocalWhiteMatterLimits) -> Finding:
    """Pattern B from a single scan: enhancement stands on its own, FLAIR lesions are possible at most."""
    lit = lookup(measurements, "brain", "enhancing_volume_ml")
    count, volume = (lookup(measurements, "brain", f"chronic_lesion_{what}") for what in ("count", "volume_ml"))
    evidence = tuple(_line(m) for m in (count, volume, lit))
    if _enhances(lit, limits):
        why = f"focal enhancement, {lit.value:.1f} mL; no baseline to compare with"
        return Finding(PATTERN, Presence.PRESENT, Strength.SUSPECTED, why, evidence)
    if (count.value or 0.0) >= limits.alone_count and (volume.value or 0.0) >= limits.alone_volume_ml:
        why = (
            f"{count.value:.0f} focal white matter lesions, {volume.value:.1f} mL; "
            "without a baseline new and old cannot be told apart"
        )
        return Finding(PATTERN, Presence.PRESENT, Strength.POSSIBLE, why, evidence)
    return Finding(
        PATTERN,
        Presence.INDETERMINATE,
        None,
        f"{TITLE}: no baseline to compare with; new and old cannot be told apart",
        evidence,
    )


def _enhances(lit: Measurement, limits: FocalWhiteMatterLimits) -> bool:
    return lit.value is not None and lit.value >= limits.enhancing_ml


def _told(found: dict[str, Measurement], lit: Measurement, *, enhances: bool) -> str:
    count, volume = found["lesion_count"].value, found["lesion_volume_ml"].value
    parts = []
    if count:
        near = found["lesions_at_prior_injury"].value
        parts.append(
            f"{count:.0f} lesion{'s' if count > 1 else ''}, {volume:.2f} mL"
            + (f", {near:.0f} at prior injury" if near else "")
        )
    if enhances:
        parts.append(f"enhancing tissue {lit.value:.2f} mL")
    return f"{TITLE}: {'; '.join(parts)}"


def _line(m: Measurement) -> str:
    if m.value is None:
        return f"{m.region}/{m.quantity}: not measured ({m.reason})"
    return f"{m.region}/{m.quantity} = {m.value:g} {m.unit}"


FOCAL_WHITE_MATTER = Pattern(
    PATTERN,
    TITLE,
    "focal_white_matter",
    FocalWhiteMatterLimits,
    detect,
    detect_alone,
    figures=(Figure(ALL_LESIONS, "lesion_volume_ml", 1), Figure(ALL_LESIONS, "enhancing_volume_ml", 1)),
)
