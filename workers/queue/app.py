"""Broker URL in, the Celery app with its tasks out: late acknowledgement, one task per child at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from celery import Celery, signals

from workers.config import Settings
from workers.queue import tasks
from workers.queue.bell import QUEUE, URGENT_QUEUE, WAITED_QUEUE, make_app
from workers.queue.consuming import watch_consuming
from workers.queue.pool_growth import grow_when_busy
from workers.queue.pool_life import PoolLife, watch_pool
from workers.queue.priority import stand_back
from workers.queue.time_limit import limit_tasks
from workers.studies.deps import Deps


def make_worker_app(url: str, settings: Settings, open_deps: Callable[[], Deps]) -> Celery:
    """The app with the tasks. ``open_deps`` is called once per pool child, after the fork."""
    app = make_app(url, settings)
    limits = settings.queue
    tasks.register(app, open_deps, memory_bytes=limits.worker_memory_bytes, limit_s=limits.task_time_limit_s)
    return app


def run_worker(app: Celery, settings: Settings, *, only_urgent: bool = False) -> None:
    """Work until SIGTERM (which lets running tasks end), at a lower priority than the other processes of the node.

    Args:
        only_urgent: one process for urgent studies, which then wait for no other study; more when all of them are busy
            and another one waits (``queue.urgent_more``). Its priority is that of the others.
    """
    if not only_urgent:
        stand_back()
    processes = 1 if only_urgent else settings.queue.worker_processes
    queues = (URGENT_QUEUE,) if only_urgent else (WAITED_QUEUE, URGENT_QUEUE, QUEUE)  # the first one first

    @signals.setup_logging.connect(weak=False)  # type: ignore[untyped-decorator]
    def keep_our_logging(**_: Any) -> None:
        """A receiver here is what stops Celery from setting up its own."""

    if only_urgent:
        grow_when_busy(app, URGENT_QUEUE, settings.queue.urgent_more)
    limit_tasks(app, settings.queue.task_time_limit_s)
    watch_pool(app, PoolLife(settings.store.state_dir, "urgent" if only_urgent else "worker"))
    watch_consuming(app, queues)
    app.worker_main(
        [
            "--quiet",  # no banner
            "worker",
            f"--concurrency={processes}",
            "--pool=prefork",
            "--without-gossip",
            "--without-mingle",
            "--without-heartbeat",
            "--loglevel=WARNING",
            f"--queues={','.join(queues)}",
        ]
    )
