"""A stored decision and the rows of its study in, the facts that rules are asked about out. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from workers.rules.expression import Fact, Language

if TYPE_CHECKING:
    from workers.ports import InstanceRow, StudyRow

UNKNOWN_DAYS = -100_000  # days_after_infusion while days_known is false
# Every name of an expression, its type and what it says; docs/rules.md lists them.
NAMES: Mapping[str, tuple[str, str]] = {
    "category": ("text", "neurotoxicity_suspected, possible, no_pattern or not_assessable"),
    "priority": ("text", "P1, P2, P3 or unchanged"),
    "stage": ("text", "first_look or full"),
    "patterns": ("texts", "letters of the patterns that are present"),
    "strengths": ("table", "letter of a present pattern -> possible, suspected or strong"),
    "reason_codes": ("texts", "codes of the reasons, e.g. no_baseline"),
    "days_known": ("truth", "whether the infusion date is known"),
    "days_after_infusion": ("number", f"days from the infusion to the study; {UNKNOWN_DAYS} when it is not known"),
    "has_baseline": ("truth", "whether it was compared with a baseline"),
    "kinds": ("texts", "kinds of the series, e.g. flair, dwi, t1"),
    "modalities": ("texts", "modalities of the objects, e.g. MR"),
    "series_descriptions": ("texts", "descriptions of the series"),
    "senders": ("texts", "calling AE titles that sent objects of the study"),
    "accession_number": ("text", "accession number"),
    "issuer": ("text", "issuer of the patient ID"),
    "sex": ("text", "patient's sex as the images have it"),
    "images": ("number", "objects of the study"),
    "hour": ("number", "hour of the site's day, 0 to 23"),
    "weekday": ("number", "1 Monday to 7 Sunday"),
}
LANGUAGE = Language({name: kind for name, (kind, _) in NAMES.items()})


def decision_facts(
    document: Mapping[str, Any], row: StudyRow | None, instances: Sequence[InstanceRow], *, now: datetime
) -> dict[str, Fact]:
    """The facts about one decision.

    Args:
        row, instances: of the study in the index; without them what the document says.
        now: local time of the site.
    """
    days = document["study"]["days_after_infusion"]
    decision = document["decision"]
    found = {f["pattern"]: f["strength"] or "" for f in document["findings"] if f["presence"] == "present"}
    return {
        "category": decision["category"],
        "priority": decision["priority"],
        "stage": document["stage"],
        "patterns": sorted(found),
        "strengths": found,
        "reason_codes": [code for code in map(_code, decision["reasons"]) if code],
        "days_known": days is not None,
        "days_after_infusion": UNKNOWN_DAYS if days is None else days,
        "has_baseline": bool((document["baseline"] or {}).get("study_instance_uid")),
        "kinds": sorted({series["kind"] for series in document["series"]}),
        "modalities": sorted({one.modality for one in instances if one.modality}),
        "series_descriptions": sorted({one.series_description for one in instances if one.series_description}),
        "senders": sorted({one.calling_ae for one in instances if one.calling_ae}),
        "accession_number": "" if row is None else row.accession_number,
        "issuer": "" if row is None else row.issuer,
        "sex": "" if row is None else row.sex,
        "images": len(instances),
        "hour": now.hour,
        "weekday": now.isoweekday(),
    }


def _code(reason: str) -> str:
    """The code that opens a reason, e.g. no_baseline; empty when it opens with a sentence."""
    head, colon, _ = reason.partition(":")
    return head if colon and head.replace("_", "").isalnum() and " " not in head else ""
