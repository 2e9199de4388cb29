"""How long to wait between attempts: a failure count, or the last pause, in; seconds out."""

from __future__ import annotations

from dataclasses import dataclass

MOST_STEPS = 60  # beyond it a power is of no use and may overflow


@dataclass(frozen=True)
class Backoff:
    """Pauses that grow. first_s: the first one.

    longest_s: none is longer after growth. factor: from one to the next.
    """

    first_s: float
    longest_s: float
    factor: float = 2.0

    def pause_s(self, failures: int) -> float:
        """The pause after ``failures`` failures before this one."""
        return min(self.first_s * self.factor ** min(failures, MOST_STEPS), self.longest_s)

    def next_s(self, pause_s: float) -> float:
        """The pause that follows one of ``pause_s``."""
        return min(self.factor * pause_s, self.longest_s)
