"""The ports of the way out: what is planned for whom, and who takes it. One fake per port stands in
tests/fakes_deliveries.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True)
class Decided:
    """The key of one stored decision."""

    study_instance_uid: str
    revision: int
    stage: str


@dataclass(frozen=True)
class Delivery:
    """One output of one decision for one destination; the first three fields are its key. due_at: UTC."""

    decided: Decided
    output: str
    destination: str
    due_at: datetime
    attempts: int = 0
    failure: str | None = None


class Deliveries(Protocol):
    """What goes where, and what has arrived there. Every method is one transaction and may raise errors.Transient."""

    def plan(self, deliveries: Sequence[Delivery]) -> None:
        """Insert; one that was planned before stays as it is."""

    def due(self, *, now: datetime) -> list[Delivery]:
        """Not done, due_at passed; the longest due first."""

    def take(self, delivery: Delivery, *, now: datetime, for_s: float) -> Delivery | None:
        """Compare-and-set: a due one is put off by for_s, attempts + 1. None: somebody else took it, or it is done."""

    def done(self, delivery: Delivery, *, now: datetime) -> None:
        """The destination has it; it is never due again."""

    def failed(self, delivery: Delivery, *, reason: str, due_at: datetime) -> None:
        """To be tried again at due_at."""

    def open(self, study_instance_uid: str) -> list[Delivery]:
        """Those of the study that are not done."""


@dataclass(frozen=True)
class Receipt:
    """What the receiver said about something that it took. text: for the row, without patient data."""

    text: str
    size_bytes: int = 0


class Destination(Protocol):
    """Takes rendered outputs. A process may die between sending and noting it: the same delivery may come twice, with
    the same bytes."""

    def send(self, delivery: Delivery, file_name: str, media_type: str, content: bytes) -> Receipt:
        """Return when the other side has it.

        Raises:
            DeliveryRejected: the receiver says no to this object; it is not tried again (workers/deliveries/errors.py).
            Unreachable: it is tried again.
        """

    def close(self) -> None:
        """Nothing more comes for the study at hand: let go of connections. ``send`` may be called again."""
