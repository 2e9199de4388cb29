"""Documents of a patient's earlier studies and the present figures in, the course of each pattern and the trends out.

A pure function on documents. Only figures that were measured against the same baseline are compared. Their
uncertainties decide whether a difference is one. No category and no priority depends on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, ClassVar

import numpy as np

from triage.model import Finding, Measurement, Presence, ProtocolMatch
from triage.patterns.all import PATTERNS
from triage.patterns.pattern import ALL_LESIONS, Figure, Pattern, Visit
from triage.report.contents import Course, Evolution, PatternCourse, Trend, TrendPoint
from triage.report.stored import protocol_of


@dataclass(frozen=True)
class EvolutionLimits:
    """When two studies differ."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    # a difference must exceed this many times its own uncertainty (root of the sum of both squared), about 95 %
    z: float = 2.0
    # and be at least this large, of a figure in percent
    least_percent: float = 3.0
    # or of a volume
    least_ml: float = 0.1
    # added to the uncertainty when the studies were acquired by different protocols: the drift that the common scale
    # leaves, see BithalamicLimits
    protocol_percent: float = 2.4
    # uncertainty of a lesion volume without one of its own, as a share of it: borders move by half a voxel
    relative_volume: float = 0.2


Followed = Mapping[Pattern[Any], Any]  # pattern -> its limits


def visit_of(document: Mapping[str, Any]) -> Visit:
    """A visit from a JSON document; keys that an earlier version did not write count as not measured."""
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
    """The study under assessment.

    Args:
        facts: study UID, date, days after infusion.
        lesions: (volume, enhancing volume) of each, mL.
    """
    figures = {(m.region, m.quantity): (m.value, m.uncertainty, m.unit) for m in measurements}
    presence = {f.pattern: f.presence.value for f in findings}
    return Visit(*facts, stage, _word(protocol), baseline_uid, {**figures, **_lesion_sums(lesions)}, presence)


def _word(protocol: ProtocolMatch | None) -> str | None:
    return None if protocol is None else protocol.value


def _lesion_sums(lesions: Sequence[tuple[float | None, float | None]]) -> dict[tuple[str, str], Any]:
    if not lesions:
        return {}
    enhancing = [e for _, e in lesions if e is not None]
    sums = {(ALL_LESIONS, "lesion_volume_ml"): (sum(v or 0.0 for v, _ in lesions), None, "mL")}
    return sums | ({(ALL_LESIONS, "enhancing_volume_ml"): (sum(enhancing), None, "mL")} if enhancing else {})


def evolution(
    now: Visit, earlier: Sequence[Mapping[str, Any]], limits: EvolutionLimits, patterns: Followed | None = None
) -> Evolution | None:
    """The course of each pattern over the patient's studies.

    Args:
        now: the study under assessment.
        earlier: newest document of each earlier study of the same patient, any order; those before the infusion, and
            the baseline itself, are no follow-ups and are left out.
        patterns: those of this program, each with its limits (None: all of them with their defaults).

    Returns:
        None when there is no earlier document, or ``now`` itself lies before the infusion.
    """
    if not earlier or (now.days is not None and now.days < 0):
        return None
    if patterns is None:
        patterns = {pattern: pattern.limits() for pattern in PATTERNS}
    visits = list(map(visit_of, earlier))
    past = sorted((v for v in visits if _is_followup(v, now)), key=lambda v: v.study_date or date.min)
    figures = _figures(patterns, [*past, now])
    courses = (_course(name, followed, now, past, limits) for name, followed in figures.items())
    return Evolution(
        tuple(c for c in courses if c is not None),
        _trends([*past, now], figures),
        _later_loss(now, visits, patterns),
    )


def _figures(patterns: Followed, visits: Sequence[Visit]) -> dict[str, tuple[Figure, ...]]:
    """Pattern -> the figures that its course follows; none for a pattern that only a document knows."""
    known = {pattern.name: pattern.figures for pattern in patterns}
    others = dict.fromkeys(name for visit in visits for name in visit.presence if name not in known)
    return known | dict.fromkeys(others, ())


