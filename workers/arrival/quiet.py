"""What arrives looked at again and again, since when nothing came of it out: in seconds of this process.

A received time is of the clock of the host that received, which may be apart from ours, and every clock may be set.
Only at the first look of a process it is believed, because nothing else is known then.
"""

from __future__ import annotations

from collections.abc import Hashable


class QuietTimes:
    """Since when a study, or a series of it, has not changed."""

    def __init__(self) -> None:
        self._since: dict[str, dict[str, tuple[Hashable, float]]] = {}
        self._now_s: float | None = None
        # study -> the last time at which it was looked at, or at which it was not there yet; None: nobody knows
        self._looked_s: dict[str, float | None] = {}

    def look(self, elapsed_s: float, *, only: set[str]) -> None:
        """A look begins; what it remembers of other studies is dropped.

        Args:
            elapsed_s: see ports.Clock.
        """
        before_s, self._now_s = self._now_s, elapsed_s
        self._since = {study: known for study, known in self._since.items() if study in only}
        self._looked_s = {study: self._looked_s.get(study, before_s) for study in only}

    def quiet_s(self, study: str, part: str, mark: Hashable, *, stated_s: float) -> float:
        """Seconds since ``mark`` is what it is.

        Args:
            part: of the study; empty: all of it.
            mark: changes with every image.
            stated_s: what the clocks say. What changed since the last look cannot be quiet for longer than that.
        """
        now_s = self._now_s or 0.0
        parts = self._since.setdefault(study, {})
        known = parts.get(part)
        if known is None or known[0] != mark:
            looked_s = self._looked_s.get(study)
            most_s = stated_s if looked_s is None else min(stated_s, now_s - looked_s)
            known = parts[part] = (mark, now_s - max(most_s, 0.0))
        return now_s - known[1]

    def looked(self, study: str) -> None:
        """All parts of the study were looked at in this look."""
        self._looked_s[study] = self._now_s
