"""Arriving studies in, those that are complete marked ready and rung for.

It keeps nothing that matters: when its process is killed and started again, it finds everything in the index.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial

from triage.errors import Transient
from workers.announcements import StudyCount
from workers.arrival import completeness
from workers.arrival.completeness import Progress, SeriesFacts
from workers.arrival.probe import SeriesProbe
from workers.arrival.quiet import QuietTimes
from workers.budget import PASS_S, within
from workers.log import get_logger, study_hash
from workers.ports import Bell, Clock, StudyIndex, StudyRow
from workers.settings import ArrivalSettings

log = get_logger(__name__)

REMEMBERED_STUDIES = 10_000


class Sweeper:
    """One pass over what arrives; the beat calls it again and again.

    Args:
        urgent: whether a complete study goes ahead of others in the queue. small: whether it goes behind them.
        alive: called for each study, so that many studies are no silence.
    """

    def __init__(
        self,
        index: StudyIndex,
        bell: Bell,
        clock: Clock,
        probe: SeriesProbe,
        settings: ArrivalSettings,
        *,
        urgent: Callable[[StudyRow], bool],
        small: Callable[[StudyRow], bool] = lambda _: False,
        alive: Callable[[], None] = lambda: None,
    ) -> None:
        self._index = index
        self._urgent, self._small, self._alive = urgent, small, alive
        self._bell = bell
        self._clock = clock
        self._probe = probe
        self._settings = settings
        self._quiet = QuietTimes()
        self._passes = 0
        self._looked: dict[str, int] = {}  # study UID -> number of the pass that looked at it last, or saw it first
        self._seen: OrderedDict[str, dict[str, int]] = OrderedDict()

    def arrivals(self) -> int:
        """Mark complete studies ready and ring for them; returns how many. One bad study does not hold up the others.

        A pass is short: what it does not look at, a later one does.

        Raises:
            Transient: the index is away.
        """
        rows = self._index.receiving()
        arriving = {row.study_instance_uid for row in rows}
        self._probe.forget(all_but=arriving)
        self._quiet.look(self._clock.elapsed_s(), only=arriving)
        announced = self._index.study_counts([row.study_instance_uid for row in rows]) if rows else {}
        ready = 0
        for row in within(PASS_S, self._clock, self._in_turn(rows)):
            self._alive()
            ready += self._looked_at(row, announced.get(row.study_instance_uid, StudyCount()))
            self._looked[row.study_instance_uid] = self._passes
            self._quiet.looked(row.study_instance_uid)
        return ready

    def _in_turn(self, rows: Sequence[StudyRow]) -> list[StudyRow]:
        """Every other pass begins with what the index names first, the others with what waited longest for a look: no
        number of studies keeps an urgent one waiting, and no number of urgent ones the others."""
        self._passes += 1
        self._looked = {row.study_instance_uid: self._looked.get(row.study_instance_uid, self._passes) for row in rows}
        if self._passes % 2:
            return list(rows)
        return sorted(rows, key=lambda row: self._looked[row.study_instance_uid])

    def _looked_at(self, row: StudyRow, announced: StudyCount) -> bool:
        """Whether the study is handed over now, by what it holds or, when that cannot be looked at, by its silence."""
        looks: tuple[Callable[[], bool], ...] = (partial(self._arrival, row, announced), partial(self._by_silence, row))
        for look in looks:
            try:
                return look()
            except Transient:
                raise
            except Exception:
                log.exception("arrival.not_checked", study=study_hash(row.study_instance_uid))
        return False

    def _by_silence(self, row: StudyRow) -> bool:
        """Hand over a study that cannot be looked at when nothing has come for a while. The worker says what is wrong
        with it."""
        if (
            self._quiet_s(row, "", (row.instance_count, row.last_received_at), row.last_received_at)
            < self._settings.quiet_period_s
        ):
            return False
        return self._hand_over(row, rule="quiet_period", reason="its headers could not be looked at")

    def _arrival(self, row: StudyRow, announced: StudyCount) -> bool:
        facts = self._timed(row, self._probe.facts(row))
        leased = row.lease_until is not None and row.lease_until > self._clock.now()
        progress = Progress(
            seen=self._seen.get(row.study_instance_uid, {}), taken_up=leased or row.decided_revision is not None
        )
        readiness = completeness.decide(facts, progress=progress, settings=self._settings, announced=announced)
        if not readiness.ready:
            return False
        if not self._hand_over(row, rule=readiness.rule, reason=readiness.reason):
            return False
        self._remember(row.study_instance_uid, {f.series_instance_uid: f.instances for f in facts})
        return True

    def _timed(self, row: StudyRow, series: Sequence[SeriesFacts]) -> list[SeriesFacts]:
        """With the times since their last images."""
        return [
            replace(one, quiet_s=self._quiet_s(row, one.series_instance_uid, one.instances, one.last_received_at))
            for one in series
        ]

    def _quiet_s(self, row: StudyRow, part: str, mark: Hashable, received_at: datetime) -> float:
        stated_s = (self._clock.now() - received_at).total_seconds()
        return self._quiet.quiet_s(row.study_instance_uid, part, mark, stated_s=stated_s)

    def _hand_over(self, row: StudyRow, *, rule: str, reason: str) -> bool:
        """Mark it ready and ring. False: an image came in this moment."""
        if not self._index.mark_ready(row.study_instance_uid, now=self._clock.now(), reason=rule):
            return False
        log.info(
            "study.ready",
            study=study_hash(row.study_instance_uid),
            rule=rule,
            reason=reason,
            revision=row.revision,
            images=row.instance_count,
        )
        try:
            urgent = self._urgent(row)
            small = not urgent and self._small(row)
            self._bell.ring(row.study_instance_uid, urgent=urgent, small=small)
        except Transient as error:
            log.warning("bell.not_rung", error=str(error))
        return True

    def _remember(self, study_instance_uid: str, seen: dict[str, int]) -> None:
        self._seen[study_instance_uid] = seen
        self._seen.move_to_end(study_instance_uid)
        while len(self._seen) > REMEMBERED_STUDIES:
            self._seen.popitem(last=False)
