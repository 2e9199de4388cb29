"""What a decision rests on besides the images of its own study, as plain values that are stored with it. Pure.

A study's inputs come only from strictly earlier studies of the person. Decisions therefore settle: one may change the
next, never the other way round.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from triage.infusions import Infusion
from workers.ports import StudyRow, StudyState

Inputs = Mapping[str, Any]

SETTLED = (StudyState.ASSESSED, StudyState.FAILED, StudyState.REMOVED)


def is_before(row: StudyRow, other: StudyRow) -> bool:
    """Whether ``row`` was acquired strictly earlier. Of an undated study the order is not known."""
    if row.study_date is None or other.study_date is None or row.study_instance_uid == other.study_instance_uid:
        return False
    return (row.study_date, row.study_time) < (other.study_date, other.study_time)


def is_settled(row: StudyRow) -> bool:
    """Whether nothing is known to come that could change its decision."""
    return row.state in SETTLED and (row.decided_revision == row.revision or row.state is StudyState.REMOVED)


def inputs_of(
    row: StudyRow,
    earlier: Sequence[StudyRow],
    documents: Mapping[str, Mapping[str, Any]],
    infusions: Sequence[Infusion],
) -> dict[str, Any]:
    """JSON types only.

    Args:
        earlier: strictly earlier, settled studies of the person.
        documents: study UID -> its current document.
    """
    return {
        "patient": [row.patient_id, row.issuer, row.birth_date.isoformat() if row.birth_date else None, row.sex],
        "study_date": row.study_date.isoformat() if row.study_date else None,
        "infusions": sorted({one.day.isoformat() for one in infusions}),
        "earlier": {
            other.study_instance_uid: _earlier(other, documents.get(other.study_instance_uid)) for other in earlier
        },
    }


def _earlier(row: StudyRow, document: Mapping[str, Any] | None) -> list[Any]:
    findings = [] if document is None else [f["pattern"] for f in document["findings"] if f["presence"] == "present"]
    baseline = (document or {}).get("baseline") or {}
    return [
        row.study_date.isoformat() if row.study_date else None,
        row.study_time,
        0 if row.state is StudyState.REMOVED else row.instance_count,
        row.category,
        findings,
        baseline.get("study_instance_uid"),
    ]


def changed(stored: Inputs | None, now: Inputs) -> tuple[str, ...]:
    """What is different now, in sentences for a reader; empty when nothing is."""
    if stored is None:
        return ("what the earlier version rested on was not recorded",)
    if stored == now:
        return ()
    found = [
        *_infusions(stored["infusions"], now["infusions"]),
        *_studies(stored["earlier"], now["earlier"]),
    ]
    if stored["patient"] != now["patient"]:
        found.append("the patient's identity was corrected")
    if stored["study_date"] != now["study_date"]:
        found.append(f"the study date was corrected to {now['study_date']}")
    return tuple(found)


def _infusions(before: Sequence[str], now: Sequence[str]) -> list[str]:
    came = [day for day in now if day not in before]
    gone = [day for day in before if day not in now]
    return [*(f"infusion of {day} became known" for day in came), *(f"infusion of {day} was removed" for day in gone)]


def _studies(before: Mapping[str, Sequence[Any]], now: Mapping[str, Sequence[Any]]) -> list[str]:
    came = [f"the study of {facts[0]} arrived" for uid, facts in now.items() if uid not in before]
    gone = [f"the study of {facts[0]} is not the patient's any more" for uid, facts in before.items() if uid not in now]
    other = [_study(before[uid], facts) for uid, facts in now.items() if uid in before and before[uid] != facts]
    return [*came, *gone, *other]


def _study(before: Sequence[Any], now: Sequence[Any]) -> str:
    if before[2] != now[2]:
        return f"images of the study of {now[0]} came or went"
    return f"the decision on the study of {now[0]} changed"
