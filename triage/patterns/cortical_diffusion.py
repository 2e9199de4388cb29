"""Pattern C: cortical diffusion restriction. It needs neither a baseline nor a FLAIR.

Source of the pattern: docs/method.md, pattern C.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import ClassVar

import numpy as np

from triage.measurements import evidence_line, lookup
from triage.model import Finding, Measurement, Presence, ProtocolMatch, Strength
from triage.patterns.pattern import Figure, Pattern, Visit, urgent_priority

PATTERN = "C"
TITLE = "cortical diffusion restriction"
VOLUME, GYRI, ADC = "restricted_volume_ml", "restricted_gyri", "adc_um2_s"
CORTEX, BRAIN = "cortex", "brain"
CHANGE = "volume_change_percent"
KEPT_Z = 1.645  # one-sided 95 %


@dataclass(frozen=True)
class CorticalDiffusionLimits:
    """Limits of pattern C (docs/method.md, pattern C)."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    # possible: this much restricted cortex
    possible_ml: float = 0.3
    # suspected: this much restricted cortex
    suspected_ml: float = 1.0
    # or this many separate restricted gyri
    suspected_gyri: float = 2.0
    # loss of cortex is looked for this long after restriction at the same site
    later_days: int = 21
    # volume change of the lobe's cortex that counts as loss
    later_volume_percent: float = -5.0
    # it must also exceed this many times its uncertainty
    later_z: float = 2.5


def detect(measurements: tuple[Measurement, ...], _protocol: ProtocolMatch, limits: CorticalDiffusionLimits) -> Finding:
    """Suspected: enough restricted cortex or two gyri; possible: some; indeterminate when it could not be measured.

    The protocol of the FLAIR does not matter here; what was restricted at the baseline is not in the figures.
    """
    return _found(measurements, limits)


def detect_alone(measurements: tuple[Measurement, ...], limits: CorticalDiffusionLimits) -> Finding:
    """The same without a baseline: own tissue and the mirror side carry it."""
    return _found(measurements, limits)


def _found(measurements: tuple[Measurement, ...], limits: CorticalDiffusionLimits) -> Finding:
    cortex, gyri = lookup(measurements, CORTEX, VOLUME), lookup(measurements, CORTEX, GYRI)
    if cortex.value is None:
        return Finding(PATTERN, Presence.INDETERMINATE, None, f"{TITLE}: {cortex.reason}")
    evidence = tuple(_evidence(measurements))
    deep = _deep(measurements, cortex.value)
    count = gyri.value or 0.0
    unjudged = [m.region for m in measurements if m.quantity == VOLUME and m.value is None and _is_lobe(m.region)]
    if cortex.value < limits.possible_ml and unjudged:
        hidden = ", ".join(map(_plain, unjudged))
        why = f"{TITLE}: {cortex.value:.1f} mL of cortex restricted, but too little was judged of: {hidden}{deep}"
        return Finding(PATTERN, Presence.INDETERMINATE, None, why, evidence)
    if cortex.value < limits.possible_ml:
        why = f"{TITLE}: {cortex.value:.1f} mL of cortex restricted, below {limits.possible_ml:g} mL{deep}"
        return Finding(PATTERN, Presence.ABSENT, None, why, evidence)
    sure = cortex.value >= limits.suspected_ml or count >= limits.suspected_gyri
    strength = Strength.SUSPECTED if sure else Strength.POSSIBLE
    gyri_words = f", {count:.0f} separate gyri" if count >= limits.suspected_gyri else ""
    why = f"{TITLE}: {cortex.value:.1f} mL, {_where(measurements)}{gyri_words}{deep}"
    return Finding(PATTERN, Presence.PRESENT, strength, why, evidence)


def _restricted_regions(measurements: tuple[Measurement, ...]) -> list[tuple[str, float]]:
    """(region, mL), the largest first."""
    found = [
        (m.region, m.value)
        for m in measurements
        if m.quantity == VOLUME and m.value and m.region not in (BRAIN, CORTEX)
    ]
    return sorted(found, key=lambda pair: -pair[1])


