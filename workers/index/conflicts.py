"""Content that came under a known SOP Instance UID: files of the conflicts folder in, rows of the index out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from triage.errors import Rejected
from workers.files.index_rows import read_conflict
from workers.files.store import FileStore
from workers.listing import files_in
from workers.log import brief, get_logger
from workers.ports import ConflictRow

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
        self._not_given: set[str] = set()

    def look(self) -> int:
        """Record new files. Returns how many.

        Raises:
            OSError: the folder cannot be read now.
        """
        new = [path for path in files_in(self._store.conflicts, ending=".dcm") if path.name not in self._known]
        rows, looked_at = [], set()
        for path in new:
            try:
                rows.append(read_conflict(self._store.root, path))
            except FileNotFoundError:
                continue
            except OSError as error:  # the next look tries again; the log gets one line
                if path.name not in self._not_given:
                    log.error("store.conflict_not_readable", error=brief(error))
                self._not_given.add(path.name)
                continue
            except Rejected as error:
                log.warning("store.conflict_not_readable", error=brief(error))
            looked_at.add(path.name)
        if rows:
            self._record(rows)
        self._known |= looked_at
        return len(rows)