def _later_loss(now: Visit, visits: Sequence[Visit], patterns: Followed) -> Finding | None:
    """What the pattern with such a rule says of later damage; None: nothing."""
    rules = ((pattern.later_loss, limits) for pattern, limits in patterns.items())
    found = (rule(now, visits, limits) for rule, limits in rules if rule is not None)
    return next((finding for finding in found if finding is not None), None)


def _is_followup(visit: Visit, now: Visit) -> bool:
    if visit.study_instance_uid in (now.study_instance_uid, now.baseline_uid) or visit.study_date is None:
        return False
    if now.study_date is None or visit.study_date > now.study_date:
        return False
    return visit.days is None or visit.days >= 0


def _course(
    pattern: str, figures: Sequence[Figure], now: Visit, past: Sequence[Visit], limits: EvolutionLimits
) -> PatternCourse | None:
    """None: never seen, and not now."""
    known = [v for v in past if v.presence.get(pattern) in (Presence.PRESENT, Presence.ABSENT)]
    ever = any(v.presence[pattern] == Presence.PRESENT for v in known)
    here = now.presence.get(pattern, Presence.INDETERMINATE)
    if here == Presence.INDETERMINATE:
        why = "seen in an earlier study, could not be judged in this one"
        return PatternCourse(pattern, Course.NOT_COMPARABLE, None, why) if ever else None
    if here == Presence.PRESENT:
        return _present(pattern, figures, now, known, limits, again=ever)
    return _absent(pattern, figures, now, known, limits) if ever else None


def _present(
    pattern: str,
    figures: Sequence[Figure],
    now: Visit,
    known: Sequence[Visit],
    limits: EvolutionLimits,
    *,
    again: bool,
) -> PatternCourse:
    if not known:
        return PatternCourse(pattern, Course.NEW, now.study_date, "no earlier study since the infusion could judge it")
    last = known[-1]
    if last.presence[pattern] == Presence.ABSENT:
        word = "seen again" if again else "first seen"
        return PatternCourse(pattern, Course.NEW, now.study_date, f"{word}; absent on {_day(last)}")
    up, down, compared = _differences(figures, now, last, limits)
    since = _episode_start(pattern, known)
    if not compared:
        return PatternCourse(pattern, Course.NOT_COMPARABLE, since, _why_not(now, last))
    if up:
        return PatternCourse(pattern, Course.WORSE, since, f"against {_day(last)}: {'; '.join(up)}")
    if down:
        return PatternCourse(pattern, Course.RESOLVING, since, f"against {_day(last)}: {'; '.join(down)}")
    return PatternCourse(pattern, Course.STABLE, since, f"no difference to {_day(last)} beyond the uncertainty")


def _absent(
    pattern: str, figures: Sequence[Figure], now: Visit, known: Sequence[Visit], limits: EvolutionLimits
) -> PatternCourse:
    last_seen = max(n for n, v in enumerate(known) if v.presence[pattern] == Presence.PRESENT)
    seen, gone = known[last_seen], known[last_seen + 1 :]
    _, down, compared = _differences(figures, now, seen, limits)
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


def _differences(
    figures: Sequence[Figure], now: Visit, last: Visit, limits: EvolutionLimits
) -> tuple[list[str], list[str], bool]:
    """Figures that got worse, that got better, each as words, and whether any could be compared."""
    up: list[str] = []
    down: list[str] = []
    compared = False
    if now.baseline_uid != last.baseline_uid:
        return up, down, False
    for region, quantity, worse in figures:
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


def _trends(visits: Sequence[Visit], figures: Mapping[str, tuple[Figure, ...]]) -> tuple[Trend, ...]:
    """Every followed figure that was measured at least once; a visit without it has a point without a value."""
    out = []
    for region, quantity in dict.fromkeys((f.region, f.quantity) for followed in figures.values() for f in followed):
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
