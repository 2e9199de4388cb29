"""Documents of a patient's earlier studies and the figures of the present one in, the course of each pattern and a trend per region out.

Pure: a function on documents. Only figures measured against the *same* baseline are compared; their uncertainties decide whether a
difference is one. Nothing here changes a category or a priority.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, ClassVar

import numpy as np

from triage.model import Finding, Measurement, Presence, ProtocolMatch
from triage.patterns.cortical_diffusion import CorticalDiffusionLimits, SiteLater, later_loss
from triage.report.contents import Course, Evolution, PatternCourse, Trend, TrendPoint
from triage.report.document import protocol_of

FLAIR, SWELLING, ALONE = "flair_change_percent", "volume_change_percent", "flair_excess_percent"
_A_REGIONS = ("thalamus_left", "thalamus_right", "midbrain", "pons", "medulla")
RESTRICTED = "restricted_volume_ml"
LESIONS = "all_lesions"  # region of the sum over a study's new and enlarging lesions

# The figures a pattern is followed by, and whether a larger one is worse (+1) or better (-1).
FIGURES: Mapping[str, tuple[tuple[str, str, int], ...]] = {
    "A": (*((region, q, 1) for q in (FLAIR, ALONE) for region in _A_REGIONS), *((r, SWELLING, 1) for r in _A_REGIONS[:2])),
    "B": ((LESIONS, "lesion_volume_ml", 1), (LESIONS, "enhancing_volume_ml", 1)),
    "C": (("cortex", "restricted_volume_ml", 1),),
    "D": (("sulcal_csf", SWELLING, -1), ("ventricles", SWELLING, -1), ("brain", SWELLING, 1)),
}  # fmt: skip


@dataclass(frozen=True)
class EvolutionLimits:
    """When two studies differ.

    z: a difference must exceed this many times its own uncertainty (root of the sum of both squared), about 95 %.
    least_percent, least_ml: and be at least this large. protocol_percent: added to the uncertainty when the two studies were acquired
    by different protocols (the drift that the common scale leaves, see BithalamicLimits). relative_volume: uncertainty of a lesion
    volume without one of its own, as a share of it (borders move by half a voxel).
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    z: float = 2.0
    least_percent: float = 3.0
    least_ml: float = 0.1
    protocol_percent: float = 2.4
    relative_volume: float = 0.2


@dataclass(frozen=True)
class Visit:
    """What one study said. figures: (region, quantity) -> (value, uncertainty, unit). days: after infusion."""

    study_instance_uid: str
    study_date: date | None
    days: int | None
    stage: str
    protocol: str | None
    baseline_uid: str | None
    figures: Mapping[tuple[str, str], tuple[float | None, float | None, str]]
    presence: Mapping[str, str]


def visit_of(document: Mapping[str, Any]) -> Visit:
    """A visit from the JSON document of the contract; keys that an older version did not write are taken as not measured."""
    study, baseline = document["study"], document.get("baseline") or {}
    day = study.get("study_date")
    figures = {
        (m["region"], m["quantity"]): (m["value"], m["uncertainty"], m["unit"])
        for m in document.get("measurements", ())
    }
    lesions = document.get("lesions") or ()
    return Visit(
        study["study_instance_uid"],
        date.fromisoformat(day) if day else None,
        study.get("days_after_infusion"),
        document.get("stage", "full"),
        _word(protocol_of(document)),
        baseline.get("study_instance_uid"),
        {**figures, **_lesion_sums([(one["volume_ml"], one["enhancing_volume_ml"]) for one in lesions])},
        {f["pattern"]: f["presence"] for f in document.get("findings", ())},
    )


def visit_now(
    facts: tuple[str, date | None, int | None],
    stage: str,
    baseline_uid: str | None,
    measurements: Sequence[Measurement],
    findings: Sequence[Finding],
    lesions: Sequence[tuple[float | None, float | None]],
    protocol: ProtocolMatch | None,
) -> Visit:
    """The study under assessment. facts: study UID, date, days after infusion. lesions: (volume, enhancing volume) in mL of each."""
    figures = {(m.region, m.quantity): (m.value, m.uncertainty, m.unit) for m in measurements}
    presence = {f.pattern: f.presence.value for f in findings}
    return Visit(*facts, stage, _word(protocol), baseline_uid, {**figures, **_lesion_sums(lesions)}, presence)


def _word(protocol: ProtocolMatch | None) -> str | None:
    return None if protocol is None else protocol.value


def _lesion_sums(lesions: Sequence[tuple[float | None, float | None]]) -> dict[tuple[str, str], Any]:
    if not lesions:
        return {}
    enhancing = [e for _, e in lesions if e is not None]
    sums = {(LESIONS, "lesion_volume_ml"): (sum(v or 0.0 for v, _ in lesions), None, "mL")}
    return sums | ({(LESIONS, "enhancing_volume_ml"): (sum(enhancing), None, "mL")} if enhancing else {})


