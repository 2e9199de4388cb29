"""Studies that arrive or wait in, the priorities of their orders in the index out: asked of the modality worklist.

The beat reads them from the index: it waits for no worklist.
"""

from __future__ import annotations

from collections.abc import Callable

from workers.log import get_logger, study_hash
from workers.ports import Clock, StudyIndex, StudyRow
from workers.prior_ports import OrderPriorities

log = get_logger(__name__)

MOST_ASKED = 20  # in one look; each costs at most the timeout of the worklist


class OrderLook:
    """``look`` again and again.

    Args:
        ask: a study -> the priority of its order, empty when the order says none or is not there; None: the worklist is
            away.
    """

    def __init__(
        self, index: StudyIndex, orders: OrderPriorities, clock: Clock, ask: Callable[[StudyRow], str | None]
    ) -> None:
        self._index, self._orders, self._clock, self._ask = index, orders, clock, ask
        self._failed: dict[str, int] = {}
        """Study -> how often the worklist did not answer for it. Those have their turn after the others."""

    def look(self) -> int:
        """Ask for every study that nobody asked for; how many were answered.

        Raises:
            Transient: the index is away.
        """
        rows = [*self._index.receiving(), *self._index.due(now=self._clock.now())]
        known = self._orders.priorities([row.study_instance_uid for row in rows])
        wanted = [row for row in rows if row.study_instance_uid not in known and row.accession_number + row.patient_id]
        self._failed = {one.study_instance_uid: self._failed.get(one.study_instance_uid, 0) for one in wanted}
        wanted.sort(key=lambda one: self._failed[one.study_instance_uid])
        answered = 0
        for row in wanted[:MOST_ASKED]:
            priority = self._ask(row)
            if priority is None:
                self._failed[row.study_instance_uid] += 1
                break
            self._orders.put_priority(row.study_instance_uid, priority, now=self._clock.now())
            log.info("worklist.priority", study=study_hash(row.study_instance_uid), priority=priority or "none")
            answered += 1
        return answered
