"""Which studies' images may be deleted, and the deleting: pure rules first, then the order that a crash cannot harm.

Only images and prepared baselines go. Decisions, their documents and pictures stay.
"""

from __future__ import annotations

import fcntl
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from triage.unjudged import left_open
from workers.delivery_ports import Deliveries
from workers.files.commitments import GivenCommitments
from workers.log import brief, get_logger, study_hash
from workers.operations.needed import Fitness, possible_baselines
from workers.operations.steady_clock import SteadyClock
from workers.ports import InstanceFiles, StudyIndex, StudyRow, StudyState
from workers.settings import NodeSettings, StoreSettings

log = get_logger(__name__)

REFUSAL_FORM = "looked at: whole files"  # as workers.studies.prepared_baselines begins the file of a refusal

YOUNGEST = timedelta(days=1)  # never deleted, however full the disk: it may still be wanted for a look at the pictures
MOST_STUDIES = 100_000


@dataclass(frozen=True)
class Facts:
    """What the rules ask about one study.

    delivered: the outputs of its newest decision have reached everybody who is to get them. is_baseline: the newest
    decision of another study compares with it. may_become_baseline: a study that comes later, or a further infusion,
    may need it. committed: we told somebody that its images are safe here.
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


class Retention:
    """Deletes images of one node by the rules above.

    Args:
        delivered: whether the outputs of a study's newest decision have reached everybody.
        is_steady: whether the clock can be believed. Nothing is chosen when it has just leapt.
    """

    def __init__(
        self,
        settings: NodeSettings,
        index: StudyIndex,
        files: InstanceFiles,
        *,
        delivered: Callable[[StudyRow], bool],
        now: Callable[[], datetime],
        is_steady: Callable[[], bool] = lambda: True,
    ) -> None:
        self._settings, self._index, self._files = settings, index, files
        self._delivered, self._now, self._is_steady = delivered, now, is_steady
        self._folder = settings.store.files_dir
        self._given = GivenCommitments(self._folder)

    def facts(self) -> list[Facts]:
        """Of every study whose images are here."""
        rows = [row for row in self._index.studies(limit=MOST_STUDIES) if row.state is not StudyState.REMOVED]
        documents = {
            row.study_instance_uid: self._index.assessment(row.study_instance_uid) or {}
            for row in rows
            if row.decided_revision is not None
        }
        baselines = {uid for document in documents.values() for uid in _compared(document)}
        fitness = {
            row.study_instance_uid: self.fitness(row, documents.get(row.study_instance_uid) or {}) for row in rows
        }
        candidates = possible_baselines(
            rows, self._index.infusions(), fitness=lambda row: fitness[row.study_instance_uid]
        )
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
        if not self._is_steady():
            log.warning("retention.waits", reason="the clock has leapt within the last day")
            return []
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

    def fitness(self, row: StudyRow, document: Mapping[str, Any]) -> Fitness:
        """Whether a study can serve as baseline: by what lies in the folder of prepared baselines
        (workers/studies/prepared_baselines.py), and by the series that its decision lists."""
        if row.decided_revision != row.revision:
            return Fitness.UNKNOWN
        folders = list((self._folder / "prepared" / row.study_instance_uid).glob(f"[!.]*-r{row.revision}"))
        if any((folder / "prepared.json").is_file() for folder in folders):
            return Fitness.LEFT_OPEN if left_open(document) else Fitness.FIT
        kinds = {series["kind"] for series in document.get("series") or ()}
        refused = any(_is_refused(folder / "refused.txt") for folder in folders)
        return Fitness.UNFIT if refused or (kinds and "flair" not in kinds) else Fitness.UNKNOWN


def _is_refused(file: Path) -> bool:
    """An earlier program took faults of the store for content: what it refused is looked at again."""
    try:
        return file.read_text(encoding="utf-8").startswith(REFUSAL_FORM)
    except OSError:
        return False


def _compared(document: Mapping[str, Any]) -> Iterator[str]:
    """UIDs of the studies that a decision compares with."""
    for key in ("baseline", "since"):
        uid = (document.get(key) or {}).get("study_instance_uid")
        if uid is not None:
            yield uid


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


def results_delivered(results: Path, table: Deliveries) -> Callable[[StudyRow], bool]:
    """The rule of a node with destinations: what is dead or waits is not delivered. A human may give it up."""
    written = results_written(results)

    def delivered(row: StudyRow) -> bool:
        revision = row.decided_revision
        return written(row) and revision is not None and table.delivered(row.study_instance_uid, revision)

    return delivered


def retention_of(
    settings: NodeSettings, index: StudyIndex, files: InstanceFiles, table: Deliveries | None = None
) -> Retention:
    """What deletes images of this node.

    Args:
        table: the deliveries; None: the node has no destinations.
    """
    results = settings.store.files_dir / "results"
    delivered = results_written(results) if table is None else results_delivered(results, table)
    clock = SteadyClock(settings.store.state_dir / "clock.json")
    return Retention(
        settings, index, files, delivered=delivered, now=lambda: datetime.now(UTC), is_steady=clock.is_steady
    )
