"""Fakes of the ports of the way out (workers/delivery_ports.py)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from workers.delivery_ports import Decided, Delivery, Receipt


class FakeDeliveries:
    """ports.Deliveries in a dictionary.

    It passes the same contract as the SQL one (test_deliveries.py of the index).
    """

    def __init__(self) -> None:
        self._rows: dict[tuple[Decided, str, str], Delivery] = {}
        self._done: set[tuple[Decided, str, str]] = set()

    def plan(self, deliveries: Sequence[Delivery]) -> None:
        for one in deliveries:
            self._rows.setdefault(_key_of(one), one)

    def due(self, *, now: datetime) -> list[Delivery]:
        return [one for one in self._open() if one.due_at <= now]

    def open(self, study_instance_uid: str) -> list[Delivery]:
        return [one for one in self._open() if one.decided.study_instance_uid == study_instance_uid]

    def take(self, delivery: Delivery, *, now: datetime, for_s: float) -> Delivery | None:
        key = _key_of(delivery)
        row = self._rows.get(key)
        if row is None or key in self._done or row.due_at > now:
            return None
        self._rows[key] = replace(row, due_at=now + timedelta(seconds=for_s), attempts=row.attempts + 1)
        return self._rows[key]

    def done(self, delivery: Delivery, *, now: datetime) -> None:
        self._done.add(_key_of(delivery))

    def failed(self, delivery: Delivery, *, reason: str, due_at: datetime) -> None:
        key = _key_of(delivery)
        if key not in self._done:
            self._rows[key] = replace(self._rows[key], failure=reason, due_at=due_at)

    def _open(self) -> list[Delivery]:
        left = [one for key, one in self._rows.items() if key not in self._done]
        return sorted(left, key=lambda one: (one.due_at, one.decided.study_instance_uid, one.output, one.destination))


def _key_of(one: Delivery) -> tuple[Decided, str, str]:
    return one.decided, one.output, one.destination


class FakeDestination:
    """Keeps what it was sent, the same thing once. fault: every sending raises it."""

    def __init__(self) -> None:
        self.got: list[tuple[Delivery, str, str, bytes]] = []
        self.fault: Exception | None = None
        self.closed = 0

    def send(self, delivery: Delivery, file_name: str, media_type: str, content: bytes) -> Receipt:
        if self.fault is not None:
            raise self.fault
        self.got.append((delivery, file_name, media_type, content))
        return Receipt("kept", len(content))

    def close(self) -> None:
        self.closed += 1
