"""A stored document in, the words of an alert out: plain lines, the finding first. Pure.

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
from triage.report.headline import BEFORE_TREATMENT, FALLS, is_before_treatment, was_compared
from workers.identities import printable
from workers.outputs.evidence.text import CATEGORY_WORDS, region_name, sentence, signed

LONGEST_LINE = 300
BEGIN_OF_FALL = "Falls: "  # before the finding of a decision whose category is below an earlier one
TITLES = {pattern.name: pattern.title for pattern in PATTERNS}


@dataclass(frozen=True)
class AlertText:
    """finding: category and patterns, never cut. label: the same in few characters. why: what every version of the
    decision says first, "" when that is a pattern. figure: the strongest number, "" without one. dates: baseline,
    follow-up, day. priority: P1 to P3 or unchanged. stage: "" or that it is the first look.
    """

    finding: str
    label: str
    why: str
    figure: str
    dates: str
    priority: str
    stage: str

    @property
    def title(self) -> str:
        """One line for a subject or a list: the finding; without a pattern the reason, too."""
        return self._first(self.finding)

    @property
    def short(self) -> str:
        """The same for who cuts it: patterns by their letters, within the first 60 characters."""
        return self._first(self.label)

    @property
    def lines(self) -> tuple[str, ...]:
        said = (self.finding, self.why, self.figure, self.dates, f"Priority {self.priority}", self.stage, DISCLAIMER)
        return tuple(line for line in said if line)

    def _first(self, text: str) -> str:
        said = text if self.label != self.finding or not self.why else _line(f"{text}: {self.why}")
        return f"{self.priority}: {said}" if self.priority.startswith("P") else said


def alert_text(document: Mapping[str, Any]) -> AlertText:
    """The words of one decision."""
    first = next((one for one in document["decision"]["reasons"][:1] if not one.startswith("pattern ")), "")
    begin = BEGIN_OF_FALL if first.startswith(FALLS) else ""
    names = ", ".join(one["pattern"] for one in present(document))
    return AlertText(
        finding=_plain(f"{begin}{_finding_line(document)}"),
        label=_plain(f"{begin}{_category(document)}{f': {names}' if names else ''}"),
        why=_line(sentence(first)),
        figure=_line(_figure(document)),
        dates=_line(_dates(document)),
        priority=document["decision"]["priority"],
        stage="First look, a full assessment follows" if document["stage"] == "first_look" else "",
    )


def present(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The findings that are there, in the order of the document."""
    return [finding for finding in document["findings"] if finding["presence"] == "present"]


def _category(document: Mapping[str, Any]) -> str:
    category = CATEGORY_WORDS[Category(document["decision"]["category"])]
    return BEFORE_TREATMENT if is_before_treatment(document) else category


def _finding_line(document: Mapping[str, Any]) -> str:
    """The category, then each pattern with its course."""
    courses = {c["pattern"]: c["state"] for c in (document.get("evolution") or {"patterns": []})["patterns"]}
    found = [_finding(finding, courses.get(finding["pattern"])) for finding in present(document)]
    return f"{_category(document)}: {', '.join(found)}" if found else _category(document)


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
    chosen = (baseline.get("study_date") or "unknown date") if baseline.get("study_instance_uid") else None
    days = study["days_after_infusion"]
    when = (
        "infusion date not known" if days is None else f"day {days} after infusion" if days >= 0 else "before infusion"
    )
    compared = "Not compared with a baseline" if chosen is None else f"Baseline of {chosen} could not be compared"
    compared = f"Compared with {chosen}" if was_compared(document) else compared
    return f"{compared}; study of {study['study_date'] or 'unknown date'}, {when}"


def _line(text: str) -> str:
    cleaned = _plain(text)
    return cleaned if len(cleaned) <= LONGEST_LINE else cleaned[: LONGEST_LINE - 1] + "…"


def _plain(text: str) -> str:
    return printable(" ".join(text.split()))
