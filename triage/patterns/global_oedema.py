"""Pattern D: global cerebral oedema. Sulci and cisterns are effaced, the brain grows, and the ventricles may narrow.

Source of the pattern: the published letter on CD19 CAR-T neurotoxicity neuroimaging (docs/method.md, pattern D). A
loss of cerebrospinal fluid beyond 14 % is visible oedema on CT after stroke; sulcal fluid below 5 mL is global oedema
on CT.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from triage.measurements import evidence_line, lookup
from triage.model import Finding, Measurement, Presence, ProtocolMatch, Strength
from triage.patterns.pattern import Figure, Held, Pattern, urgent_priority

PATTERN = "D"
TITLE = "global cerebral oedema"
VOLUME = "volume_change_percent"
FLAIR_ALONE = "source: flair"  # how triage.fluid.changes names a figure that no other contrast stands behind


@dataclass(frozen=True)
class GlobalOedemaLimits:
    """Limits of pattern D, in percent unless named otherwise.

    A change must exceed its limit and ``z`` times its uncertainty. Beyond the limit alone it is neither present nor
    absent.

    ``_same`` and ``_different``: by protocol class. The values for the same protocol are starting values
    (docs/method.md, pattern D). Across protocols, thin sulci of a real pair without oedema were measured 57 % apart
    on T2 and 31 % apart, in the other direction, on FLAIR. The uncertainty holds what the contrasts contradict each
    other by; the wider limits cover what they share.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    # sulcal fluid
    sulcal_same: float = -25.0
    sulcal_different: float = -32.0
    # sulcal fluid, strong
    sulcal_strong_same: float = -50.0
    sulcal_strong_different: float = -60.0
    # sulcal and cisternal fluid
    extraventricular_same: float = -14.0
    extraventricular_different: float = -25.0
    # brain volume
    brain_same: float = 1.5
    # three times the largest change of 12 calibration pairs without change (0.52 %)
    brain_different: float = 1.6
    # ventricles; they can stay normal and are never required
    ventricles_same: float = -15.0
    ventricles_different: float = -25.0
    # basal cisterns
    cisterns_same: float = -30.0
    cisterns_different: float = -45.0
    # factor on every limit when only FLAIR stands behind a figure, same protocol: a drift of 15 % was seen
    flair_alone_same: float = 1.2
    # the same across protocols: drifts of 30 to 40 % were seen
    flair_alone: float = 1.5
    # FLAIR alone excludes a loss only where the limit lies this many times the uncertainty away
    flair_alone_excludes: float = 2.0
    # a change must also exceed this many times its uncertainty
    z: float = 3.0
    # without a baseline: less sulcal fluid than this is possible oedema, or a young brain
    alone_sulcal_ml: float = 5.0


@dataclass(frozen=True)
class _Sign:
    """One sign; answer None: not measured, or not to be told. unsure: it lies beyond its limit, but within its
    uncertainty."""

    name: str
    answer: bool | None
    evidence: tuple[str, ...]
    unsure: bool


def detect(measurements: tuple[Measurement, ...], protocol: ProtocolMatch, limits: GlobalOedemaLimits) -> Finding:
    """Pattern D from the measurements of one follow-up against its baseline."""
    same = protocol is ProtocolMatch.SAME
    figures = {
        name: lookup(measurements, name, VOLUME)
        for name in ("sulcal_csf", "extraventricular_csf", "brain", "ventricles", "cisterns")
    }

    def limit(name: str) -> float:
        return float(getattr(limits, f"{name}_{'same' if same else 'different'}"))

    def beyond(figure: str, name: str) -> bool | None:
        return _beyond(figures[figure], limit(name), limits, same=same)

    def sign(words: str, *asked: tuple[str, str]) -> _Sign:
        """Of several figures one is enough."""
        answers = [beyond(*one) for one in asked]
        answer = True if True in answers else None if None in answers else False
        past = any(found is None and _past(figures[f], limit(n)) for found, (f, n) in zip(answers, asked, strict=True))
        return _Sign(words, answer, tuple(evidence_line(figures[figure]) for figure, _ in asked), past)

    strong = beyond("sulcal_csf", "sulcal_strong") is True
    signs = (
        sign("sulci", ("sulcal_csf", "sulcal")),
        sign("fluid outside the ventricles", ("extraventricular_csf", "extraventricular")),
        sign("brain volume", ("brain", "brain")),
        sign("ventricles or cisterns", ("ventricles", "ventricles"), ("cisterns", "cisterns")),
    )
    # Fluid that became bright is lost on FLAIR as fluid that left is (docs/method.md, pattern D): without another
    # contrast the loss is strong only beside a brain that grew, or narrower ventricles or cisterns
    strong = strong and (not _flair_alone(figures["sulcal_csf"]) or True in (sign.answer for sign in signs[2:]))
    evidence = (*(line for sign in signs for line in sign.evidence), *_bright_fluid(measurements))
    alone = any(_flair_alone(m) for m in figures.values() if m.value is not None)
    return _finding(signs, strong, evidence, protocol, alone=alone)


