"""The index, opened when it is first needed: objects are received while it is away."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from workers.announcements import Announcement, Source
from workers.ports import ConflictRow, InstanceRow, StudyRow
from workers.settings import NodeSettings

if TYPE_CHECKING:
    from workers.index.node_index import NodeIndex


class LazyIndex:
    """What the listener needs of the index. Every method may raise errors.Transient."""

    def __init__(self, settings: NodeSettings) -> None:
        self._settings, self._lock = settings, threading.Lock()
        self._index: NodeIndex | None = None

    def opened(self) -> NodeIndex:
        """The whole index."""
        with self._lock:
            if self._index is None:
                # here, because not every receiving child needs it
                from workers.index.node_index import open_node_index

                self._index = open_node_index(self._settings)
            return self._index

    def verify(self) -> None:
        """Look through the whole index once; a damaged one is replaced."""
        self.opened().verify()

    def restore(self, files_dir: Path, since: int | None) -> int:
        """Bring back what is stored beside the images (workers.studies.restore); how much of it cannot be read now."""
        from listener.door.restoring import restore_apart
        from workers.studies.restore import restore

        apart = partial(restore_apart, self._settings, files_dir, since)
        return restore(self.opened(), files_dir, since, apart=apart).unread

    def record_instances(self, rows: Sequence[InstanceRow]) -> None:
        self.opened().record_instances(rows)

    def paths_under(self, prefix: str) -> dict[str, int]:
        return self.opened().paths_under(prefix)

    def put_announcement(self, announcement: Announcement, *, now: datetime) -> None:
        self.opened().put_announcement(announcement, now=now)

    def announcement(self, source: Source, uid: str) -> Announcement | None:
        return self.opened().announcement(source, uid)

    def record_conflicts(self, rows: Sequence[ConflictRow]) -> None:
        self.opened().record_conflicts(rows)

    def studies(self, *, limit: int = 500) -> list[StudyRow]:
        return self.opened().studies(limit=limit)
