"""An Assessment in, the words of its evidence picture out; neither the patient's name nor ID is among them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from triage.model import Category, Finding, Lesion, Measurement, Priority, RegistrationResult, Stage
from triage.patterns.all import PATTERNS
from triage.report.contents import Assessment
from triage.report.document import DISCLAIMER
from triage.report.headline import BEFORE_TREATMENT

CATEGORY_WORDS = {
    Category.NEUROTOXICITY_SUSPECTED: "Neurotoxicity suspected",
    Category.POSSIBLE: "Possible neurotoxicity",
    Category.NO_PATTERN: "No pattern found",
    Category.NOT_ASSESSABLE: "Not assessable",
}
LEGEND_ALONE = "FLAIR signal over that of white matter (WM), ± robust sd inside the region. Nothing was compared."
LEGEND_EXCESS = (
    "Single scan, nothing was compared: FLAIR signal above what is normal beside two references, ± 1 sd between "
    "healthy heads. × WM: signal over that of white matter."
)
LEGEND_REFUSED = "Nothing was measured. The baseline is shown where the refused registration put it."
LEGEND_COMPARED = (
    "Median FLAIR change against the baseline ± 1 sd of what regions of this pair change without disease. "
    "near: against tissue around the region; far: against the whole brain."
)
QUALITY_WORDS = {
    "inverse_consistency_mm": ("inverse consistency", "{:.2f} mm"),
    "similarity": ("similarity", "{:.2f}"),
    "brain_coverage": ("brain in view", "{:.0%}"),
    "rotation_deg": ("rotation", "{:.1f}°"),
    "shift_mm": ("shift", "{:.1f} mm"),
}


@dataclass(frozen=True)
class RegionText:
    """The figures of one region: the main line, the smaller line below it, and whether a value was measured."""

    region: str
    name: str
    main: str
    small: str
    measured: bool


def legend(assessment: Assessment) -> str | None:
    """How to read the figures beside the slices; None when there are none."""
    if assessment.registration is not None and not assessment.registration.accepted:
        return LEGEND_REFUSED
    quantities = {m.quantity for m in assessment.measurements if m.assessable}
    if "flair_change_percent" in quantities:
        return LEGEND_COMPARED
    if _EXCESS in quantities:
        return LEGEND_EXCESS
    return LEGEND_ALONE if "flair_ratio" in quantities else None


def headline(assessment: Assessment) -> str:
    """Category, priority, and each pattern that is present, or always leads, with its course."""
    priority = assessment.decision.priority
    courses = {} if assessment.evolution is None else {c.pattern: c.state.value for c in assessment.evolution.patterns}
    parts = [
        BEFORE_TREATMENT if assessment.is_before_treatment else CATEGORY_WORDS[assessment.decision.category],
        "priority unchanged" if priority is Priority.UNCHANGED else f"priority {priority.value}",
        *(_pattern(f) + _course(courses.get(f.pattern)) for f in assessment.findings if _leads(f)),
    ]
    return "   |   ".join(parts)


def _leads(finding: Finding) -> bool:
    return finding.strength is not None or any(p.leads for p in PATTERNS if p.name == finding.pattern)


def _course(state: str | None) -> str:
    return "" if state is None else f" ({state.replace('_', ' ')})"


def _pattern(finding: Finding) -> str:
    return f"pattern {finding.pattern} {finding.strength.value if finding.strength else finding.presence.value}"


def dates(assessment: Assessment) -> str:
    """Baseline and follow-up date and the days since infusion."""
    choice = assessment.baseline
    before = choice.study_date.isoformat() if choice is not None and choice.study_date is not None else "none"
    if choice is not None and choice.study_instance_uid is not None and choice.study_date is None:
        before = "date unknown"
    when = assessment.study.study_date
    days = assessment.days_after_infusion
    relative = "infusion date unknown" if days is None else _days(days)
    stage = "   |   first look, to be refined" if assessment.stage is Stage.FIRST_LOOK else ""
    return f"Baseline {before}   |   Follow-up {when.isoformat() if when else 'date unknown'}   |   {relative}{stage}"


def _days(days: int) -> str:
    count = f"{abs(days)} day{'' if abs(days) == 1 else 's'}"
    return "day of infusion" if days == 0 else f"{count} after infusion" if days > 0 else f"{count} before infusion"


def reasons(assessment: Assessment) -> tuple[str, ...]:
    """The decision's reasons, then the patterns that neither the reasons nor the headline name."""
    given = tuple(sentence(reason) for reason in assessment.decision.reasons)
    unnamed = [f for f in assessment.findings if not _leads(f)]
    others = [f for f in unnamed if not any(r.startswith(f"pattern {f.pattern} ") for r in given)]
    rest = ", ".join(_pattern(f).removeprefix("pattern ") for f in others)
    return (*given, f"other patterns: {rest}") if rest and given else given


