"""``icansee`` with a clock that a file sets: ``python -m bench.deliveries.shifted FILE deliver ...``.

The file holds seconds that are added to the clock. The system's own clock is shared with everything else here.
"""

from __future__ import annotations

import sys
from datetime import datetime, timedelta
from pathlib import Path

from listener.commands.main import main
from workers.clock import SystemClock
from workers.index import index_clock


class ShiftedClock(SystemClock):
    """The system's clock, and what the file says."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=float(self._file.read_text(encoding="utf-8") or 0))


if __name__ == "__main__":
    clock = ShiftedClock(Path(sys.argv.pop(1)))
    index_clock.SystemClock = lambda: clock  # type: ignore[assignment, misc]
    main()