def _where(measurements: tuple[Measurement, ...]) -> str:
    lobes = [(region, ml) for region, ml in _restricted_regions(measurements) if region.startswith("cortex_")]
    return ", ".join(f"{_plain(region)} {ml:.1f} mL" for region, ml in lobes if ml >= 0.05) or "site unknown"


def _is_lobe(region: str) -> bool:
    return region.startswith(f"{CORTEX}_")


def _plain(region: str) -> str:
    """cortex_occipital_left -> left occipital."""
    words = region.removeprefix("cortex_").split("_")
    return f"{words[-1]} {' '.join(words[:-1])}" if words[-1] in ("left", "right") else " ".join(words)


def _deep(measurements: tuple[Measurement, ...], cortex_ml: float) -> str:
    """Restricted tissue outside the cortex is said too: it points to infarction or another cause."""
    brain = lookup(measurements, BRAIN, VOLUME)
    others = [(region, ml) for region, ml in _restricted_regions(measurements) if not region.startswith("cortex_")]
    if brain.value is None or brain.value - cortex_ml < 0.05 or not others:
        return ""
    listed = ", ".join(f"{_plain(region)} {ml:.1f} mL" for region, ml in others if ml >= 0.05)
    return f"; also outside the cortex: {listed or f'{brain.value - cortex_ml:.1f} mL'}"


def _evidence(measurements: tuple[Measurement, ...]) -> Iterator[str]:
    for region, quantity in ((CORTEX, VOLUME), (CORTEX, GYRI), (BRAIN, VOLUME)):
        figure = lookup(measurements, region, quantity)
        if figure.value is not None:
            yield evidence_line(figure, ".2f")
    for region, ml in _restricted_regions(measurements):
        yield evidence_line(Measurement(region, VOLUME, ml, "mL"), ".2f")


@dataclass(frozen=True)
class SiteLater:
    """One lobe, weeks after it was restricted.

    restricted_ml: at the earlier study. days: since then. volume_change_percent: of the lobe's cortex since the
    baseline, None when not measured. uncertainty_percent: its standard deviation. baseline_before: the baseline is
    older than the restriction.
    """

    region: str
    restricted_ml: float
    days: int
    volume_change_percent: float | None
    uncertainty_percent: float | None
    baseline_before: bool = True


def later_loss(
    sites: tuple[SiteLater, ...], elsewhere_percent: float | None, limits: CorticalDiffusionLimits
) -> Finding:
    """Later cortical loss at the site of earlier restriction, the atrophy that follows pattern C.

    Present: after at least ``later_days`` a lobe lost more volume than the other lobes, by the limit and by
    ``later_z`` times its uncertainty. The other lobes are the reference because steroids, dehydration and time widen
    all sulci. Absent: every such lobe was measured well enough to exclude that loss.

    Args:
        sites: lobes that held at least ``possible_ml`` of restricted tissue in an earlier study with the pattern.
        elsewhere_percent: median volume change of the lobes that were never restricted; None: not measured.
    """
    late = [s for s in sites if s.days >= limits.later_days]
    if not sites:
        return _later(Presence.INDETERMINATE, "no single lobe held enough of the earlier restriction")
    if not late:
        return _later(
            Presence.INDETERMINATE,
            f"{max(s.days for s in sites)} days since, loss shows after {limits.later_days}",
        )
    if elsewhere_percent is None:
        return _later(Presence.INDETERMINATE, "no other lobe was measured to compare with")
    evidence = (
        *(
            f"{s.region}/volume_change_percent={s.volume_change_percent:.1f} %"
            for s in late
            if s.volume_change_percent is not None
        ),
        f"other lobes/volume_change_percent={elsewhere_percent:.1f} %",
    )
    excess = {s.region: _excess(s, elsewhere_percent) for s in late}
    beside = f" (other lobes {elsewhere_percent:.0f} %)"
    lost = [s for s in late if (found := excess[s.region]) and _lost(*found, limits)]
    if lost:
        where = ", ".join(f"{_plain(s.region)} {s.volume_change_percent:.0f} %" for s in lost)
        return _later(Presence.PRESENT, where + beside, evidence)
    open_ = [s for s in late if not ((found := excess[s.region]) and _kept(*found, limits))]
    if open_:
        why = ", ".join(f"{_plain(s.region)} {_why_open(s)}" for s in open_)
        return _later(Presence.INDETERMINATE, why, evidence)
    return _later(Presence.ABSENT, f"no loss beyond {limits.later_volume_percent:g} %{beside}", evidence)


