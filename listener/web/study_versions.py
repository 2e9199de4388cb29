"""The stored decisions of a study in, each in words and what changed since the one before out. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any

from triage.report.headline import (
    BEFORE_TREATMENT,
    NOT_MEASURED_YET,
    awaits_measuring,
    is_before_treatment,
    pattern_title,
)

Document = Mapping[str, Any]

CATEGORIES = {
    "neurotoxicity_suspected": "Neurotoxicity suspected",
    "possible": "Possible neurotoxicity",
    "no_pattern": "No pattern found",
    "not_assessable": "Not assessable",
}


def verdict_words(document: Document) -> str:
    """The category, and the patterns that are present in words, with their strength."""
    decision = document["decision"]
    category = str(decision["category"])
    words = BEFORE_TREATMENT if is_before_treatment(document) else CATEGORIES.get(category, category)
    if awaits_measuring(document):
        words = f"Before treatment: {NOT_MEASURED_YET}"
    found = [
        pattern_title(f["pattern"]) + (f" ({f['strength']})" if f["strength"] else "")
        for f in document["findings"]
        if is_present(f)
    ]
    return words + (f": {'; '.join(found)}" if found else "")


def is_present(finding: Mapping[str, Any]) -> bool:
    return bool(finding["presence"] == "present")


def clock_words(when: datetime | str | None, zone: tzinfo | None) -> str:
    """A time in the site's zone, with the name of the zone; what is no time stays as it is."""
    try:
        at = datetime.fromisoformat(when) if isinstance(when, str) else when
    except ValueError:
        return str(when)
    return "" if at is None else at.astimezone(zone).strftime("%Y-%m-%d %H:%M %Z")


def version_name(one: Mapping[str, Any]) -> str:
    """What the addresses call a version of ``StudyIndex.assessments``: r2-full."""
    return f"r{one['revision']}-{one['stage']}"


def versions_of(versions: Sequence[Mapping[str, Any]], zone: tzinfo | None) -> list[dict[str, Any]]:
    """Each decision of the study, newest first, and what changed since the one before."""
    out, before = [], None
    for one in versions:
        document = one["document"]
        out.append(
            {
                "version": f"r{one['revision']}, {str(one['stage']).replace('_', ' ')}",
                "name": version_name(one),
                "at": clock_words(document.get("decided_at") or one.get("created_at"), zone),
                "headline": verdict_words(document),
                "priority": document["decision"]["priority"],
                "changes": ["first decision"] if before is None else changes(before, document),
            }
        )
        before = document
    return out[::-1]


def changes(before: Document, now: Document) -> list[str]:
    """What differs between two decisions of a study, in words; never empty."""
    out = []
    for key in ("category", "priority"):
        old, new = before["decision"][key], now["decision"][key]
        if old != new:
            out.append(f"{key}: {old} → {new}".replace("_", " "))
    was = {f["pattern"]: _state(f) for f in before["findings"]}
    for finding in now["findings"]:
        old, new = was.get(finding["pattern"], "not looked for"), _state(finding)
        if old != new:
            out.append(f"pattern {finding['pattern']}: {old} → {new}")
    for what, key in (("baseline", "baseline"), ("configuration", "versions"), ("images", "images")):
        old, new = _short(before, key), _short(now, key)
        if old != new:
            out.append(f"{what}: {old} → {new}")
    more = len(now["measurements"]) - len(before["measurements"])
    if more:
        out.append(f"{abs(more)} figures {'more' if more > 0 else 'fewer'}")
    return out or ["the figures only"]


def _state(finding: Mapping[str, Any]) -> str:
    return str(finding["strength"] or finding["presence"])


def _short(document: Document, key: str) -> str:
    value = document.get(key)
    if key == "baseline":
        return str(value["study_date"] or "undated") if value and value.get("study_instance_uid") else "none"
    if key == "versions":
        return str((value or {}).get("config_sha256", "unknown"))[:12]
    return "unknown" if value is None else str(value)
