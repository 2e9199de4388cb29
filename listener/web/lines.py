"""Rows of the worklist in, what a reader sees of each out: words, times in the site's zone, badges. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from types import MappingProxyType

from listener.web.asked import GROUP_WORDS
from triage.decision import SET_ASIDE
from triage.report.headline import BEFORE_TREATMENT
from workers.announcements import StudyCount
from workers.ports import StudyState
from workers.worklist_ports import Group, WorklistRow

CATEGORY_WORDS = {
    "neurotoxicity_suspected": "Suspected",
    "possible": "Possible",
    "no_pattern": "No pattern",
    "not_assessable": "Not assessable",
}
# scripts that write family and given name without a space: Chinese characters, kana, hangul
UNSPACED = re.compile("[\u3005-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]+")
ENDED = {
    StudyState.REMOVING: "images deleted",
    StudyState.REMOVED: "images deleted",
    StudyState.FAILED: "failed: needs a human",
}


@dataclass(frozen=True)
class ClockTime:
    """A time for a page: machine readable, and as the site writes it."""

    iso: str
    words: str


@dataclass(frozen=True)
class Line:
    """One row. badge: what stands first in it. call: category in one or two words. version: changes with every
    decision; "" without one. deadline: when somebody should have read it; None: it was read, or there is none. left:
    the time until then, in words. late: it is over."""

    uid: str
    group: Group
    badge: str
    name: str
    patient_id: str
    day: str
    call: str
    finding: str
    figure: str
    baseline: str
    study_date: str
    arrived: ClockTime
    age: str
    state: str
    notes: tuple[str, ...]
    version: str
    read_by: str
    deadline: ClockTime | None
    left: str
    late: bool


def line_of(
    row: WorklistRow,
    *,
    now: datetime,
    zone: tzinfo | None,
    count: StudyCount | None = None,
    notes: tuple[str, ...] = (),
) -> Line:
    """zone: of the site; None: of this machine. count: what was announced of its images and what came."""
    return Line(
        uid=row.study_instance_uid,
        group=row.group,
        badge=GROUP_WORDS[row.group],
        name=name_words(row.patient_name),
        patient_id=row.patient_id or "no ID",
        day=day_words(row.days_after_infusion) if row.decided_revision is not None else "",
        call=call_words(row.category or "", before_treatment=row.group is Group.BASELINE),
        finding=_finding(row),
        figure=row.figure or "",
        baseline=_baseline(row),
        study_date=row.study_date.isoformat() if row.study_date else "no date",
        arrived=moment(row.first_received_at, zone, now),
        age=age_words(now - row.first_received_at),
        state=state_words(row, count, now),
        notes=(*_missing(row, count), *_notes(row), *notes),
        read_by=row.read_by,
        deadline=None if row.deadline is None else moment(row.deadline, zone, now),
        left="" if row.deadline is None else left_words(row.deadline - now),
        late=row.deadline is not None and row.deadline <= now,
        version=f"{row.decided_revision}-{row.stage}" if row.decided_revision is not None else "",
    )


def call_words(category: str, *, before_treatment: bool) -> str:
    """A category in one or two words; of a scan before treatment what it is."""
    return BEFORE_TREATMENT if before_treatment else CATEGORY_WORDS.get(category, category)


def name_words(stated: str) -> str:
    """A DICOM person name as people write it: the characters of its own script first, then the letters.

    >>> name_words("Wang^XiaoDong=王^小东")
    '王小东 (Wang, XiaoDong)'
    >>> name_words("Nizar^Qabbani=نزار^قباني")
    'نزار, قباني (Nizar, Qabbani)'
    """
    groups = [[part.strip() for part in group.strip(" ^").split("^")[:2]] for group in stated.split("=")]
    letters = ", ".join(part for part in groups[0] if part)
    given = [part for part in groups[1] if part] if len(groups) > 1 else []
    own = ("" if all(map(UNSPACED.fullmatch, given)) else ", ").join(given)
    return f"{own} ({letters})" if own and letters else own or letters


def day_words(day: int | None) -> str:
    if day is None:
        return "day unknown"
    return f"day {day}" if day >= 0 else f"{-day} d before"


def age_words(age: timedelta) -> str:
    """Two figures at most: 12 min, 3 h 05, 2 d."""
    minutes = max(0, int(age.total_seconds() // 60))
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60:02d}"
    return f"{minutes // (24 * 60)} d"


def left_words(left: timedelta) -> str:
    """in 12 min; late by 3 h 05."""
    return f"in {age_words(left)}" if left > timedelta(0) else f"late by {age_words(-left)}"


def moment(when: datetime, zone: tzinfo | None, now: datetime) -> ClockTime:
    """The page names the zone as it is ``now``; a time of the other part of the year names its own, which also tells
    both times of the hour apart that comes twice when summer time ends."""
    here, words = when.astimezone(zone), "%Y-%m-%d %H:%M"
    same = here.utcoffset() == now.astimezone(zone).utcoffset()
    return ClockTime(when.isoformat(timespec="seconds"), here.strftime(words if same else f"{words} %Z"))


def state_words(row: WorklistRow, count: StudyCount | None, now: datetime) -> str:
    """How far the program is with the study."""
    if row.state in ENDED:
        return ENDED[row.state]
    if row.state is StudyState.RECEIVING:
        if count is not None and count.announced:
            return f"receiving {count.received} of {count.announced}"
        return f"receiving, {row.instance_count} images"
    working = row.lease_until is not None and row.lease_until > now
    if row.decided_revision is None:
        return "being looked at" if working else "not looked at"
    if row.decided_revision < row.revision:
        newer = "newer images being looked at" if working else "newer images not looked at"
        return f"first look, {newer}" if row.stage == "first_look" else newer
    return "first look" if row.stage == "first_look" else "final"


def _finding(row: WorklistRow) -> str:
    if row.group is Group.FAILED and row.failure:
        return row.failure
    said = row.finding or ""
    return said[:1].upper() + said[1:]


def _baseline(row: WorklistRow) -> str:
    if row.decided_revision is None or row.group is Group.BASELINE:
        return ""
    return row.baseline_date.isoformat() if row.baseline_date else "none"


def _missing(row: WorklistRow, count: StudyCount | None) -> tuple[str, ...]:
    """While images arrive, the state says how many."""
    if count is None or not count.missing or row.state is StudyState.RECEIVING:
        return ()
    return (f"{count.received} of {count.announced} announced images arrived",)


def _notes(row: WorklistRow) -> tuple[str, ...]:
    aside = tuple(reason.partition(": ")[2] for reason in row.reasons if reason.startswith(f"{SET_ASIDE}: "))
    other = row.stated_patient_id is not None and row.stated_patient_id != row.patient_id
    return (*((f"its images carry the patient ID {row.stated_patient_id}",) if other else ()), *aside)


def list_lines(
    rows: tuple[WorklistRow, ...],
    *,
    now: datetime,
    zone: tzinfo | None,
    counts: Mapping[str, StudyCount] = MappingProxyType({}),
    notes: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
) -> list[Line]:
    """counts, notes: by study UID."""
    return [
        line_of(
            row,
            now=now,
            zone=zone,
            count=counts.get(row.study_instance_uid),
            notes=notes.get(row.study_instance_uid, ()),
        )
        for row in rows
    ]
