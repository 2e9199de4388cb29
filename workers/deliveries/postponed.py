"""What could not be planned, and until when it waits by itself, so that nothing behind it waits, too."""

from __future__ import annotations

from collections.abc import Hashable

from workers.backoff import Backoff

PAUSES = Backoff(0.5, 10.0)
KEPT_S = 60.0  # after its pause: whatever nobody asks for again for that long was planned elsewhere, or is gone


class Postponed:
    """Keys that wait. Used by one thread; it lasts as long as the process.

    now_s: seconds that only go forward.
    """

    def __init__(self) -> None:
        self._until: dict[Hashable, tuple[float, float]] = {}  # key -> when its pause ends, and the pause

    def waiting(self, now_s: float) -> frozenset[Hashable]:
        """Those whose pause goes on."""
        self._until = {key: one for key, one in self._until.items() if now_s < one[0] + KEPT_S}
        return frozenset(key for key, (until_s, _) in self._until.items() if now_s < until_s)

    def put(self, key: Hashable, now_s: float, *, grows: bool = True) -> None:
        """It could not be planned. grows: after each failure the pause is longer."""
        before = self._until.get(key)
        pause_s = PAUSES.first_s if before is None or not grows else PAUSES.next_s(before[1])
        self._until[key] = (now_s + pause_s, pause_s)

    def end(self, key: Hashable) -> None:
        """It is planned."""
        self._until.pop(key, None)
