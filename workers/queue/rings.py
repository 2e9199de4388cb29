"""Which due studies are rung for, and when again."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from triage.errors import Transient
from workers.backoff import Backoff
from workers.budget import PASS_S, within
from workers.log import get_logger, study_hash
from workers.ports import Bell, Clock, StudyIndex, StudyRow
from workers.studies import quarantine
from workers.studies.urgency import is_small, is_urgent

log = get_logger(__name__)

LONGEST_RING_PAUSE_S = 300.0
# An ordinary study that has waited so long goes before the urgent ones, one in each such time: a patient whose infusion
# nobody reported may be among them, and the urgent ones lose at most a third of one worker. So does a small study, in a
# turn of its own: it costs seconds, and neither thousands of them nor a day of other studies keeps anybody waiting.
LONG_WAIT_S = 120.0


_Key = tuple[str, int, int]


@dataclass
class _Ring:
    at_s: float
    pause_s: float


class RecentRings:
    """What was rung and when, in seconds that only go forward. A study that waits its turn is rung again ever more
    rarely, so that a long queue stays a short one."""

    def __init__(self, first_pause_s: float) -> None:
        self._pauses = Backoff(first_pause_s, LONGEST_RING_PAUSE_S)
        self._rings: dict[_Key, _Ring] = {}

    def wanted(self, row: StudyRow, elapsed_s: float) -> bool:
        ring = self._rings.get(_key(row))
        return ring is None or elapsed_s - ring.at_s >= ring.pause_s

    def known(self, row: StudyRow) -> bool:
        return _key(row) in self._rings

    def note(self, row: StudyRow, elapsed_s: float) -> None:
        ring = self._rings.get(_key(row))
        pause_s = self._pauses.first_s if ring is None else self._pauses.next_s(ring.pause_s)
        self._rings[_key(row)] = _Ring(elapsed_s, pause_s)

    def keep_only(self, rows: list[StudyRow]) -> None:
        keys = {_key(row) for row in rows}
        self._rings = {key: ring for key, ring in self._rings.items() if key in keys}

    def forget_all(self) -> None:
        self._rings.clear()


class Waiting:
    """For how long studies of one kind have been due."""

    def __init__(self) -> None:
        self._since: dict[_Key, float] = {}
        self._last_s = -math.inf

    def note(self, row: StudyRow, elapsed_s: float) -> None:
        self._since.setdefault(_key(row), elapsed_s)

    def next_one(self, due: Mapping[_Key, StudyRow], elapsed_s: float) -> StudyRow | None:
        """The one of the due studies that goes first now; None: none has waited long, or one went lately."""
        self._since = {key: since for key, since in self._since.items() if key in due}
        if elapsed_s - self._last_s < LONG_WAIT_S or not self._since:
            return None
        key = min(self._since, key=lambda one: (self._since[one], one))
        if elapsed_s - self._since[key] < LONG_WAIT_S:
            return None
        self._last_s = elapsed_s
        return due[key]


def _key(row: StudyRow) -> _Key:
    return row.study_instance_uid, row.revision, row.attempts


class DueRinger:
    """One pass over the studies that are due; the beat calls it again and again.

    Args:
        first_pause_s: a study that is still due is rung again after this time.
        lease_s: for how long a worker takes a study.
        broker_epoch: changes with every start of the broker.
        urgent: which studies go ahead; None: as workers.studies.urgency says.
        alive: called for each ring, so that many studies are no silence.
    """

    def __init__(
        self,
        index: StudyIndex,
        bell: Bell,
        clock: Clock,
        *,
        first_pause_s: float,
        lease_s: float = math.inf,
        broker_epoch: Callable[[], str],
        urgent: Callable[[StudyRow], bool] | None = None,
        alive: Callable[[], None] = lambda: None,
    ) -> None:
        self._index = index
        self._bell = bell
        self._clock = clock
        self._lease_s = lease_s
        self._broker_epoch = broker_epoch
        self._urgent = urgent or partial(is_urgent, index=index)
        self._alive = alive
        self._epoch: str | None = None
        self._rings = RecentRings(first_pause_s)
        self._ordinary, self._small = Waiting(), Waiting()

    def ring_due(self) -> int:
        """Ring for due studies that nobody works on and that were not rung lately; returns how many were rung.

        A pass is short: what was never rung for comes first, then the order of the index.

        Raises:
            Transient: index or broker is away.
        """
        elapsed_s = self._clock.elapsed_s()
        rows = self._index.due(now=self._clock.now(), lease_s=self._lease_s)
        self._rings.keep_only(rows)
        wanted = [row for row in rows if self._rings.wanted(row, elapsed_s)] if self._same_broker() else rows
        rung = 0
        for row in within(PASS_S, self._clock, sorted(wanted, key=self._rings.known)):
            self._alive()
            self._ring(row, elapsed_s)
            rung += 1
        due = {_key(row): row for row in rows}
        for waiting in (self._ordinary, self._small):
            longest = waiting.next_one(due, elapsed_s)
            if longest is not None:
                self._bell.ring(longest.study_instance_uid, waited=True)
        if rung:
            log.info("bell.rung", studies=rung, due=len(rows))
        return rung

    def _ring(self, row: StudyRow, elapsed_s: float) -> None:
        # a study that exceeded a limit must not occupy the worker that is kept free for urgent ones
        harmless = quarantine.overruns_of(row.failure) == 0
        urgent, small = self._place(row, harmless=harmless)
        self._bell.ring(row.study_instance_uid, urgent=urgent, small=small)
        self._rings.note(row, elapsed_s)
        if harmless and not urgent:
            (self._small if small else self._ordinary).note(row, elapsed_s)

    def _place(self, row: StudyRow, *, harmless: bool) -> tuple[bool, bool]:
        """Whether the study is urgent, and whether it is small. A fault here costs this study its place alone."""
        try:
            urgent = harmless and self._urgent(row)
            return urgent, not urgent and is_small(row, self._index)
        except Transient:
            raise
        except Exception:
            log.exception("bell.place_unknown", study=study_hash(row.study_instance_uid))
            return False, False

    def _same_broker(self) -> bool:
        """False after the broker was started anew: what was rung before may be gone with it."""
        epoch = self._broker_epoch()
        same = self._epoch in (None, epoch)
        if not same:
            log.warning("broker.restarted")
            self._rings.forget_all()
        self._epoch = epoch
        return same
