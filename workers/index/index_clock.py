"""The settings of a node in, its clock out: several hosts that share a database go by the clock of the database.

Their own clocks may be a minute apart. The lease of one would then be over for another the moment it is written.
"""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

from triage.errors import Transient
from workers.clock import SystemClock
from workers.index.connected import Connected
from workers.index.schema import open_engine
from workers.log import get_logger
from workers.ports import Clock
from workers.settings import NodeSettings

log = get_logger(__name__)

ASK_EVERY_S = 30.0  # a quartz drifts by a millisecond in that time
ASK_AGAIN_S = 5.0  # while the database is away
WORTH_SAYING_S = 2.0
MACHINE = SystemClock()


def clock_of(settings: NodeSettings) -> Clock:
    """The clock for leases and due times of this node."""
    url = settings.index_url
    return IndexClock(Connected(open_engine(url))) if url.startswith("postgresql") else SystemClock()


class IndexClock(SystemClock):
    """The time of the database, asked now and then; in between, and while the database is away, it goes on by itself.
    Until the database has answered once it is the machine's clock. Safe to share between threads.

    Args:
        machine: the machine's clock.
    """

    def __init__(self, database: Connected, *, machine: Clock = MACHINE) -> None:
        self._database, self._machine = database, machine
        self._lock = threading.Lock()
        self._said: tuple[datetime, float] | None = None  # the time, and when it was so
        self._ask_at_s = 0.0

    def now(self) -> datetime:
        with self._lock:
            if self.elapsed_s() >= self._ask_at_s:
                self._ask()
            if self._said is None:
                return self._machine.now()
            return self._said[0] + timedelta(seconds=self.elapsed_s() - self._said[1])

    def _ask(self) -> None:
        begun_s = self.elapsed_s()
        try:
            said = self._database.time()
        except Transient:
            self._ask_at_s = self.elapsed_s() + ASK_AGAIN_S
            return
        # it was so about half-way between question and answer
        now_s = self.elapsed_s()
        first, self._said = self._said is None, (said, (begun_s + now_s) / 2)
        self._ask_at_s = now_s + ASK_EVERY_S
        apart_s = (said - self._machine.now()).total_seconds()
        if first and abs(apart_s) > WORTH_SAYING_S:
            log.warning("clock.apart", seconds=round(apart_s, 1), remedy="synchronise the clocks of the hosts (NTP)")