def evolution(
    now: Visit,
    earlier: Sequence[Mapping[str, Any]],
    limits: EvolutionLimits,
    restriction: CorticalDiffusionLimits | None = None,
) -> Evolution | None:
    """The course of each pattern over the patient's studies.

    Args:
        now: the study under assessment.
        earlier: newest document of each earlier study of the same patient, any order; those before the infusion, and the baseline
            itself, are no follow-ups and are left out.
        restriction: limits of pattern C, for the cortical loss that follows it (None: the defaults).

    Returns:
        None when there is no earlier document, or ``now`` itself lies before the infusion.
    """
    if not earlier or (now.days is not None and now.days < 0):
        return None
    past = sorted((v for v in map(visit_of, earlier) if _is_followup(v, now)), key=lambda v: v.study_date or date.min)
    courses = (_course(pattern, now, past, limits) for pattern in FIGURES)
    loss = _later_loss(now, list(map(visit_of, earlier)), restriction or CorticalDiffusionLimits())
    return Evolution(tuple(c for c in courses if c is not None), _trends([*past, now]), loss)


def _later_loss(now: Visit, visits: Sequence[Visit], limits: CorticalDiffusionLimits) -> Finding | None:
    """Loss of cortex where an earlier study (also when it became the baseline) showed the pattern; None: none did.

    Each lobe counts from the first study that showed it restricted.
    """
    baseline = next((v.study_date for v in visits if v.study_instance_uid == now.baseline_uid), None)
    shown = [v for v in visits if v.presence.get("C") == Presence.PRESENT and _before(v, now)]
    sites: dict[str, SiteLater] = {}
    for visit in sorted(shown, key=lambda v: v.study_date or date.min):
        for (region, quantity), (ml, _, _) in visit.figures.items():
            if quantity == RESTRICTED and region.startswith("cortex_") and ml and ml >= limits.possible_ml:
                sites.setdefault(region, _site(region, ml, visit, now, baseline))
    return later_loss(tuple(sites.values()), _elsewhere(now, sites), limits) if shown else None


def _before(visit: Visit, now: Visit) -> bool:
    dated = visit.study_date is not None and now.study_date is not None and visit.study_date < now.study_date
    return dated and (visit.days is None or visit.days >= 0)


def _site(region: str, ml: float, visit: Visit, now: Visit, baseline: date | None) -> SiteLater:
    assert visit.study_date is not None and now.study_date is not None  # noqa: S101, PT018 - see _before
    change, sd, _ = now.figures.get((region, SWELLING), (None, None, "%"))
    older = baseline is None or baseline < visit.study_date
    return SiteLater(region, ml, (now.study_date - visit.study_date).days, change, sd, older)


def _elsewhere(now: Visit, sites: Mapping[str, SiteLater]) -> float | None:
    """Median volume change of the lobes without restriction, percent."""
    changes = [
        value
        for (region, quantity), (value, _, _) in now.figures.items()
        if quantity == SWELLING and region.startswith("cortex_") and region not in sites and value is not None
    ]
    return float(np.median(changes)) if changes else None


def _is_followup(visit: Visit, now: Visit) -> bool:
    if visit.study_instance_uid in (now.study_instance_uid, now.baseline_uid) or visit.study_date is None:
        return False
    if now.study_date is None or visit.study_date > now.study_date:
        return False
    return visit.days is None or visit.days >= 0


def _course(pattern: str, now: Visit, past: Sequence[Visit], limits: EvolutionLimits) -> PatternCourse | None:
    """None: never seen, and not now."""
    known = [v for v in past if v.presence.get(pattern) in (Presence.PRESENT, Presence.ABSENT)]
    ever = any(v.presence[pattern] == Presence.PRESENT for v in known)
    here = now.presence.get(pattern, Presence.INDETERMINATE)
    if here == Presence.INDETERMINATE:
        why = "seen in an earlier study, could not be judged in this one"
        return PatternCourse(pattern, Course.NOT_COMPARABLE, None, why) if ever else None
    if here == Presence.PRESENT:
        return _present(pattern, now, known, limits, again=ever)
    return _absent(pattern, now, known, limits) if ever else None


def _present(
    pattern: str, now: Visit, known: Sequence[Visit], limits: EvolutionLimits, *, again: bool
) -> PatternCourse:
    if not known:
        return PatternCourse(pattern, Course.NEW, now.study_date, "no earlier study since the infusion could judge it")
    last = known[-1]
    if last.presence[pattern] == Presence.ABSENT:
        word = "seen again" if again else "first seen"
        return PatternCourse(pattern, Course.NEW, now.study_date, f"{word}; absent on {_day(last)}")
    up, down, compared = _differences(pattern, now, last, limits)
    since = _episode_start(pattern, known)
    if not compared:
        return PatternCourse(pattern, Course.NOT_COMPARABLE, since, _why_not(now, last))
    if up:
        return PatternCourse(pattern, Course.WORSE, since, f"against {_day(last)}: {'; '.join(up)}")
    if down:
        return PatternCourse(pattern, Course.RESOLVING, since, f"against {_day(last)}: {'; '.join(down)}")
    return PatternCourse(pattern, Course.STABLE, since, f"no difference to {_day(last)} beyond the uncertainty")


