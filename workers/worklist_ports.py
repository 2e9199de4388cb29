"""What the worklist asks of the index, as a Protocol. Its fake stands in tests/fake_worklist.py."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Protocol

from workers.ports import StudyState

WINDOW = 200  # rows of one window; a page of 10,000 rows took a browser 2.5 s and each change 0.8 s


class Group(StrEnum):
    """What a study is to its reader, in reading order: each study is in exactly one group.

    What the program could not judge comes before what it has not judged yet, and that before what it found nothing in.
    Last is a scan before treatment without a pattern (``triage.report.headline.is_before_treatment``): its category is
    ``not_assessable``, and nobody has to act.
    """

    P1 = "p1"
    P2 = "p2"
    P3 = "p3"
    FAILED = "failed"
    NOT_ASSESSABLE = "not_assessable"
    WAITING = "waiting"
    NO_PATTERN = "no_pattern"
    BASELINE = "baseline"


URGENT_ORDERS = ("STAT", "HIGH")  # (0040,1003) Requested Procedure Priority


@dataclass(frozen=True)
class Deadlines:
    """Minutes from the first image of a study until somebody should have read it.

    by_group: a group that is missing has none. urgent_order: of a study with an urgent order, whatever was found in it;
    the earlier one counts.
    """

    by_group: Mapping[Group, float] = field(default_factory=dict)
    urgent_order: float | None = None

    def minutes(self, group: Group, *, urgent: bool) -> float | None:
        """None: there is no deadline."""
        known = [self.by_group.get(group), self.urgent_order if urgent else None]
        return min((one for one in known if one is not None), default=None)


class ListOrder(StrEnum):
    """READING: by group, then the earliest deadline, then the longest waiting. What was read has no deadline any more.

    The study date sorts the latest first.
    """

    READING = "reading"
    NEWEST = "newest"
    OLDEST = "oldest"
    STUDY_DATE = "study_date"
    PATIENT = "patient"


@dataclass(frozen=True)
class Wanted:
    """Which rows. groups empty: all of them. since: first image came then or later. find: part of a name, patient ID or
    accession number. after: ListWindow.end of the window before, or a study's UID; None: from the beginning. gone: also
    studies whose images were deleted. unread: only those whose present decision nobody has acknowledged."""

    groups: frozenset[Group] = frozenset()
    since: datetime | None = None
    find: str = ""
    order: ListOrder = ListOrder.READING
    after: str | None = None
    gone: bool = False
    unread: bool = False
    limit: int = WINDOW


@dataclass(frozen=True)
class WorklistRow:
    """One study. Times are UTC. finding, figure, days_after_infusion, baseline_date: see triage.report.headline.

    stage: of the decision that is shown; None without one. stated_patient_id: what the images state, when that is not
    ``patient_id``. read_by: who acknowledged the decision that is shown; "" nobody. deadline: somebody should have read
    it by then; None: it was read, or there is none.
    """

    study_instance_uid: str
    patient_id: str
    patient_name: str
    birth_date: date | None
    sex: str
    study_date: date | None
    accession_number: str
    state: StudyState
    revision: int
    instance_count: int
    first_received_at: datetime
    last_received_at: datetime
    lease_until: datetime | None
    failure: str | None
    decided_revision: int | None
    stage: str | None
    decided_at: datetime | None
    category: str | None
    priority: str | None
    finding: str | None
    figure: str | None
    days_after_infusion: int | None
    baseline_date: date | None
    reasons: tuple[str, ...]
    stated_patient_id: str | None
    group: Group
    read_by: str = ""
    deadline: datetime | None = None


@dataclass(frozen=True)
class ListWindow:
    """A part of the list. matching: rows that the filters let through, in all windows. total: rows without any filter.

    tallies: studies by group, without any filter but that on deleted ones. more: there are rows behind the last one.
    end: what Wanted.after takes for these. urgent_elsewhere: how many P1 studies are not in the window, deleted and
    read ones only where they are wanted.
    """

    rows: tuple[WorklistRow, ...]
    matching: int
    total: int
    tallies: Mapping[Group, int] = field(default_factory=dict)
    more: bool = False
    urgent_elsewhere: int = 0
    end: str | None = None


@dataclass(frozen=True)
class Marks:
    """What changes with the list: ``decided`` when there is a new decision, ``other`` with everything else in it."""

    decided: str
    other: str


@dataclass(frozen=True)
class Throughput:
    """Since some moment: studies that got images, the images of these studies, and studies that were decided."""

    received: int
    images: int
    decided: int


@dataclass(frozen=True)
class ScannerDay:
    """The decided studies of one scanner and study date. scanner: in words; "" when the images name none.

    assessable, flagged: how many of them. ratios, ratio_sum, ratio_squares: number, sum and sum of squares of the known
    ratios of grey over white matter (triage.signal.tissue_ratio).
    """

    scanner: str
    day: date
    assessable: int
    flagged: int
    ratios: int = 0
    ratio_sum: float = 0.0
    ratio_squares: float = 0.0


@dataclass(frozen=True)
class StudyFault:
    """A study whose last attempt went wrong. at: when; None: nobody noted it."""

    study_instance_uid: str
    state: StudyState
    failure: str
    attempts: int
    at: datetime | None


class Worklist(Protocol):
    """The list of studies, filtered, sorted and cut by the database. Each method may raise errors.Transient."""

    def window(self, wanted: Wanted) -> ListWindow:
        """A P1 that matches is never cut off in reading order: the first window grows until it holds every one."""

    def marks(self, known: Marks | None) -> Marks:
        """The present marks. Cheap when nothing was written since ``known`` was asked for."""

    def version(self) -> Hashable:
        """Changes with every write to the index, of whatever table. An answer of microseconds."""

    def flag_times_s(self, *, limit: int) -> list[float]:
        """From the last image to the first decision on it, of the studies that were decided last."""

    def flags_since(self, since: datetime) -> list[tuple[datetime, bool]]:
        """When each assessable study was decided, to the hour, and whether it has a priority."""

    def scanners_since(self, since: date) -> list[ScannerDay]:
        """By scanner and day, of studies with a date of their own that is not before ``since``."""

    def throughput(self, since: datetime) -> Throughput: ...

    def faults(self, *, limit: int) -> list[StudyFault]:
        """The newest first."""

    def close(self) -> None: ...


@dataclass(frozen=True)
class KeptView:
    """A list that somebody looks at again and again: its name, and the query of its address. number: what it is called
    in addresses; 0 before it is stored."""

    account: str
    words: str
    query: str
    number: int = 0


class KeptViews(Protocol):
    """The saved views of all accounts. Each method is one transaction and may raise errors.Transient."""

    def views_of(self, account: str) -> list[KeptView]:
        """In the order in which they were first saved."""

    def keep_view(self, view: KeptView) -> KeptView:
        """Store it, with its number. One of the same account and name gets the new query."""

    def drop_view(self, account: str, number: int) -> bool:
        """False: the account has no such view."""
