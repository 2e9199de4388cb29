"""Rows of the index in, the worklist out: most urgent first, then longest waiting. What `icansee studies` and the web
page show."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from workers.ports import StudyRow

# "unchanged" says nothing about urgency; a study without a decision yet stands beside it
ORDER = {"P1": 0, "P2": 1, "P3": 2}


def worklist(rows: Iterable[StudyRow], *, now: datetime) -> list[dict[str, Any]]:
    """One entry per study, sorted; the format of `icansee studies --json` and of GET /api/studies."""
    return sorted((_entry(row, now) for row in rows), key=_rank)


def _rank(entry: dict[str, Any]) -> tuple[int, float]:
    return ORDER.get(entry["priority"] or "", len(ORDER)), -entry["waiting_minutes"]


def _entry(row: StudyRow, now: datetime) -> dict[str, Any]:
    return {
        "study_instance_uid": row.study_instance_uid,
        "study_date": row.study_date.isoformat() if row.study_date else None,
        "patient_id": row.patient_id,
        "accession_number": row.accession_number,
        "state": row.state.value,
        "category": row.category,
        "priority": row.priority,
        "waiting_minutes": round(max(0.0, (now - row.first_received_at).total_seconds()) / 60.0, 1),
        "images": row.instance_count,
        "series": row.series_count,
        "revision": row.revision,
        "decided_revision": row.decided_revision,
        "attempts": row.attempts,
        "received_at": row.last_received_at.isoformat(),
        "ready_at": row.ready_at.isoformat() if row.ready_at else None,
        "failure": row.failure,
    }