def _finding(
    signs: tuple[_Sign, ...], strong: bool, evidence: tuple[str, ...], protocol: ProtocolMatch, *, alone: bool
) -> Finding:
    present = [sign.name for sign in signs if sign.answer]
    if present:
        strength = Strength.STRONG if strong else Strength.SUSPECTED if len(present) >= 2 else Strength.POSSIBLE
        text = f"{TITLE}: {', '.join(present)} against the baseline ({protocol} protocol)"
        return Finding(PATTERN, Presence.PRESENT, strength, text, evidence)
    missing = [sign.name for sign in signs if sign.answer is None]
    unsure = [sign.name for sign in signs if sign.answer is None and sign.unsure]
    if unsure or signs[0].answer is None or signs[2].answer is None:
        why = f"FLAIR alone cannot tell ({protocol} protocol)" if alone else "not measured"
        rest = missing if alone else [name for name in missing if name not in unsure]
        said = [f"changed, but within the uncertainty: {', '.join(unsure)}"] if unsure and not alone else []
        said += [f"{why}: {', '.join(rest)}"] if rest else []
        return Finding(PATTERN, Presence.INDETERMINATE, None, f"{TITLE}: {'; '.join(said)}", evidence)
    text = f"{TITLE}: neither fluid nor brain volume changed beyond the limits ({protocol} protocol)"
    if missing:
        text += f"; {'not told by FLAIR alone' if alone else 'not measured'}: {', '.join(missing)}"
    return Finding(PATTERN, Presence.ABSENT, None, text, evidence)


def _beyond(m: Measurement, limit: float, limits: GlobalOedemaLimits, *, same: bool) -> bool | None:
    """Whether the change goes beyond ``limit`` in the limit's own direction, and beyond z times its uncertainty.

    None: it was not measured, it lies beyond the limit and within z times its uncertainty, or FLAIR alone measured it
    and its uncertainty reaches the limit.
    """
    if m.value is None:
        return None
    alone = _flair_alone(m)
    factor = limits.flair_alone_same if same else limits.flair_alone
    wide = limit * (factor if alone else 1.0)
    sign = 1.0 if limit > 0 else -1.0
    if sign * m.value >= sign * wide and (m.uncertainty is None or abs(m.value) >= limits.z * m.uncertainty):
        return True
    if not alone:
        return None if _past(m, limit) else False
    reach = sign * m.value + limits.flair_alone_excludes * (m.uncertainty or 0.0)
    return None if reach >= sign * limit else False


def _past(m: Measurement, limit: float) -> bool:
    """Whether a figure lies beyond the limit, however uncertain it is."""
    sign = 1.0 if limit > 0 else -1.0
    return m.value is not None and sign * m.value >= sign * limit


def _flair_alone(m: Measurement) -> bool:
    return (m.reason or "").startswith(FLAIR_ALONE)


def _bright_fluid(measurements: tuple[Measurement, ...]) -> tuple[str, ...]:
    """The FLAIR signal of fluid, for the reader: oxygen and gadolinium raise it, and it is no sign of oedema."""
    found = [m for m in measurements if m.quantity == "csf_flair_change_percent" and m.value is not None]
    return tuple(evidence_line(m) for m in found)


def detect_alone(measurements: tuple[Measurement, ...], limits: GlobalOedemaLimits) -> Finding:
    """Without a baseline: tight sulci are possible oedema at most, since a young brain looks the same."""
    sulci = lookup(measurements, "sulcal_csf", "fluid_volume_ml")
    if sulci.value is None:
        return Finding(
            PATTERN,
            Presence.INDETERMINATE,
            None,
            f"{TITLE}: no baseline, and sulcal fluid was not measured",
            (evidence_line(sulci),),
        )
    if sulci.value < limits.alone_sulcal_ml:
        text = (
            f"{TITLE}: no baseline; sulcal fluid {sulci.value:.1f} mL is below {limits.alone_sulcal_ml:g} mL. "
            "It may be a young brain: children and young adults have narrow sulci"
        )
        return Finding(PATTERN, Presence.PRESENT, Strength.POSSIBLE, text, (evidence_line(sulci),))
    text = (
        f"{TITLE}: no baseline; sulcal fluid {sulci.value:.1f} mL is not tight, "
        "a loss of fluid cannot be seen on one scan"
    )
    return Finding(PATTERN, Presence.INDETERMINATE, None, text, (evidence_line(sulci),))


GLOBAL_OEDEMA = Pattern(
    PATTERN,
    TITLE,
    "global_oedema",
    GlobalOedemaLimits,
    detect,
    detect_alone,
    priority=urgent_priority,
    figures=(Figure("sulcal_csf", VOLUME, -1), Figure("ventricles", VOLUME, -1), Figure("brain", VOLUME, 1)),
    held=(
        Held("sulcal_csf", VOLUME, "sulcal"),
        Held("extraventricular_csf", VOLUME, "extraventricular"),
        Held("brain", VOLUME, "brain"),
        Held("ventricles", VOLUME, "ventricles"),
        Held("cisterns", VOLUME, "cisterns"),
    ),
    urgent_before_infusion=True,
)