def _absent(pattern: str, now: Visit, known: Sequence[Visit], limits: EvolutionLimits) -> PatternCourse:
    last_seen = max(n for n, v in enumerate(known) if v.presence[pattern] == Presence.PRESENT)
    seen, gone = known[last_seen], known[last_seen + 1 :]
    _, down, compared = _differences(pattern, now, seen, limits)
    if not compared:
        return PatternCourse(pattern, Course.NOT_COMPARABLE, None, _why_not(now, seen))
    if not down:
        why = f"no longer reaches its limits, but the difference to {_day(seen)} is within the uncertainty"
        return PatternCourse(pattern, Course.STABLE, _episode_start(pattern, known[: last_seen + 1]), why)
    since = gone[0].study_date if gone else now.study_date
    return PatternCourse(pattern, Course.RESOLVED, since, f"against {_day(seen)}: {'; '.join(down)}")


def _episode_start(pattern: str, known: Sequence[Visit]) -> date | None:
    """Date of the first study of the run of studies that show the pattern, ending with the last of ``known``."""
    start = known[-1].study_date
    for visit in reversed(known):
        if visit.presence[pattern] != Presence.PRESENT:
            break
        start = visit.study_date
    return start


def _day(visit: Visit) -> str:
    return visit.study_date.isoformat() if visit.study_date else "an undated study"


def _why_not(now: Visit, last: Visit) -> str:
    if now.baseline_uid != last.baseline_uid:
        return f"{_day(last)} was measured against another baseline"
    return f"no figure of it was measured both on {_day(last)} and now"


def _differences(pattern: str, now: Visit, last: Visit, limits: EvolutionLimits) -> tuple[list[str], list[str], bool]:
    """Figures that got worse, that got better, each as words, and whether any could be compared."""
    up: list[str] = []
    down: list[str] = []
    compared = False
    if now.baseline_uid != last.baseline_uid:
        return up, down, False
    for region, quantity, worse in FIGURES[pattern]:
        pair = [v.figures.get((region, quantity)) for v in (last, now)]
        if pair[0] is None or pair[1] is None or pair[0][0] is None or pair[1][0] is None:
            continue
        compared = True
        difference = pair[1][0] - pair[0][0]
        if _is_one(difference, pair[0], pair[1], now.protocol != last.protocol, limits):
            words = f"{region}/{quantity} {pair[0][0]:+.1f} to {pair[1][0]:+.1f} {pair[1][2]}"
            (up if difference * worse > 0 else down).append(words)
    return up, down, compared


def _is_one(
    difference: float,
    one: tuple[float | None, float | None, str],
    other: tuple[float | None, float | None, str],
    protocols_differ: bool,
    limits: EvolutionLimits,
) -> bool:
    percent = other[2] == "%"
    spread = sum(_spread(figure, limits) ** 2 for figure in (one, other))
    if protocols_differ and percent:
        spread += limits.protocol_percent**2
    least = limits.least_percent if percent else limits.least_ml
    return abs(difference) >= max(least, limits.z * float(np.sqrt(spread)))


def _spread(figure: tuple[float | None, float | None, str], limits: EvolutionLimits) -> float:
    value, uncertainty, _ = figure
    return uncertainty if uncertainty is not None else limits.relative_volume * abs(value or 0.0)


def _trends(visits: Sequence[Visit]) -> tuple[Trend, ...]:
    """Every followed figure that was measured at least once; a visit without it has a point without a value."""
    out = []
    for region, quantity in dict.fromkeys((r, q) for figures in FIGURES.values() for r, q, _ in figures):
        found = [v.figures.get((region, quantity)) for v in visits]
        unit = next((f[2] for f in found if f is not None and f[0] is not None), None)
        if unit is not None:
            points = tuple(_point(v, f) for v, f in zip(visits, found, strict=True))
            out.append(Trend(region, quantity, unit, points))
    return tuple(out)


def _point(visit: Visit, figure: tuple[float | None, float | None, str] | None) -> TrendPoint:
    value, uncertainty = (None, None) if figure is None else figure[:2]
    return TrendPoint(
        visit.study_instance_uid,
        visit.study_date,
        visit.days,
        value,
        uncertainty,
        visit.stage,
        visit.protocol,
        visit.baseline_uid,
    )
