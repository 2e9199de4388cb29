"""Content that came under a known SOP Instance UID: files of the conflicts folder in, rows of the index out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from triage.errors import Rejected
from workers.files import FileStore
from workers.log import get_logger
from workers.ports import ConflictRow
from workers.rows import read_conflict

log = get_logger(__name__)


class ConflictWatch:
    """Records what lies in the conflicts folder. The folder is the record: after a crash, or with a new index, the rows
    are written again.

    Args:
        store: whose folder it is.
        record: writes rows, idempotent; may raise Transient.
    """

    def __init__(self, store: FileStore, record: Callable[[Sequence[ConflictRow]], None]) -> None:
        self._store, self._record = store, record
        self._known: set[str] = set()

    def look(self) -> int:
        """Record what is new; how many."""
        new = [path for path in self._store.conflicts.glob("*.dcm") if path.name not in self._known]
        rows = []
        for path in new:
            try:
                rows.append(read_conflict(path))
            except (Rejected, OSError) as error:
                log.warning("store.conflict_not_readable", error=type(error).__name__)
        if rows:
            self._record(rows)
        self._known.update(path.name for path in new)
        return len(rows)
