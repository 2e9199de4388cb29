"""Studies with decisions for tests of the pages: a template document in, rows of an index out. Nothing is measured."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.fakes import an_instance
from workers.ports import StudyIndex

DOCUMENT = Path(__file__).parents[2] / "triage" / "report" / "golden" / "assessment.json"


@dataclass(frozen=True)
class StoredStudy:
    """One study as a test wants it. category None: it has no decision. minutes: since its first image came."""

    uid: str
    patient_id: str = "P1"
    day: date = date(2026, 3, 10)
    category: str | None = "neurotoxicity_suspected"
    priority: str = "P1"
    reasons: tuple[str, ...] = ("pattern A suspected: both thalami rise",)
    stage: str = "full"
    minutes: float = 5.0
    images: int = 2
    changes: Mapping[str, Any] = field(default_factory=dict)  # of the document, by its top keys
    row: Mapping[str, Any] = field(default_factory=dict)  # of its instances


def a_document(study: StoredStudy) -> dict[str, Any]:
    """The template document with the decision of this study."""
    made: dict[str, Any] = json.loads(DOCUMENT.read_text(encoding="utf-8"))
    made["stage"] = study.stage
    made["study"] |= {
        "study_instance_uid": study.uid,
        "patient_id": study.patient_id,
        "study_date": study.day.isoformat(),
    }
    made["decision"] = {"category": study.category, "priority": study.priority, "reasons": list(study.reasons)}
    if study.category in ("no_pattern", "not_assessable"):
        made["findings"] = [one | {"presence": "absent", "strength": None} for one in made["findings"]]
    return made | dict(study.changes)


def store(index: StudyIndex, study: StoredStudy, *, now: datetime) -> None:
    """Its images as rows, then its decision."""
    came = now - timedelta(minutes=study.minutes)
    facts = {"patient_id": study.patient_id, "study_date": study.day, "received_at": came, **study.row}
    index.record_instances([an_instance(study.uid, number, **facts) for number in range(1, study.images + 1)])
    if study.category is None:
        return
    index.mark_ready(study.uid, now=now, reason="test")
    claim = index.claim(study.uid, owner="test", now=now, lease_s=60)
    assert claim is not None
    assert index.save_assessment(claim, stage=study.stage, document=a_document(study), now=now)
    if study.stage == "full":
        assert index.complete(claim, now=now)
