"""A clinical system says that a study was read: its escalation stops."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from workers.deliveries.escalation import acknowledge
from workers.delivery_ports import Deliveries
from workers.feeds.facts import ReadingReported
from workers.log import get_logger, study_hash

log = get_logger(__name__)


@dataclass(frozen=True)
class StopsEscalation:
    """See workers.feeds.apply.Readings."""

    deliveries: Deliveries
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def __call__(self, reading: ReadingReported, source: str) -> None:
        """Acknowledge the studies that the message means; a study that is not here is nobody's fault.

        Raises:
            Transient: the index is away.
        """
        meant = self.deliveries.studies_meant(reading.study_instance_uid, reading.numbers, reading.patients)
        for uid in meant:
            by = f"{source} ({reading.sign})"
            number = acknowledge(self.deliveries, uid, by=by, now=self.now())
            log.info("escalation.acknowledged", study=study_hash(uid), source=source, sign=reading.sign, stopped=number)
        if not meant:
            log.info("escalation.study_unknown", source=source, sign=reading.sign)
