"""A stored document in, the words of an alert out: plain lines, the news first. Pure.

No line holds the patient's name or ID, a toxicity grade, or a control or bidirectional character.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from triage.model import Category
from triage.patterns.all import PATTERNS
from triage.report.document import DISCLAIMER
from triage.report.figures import carrying, is_total, quantity_words, telling_order
from triage.report.headline import BEFORE_TREATMENT, is_before_treatment
from workers.identities import printable
from workers.outputs.evidence.text import CATEGORY_WORDS, region_name, sentence, signed

LONGEST_LINE = 300
TITLES = {pattern.name: pattern.title for pattern in PATTERNS}


@dataclass(frozen=True)
class AlertText:
    """news: what changed, in words. figure: the strongest number, "" without one. dates: baseline, follow-up, day.

    priority: P1 to P3 or unchanged. stage: "" or that it is the first look.
    """

    news: str
    figure: str
    dates: str
    priority: str
    stage: str

    @property
    def title(self) -> str:
        """One line for a subject or a list."""
        return f"{self.priority}: {self.news}" if self.priority.startswith("P") else self.news

    @property
    def lines(self) -> tuple[str, ...]:
        said = (self.news, self.figure, self.dates, f"Priority {self.priority}", self.stage, DISCLAIMER)
        return tuple(line for line in said if line)


def alert_text(document: Mapping[str, Any]) -> AlertText:
    """The words of one decision."""
    return AlertText(
        news=_line(_news(document)),
        figure=_line(_figure(document)),
        dates=_line(_dates(document)),
        priority=document["decision"]["priority"],
        stage="First look, a full assessment follows" if document["stage"] == "first_look" else "",
    )


def present(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The findings that are there, in the order of the document."""
    return [finding for finding in document["findings"] if finding["presence"] == "present"]


def _news(document: Mapping[str, Any]) -> str:
    """What every version of the decision says first, then each pattern with its course."""
    category = CATEGORY_WORDS[Category(document["decision"]["category"])]
    category = BEFORE_TREATMENT if is_before_treatment(document) else category
    first = [sentence(reason) for reason in document["decision"]["reasons"][:1] if not reason.startswith("pattern ")]
    courses = {c["pattern"]: c["state"] for c in (document.get("evolution") or {"patterns": []})["patterns"]}
    found = [_finding(finding, courses.get(finding["pattern"])) for finding in present(document)]
    return ". ".join([*first, f"{category}: {', '.join(found)}" if found else category])


def _finding(finding: Mapping[str, Any], course: str | None) -> str:
    words = TITLES.get(finding["pattern"], f"pattern {finding['pattern']}")
    said = [finding["strength"] or "", (course or "").replace("_", " ")]
    return f"{words} ({', '.join(part for part in said if part)})"


def _figure(document: Mapping[str, Any]) -> str:
    """The figure that tells most among those that carried a finding; "" without a finding."""
    some = carrying(document)
    if not some:
        return ""
    strongest = min(some, key=telling_order)
    where = "" if is_total(strongest) else f"{region_name(strongest['region'])}: "
    return f"{where}{quantity_words(strongest['quantity'])} {figure(strongest)}"


def figure(measurement: Mapping[str, Any]) -> str:
    """+24.8 ± 1.1 %."""
    value, spread, unit = measurement["value"], measurement["uncertainty"], measurement["unit"]
    said = signed(value, 1) if unit == "%" else f"{value:.1f}"
    return said + ("" if spread is None else f" ± {spread:.1f}") + f" {unit}"


def _dates(document: Mapping[str, Any]) -> str:
    baseline, study = document["baseline"] or {}, document["study"]
    before = baseline.get("study_date") if baseline.get("study_instance_uid") else None
    days = study["days_after_infusion"]
    when = (
        "infusion date not known" if days is None else f"day {days} after infusion" if days >= 0 else "before infusion"
    )
    compared = f"Compared with {before}" if before else "Not compared with a baseline"
    return f"{compared}; study of {study['study_date'] or 'unknown date'}, {when}"


def _line(text: str) -> str:
    cleaned = printable(" ".join(text.split()))
    return cleaned if len(cleaned) <= LONGEST_LINE else cleaned[: LONGEST_LINE - 1] + "…"
