"""The worklist of an index in memory. It passes the contract of the SQL one (tests/workers/index/test_worklist.py)."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields, replace
from datetime import date, datetime, timedelta
from typing import Any

from tests.fake_index import InMemoryIndex
from triage.report.headline import headline_of
from workers.index.search_text import folded
from workers.ports import StudyRow, StudyState
from workers.worklist_ports import (
    URGENT_ORDERS,
    Deadlines,
    Group,
    KeptView,
    ListOrder,
    ListWindow,
    Marks,
    ScannerDay,
    StudyFault,
    Throughput,
    Wanted,
    WorklistRow,
)

RANKS = {group: rank for rank, group in enumerate(Group)}
GONE = (StudyState.REMOVING, StudyState.REMOVED)


class InMemoryWorklist:
    """worklist_ports.Worklist over an InMemoryIndex. acknowledged: study -> who and when. orders: study -> priority."""

    def __init__(self, index: InMemoryIndex, deadlines: Deadlines | None = None) -> None:
        self._index, self._deadlines = index, deadlines or Deadlines()
        self.orders: dict[str, str] = {}
        self._asked = 0
        self.acknowledged: dict[str, tuple[str, datetime]] = {}

    def close(self) -> None:
        pass

    def window(self, wanted: Wanted) -> ListWindow:
        everything = [self._row(row) for row in self._index.studies(limit=1_000_000)]
        tallies = Counter(row.group for row in everything if wanted.gone or row.state not in GONE)
        said = Wanted(frozenset({Group.P1}), gone=wanted.gone, unread=wanted.unread)
        urgent = sum(_matches(row, said) for row in everything)
        matching = _sorted([row for row in everything if _matches(row, wanted)], wanted.order)
        uids = [row.study_instance_uid for row in matching]
        after = next(
            (_sorted([row, *matching], wanted.order) for row in everything if row.study_instance_uid == wanted.after),
            None,
        )
        behind = matching
        if after is not None:
            place = [row.study_instance_uid for row in after].index(str(wanted.after))
            behind = [row for row in after[place:] if row.study_instance_uid != wanted.after]
        limit = wanted.limit
        if wanted.order is ListOrder.READING:
            limit = max(limit, sum(row.group is Group.P1 for row in behind))
        rows = behind[:limit]
        here = sum(row.group is Group.P1 for row in rows)
        return ListWindow(
            tuple(rows), len(uids), len(everything), tallies, len(behind) > len(rows), urgent - here,
            end=rows[-1].study_instance_uid if len(behind) > len(rows) else None,
        )  # fmt: skip

    def flag_times_s(self, *, limit: int) -> list[float]:
        rows = sorted(
            (row for row in self.window(Wanted(gone=True, limit=1_000_000)).rows if row.decided_at),
            key=lambda row: str(row.decided_at),
            reverse=True,
        )
        pairs = [(self._first_decided_at(row), row.last_received_at) for row in rows[:limit]]
        return [(first - last).total_seconds() for first, last in pairs if first is not None]

    def _first_decided_at(self, row: WorklistRow) -> datetime | None:
        versions = self._index.assessments(row.study_instance_uid)
        return min((one["created_at"] for one in versions if one["created_at"] >= row.last_received_at), default=None)

    def flags_since(self, since: datetime) -> list[tuple[datetime, bool]]:
        rows = self.window(Wanted(gone=True, limit=1_000_000)).rows
        judged = [row for row in rows if row.category not in (None, "not_assessable")]
        when = [(self._first_decided_at(row) or row.decided_at, row.priority) for row in judged]
        found = [(at, priority in ("P1", "P2", "P3")) for at, priority in when if at is not None]
        return sorted(one for one in found if one[0] >= since)

    def scanners_since(self, since: date) -> list[ScannerDay]:
        rows = self.window(Wanted(gone=True, limit=1_000_000)).rows
        found: dict[tuple[str, date], ScannerDay] = {}
        for row in rows:
            document = self._index.assessment(row.study_instance_uid)
            if document is None or row.study_date is None or row.study_date < since:
                continue
            said, judged = headline_of(document), row.category not in (None, "not_assessable")
            one = found.get((said.scanner, row.study_date), ScannerDay(said.scanner, row.study_date, 0, 0))
            ratio = said.tissue_ratio
            found[one.scanner, one.day] = ScannerDay(
                one.scanner,
                one.day,
                one.assessable + judged,
                one.flagged + (judged and row.priority in ("P1", "P2", "P3")),
                one.ratios + (ratio is not None),
                one.ratio_sum + (ratio or 0.0),
                one.ratio_squares + (ratio or 0.0) ** 2,
            )
        return [found[key] for key in sorted(found)]

    def version(self) -> int:
        """Another one each time: nothing is kept."""
        self._asked += 1
        return self._asked

    def throughput(self, since: datetime) -> Throughput:
        rows = self.window(Wanted(gone=True, limit=1_000_000)).rows
        came = [row for row in rows if row.last_received_at >= since]
        decided = [row for row in rows if row.decided_at is not None and row.decided_at >= since]
        return Throughput(len(came), sum(row.instance_count for row in came), len(decided))

    def faults(self, *, limit: int) -> list[StudyFault]:
        rows = [row for row in self._index.studies(limit=1_000_000) if row.failure is not None]
        wrong = [row for row in rows if row.state in (StudyState.FAILED, StudyState.READY)]
        return [
            StudyFault(row.study_instance_uid, row.state, str(row.failure), row.attempts, row.last_received_at)
            for row in wrong[:limit]
        ]

    def marks(self, known: Marks | None) -> Marks:
        rows = [self._row(row) for row in self._index.studies(limit=1_000_000)]
        decided = repr(sorted((row.study_instance_uid, row.stage, str(row.decided_at)) for row in rows if row.stage))
        return Marks(decided, repr(sorted((row.study_instance_uid, row.state, row.instance_count) for row in rows)))

    def _row(self, row: StudyRow) -> WorklistRow:
        version = next((one for one in self._index.assessments(row.study_instance_uid) if not one["superseded"]), None)
        said = None if version is None else headline_of(version["document"])
        names = [one.patient_name for one in self._index.instances(row.study_instance_uid)]
        decided_at = None if version is None else version["created_at"]
        by, at = self.acknowledged.get(row.study_instance_uid, ("", None))
        read_by = by if at and decided_at and at >= decided_at else ""
        urgent = self.orders.get(row.study_instance_uid) in URGENT_ORDERS
        limit = None if read_by else self._deadlines.minutes(_group(row), urgent=urgent)
        values: dict[str, Any] = {
            one.name: getattr(row, one.name) for one in fields(WorklistRow) if hasattr(row, one.name)
        }
        values["patient_name"] = next((name for name in names if name), "")
        return WorklistRow(
            **values,
            stage=None if version is None else version["stage"],
            decided_at=decided_at,
            finding=None if said is None else said.finding,
            figure=None if said is None else said.figure,
            days_after_infusion=None if said is None else said.day,
            baseline_date=None if said is None else said.baseline_date,
            group=_group(row),
            read_by=read_by,
            deadline=None if limit is None else row.first_received_at + timedelta(minutes=limit),
        )


def _group(row: StudyRow) -> Group:
    if row.priority in ("P1", "P2", "P3"):
        return Group(row.priority.lower())
    if row.state is StudyState.FAILED:
        return Group.FAILED
    if row.before_treatment:
        return Group.BASELINE
    return {"not_assessable": Group.NOT_ASSESSABLE, "no_pattern": Group.NO_PATTERN}.get(
        row.category or "", Group.WAITING
    )


def _matches(row: WorklistRow, wanted: Wanted) -> bool:
    names = (row.patient_name, row.patient_name.replace("^", ""))
    texts = [folded(text) for text in (*names, row.patient_id, row.accession_number)]
    return (
        (not wanted.groups or row.group in wanted.groups)
        and (wanted.gone or row.state not in GONE)
        and not (wanted.unread and row.read_by)
        and (wanted.since is None or row.first_received_at >= wanted.since)
        and all(any(word in text for text in texts) for word in folded(wanted.find).split())
    )


def _sorted(rows: list[WorklistRow], order: ListOrder) -> list[WorklistRow]:
    def falling(day: date | None) -> int:
        return -(day or date.min).toordinal()

    def late(moment: datetime) -> float:
        return moment.timestamp()

    keys: dict[ListOrder, Any] = {
        ListOrder.READING: lambda row: (
            RANKS[row.group],
            late(row.deadline) if row.deadline else float("inf"),
            late(row.first_received_at),
        ),
        ListOrder.NEWEST: lambda row: -late(row.first_received_at),
        ListOrder.OLDEST: lambda row: late(row.first_received_at),
        ListOrder.STUDY_DATE: lambda row: falling(row.study_date),
        ListOrder.PATIENT: lambda row: (row.patient_id, falling(row.study_date)),
    }
    return sorted(rows, key=lambda row: (keys[order](row), row.study_instance_uid))


class InMemoryViews:
    """worklist_ports.KeptViews. It passes the contract of the SQL one (tests/workers/index/test_views.py)."""

    def __init__(self) -> None:
        self._views: list[KeptView] = []
        self._last = 0

    def views_of(self, account: str) -> list[KeptView]:
        return sorted((one for one in self._views if one.account == account), key=lambda one: one.number)

    def keep_view(self, view: KeptView) -> KeptView:
        same = [one for one in self._views if (one.account, one.words) == (view.account, view.words)]
        self._last += not same
        kept = replace(view, number=same[0].number if same else self._last)
        self._views = [*(one for one in self._views if one not in same), kept]
        return kept

    def drop_view(self, account: str, number: int) -> bool:
        before = len(self._views)
        self._views = [one for one in self._views if (one.account, one.number) != (account, number)]
        return len(self._views) < before
