"""Which studies' images may be deleted, and the deleting: pure rules first, then the order that a crash cannot harm.

Only images and prepared baselines go. Decisions, their documents and pictures stay.
"""

from __future__ import annotations

import fcntl
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import takewhile
from pathlib import Path

from triage.infusions import Infusion
from workers.files.commitments import GivenCommitments
from workers.log import brief, get_logger, study_hash
from workers.ports import ACUTE_CATEGORIES, InstanceFiles, PatientKey, StudyIndex, StudyRow, StudyState
from workers.settings import NodeSettings, StoreSettings

log = get_logger(__name__)

YOUNGEST = timedelta(days=1)  # never deleted, however full the disk: it may still be wanted for a look at the pictures
MOST_STUDIES = 100_000


@dataclass(frozen=True)
class Facts:
    """What the rules ask about one study.

    delivered: the outputs of its newest decision have reached everybody who is to get them. is_baseline: the newest
    decision of another study compares with it. may_become_baseline: of its patient's studies it is the one that the
    next follow-up would be compared with. committed: we told somebody that its images are safe here.
    """

    row: StudyRow
    delivered: bool
    is_baseline: bool = False
    may_become_baseline: bool = False
    committed: bool = False
    conflicts: int = 0


@dataclass(frozen=True)
class Removal:
    """One study whose images may go: why, and how many bytes that gives."""

    study_instance_uid: str
    revision: int
    reason: str
    size_bytes: int


