"""A stored decision, or a series that arrives, in, the facts that rules are asked about out. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
    "dicom": ("table", "keyword -> text of an image's header, e.g. dicom.StationName (HEADERS); empty when not stated"),
    "tags": ("texts", "what rules have marked the study with so far"),
    "hour": ("number", "hour of the site's day, 0 to 23"),
    "weekday": ("number", "1 Monday to 7 Sunday"),
}
LANGUAGE = Language({name: kind for name, (kind, _) in NAMES.items()})
# What is known as images arrive; everything is about one series then.
ARRIVAL_NAMES = (
    "kinds", "modalities", "series_descriptions", "senders", "accession_number", "issuer", "sex", "images", "dicom",
    "tags", "hour", "weekday",
)  # fmt: skip
ARRIVAL_LANGUAGE = Language({name: NAMES[name][0] for name in ARRIVAL_NAMES})
# keywords of the table "dicom"
HEADERS = (
    "AccessionNumber", "BodyPartExamined", "ContrastBolusAgent", "DeviceSerialNumber", "ImageType",
    "InstitutionName", "InstitutionalDepartmentName", "IssuerOfPatientID", "MagneticFieldStrength", "Manufacturer",
    "ManufacturerModelName", "Modality", "PatientAge", "PatientID", "PatientSex", "PerformedProcedureStepDescription",
    "ProtocolName", "ReferringPhysicianName", "RequestedProcedureDescription", "RequestingService", "ScanningSequence",
    "SequenceName", "SeriesDescription", "SeriesNumber", "SoftwareVersions", "SOPClassUID", "StationName", "StudyDate",
    "StudyDescription",
)  # fmt: skip


@dataclass(frozen=True)
class SeriesHead:
    """What the headers of a series say: keyword (of HEADERS) -> text, and the kind that it is recognised as.

    unread: no file of it can be read, so that nobody knows what they say. hostile: reading it took too much time or
    memory.
    """

    values: Mapping[str, str] = field(default_factory=dict)
    kind: str = ""
    unread: bool = False
    hostile: bool = False


def arrival_facts(
    row: StudyRow | None,
    instances: Sequence[InstanceRow],
    head: SeriesHead,
    *,
    tags: Sequence[str] = (),
    now: datetime,
) -> dict[str, Fact]:
    """The facts about one series as it arrives; without those of its headers when they are unread: a rule that asks
    for them has no value then, and decides nothing.

    Args:
        row: of its study. instances: of the series, so far.
        now: local time of the site.
    """
    found = _stored(row, instances, head, tags, now)
    return found if head.unread else found | {"kinds": [head.kind] if head.kind else []}


def decision_facts(
    document: Mapping[str, Any],
    row: StudyRow | None,
    instances: Sequence[InstanceRow],
    *,
    now: datetime,
    head: SeriesHead | None = None,
    tags: Sequence[str] = (),
) -> dict[str, Fact]:
    """The facts about one decision; without those of the headers when they are unread.

    Args:
        row, instances: of the study in the index; without them what the document says.
        now: local time of the site.
        head: of an image of the study.
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
    } | _stored(row, instances, head or SeriesHead(), tags, now)


def _stored(
    row: StudyRow | None, instances: Sequence[InstanceRow], head: SeriesHead, tags: Sequence[str], now: datetime
) -> dict[str, Fact]:
    """What the index and the headers say."""

    def stated(name: str) -> str:
        """Of the study; while it is not in the index, of an image."""
        known = row if row is not None else next(iter(instances), None)
        return "" if known is None else str(getattr(known, name))

    read = {} if head.unread else {"dicom": {keyword: head.values.get(keyword, "") for keyword in HEADERS}}
    return {
        **read,
        "tags": list(tags),
        "modalities": sorted({one.modality for one in instances if one.modality}),
        "series_descriptions": sorted({one.series_description for one in instances if one.series_description}),
        "senders": sorted({one.calling_ae for one in instances if one.calling_ae}),
        "accession_number": stated("accession_number"),
        "issuer": stated("issuer"),
        "sex": stated("sex"),
        "images": len(instances),
        "hour": now.hour,
        "weekday": now.isoweekday(),
    }


def _code(reason: str) -> str:
    """The code that opens a reason, e.g. no_baseline; empty when it opens with a sentence."""
    head, colon, _ = reason.partition(":")
    return head if colon and head.replace("_", "").isalnum() and " " not in head else ""
