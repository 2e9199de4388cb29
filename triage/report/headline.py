"""A stored document in, what a list says of it in one line out: finding and strongest figures, in words. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from triage.model import Category, Priority, SequenceKind, Stage
from triage.patterns.all import PATTERNS
from triage.report.contents import JudgedFrom
from triage.report.figures import carrying, is_total, quantity_words, telling_order

TITLES = {pattern.name: pattern.title for pattern in PATTERNS}
NOT_EXCLUDED = "not excluded"  # how the line of a ``no_pattern`` opens that names the patterns nobody could judge
FALLS = "the category falls"
ASSESSED_AGAIN = "assessed again"
NEWS = (FALLS, ASSESSED_AGAIN)  # how the sentences open that stand before the codes of a decision
LONGEST_TEXT = 300  # characters; a list shows one line
SHOWN_FIGURES = 2
# what stands before a figure; of other quantities their words
PREFIXES = {"flair_change_percent": "", "flair_excess_percent": "above normal "}
BOTH = {"thalamus": "both thalami", "external_extreme_capsule": "both ext/extreme capsules"}
NO_BASELINE = "no_baseline"  # code of the reason that there is no earlier study to compare with
BEFORE_TREATMENT = "Baseline, before treatment"  # what a study is called that `is_before_treatment`
NOT_MEASURED_YET = "not measured yet: the full assessment follows"
FOUND = (Category.NEUROTOXICITY_SUSPECTED.value, Category.POSSIBLE.value)
SIDES = ("_left", "_right")

Measured = Mapping[str, Any]


@dataclass(frozen=True)
class Headline:
    """finding: in words. figure: the strongest figures, "" without one. day: days after infusion; None: not known.

    baseline_date: of the study that was compared with; None: nothing was, or it has no date. scanner: in words, ""
    when the document names none. tissue_ratio: FLAIR of grey over white matter; None: not measured. before_treatment:
    see ``is_before_treatment``; also its first look, which measures nothing.
    """

    finding: str
    figure: str
    day: int | None
    baseline_date: date | None
    scanner: str = ""
    tissue_ratio: float | None = None
    before_treatment: bool = False


def was_compared(document: Mapping[str, Any]) -> bool:
    """Whether the figures are of a comparison with the baseline. One that was chosen may have been refused, e.g. by its
    registration."""
    source = (document.get("judged") or {}).get("from", JudgedFrom.COMPARISON)  # older documents do not say it
    chosen = bool((document.get("baseline") or {}).get("study_instance_uid"))
    return chosen and source == JudgedFrom.COMPARISON and (document.get("registration") or {}).get("accepted", True)


def headline_of(document: Mapping[str, Any]) -> Headline:
    """The line of one document. A part that the document lacks is empty, never a fault: the decision must be listed."""
    baseline, study = document.get("baseline") or {}, document.get("study") or {}
    before = baseline.get("study_date") if was_compared(document) else None
    return Headline(
        finding=_cut(_finding(document)),
        figure=strongest_figures(document),
        day=study.get("days_after_infusion"),
        baseline_date=date.fromisoformat(before) if before else None,
        scanner=_cut(scanner_words(document)),
        tissue_ratio=document.get("tissue_ratio"),
        before_treatment=is_before_treatment(document) or awaits_measuring(document),
    )


def is_before_treatment(document: Mapping[str, Any]) -> bool:
    """``Assessment.is_before_treatment``, of its document."""
    return _is_unflagged(document) and (document.get("judged") or {}).get("before_treatment") is True


def awaits_measuring(document: Mapping[str, Any]) -> bool:
    """Whether this is the first look of a scan before the infusion that has no baseline: nothing of it was measured,
    and the full assessment tells whether it is one before treatment without a pattern."""
    day = (document.get("study") or {}).get("days_after_infusion")
    first = next(iter((document.get("decision") or {}).get("reasons") or ()), "")
    alone = day is not None and day < 0 and first.startswith(f"{NO_BASELINE}: ")
    return document.get("stage") == Stage.FIRST_LOOK.value and _is_unflagged(document) and alone


def _is_unflagged(document: Mapping[str, Any]) -> bool:
    decision = document.get("decision") or {}
    said = (decision.get("category"), decision.get("priority"))
    return said == (Category.NOT_ASSESSABLE.value, Priority.UNCHANGED.value)


def strongest_figures(document: Mapping[str, Any]) -> str:
    """both thalami +24 %, midbrain +21 %; "" without a finding."""
    return _cut(", ".join(_figures(document)))


def scanner_words(document: Mapping[str, Any]) -> str:
    """Of the series that was used as FLAIR, otherwise of the first that names one: Siemens Prisma, MR2, 3 T."""
    rows = sorted(document.get("series") or (), key=lambda one: one.get("used_as") != SequenceKind.FLAIR.value)
    said: Mapping[str, Any] = next((scanner for one in rows if (scanner := one.get("scanner"))), {})
    maker, model = (" ".join((said.get(name) or "").split()) for name in ("manufacturer", "model"))
    name = model if model.lower().startswith(maker.lower()) else f"{maker} {model}".strip()
    tesla = said.get("field_strength_t")
    return ", ".join(part for part in (name, said.get("station") or "", f"{tesla:g} T" if tesla else "") if part)


def _finding(document: Mapping[str, Any]) -> str:
    """The patterns that are there; without one, the first reason of the decision. Of a scan before treatment what is
    old in it, behind what fell or changed."""
    decision = document.get("decision") or {}
    courses = {one["pattern"]: one["state"] for one in (document.get("evolution") or {}).get("patterns", ())}
    if decision.get("category") in FOUND:
        present = [one for one in document.get("findings") or () if one["presence"] == "present"]
        if present:
            return "; ".join(_pattern(one, courses.get(one["pattern"])) for one in present)
    first = next(iter(decision.get("reasons") or ()), "")
    if awaits_measuring(document):
        return NOT_MEASURED_YET
    if is_before_treatment(document):
        news = [first] if first.startswith(NEWS) else []
        return "; ".join((*news, _abnormal(document.get("baseline_report") or {})))
    if decision.get("category") == Category.NO_PATTERN.value and first.startswith(("pattern ", NOT_EXCLUDED)):
        return "no pattern found" + (f"; {first}" if first.startswith(NOT_EXCLUDED) else "")
    code, colon, why = first.partition(": ")
    return why if colon and " " not in code else first


def _abnormal(report: Mapping[str, Any]) -> str:
    """What a scan before treatment shows that is old."""
    if report.get("abnormal") is False:
        return "no old lesions, cavities or wide fluid spaces beyond the limits"
    if report.get("abnormal"):
        return f"abnormal: {' '.join(report.get('found') or ())}"
    return " ".join(report.get("statements") or ())


def pattern_title(name: str) -> str:
    """A pattern in words; one of another site by its name."""
    return TITLES.get(name, f"pattern {name}")


def _pattern(finding: Mapping[str, Any], course: str | None) -> str:
    said = [finding.get("strength") or "", (course or "").replace("_", " ")]
    how = ", ".join(part for part in said if part)
    return pattern_title(finding["pattern"]) + (f" ({how})" if how else "")


def _figures(document: Mapping[str, Any]) -> Iterable[str]:
    """Those that carried a present finding: what tells most first, of one quantity the largest change. Two sides are
    one figure: that of the side that changed less. A figure without an uncertainty stands behind the others."""
    grouped: dict[tuple[str, str], list[Measured]] = {}
    for one in carrying(document):
        grouped.setdefault((_stem(one["region"]), one["quantity"]), []).append(one)
    weakest = [{**min(group, key=lambda one: abs(one["value"])), "sides": len(group)} for group in grouped.values()]
    return [_words(one) for one in sorted(weakest, key=telling_order)[:SHOWN_FIGURES]]


def _words(one: Measured) -> str:
    """both thalami +17 %; lesions white matter L 0.8 mL."""
    stem, value = _stem(one["region"]), one["value"]
    both = BOTH.get(stem, f"{_plain(stem)} both sides")
    name = both if one["sides"] == len(SIDES) else named_region(one["region"])
    name = "" if is_total(one) else name
    shown = f"{value:+.0f} %".replace("-", "−") if one["unit"] == "%" else f"{value:.1f} {one['unit']}"
    prefix = PREFIXES.get(one["quantity"], f"{quantity_words(one['quantity'])} ")
    return " ".join(f"{prefix}{name} {shown}".split())


def named_region(region: str) -> str:
    """thalamus_left -> thalamus L."""
    for suffix, letter in zip(SIDES, (" L", " R"), strict=True):
        if region.endswith(suffix):
            return _plain(region.removesuffix(suffix)) + letter
    return _plain(region)


def _plain(stem: str) -> str:
    return stem.replace("external_extreme_capsule", "ext/extreme capsule").replace("_", " ")


def _stem(region: str) -> str:
    return region.removesuffix(SIDES[0]).removesuffix(SIDES[1])


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_TEXT else line[: LONGEST_TEXT - 1] + "…"
