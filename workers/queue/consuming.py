"""Whether a worker takes what waits for it.

Celery may go on without consuming after it lost its broker: its loop turns, its children live, and nothing is taken any
more (celery issues 8030, 10302).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from celery import Celery, bootsteps, signals
from celery.worker import state

from workers.heartbeat import SILENT_S
from workers.log import get_logger
from workers.queue.broker import client, waiting_in
from workers.queue.pool_life import MAIN_LOOP

log = get_logger(__name__)

LOOK_S = 10.0
ASK_S = 2.0  # the broker is on this machine, or near
STUCK_S = 2 * SILENT_S
ENDED = 70  # the exit code; whoever looks after the node starts another worker


class Consuming:
    """Messages wait, and the worker does nothing: for longer than ``STUCK_S`` it is stuck.

    Args:
        monotonic: seconds that only go forward.
    """

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._idle_since: float | None = None

    def is_stuck(self, *, active: int, waiting: int) -> bool:
        """active: tasks in work. waiting: messages that nobody has taken."""
        now = self._monotonic()
        if active or not waiting:
            self._idle_since = None
            return False
        self._idle_since = now if self._idle_since is None else self._idle_since
        return now - self._idle_since > STUCK_S


def watch_consuming(app: Celery, queues: Sequence[str]) -> None:
    """Have a worker that is stuck end itself.

    Args:
        queues: those that it takes from.
    """
    seen = Consuming()
    ready: list[bool] = []
    options = app.conf.broker_transport_options
    keys = [name + (f"{options['sep']}{step}" if step else "") for name in queues for step in options["priority_steps"]]
    broker = client(app.conf.broker_url, timeout_s=ASK_S)

    @signals.worker_ready.connect(weak=False)  # type: ignore[untyped-decorator]
    def begin(**_kwargs: Any) -> None:
        ready.append(True)

    def look() -> None:
        active = len(state.active_requests)
        waiting = 0 if active else waiting_in(broker, keys)  # who works need not ask
        if ready and seen.is_stuck(active=active, waiting=waiting):
            log.error("worker.takes_nothing", seconds=STUCK_S, waiting=waiting)
            state.should_terminate = ENDED

    class Look(bootsteps.StartStopStep):  # type: ignore[misc] # celery has no types
        requires = frozenset({MAIN_LOOP})

        def start(self, worker: Any) -> None:
            worker.timer.call_repeatedly(LOOK_S, look, priority=10)

    app.steps["worker"].add(Look)