def footer(assessment: Assessment) -> tuple[str, ...]:
    """Baseline choice and report, registration, look-alikes, notices, disclaimer, versions: one paragraph each."""
    lines = []
    if assessment.baseline is not None:
        lines.append(f"Baseline: {assessment.baseline.reason}.")
    if assessment.registration is not None:
        lines.append(registration(assessment.registration))
    if assessment.baseline_report is not None:
        lines.append("Before treatment: " + " ".join(assessment.baseline_report.statements))
    if assessment.look_alikes:
        lines.append("Consider: " + " ".join(assessment.look_alikes))
    if assessment.notices:
        lines.append("Notices: " + "; ".join(assessment.notices) + ".")
    versions = "   ".join(f"{name.removesuffix('_sha256')} {value[:12]}" for name, value in assessment.versions.items())
    return (*lines, DISCLAIMER + (f"   {versions}" if versions else ""))


def registration(result: RegistrationResult) -> str:
    quality = result.quality
    figures = [f"{words} {form.format(quality[key])}" for key, (words, form) in QUALITY_WORDS.items() if key in quality]
    verdict = "accepted" if result.accepted else "REFUSED"
    return f"Registration {verdict}: {', '.join(figures)}." if figures else f"Registration {verdict}."


def region_name(region: str) -> str:
    """thalamus_left -> thalamus L."""
    for suffix, letter in (("_left", " L"), ("_right", " R")):
        if region.endswith(suffix):
            region = region.removesuffix(suffix) + letter
    return region.replace("external_extreme_capsule", "ext/extreme capsule").replace("_", " ")


def lesion(one: Lesion) -> str:
    """2: new, white matter L, 0.42 mL, +35 %, enhancing, at prior injury (3 mm)."""
    parts = [one.kind, region_name(one.site), f"{one.volume_ml:.2f} mL", f"{signed(one.change_percent, 0)} %"]
    if one.enhancing_volume_ml:
        parts.append(f"{one.enhancing_volume_ml:.2f} mL of it enhancing")
    if one.prior_injury_mm is not None:
        parts.append(f"{one.prior_injury_mm:.0f} mm from prior injury")
    return f"{one.number}: {', '.join(parts)}"


def restriction(measurements: Iterable[Measurement]) -> tuple[str, ...]:
    """Restricted cortex in all, then the sites, the largest first, each with its ADC where that was measured."""
    figures = {(m.region, m.quantity): m for m in measurements if m.value is not None}
    whole = figures.get(("cortex", "restricted_volume_ml"))
    lines = [] if whole is None else [f"restricted cortex   {_volume(whole)}"]
    sites = [
        m
        for (region, quantity), m in figures.items()
        if quantity == "restricted_volume_ml" and region not in ("cortex", "brain")
    ]
    for site in sorted(sites, key=lambda m: -(m.value or 0.0)):
        if site.value is not None and round(site.value, 1) > 0:
            adc = figures.get((site.region, "adc_um2_s"))
            beside = "" if adc is None else f", ADC of the region {adc.value:.0f} um2/s"
            lines.append(f"{region_name(site.region)}   {_volume(site)}{beside}")
    return tuple(lines)


