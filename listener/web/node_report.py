"""Rows of the index in, what the operations page says of faults and of shadow mode out: words, what to do. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

from workers.delivery_ports import Delivery
from workers.ports import StudyState
from workers.studies.set_aside import AsideInStudy
from workers.worklist_ports import StudyFault

QUARANTINED = "quarantined"
# begin of what went wrong with a study -> (what it means, what to do)
FAULT_WORDS: Mapping[str, tuple[str, str]] = {
    QUARANTINED: (
        "Its images twice took more time or memory than an assessment may take; it is left alone.",
        "Look at the study. Retry it after queue.task_time_limit_s or queue.worker_memory_bytes has changed.",
    ),
    "store_fault": (
        "Stored files of the study are cut short or cannot be read.",
        "Look at the disk. Send the study again; it is decided by itself when its files are whole.",
    ),
    "limit": (
        "An attempt exceeded the limit of time or memory.",
        "Nothing yet: it is tried once more, then quarantined.",
    ),
    "worker": (
        "The worker died or hung while it had the study.",
        "Look at the memory of the machine and the log of the worker; then retry.",
    ),
    "index": ("The index could not be reached.", "Nothing, if it answers now: the study is tried again."),
    "disk": ("The disk is full or does not answer.", "Free space; the study is tried again."),
}
OTHER_FAULT = ("The program could not process the study.", "Read the log of the worker, report the fault, then retry.")
MARKS = (
    (QUARANTINED, (QUARANTINED,)),
    ("store_fault", ("store_fault", "cut short", "cannot be read now")),
    ("worker", ("worker died", "worker hung", "died or hung")),
    ("limit", ("limit exceeded",)),
    ("disk", ("no space", "disk", "input/output error", "read-only file system", "stale file handle")),
    ("index", ("index:", "index is", "database")),
)


@dataclass(frozen=True)
class FaultLine:
    """One fault. at: in the site's zone. what: a study or a delivery. retry: UID of the study that may be tried again;
    None: nothing to retry here."""

    at: str
    what: str
    said: str
    words: str
    advice: str
    retry: str | None


def fault_key(failure: str) -> str:
    """The key of FAULT_WORDS for the text of a failure; "" for none of them."""
    text = failure.lower()
    return next((key for key, marks in MARKS if any(mark in text for mark in marks)), "")


def fault_lines(
    faults: Sequence[StudyFault], deliveries: Sequence[Delivery], zone: tzinfo | None, *, most: int
) -> list[FaultLine]:
    """What went wrong last, the newest first: studies that failed or are tried again, deliveries not taken."""
    found = [(one.at, _of_study(one, zone)) for one in faults if one.at is not None]
    found += [(at, _of_delivery(one, at, zone)) for one in deliveries if one.failure and (at := _time_of(one))]
    return [line for _, line in sorted(found, key=lambda one: one[0], reverse=True)[:most]]


def _of_study(one: StudyFault, zone: tzinfo | None) -> FaultLine:
    words, advice = FAULT_WORDS.get(fault_key(one.failure), OTHER_FAULT)
    failed = one.state is StudyState.FAILED
    if not failed:
        advice = f"Nothing yet: it is tried again (attempt {one.attempts + 1})."
    at = "" if one.at is None else site_time_words(one.at, zone)
    return FaultLine(
        at, f"study {one.study_instance_uid}", one.failure, words, advice, one.study_instance_uid if failed else None
    )


def _of_delivery(one: Delivery, at: datetime, zone: tzinfo | None) -> FaultLine:
    if one.error_class == "permanent":
        words = "The receiver refused this object."
        advice = "Correct the destination or its settings, then retry it below."
    else:
        words = "The receiver could not be reached, or was busy."
        advice = "See that it runs. " + (
            "Retry it below." if one.state.value == "dead" else "It is tried again by itself."
        )
    return FaultLine(
        site_time_words(at, zone),
        f"{one.output} to {one.destination} (delivery {one.number})",
        one.failure or "",
        words,
        advice,
        None,
    )


def _time_of(one: Delivery) -> datetime | None:
    return one.done_at or one.planned_at


def site_time_words(when: datetime, zone: tzinfo | None) -> str:
    return when.astimezone(zone).strftime("%Y-%m-%d %H:%M")


def aside_studies(found: Sequence[AsideInStudy]) -> list[dict[str, Any]]:
    """Studies with objects that state another patient: how many wait for an answer. No patient: the role service reads
    this."""
    return [
        {
            "study_instance_uid": one.study_instance_uid,
            "objects": len(one.open),
            "clear": one.clear,
            "why": "; ".join(sorted({each.why for each in one.open if each.why})),
        }
        for one in found
    ]


def shadow_lines(found: Sequence[Delivery], zone: tzinfo | None) -> list[dict[str, Any]]:
    """What would have been sent: number by destination, output and urgency, with the first and the last time."""
    groups: dict[tuple[str, str, str], list[datetime]] = {}
    for one in found:
        if one.planned_at is not None:
            urgency = f"P{one.urgency}" if one.urgency <= 3 else "no priority"
            groups.setdefault((one.destination, one.output, urgency), []).append(one.planned_at)
    names = ("destination", "output", "urgency")
    return [
        dict(zip(names, key, strict=True))
        | {"number": len(times), "first": site_time_words(min(times), zone), "last": site_time_words(max(times), zone)}
        for key, times in sorted(groups.items())
    ]
