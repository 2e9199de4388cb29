"""Rows of the index in, the worklist out: most urgent first, then longest waiting. What `icansee studies` and the web
page show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any

from triage.decision import SET_ASIDE, urgency
from workers.announcements import StudyCount
from workers.image_ports import ImageBatches
from workers.ports import StudyIndex, StudyRow
from workers.studies.corrections import corrections_among
from workers.studies.tag_notes import tags_of


def open_worklist(index: StudyIndex, *, now: datetime, images: ImageBatches | None = None) -> list[dict[str, Any]]:
    """The worklist of an index."""
    return worklist_of(index, index.most_urgent(), now=now, images=images)


def cut(index: StudyIndex, shown: int) -> str | None:
    """What a list that does not show every study says; None: it shows all."""
    number = index.number_of_studies()
    if number <= shown:
        return None
    return f"{shown} of {number} studies: every P1, then the most urgent and the newest"


def worklist_of(
    index: StudyIndex, rows: Sequence[StudyRow], *, now: datetime, images: ImageBatches | None = None
) -> list[dict[str, Any]]:
    """The worklist of rows at hand. Reads rows only, never a document.

    Args:
        images: knows the tags of studies.
    """
    tags = tags_of(images, [row.study_instance_uid for row in rows])
    counts = index.study_counts([row.study_instance_uid for row in rows])
    conflicts = index.conflicts()
    aside = Counter(row.study_instance_uid for row in conflicts)
    entries = worklist(rows, now=now, counts=counts, conflicts=aside)
    corrected = {one.study_instance_uid: one for one in corrections_among(rows, conflicts, index)}
    for entry in entries:
        found = corrected.get(entry["study_instance_uid"])
        entry["tags"] = tags.get(entry["study_instance_uid"], [])
        entry["correction"] = None if found is None else {"patient_id": found.new.patient_id, "images": found.images}
    return entries


def worklist(
    rows: Iterable[StudyRow],
    *,
    now: datetime,
    counts: Mapping[str, StudyCount] = MappingProxyType({}),
    conflicts: Mapping[str, int] = MappingProxyType({}),
) -> list[dict[str, Any]]:
    """One entry per study, sorted; the format of `icansee studies --json` and of GET /api/studies.

    Args:
        counts: study UID -> how many of the announced images came.
        conflicts: study UID -> number of objects kept aside because their UID was stored with other content.
    """
    entries = [
        _entry(row, now) | _arrived(counts.get(row.study_instance_uid), conflicts.get(row.study_instance_uid, 0))
        for row in rows
    ]
    return sorted(entries, key=_rank)


def _arrived(count: StudyCount | None, conflicts: int) -> dict[str, Any]:
    return {
        "announced_images": count.announced if count else None,
        "missing_images": count.missing if count else None,
        "conflicts": conflicts,
    }


def images_words(number: int) -> str:
    return "1 image" if number == 1 else f"{number} images"


def remarks(entry: Mapping[str, Any]) -> list[str]:
    """What is wrong with what arrived, and tags of the study, in words; empty when nothing is known."""
    found = [f"tags: {', '.join(entry['tags'])}"] if entry.get("tags") else []
    if entry.get("missing_images"):
        came = entry["announced_images"] - entry["missing_images"]
        found.append(f"{came} of {entry['announced_images']} announced images arrived")
    if entry.get("patient_id_of_images") is not None:
        found.append(f"its images carry the patient ID {entry['patient_id_of_images']}")
    found += entry.get("set_aside", ())
    if entry.get("correction"):
        other = entry["correction"]
        found.append(
            f"{images_words(other['images'])} came again with corrected headers, patient ID {other['patient_id']}: "
            "accept or reject it (icansee patients corrections)"
        )
    elif entry.get("conflicts"):
        found.append(f"{entry['conflicts']} with other content under a known UID, kept aside")
    return found


def _rank(entry: dict[str, Any]) -> tuple[int, float]:
    return -urgency(entry["priority"]), -entry["waiting_minutes"]


def _entry(row: StudyRow, now: datetime) -> dict[str, Any]:
    return {
        "study_instance_uid": row.study_instance_uid,
        "study_date": row.study_date.isoformat() if row.study_date else None,
        "patient_id": row.patient_id,
        "patient_id_of_images": None if row.stated_patient_id == row.patient_id else row.stated_patient_id,
        "accession_number": row.accession_number,
        "state": row.state.value,
        "category": row.category,
        "priority": row.priority,
        "before_treatment": row.before_treatment,
        "waiting_minutes": round(max(0.0, (now - row.first_received_at).total_seconds()) / 60.0, 1),
        "images": row.instance_count,
        "series": row.series_count,
        "revision": row.revision,
        "decided_revision": row.decided_revision,
        "attempts": row.attempts,
        "received_at": row.last_received_at.isoformat(),
        "ready_at": row.ready_at.isoformat() if row.ready_at else None,
        "failure": row.failure,
        "set_aside": [reason.partition(": ")[2] for reason in row.reasons if reason.startswith(f"{SET_ASIDE}: ")],
    }
