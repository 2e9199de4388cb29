"""The Celery tasks: a ring in, one call of a use case out."""

from __future__ import annotations

import os
import resource
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from celery import Celery, Task, signals
from celery.exceptions import TimeLimitExceeded

from triage.errors import Transient
from workers.log import get_logger
from workers.queue.bell import ASSESS_STUDY, PREPARE_BASELINE
from workers.queue.machine_memory import memory_of_group
from workers.studies import assess as usecases
from workers.studies.deps import Deps
from workers.studies.prepare_ahead import prepare_ahead

log = get_logger(__name__)

# of a container's memory; the rest is for the other processes of a node, which take 1.5 GB
SHARE_OF_GROUP = 0.55


class DepsOfProcess:
    """The parts of this process: opened at first use, and again in a forked child."""

    def __init__(self, open_deps: Callable[[], Deps]) -> None:
        self._open = open_deps
        self._lock = threading.Lock()
        self._opened: tuple[int, Deps] | None = None

    def __call__(self) -> Deps:
        with self._lock:
            if self._opened is None or self._opened[0] != os.getpid():
                self._opened = (os.getpid(), self._open())
            return self._opened[1]


def owner_of(task_id: str) -> str:
    """The name of a task in a lease; the same in the pool child and in its parent."""
    return f"{socket.gethostname()}:{task_id}"


def register(
    app: Celery, open_deps: Callable[[], Deps], *, memory_bytes: int | None = None, limit_s: float | None = None
) -> None:
    """
    Args:
        memory_bytes: what a pool child may take; None: no limit.
        limit_s: time of a task, for the reason of one that was ended; None: Celery's limit.
    """
    deps = DepsOfProcess(open_deps)

    class StudyTask(Task):  # type: ignore[misc] # celery has no types
        # Celery's signature
        def on_failure(self, exc: BaseException, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:  # noqa: ARG002
            """Runs in the parent when a child was ended at the hard time limit: nobody else is left to record it."""
            if isinstance(exc, TimeLimitExceeded):
                _record_loss(str(args[0]), deps, task_id, f"no result within {limit_s or app.conf.task_time_limit:g} s")

    @app.task(name=ASSESS_STUDY, base=StudyTask, bind=True, shared=False)  # type: ignore[untyped-decorator]
    def assess_study(self: Task, study_instance_uid: str) -> None:
        try:
            usecases.assess_study(study_instance_uid, deps(), owner=owner_of(self.request.id))
        except Transient as error:
            log.warning("task.put_off", error=str(error))  # the row stays due: the sweeper rings again

    @app.task(name=PREPARE_BASELINE, shared=False)  # type: ignore[untyped-decorator]
    def prepare_baseline(study_instance_uid: str) -> None:
        prepare_ahead(study_instance_uid, deps())

    @signals.worker_process_init.connect(weak=False)  # type: ignore[untyped-decorator]
    def warm_up(**_kwargs: Any) -> None:
        """Load the heavy libraries and the atlas before the first study comes, not while it waits."""
        limit_memory(memory_bytes)
        try:
            deps().engine.warm_up()
        except Exception:
            log.exception("worker.warm_up_failed")


def limit_memory(memory_bytes: int | None) -> None:
    """Bound what this process may allocate: one study must not take the memory of the machine, or of the container.
    When there is none left, the kernel ends this process first, not the listener; it cannot say then over which study.
    """
    memory_bytes = within_group(memory_bytes, memory_of_group())
    if memory_bytes is not None:
        # not the address space: libraries and thread stacks reserve more of it than they use
        resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500", encoding="ascii")


def within_group(memory_bytes: int | None, group_bytes: int | None) -> int | None:
    """The limit that is wanted, or the share of a container that is smaller."""
    if memory_bytes is None or group_bytes is None:
        return memory_bytes
    return min(memory_bytes, int(SHARE_OF_GROUP * group_bytes))


def _record_loss(study_instance_uid: str, deps: DepsOfProcess, task_id: str, reason: str) -> None:
    try:
        usecases.task_lost(study_instance_uid, deps(), owner=owner_of(task_id), reason=reason)
    except Exception:
        log.exception("task.loss_not_recorded")  # the lease runs out by itself