def _volume(m: Measurement) -> str:
    return f"{m.value:.1f}" + ("" if m.uncertainty is None else f" ± {m.uncertainty:.1f}") + " mL"


def region_texts(measurements: Iterable[Measurement], regions: Iterable[str]) -> tuple[RegionText, ...]:
    """The figures of each region, in the order of ``regions``. A region without any figure is left out."""
    by_region: dict[str, dict[str, Measurement]] = {}
    for m in measurements:
        by_region.setdefault(m.region, {})[m.quantity] = m
    return tuple(_region(region, by_region[region]) for region in regions if region in by_region)


def _region(region: str, found: dict[str, Measurement]) -> RegionText:
    order = ("flair_change_percent", _EXCESS, "flair_ratio", "volume_change_percent")
    first = next((found[quantity] for quantity in order if quantity in found), None)
    name = region_name(region)
    if first is None:
        volume = found.get("volume_ml")
        return RegionText(region, name, _figure(volume) if volume else "not measured", "", volume is not None)
    if first.value is None:
        return RegionText(region, name, "not measured", sentence(first.reason or "no reason given"), measured=False)
    if first.quantity == "volume_change_percent":
        return RegionText(region, name, f"volume {_figure(first)}", "", measured=True)
    reference = _reference(first)
    compared = first.quantity == "flair_change_percent"  # then the change of the volume says more than the volume
    skipped = {_FAR if reference == "far" else "", "volume_ml" if compared else "", first.quantity}
    details = [(q, word) for q, word in _DETAILS if q in found and q not in skipped]
    small = ", ".join(_small(found[q], word) for q, word in details)
    return RegionText(region, name, _figure(first) + (f" ({reference})" if reference else ""), small, measured=True)


_FAR = "flair_change_far_percent"
_EXCESS = "flair_excess_percent"
_DETAILS = (
    (_FAR, "far"),
    ("flair_change_p95_percent", "95th percentile"),  # a focal lesion shows here while the median is quiet
    ("flair_ratio", "ratio"),
    ("volume_change_percent", "volume"),
    ("raised_fraction_percent", "raised voxels"),
    ("volume_ml", "volume"),
)


def _small(m: Measurement, word: str) -> str:
    if m.value is None:
        return f"{word} not measured ({(m.reason or '').split(':')[0]})"
    return f"{word} {_figure(m)}"


def _reference(m: Measurement) -> str:
    """near or far: which tissue the figure is relative to."""
    return (m.reason or "").removeprefix("reference: ") if (m.reason or "").startswith("reference: ") else ""


def _figure(m: Measurement) -> str:
    if m.value is None:
        return "not measured"
    if m.quantity == "volume_ml":
        return f"{m.value:.1f} mL"
    spread = "" if m.uncertainty is None else f" ± {m.uncertainty:.2f}" if m.unit == "1" else f" ± {m.uncertainty:.1f}"
    if m.quantity == "flair_ratio":
        return f"{m.value:.2f}{spread} × WM"
    if m.quantity == _EXCESS:
        return f"{signed(m.value, 1)}{spread} % above normal"
    return f"{signed(m.value, 1)}{spread} {m.unit}"


def signed(value: float, digits: int) -> str:
    """+1.2, −1.2, and 0.0 without a sign when nothing is left after rounding."""
    rounded = round(value, digits)
    return f"{abs(rounded):.{digits}f}" if rounded == 0 else f"{rounded:+.{digits}f}".replace("-", "−")


def sentence(code_and_text: str) -> str:
    """A reason code and its sentence for the eye: the code's underscores become spaces."""
    head, colon, rest = code_and_text.partition(":")
    return head.replace("_", " ") + colon + rest
