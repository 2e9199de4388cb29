"""Pattern B: new or enlarging focal white matter lesions on FLAIR, with or without enhancement.

Some lie at sites of prior injury.

Source of the pattern: the published letter on CD19 CAR-T neurotoxicity neuroimaging (docs/method.md, pattern B).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from triage.anatomy import CAPSULES
from triage.measurements import evidence_line, lookup
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
    # without a baseline new and old lesions look the same: 13 of 26 single scans of people without an acute disease
    # had enough of them for any limit on number and volume. So lesions count only beside one of four acute signs.
    # From this many lesions they are told as more than healthy people have (5 to 9 small foci, AJNR 2009;30:911)
    alone_count: int = 10
    # and from this much in all
    alone_volume_ml: float = 5.0
    # First sign: enhancing tissue, enhancing_ml. Second: this much restricted tissue outside the cortex
    alone_restricted_ml: float = 1.0
    # third sign: external and extreme capsules of both sides this far above normal, a site typical for the disease
    alone_capsules: float = 12.0
    # and the smaller side is at least this share of the larger one
    alone_symmetry: float = 0.7
    # fourth sign, mass effect: the lateral ventricle beside the lesions is smaller by this much, percent. Healthy
    # ventricles differ by up to a third
    alone_narrowing: float = 50.0


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
    """Pattern B from a single scan: enhancement stands on its own; FLAIR lesions are possible beside an acute sign.

    Lesions without one are old as likely as new: they are told, and nothing is raised.
    """
    lit = lookup(measurements, "brain", "enhancing_volume_ml")
    count, volume = (lookup(measurements, "brain", f"chronic_lesion_{what}") for what in ("count", "volume_ml"))
    signs = (_restricts(measurements, limits), _typical_site(measurements, limits), _mass_effect(measurements, limits))
    evidence = (*(_line(m) for m in (count, volume, lit)), *(line for sign in signs for line in sign.evidence))
    if _enhances(lit, limits):
        why = f"focal enhancement, {lit.value:.1f} mL; no baseline to compare with"
        return Finding(PATTERN, Presence.PRESENT, Strength.SUSPECTED, why, evidence)
    lesions = _lesions_in_words(count, volume)
    acute = [sign.words for sign in signs if sign.present]
    if acute and lesions:
        why = f"{lesions} with {' and '.join(acute)}; without a baseline new and old cannot be told apart"
        return Finding(PATTERN, Presence.PRESENT, Strength.POSSIBLE, why, evidence)
    unknown = [
        name
        for name, known in (("enhancement", lit.value is not None), *((s.name, s.known) for s in signs))
        if not known
    ]
    unseen = f"; not measured: {', '.join(unknown)}" if unknown else ""
    many = (count.value or 0.0) >= limits.alone_count and (volume.value or 0.0) >= limits.alone_volume_ml
    told = (
        f"{lesions}{' more than in most healthy people,' * many} without an acute sign"
        if lesions
        else "no baseline to compare with"
    )
    return Finding(
        PATTERN,
        Presence.INDETERMINATE,
        None,
        f"{TITLE}: {told}; without a baseline new and old cannot be told apart{unseen}",
        evidence,
    )


@dataclass(frozen=True)
class _AcuteSign:
    """What tells a new lesion from an old one on a single scan. present and known: as far as it was measured."""

    name: str
    present: bool
    known: bool
    words: str
    evidence: tuple[str, ...]


def _restricts(measurements: tuple[Measurement, ...], limits: FocalWhiteMatterLimits) -> _AcuteSign:
    """Restricted tissue outside the cortex; that in the cortex is pattern C."""
    brain, cortex = (lookup(measurements, region, "restricted_volume_ml") for region in ("brain", "cortex"))
    deep = None if brain.value is None or cortex.value is None else brain.value - cortex.value
    words = "" if deep is None else f"{deep:.1f} mL of restricted diffusion outside the cortex"
    present = deep is not None and deep >= limits.alone_restricted_ml
    return _AcuteSign("diffusion", present, deep is not None, words, (_line(brain), _line(cortex)))


def _typical_site(measurements: tuple[Measurement, ...], limits: FocalWhiteMatterLimits) -> _AcuteSign:
    """Both external and extreme capsules are bright, and alike (docs/method.md, pattern A)."""
    sides = tuple(lookup(measurements, region, "flair_excess_percent") for region in CAPSULES)
    values = [m.value for m in sides if m.value is not None]
    known = len(values) == len(sides)
    even = known and min(values) >= limits.alone_symmetry * max(values)
    words = "external and extreme capsules bright on both sides"
    present = even and min(values) >= limits.alone_capsules
    return _AcuteSign("capsules", present, known, words, tuple(_line(m) for m in sides))


def _mass_effect(measurements: tuple[Measurement, ...], limits: FocalWhiteMatterLimits) -> _AcuteSign:
    narrowing = lookup(measurements, "brain", "ventricle_narrowing_percent")
    words = "" if narrowing.value is None else f"the ventricle beside them {narrowing.value:.0f} % smaller"
    present = narrowing.value is not None and narrowing.value >= limits.alone_narrowing
    return _AcuteSign("mass effect", present, narrowing.value is not None, words, (_line(narrowing),))


def _lesions_in_words(count: Measurement, volume: Measurement) -> str:
    """Empty when there is none or none was measured."""
    if not count.value or volume.value is None:
        return ""
    return f"{count.value:.0f} focal white matter lesion{'s' * (count.value > 1)}, {volume.value:.1f} mL,"


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
    return evidence_line(replace(m, uncertainty=None), "g")


FOCAL_WHITE_MATTER = Pattern(
    PATTERN,
    TITLE,
    "focal_white_matter",
    FocalWhiteMatterLimits,
    detect,
    detect_alone,
    figures=(Figure(ALL_LESIONS, "lesion_volume_ml", 1), Figure(ALL_LESIONS, "enhancing_volume_ml", 1)),
)
