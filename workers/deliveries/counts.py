"""How often something went wrong with each delivery, while the process runs.

The row counts all attempts. Whether a delivery itself is at fault shows only in some of them: those in an outage of the
destination do not count.
"""

from __future__ import annotations

from collections import OrderedDict

from workers.delivery_ports import Delivery

REMEMBERED = 10_000  # deliveries; then the one that failed longest ago is forgotten


class FailureCounts:
    """Of one destination. A delivery that a person has tried again begins anew."""

    def __init__(self) -> None:
        self._found: OrderedDict[int, tuple[int, int]] = OrderedDict()
        self._answers = 0

    def answered(self) -> None:
        """The destination is there: it took or refused something."""
        self._answers += 1

    def more(self, delivery: Delivery, *, before: int = 0) -> int:
        """One more, and how many that are.

        Args:
            delivery: as it was taken; its attempts count the present one.
            before: how many there were of one that is not known here, e.g. before a restart.
        """
        failures, _ = self._found.pop(delivery.number, (before, 0))
        return self._kept(delivery, failures + 1 if delivery.attempts > 1 else 1)

    def more_since_answer(self, delivery: Delivery, *, alone: bool) -> int:
        """The same; it counts only when the destination answered something since the last failure of this delivery.

        Args:
            alone: the destination took what came before. The first failure of a delivery counts only then.
        """
        known = self._found.pop(delivery.number, None) if delivery.attempts > 1 else None
        if known is None:
            return self._kept(delivery, int(alone))
        return self._kept(delivery, known[0] + (known[1] < self._answers))

    def _kept(self, delivery: Delivery, failures: int) -> int:
        self._found[delivery.number] = failures, self._answers
        while len(self._found) > REMEMBERED:
            self._found.popitem(last=False)
        return failures