def _later(presence: Presence, text: str, evidence: tuple[str, ...] = ()) -> Finding:
    strength = Strength.SUSPECTED if presence is Presence.PRESENT else None
    return Finding(PATTERN, presence, strength, f"later cortical loss at the same site: {text}", evidence)


def _excess(site: SiteLater, elsewhere_percent: float) -> tuple[float, float] | None:
    """(change beyond the other lobes, its standard deviation), percent; None: not known."""
    if not site.baseline_before or site.volume_change_percent is None or site.uncertainty_percent is None:
        return None
    return site.volume_change_percent - elsewhere_percent, site.uncertainty_percent


def _lost(excess: float, sd: float, limits: CorticalDiffusionLimits) -> bool:
    return excess <= limits.later_volume_percent and -excess >= limits.later_z * sd


def _kept(excess: float, sd: float, limits: CorticalDiffusionLimits) -> bool:
    """A loss of the limit lies outside the uncertainty (one-sided 95 %)."""
    return excess - KEPT_Z * sd > limits.later_volume_percent


def _why_open(site: SiteLater) -> str:
    if not site.baseline_before:
        return "is compared with a baseline later than the restriction"
    if site.volume_change_percent is None or site.uncertainty_percent is None:
        return "was not measured"
    return f"{site.volume_change_percent:.0f} +- {site.uncertainty_percent:.0f} %, too uncertain"


def loss_since(now: Visit, visits: Sequence[Visit], limits: CorticalDiffusionLimits) -> Finding | None:
    """Loss of cortex where an earlier study (also when it became the baseline) showed the pattern; None: none did.

    Each lobe counts from the first study that showed it restricted.
    """
    baseline = next((v.study_date for v in visits if v.study_instance_uid == now.baseline_uid), None)
    shown = [v for v in visits if v.presence.get(PATTERN) == Presence.PRESENT and _before(v, now)]
    sites: dict[str, SiteLater] = {}
    for visit in sorted(shown, key=lambda v: v.study_date or date.min):
        for (region, quantity), (ml, _, _) in visit.figures.items():
            if quantity == VOLUME and region.startswith("cortex_") and ml and ml >= limits.possible_ml:
                sites.setdefault(region, _site(region, ml, visit, now, baseline))
    return later_loss(tuple(sites.values()), _elsewhere(now, sites), limits) if shown else None


def _before(visit: Visit, now: Visit) -> bool:
    dated = visit.study_date is not None and now.study_date is not None and visit.study_date < now.study_date
    return dated and (visit.days is None or visit.days >= 0)


def _site(region: str, ml: float, visit: Visit, now: Visit, baseline: date | None) -> SiteLater:
    assert visit.study_date is not None and now.study_date is not None  # noqa: S101, PT018 - see _before
    change, sd, _ = now.figures.get((region, CHANGE), (None, None, "%"))
    older = baseline is None or baseline < visit.study_date
    return SiteLater(region, ml, (now.study_date - visit.study_date).days, change, sd, older)


def _elsewhere(now: Visit, sites: Mapping[str, SiteLater]) -> float | None:
    """Median volume change of the lobes without restriction, percent."""
    changes = [
        value
        for (region, quantity), (value, _, _) in now.figures.items()
        if quantity == CHANGE and region.startswith("cortex_") and region not in sites and value is not None
    ]
    return float(np.median(changes)) if changes else None


CORTICAL_DIFFUSION = Pattern(
    PATTERN,
    TITLE,
    "cortical_diffusion",
    CorticalDiffusionLimits,
    detect,
    detect_alone,
    detect_in_diffusion=detect_alone,
    later_loss=loss_since,
    priority=urgent_priority,
    figures=(Figure(CORTEX, VOLUME, 1),),
    urgent_before_infusion=True,
)
