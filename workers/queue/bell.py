"""Broker URL in, the Celery app without its tasks out, JSON only; and the bell that rings through it.

The beat rings and measures nothing: what this file imports, it pays for.
"""

from __future__ import annotations

from celery import Celery
from kombu.exceptions import KombuError, OperationalError

from triage.errors import Transient
from workers.settings import NodeSettings

# names of tasks are stable: they stand in the broker's messages
ASSESS_STUDY = "icansee.assess_study"
PREPARE_BASELINE = "icansee.prepare_baseline"
QUEUE = "icansee"
WAITED_QUEUE = "icansee.waited"  # what has waited for long; every worker but the urgent one takes from it first
URGENT_QUEUE = "icansee.urgent"  # every worker takes from it, and the urgent worker takes from nothing else
# A pool child loads the libraries before it says that it is there; after Celery's 4 s a busy machine kills each new one
CHILD_STARTS_S = 60.0
# 0 is the highest priority on Redis
URGENT, ORDINARY, SMALL, WHEN_IDLE = 0, 5, 7, 9


def make_app(url: str, settings: NodeSettings) -> Celery:
    """The Celery app without its tasks; enough to ring.

    The figures behind the settings: a killed pool child is lost without ``task_reject_on_worker_lost``; priorities
    merge without ten steps; unacknowledged tasks come back after minutes with the default restore interval. The index
    makes repeats harmless.
    """
    app = Celery("icansee", broker=url, set_as_current=False)
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        result_serializer="json",
        result_backend=None,
        task_ignore_result=True,
        task_default_queue=QUEUE,
        task_default_priority=ORDINARY,
        task_queue_max_priority=None,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_acks_on_failure_or_timeout=True,  # failures are recorded in the index, by us
        task_time_limit=settings.queue.task_wall_limit_s,
        task_create_missing_queues=True,
        task_publish_retry=False,  # a ring that fails is rung again by the sweeper
        worker_prefetch_multiplier=1,
        worker_proc_alive_timeout=CHILD_STARTS_S,
        # the lease protects running work, also without a broker
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_send_task_events=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_connection_timeout=5,
        broker_transport_options={
            "visibility_timeout": 120,
            "unacked_restore_interval": 5,
            "unacked_restore_throttle": 1,
            "priority_steps": list(range(10)),
            "sep": ":",
            "queue_order_strategy": "priority",
            "socket_timeout": 30,
            "socket_connect_timeout": 5,
            "socket_keepalive": True,
            "health_check_interval": 25,
        },
        timezone="UTC",
        enable_utc=True,
    )
    return app


class CeleryBell:
    """Rings workers through the broker."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    def ring(self, study_instance_uid: str, *, urgent: bool = False, waited: bool = False, small: bool = False) -> None:
        """Raises:
        Transient: the broker is away; the study stays due in the index, and the sweeper rings again.
        """
        if waited:
            self._send(ASSESS_STUDY, study_instance_uid, URGENT, queue=WAITED_QUEUE)
        elif urgent:
            self._send(ASSESS_STUDY, study_instance_uid, URGENT, queue=URGENT_QUEUE)
        else:
            self._send(ASSESS_STUDY, study_instance_uid, SMALL if small else ORDINARY)

    def prepare_later(self, study_instance_uid: str) -> None:
        """Have a baseline prepared after every study that waits for its decision.

        Raises:
            Transient: the broker is away; the follow-up then prepares its baseline itself.
        """
        self._send(PREPARE_BASELINE, study_instance_uid, WHEN_IDLE)

    def _send(self, task: str, study_instance_uid: str, priority: int, *, queue: str = QUEUE) -> None:
        # A connection for each ring, not the app's pool: a pool that met a dead broker once stays closed for ever,
        # and the studies behind it would never be rung for. Rings are few; a local connection costs a millisecond.
        try:
            with self._app.connection_for_write() as connection:
                self._app.send_task(
                    task, args=[study_instance_uid], queue=queue, priority=priority, connection=connection
                )
        except (KombuError, OperationalError, OSError) as error:
            raise Transient(f"the broker does not take the ring: {type(error).__name__}") from error
