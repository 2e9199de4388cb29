"""The beat: looks at arriving studies and rings for due ones, again and again. It is a process of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial

from triage.errors import Transient
from workers.arrival.probe import SeriesProbe
from workers.arrival.sweeper import Sweeper
from workers.backoff import Backoff
from workers.heartbeat import Heartbeat, heartbeat_file
from workers.log import brief, get_logger
from workers.ports import StudyIndex
from workers.queue import broker
from workers.queue.rings import DueRinger
from workers.settings import NodeSettings
from workers.studies.reconsider import reconsider
from workers.studies.rejections import KnownNotes
from workers.studies.slow_notes import SlowNotes
from workers.studies.urgency import is_small, is_urgent

log = get_logger(__name__)

ARRIVAL_EVERY_S = 0.2
RECONSIDER_EVERY_S = 2.0
LONGEST_PAUSE_S = 10.0


def loop(
    sweeper: Sweeper,
    ringer: DueRinger,
    stop: threading.Event,
    *,
    sweep_every_s: float,
    on_arrivals: Callable[[], None] = lambda: None,
    reconsidering: Callable[[], int] = lambda: 0,
    paused: Callable[[], bool] = lambda: False,
) -> None:
    """Until ``stop``. An index or broker that is away is logged once per pause; the pauses grow to ten seconds.

    Nothing is begun while ``paused``: what is known of the studies is not complete yet.
    """

    def look() -> int:
        found = sweeper.arrivals()
        on_arrivals()
        return found

    arrivals = Pass("arrivals", look, ARRIVAL_EVERY_S)
    due = Pass("due", ringer.ring_due, sweep_every_s)
    facts = Pass("facts", reconsidering, RECONSIDER_EVERY_S)
    while not stop.wait(ARRIVAL_EVERY_S / 2):
        if paused():
            on_arrivals()
            continue
        arrivals.run()
        due.run()
        facts.run()


class Pass:
    """One repeated job with its own back-off, so that a lost broker does not delay arrivals."""

    def __init__(self, name: str, work: Callable[[], int], every_s: float) -> None:
        self._name = name
        self._work = work
        self._pauses = Backoff(every_s, max(LONGEST_PAUSE_S, every_s))
        self._pause_s = every_s
        self._next = 0.0

    def run(self) -> None:
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


def run(settings: NodeSettings, stop: threading.Event) -> None:
    """The whole beat process: open everything (waiting for what is away), then loop."""
    from workers.arrival.header_process import HeaderProcess
    from workers.files.facts import FactFolder
    from workers.files.store import open_files
    from workers.index.index_clock import clock_of
    from workers.index.node_index import open_node_index
    from workers.index.order_priorities import priorities_of_orders
    from workers.index.rebuilding import is_rebuilding
    from workers.queue.bell import CeleryBell, make_app

    url, headers = broker.broker_url(settings), HeaderProcess()
    alive = Heartbeat(heartbeat_file(settings.store.state_dir, "beat"))
    index = _patiently(lambda: open_node_index(settings), stop, alive.beat)
    if index is None:
        alive.end()
        return
    files = open_files(settings)
    probe = SeriesProbe(index, files, kind_of=headers.kind_of, position_of=headers.position_of)
    bell, clock, sweep_every_s = CeleryBell(make_app(url, settings)), clock_of(settings), settings.queue.sweep_every_s
    slow = SlowNotes(FactFolder(settings.store.files_dir), lambda uid: index.requeue(uid, now=clock.now()))
    notes = KnownNotes(lambda one: headers.rejection_note(files.path(one)), slow)
    urgent = partial(is_urgent, index=index, orders=priorities_of_orders(settings))
    small = partial(is_small, index=index)
    sweeper = Sweeper(index, bell, clock, probe, settings.arrival, urgent=urgent, small=small, alive=alive.beat)
    ringer = DueRinger(
        index,
        bell,
        clock,
        first_pause_s=2 * sweep_every_s,
        lease_s=settings.queue.lease_s,
        broker_epoch=lambda: broker.ping(url),
        urgent=urgent,
        alive=alive.beat,
    )
    log.info("beat.started")
    headers.start()
    try:
        loop(
            sweeper,
            ringer,
            stop,
            sweep_every_s=sweep_every_s,
            on_arrivals=alive.beat,
            reconsidering=lambda: reconsider(index, bell, clock, alive=alive.beat, read=notes),
            paused=partial(is_rebuilding, settings.store.files_dir),
        )
    finally:
        headers.close()
        alive.end()


def _patiently(
    open_it: Callable[[], StudyIndex], stop: threading.Event, waiting: Callable[[], None]
) -> StudyIndex | None:
    pauses = Backoff(0.5, LONGEST_PAUSE_S)
    pause_s = pauses.first_s
    while not stop.is_set():
        waiting()
        try:
            return open_it()
        except Transient as error:
            log.warning("beat.waiting_for_index", error=str(error))
            stop.wait(pause_s)
            pause_s = pauses.next_s(pause_s)
    return None