def keeps(facts: Facts, *, now: datetime, settings: StoreSettings) -> str | None:
    """Why this study's images must stay whatever their age; None: they may go."""
    row = facts.row
    reasons = {
        "not_assessed": row.state is not StudyState.ASSESSED or row.decided_revision != row.revision,
        "not_delivered": not facts.delivered,
        "baseline": facts.is_baseline,
        "may_become_baseline": facts.may_become_baseline,
        "conflict": facts.conflicts > 0,
        "committed": facts.committed and not settings.delete_committed,
        "young": now - row.last_received_at < YOUNGEST,
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def choose(
    studies: Iterable[Facts],
    *,
    sizes: Callable[[str], int],
    free_bytes: int,
    now: datetime,
    settings: StoreSettings,
) -> list[Removal]:
    """What goes: everything older than the retention time, then the oldest until enough is free."""
    may_go = [one.row for one in studies if keeps(one, now=now, settings=settings) is None]
    chosen: list[Removal] = []
    for row in sorted(may_go, key=lambda row: row.last_received_at):
        days = settings.retention_days
        old = days is not None and now - row.last_received_at >= timedelta(days=days)
        full = settings.clean_below_bytes is not None and free_bytes < settings.clean_below_bytes
        if old or full:
            size = sizes(row.study_instance_uid)
            free_bytes += size
            chosen.append(Removal(row.study_instance_uid, row.revision, "old" if old else "disk", size))
    return chosen


def possible_baselines(rows: Sequence[StudyRow], infusions: Mapping[PatientKey, Sequence[Infusion]]) -> set[str]:
    """Studies that a later one could be compared with.

    With known infusions: of each infusion the latest study before it, and the latest one of all, before which a further
    infusion may come. While no infusion is known: every study before the first one with an acute finding.
    """
    by_id: defaultdict[str, list[StudyRow]] = defaultdict(list)
    for row in rows:
        if row.patient_id and row.study_date:
            by_id[row.patient_id].append(row)
    days: defaultdict[str, set[date]] = defaultdict(set)
    for patient, known in infusions.items():
        days[patient.patient_id] |= {one.day for one in known}
    return {uid for patient_id, some in by_id.items() for uid in _of_patient(some, days[patient_id])}


def _of_patient(rows: Sequence[StudyRow], infusions: set[date]) -> Iterator[str]:
    ordered = sorted(rows, key=lambda row: (row.study_date or date.min, row.study_time, row.study_instance_uid))
    if not infusions:
        yield from (
            row.study_instance_uid for row in takewhile(lambda row: row.category not in ACUTE_CATEGORIES, ordered)
        )
    yield ordered[-1].study_instance_uid
    for day in infusions:
        before = [row for row in ordered if row.study_date is not None and row.study_date <= day]
        yield from (row.study_instance_uid for row in before[-1:])


class Retention:
    """Deletes images of one node by the rules above.

    Args:
        delivered: whether the outputs of a study's newest decision have reached everybody.
    """

    def __init__(
        self,
        settings: NodeSettings,
        index: StudyIndex,
        files: InstanceFiles,
        *,
        delivered: Callable[[StudyRow], bool],
        now: Callable[[], datetime],
    ) -> None:
        self._settings, self._index, self._files = settings, index, files
        self._delivered, self._now = delivered, now
        self._folder = settings.store.files_dir
        self._given = GivenCommitments(self._folder)

    def facts(self) -> list[Facts]:
        """Of every study whose images are here."""
        rows = [row for row in self._index.studies(limit=MOST_STUDIES) if row.state is not StudyState.REMOVED]
        baselines = {self._baseline_of(row) for row in rows if row.decided_revision is not None}
        candidates = possible_baselines(rows, self._index.infusions())
        aside: defaultdict[str, int] = defaultdict(int)
        for conflict in self._index.conflicts():
            aside[conflict.study_instance_uid] += 1
        return [
            Facts(
                row,
                delivered=row.state is StudyState.ASSESSED and self._delivered(row),
                is_baseline=row.study_instance_uid in baselines,
                may_become_baseline=row.study_instance_uid in candidates,
                committed=self._given.holds(row.study_instance_uid),
                conflicts=aside[row.study_instance_uid],
            )
            for row in rows
        ]

    def plan(self) -> list[Removal]:
        """What a run would delete now."""
        return choose(
            self.facts(),
            sizes=lambda uid: sum(row.size_bytes for row in self._index.instances(uid)),
            free_bytes=shutil.disk_usage(self._folder).free,
            now=self._now(),
            settings=self._settings.store,
        )

    def run(self) -> list[Removal] | None:
        """Delete; what was deleted. Also finishes what a crash interrupted. None: somebody else is at it."""
        with _alone(self._folder / "retention.lock") as alone:
            return self._run() if alone else None

    def _run(self) -> list[Removal]:
        for row in self._index.studies(limit=MOST_STUDIES):
            if row.state is StudyState.REMOVING and self._deleted(row.study_instance_uid):
                log.info("study.images_deleted", study=study_hash(row.study_instance_uid), reason="begun before")
        done = []
        for one in self.plan():
            # compare-and-set: a study that gets an image in this moment, or is assessed again, stays
            begun = self._index.begin_removal(one.study_instance_uid, revision=one.revision)
            if begun and self._deleted(one.study_instance_uid):
                log.info("study.images_deleted", study=study_hash(one.study_instance_uid), reason=one.reason)
                done.append(one)
        return done

    def _deleted(self, study_instance_uid: str) -> bool:
        """Whether all of it could be deleted. One that the disk keeps stays in removal and holds up no other."""
        rows = self._index.instances(study_instance_uid)
        try:
            for row in rows:
                self._files.path(row).unlink(missing_ok=True)
        except (OSError, ValueError) as error:
            log.error("study.not_deleted", study=study_hash(study_instance_uid), error=brief(error))
            return False
        shutil.rmtree(self._folder / "prepared" / study_instance_uid, ignore_errors=True)
        uids = [row.sop_instance_uid for row in rows]
        self._index.finish_removal(study_instance_uid, uids, now=self._now())
        return True

    def _baseline_of(self, row: StudyRow) -> str | None:
        document = self._index.assessment(row.study_instance_uid) or {}
        return (document.get("baseline") or {}).get("study_instance_uid")


@contextmanager
def _alone(path: Path) -> Iterator[bool]:
    """Whether nobody else is in here, over all hosts that share the folder; dies with its holder."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def results_written(results: Path) -> Callable[[StudyRow], bool]:
    """The rule of a node without further outputs: delivered is what stands in the results folder."""

    def delivered(row: StudyRow) -> bool:
        return (results / row.study_instance_uid / f"r{row.decided_revision}-full" / "document.json").is_file()

    return delivered


def retention_of(settings: NodeSettings, index: StudyIndex, files: InstanceFiles) -> Retention:
    """What deletes images of this node."""
    results = settings.store.files_dir / "results"
    return Retention(settings, index, files, delivered=results_written(results), now=lambda: datetime.now(UTC))
