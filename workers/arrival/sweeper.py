"""The beat: marks arriving studies ready as soon as they are complete, and rings for what is due. A process of its
own, never behind a task.

It keeps nothing that matters: killed and started again, it finds everything in the index.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from triage.errors import Transient
from workers.announcements import StudyCount
from workers.arrival import completeness
from workers.arrival.completeness import Progress
from workers.arrival.probe import SeriesProbe
from workers.backoff import Backoff
from workers.config import Settings
from workers.log import brief, get_logger, study_hash
from workers.ports import Bell, Clock, StudyIndex, StudyRow
from workers.queue import broker

log = get_logger(__name__)

ARRIVAL_EVERY_S = 0.5
LONGEST_PAUSE_S = 10.0
LONGEST_RING_PAUSE_S = 300.0
REMEMBERED_STUDIES = 10_000


@dataclass
class _Ring:
    at: datetime
    pause_s: float


class RecentRings:
    """What was rung and when. A study that waits its turn is rung again ever more rarely, so that a long queue stays a
    short one."""

    def __init__(self, first_pause_s: float) -> None:
        self._pauses = Backoff(first_pause_s, LONGEST_RING_PAUSE_S)
        self._rings: dict[tuple[str, int, int], _Ring] = {}

    def wanted(self, row: StudyRow, now: datetime) -> bool:
        ring = self._rings.get(_key(row))
        return ring is None or now - ring.at >= timedelta(seconds=ring.pause_s)

    def note(self, row: StudyRow, now: datetime) -> None:
        ring = self._rings.get(_key(row))
        pause_s = self._pauses.first_s if ring is None else self._pauses.next_s(ring.pause_s)
        self._rings[_key(row)] = _Ring(now, pause_s)

    def keep_only(self, rows: list[StudyRow]) -> None:
        keys = {_key(row) for row in rows}
        self._rings = {key: ring for key, ring in self._rings.items() if key in keys}

    def forget_all(self) -> None:
        self._rings.clear()


def _key(row: StudyRow) -> tuple[str, int, int]:
    return row.study_instance_uid, row.revision, row.attempts


class Sweeper:
    """One pass over what arrives (``arrivals``), one over what is due (``ring_due``); the loop below calls both."""

    def __init__(
        self,
        index: StudyIndex,
        bell: Bell,
        clock: Clock,
        probe: SeriesProbe,
        settings: Settings,
        *,
        broker_epoch: Callable[[], str] = lambda: "",
    ) -> None:
        self._index = index
        self._bell = bell
        self._clock = clock
        self._probe = probe
        self._settings = settings
        self._broker_epoch = broker_epoch
        self._epoch: str | None = None
        self._rings = RecentRings(2 * settings.queue.sweep_every_s)
        self._seen: OrderedDict[str, dict[str, int]] = OrderedDict()

    def arrivals(self) -> int:
        """Mark complete studies ready and ring for them; returns how many. One bad study does not hold up the others.

        Raises:
            Transient: the index is away.
        """
        rows = self._index.receiving()
        self._probe.forget(all_but={row.study_instance_uid for row in rows})
        announced = self._index.study_counts([row.study_instance_uid for row in rows]) if rows else {}
        ready = 0
        for row in rows:
            ready += self._looked_at(row, announced.get(row.study_instance_uid, StudyCount()))
        return ready

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
        """A study that cannot be looked at is handed over when nothing has come for a while: the worker says what is wrong
        with it."""
        silent_s = (self._clock.now() - row.last_received_at).total_seconds()
        if silent_s < self._settings.arrival.quiet_period_s:
            return False
        return self._hand_over(row, rule="quiet_period", reason="its headers could not be looked at")

    def _arrival(self, row: StudyRow, announced: StudyCount) -> bool:
        now = self._clock.now()
        facts = self._probe.facts(row)
        leased = row.lease_until is not None and row.lease_until > now
        progress = Progress(
            seen=self._seen.get(row.study_instance_uid, {}), taken_up=leased or row.decided_revision is not None
        )
        verdict = completeness.decide(
            facts, progress=progress, now=now, settings=self._settings.arrival, announced=announced
        )
        if not verdict.ready:
            return False
        if not self._hand_over(row, rule=verdict.rule, reason=verdict.reason):
            return False
        self._remember(row.study_instance_uid, {f.series_instance_uid: f.instances for f in facts})
        return True

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
            self._bell.ring(row.study_instance_uid, urgent=self._urgent(row))
        except Transient as error:
            log.warning("bell.not_rung", error=str(error))
        return True

    def ring_due(self) -> int:
        """Ring for due studies that nobody works on and that were not rung lately; returns how many were rung.

        Raises:
            Transient: index or broker is away.
        """
        now = self._clock.now()
        rows = self._index.due(now=now)
        self._rings.keep_only(rows)
        wanted = [row for row in rows if self._rings.wanted(row, now)] if self._same_broker() else rows
        for row in wanted:
            self._bell.ring(row.study_instance_uid, urgent=self._urgent(row))
            self._rings.note(row, now)
        if wanted:
            log.info("bell.rung", studies=len(wanted), due=len(rows))
        return len(wanted)

    def _same_broker(self) -> bool:
        """False after the broker was started anew: what was rung before may be gone with it."""
        epoch = self._broker_epoch()
        same = self._epoch in (None, epoch)
        if not same:
            log.warning("broker.restarted")
            self._rings.forget_all()
        self._epoch = epoch
        return same

    def _urgent(self, row: StudyRow) -> bool:
        """A study after a known infusion goes ahead of baselines and strangers."""
        if not row.patient_id or row.study_date is None:
            return False
        infusion = self._index.infusion_date(row.patient_id)
        return infusion is not None and row.study_date >= infusion

    def _remember(self, study_instance_uid: str, seen: dict[str, int]) -> None:
        self._seen[study_instance_uid] = seen
        self._seen.move_to_end(study_instance_uid)
        while len(self._seen) > REMEMBERED_STUDIES:
            self._seen.popitem(last=False)


def loop(
    sweeper: Sweeper,
    stop: threading.Event,
    *,
    sweep_every_s: float,
    on_arrivals: Callable[[], None] = lambda: None,
) -> None:
    """Until ``stop``. An index or broker that is away is logged once per pause; the pauses grow to ten seconds."""

    def look() -> int:
        found = sweeper.arrivals()
        on_arrivals()
        return found

    arrivals = Pass("arrivals", look, ARRIVAL_EVERY_S)
    due = Pass("due", sweeper.ring_due, sweep_every_s)
    while not stop.wait(ARRIVAL_EVERY_S / 2):
        arrivals.run()
        due.run()


class Pass:
    """One repeated job with its own back-off, so that a lost broker does not delay arrivals."""

    def __init__(self, name: str, work: Callable[[], int], every_s: float) -> None:
        self._name = name
        self._work = work
        self._pauses = Backoff(every_s, max(LONGEST_PAUSE_S, every_s))
        self._pause_s = every_s
        self._next = 0.0

    def run(self) -> None:
        import time

        if time.monotonic() < self._next:
            return
        try:
            self._work()
            self._pause_s = self._pauses.first_s
        except Exception as error:  # whatever it is, the beat goes on
            self._pause_s = self._pauses.next_s(self._pause_s)
            known = isinstance(error, Transient)
            log.warning("beat.pass_failed", what=self._name, error=brief(error), exc_info=not known)
        self._next = time.monotonic() + self._pause_s


def run(settings: Settings, stop: threading.Event) -> None:
    """The whole beat process: open everything (waiting for what is away), then loop."""
    from workers.arrival.probe import series_kind, slice_position_mm
    from workers.container import SystemClock, open_files, open_index
    from workers.queue.app import CeleryBell, make_app

    url = broker.broker_url(settings)
    index = _patiently(lambda: open_index(settings), stop)
    if index is None:
        return
    probe = SeriesProbe(index, open_files(settings), kind_of=series_kind, position_of=slice_position_mm)
    sweeper = Sweeper(
        index,
        CeleryBell(make_app(url, settings)),
        SystemClock(),
        probe,
        settings,
        broker_epoch=lambda: broker.ping(url),
    )
    log.info("beat.started")
    alive = (
        settings.store.state_dir.absolute() / "run" / "beat.alive"
    )  # its age tells a beat that hangs from one that works
    alive.parent.mkdir(parents=True, exist_ok=True)
    alive.unlink(missing_ok=True)  # of an earlier one, which may have ended long ago
    loop(sweeper, stop, sweep_every_s=settings.queue.sweep_every_s, on_arrivals=alive.touch)


def _patiently(open_it: Callable[[], StudyIndex], stop: threading.Event) -> StudyIndex | None:
    pauses = Backoff(0.5, LONGEST_PAUSE_S)
    pause_s = pauses.first_s
    while not stop.is_set():
        try:
            return open_it()
        except Transient as error:
            log.warning("beat.waiting_for_index", error=str(error))
            stop.wait(pause_s)
            pause_s = pauses.next_s(pause_s)
    return None
