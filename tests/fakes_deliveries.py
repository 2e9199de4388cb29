"""Fakes of the ports of the way out (workers/delivery_ports.py)."""

from __future__ import annotations

from collections.abc import Callable

from workers.delivery_ports import Delivery, Receipt


class FakeDestination:
    """Keeps what it was sent, the same thing once. fault: every sending raises it. before: what happens meanwhile."""

    def __init__(self) -> None:
        self.got: list[tuple[Delivery, str, str, bytes]] = []
        self.fault: Exception | None = None
        self.before: Callable[[], object] = lambda: None
        self.closed = 0

    def send(self, delivery: Delivery, file_name: str, media_type: str, content: bytes) -> Receipt:
        self.before()
        if self.fault is not None:
            raise self.fault
        self.got.append((delivery, file_name, media_type, content))
        return Receipt("kept", len(content))

    def close(self) -> None:
        self.closed += 1
