"""What a search works with, and what it says of an archive, as values."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from triage.model import SequenceKind
from workers.audit.spool import Auditor, NoAudit
from workers.files.store import FileStore
from workers.ports import StudyIndex
from workers.prior_settings import PriorSource, PriorsSettings
from workers.priors.archive import Archive

SAID_CANDIDATES = 20  # in the answer that is shown


@dataclass(frozen=True)
class SearchParts:
    """What a search works with. open_archive: connects, until a time.monotonic(); kind_of: what the series of a file
    shows, from its header; note_fetched: a study that was not here comes from an archive, and under which name."""

    index: StudyIndex
    store: FileStore
    settings: PriorsSettings
    latest_days: int
    open_archive: Callable[[PriorSource, float], AbstractContextManager[Archive]]
    kind_of: Callable[[Path], SequenceKind]
    scratch: Path
    audited: Auditor = field(default_factory=NoAudit)
    note_fetched: Callable[[str, str], None] = lambda _uid, _sender: None
    stopping: Callable[[], bool] = lambda: False


@dataclass
class ArchiveAnswer:
    """What an archive said. candidates: JSON types, one for each study it named. patient_id: that it was asked for."""

    patient_id: str = ""
    studies: int = 0
    candidates: list[dict[str, Any]] = field(default_factory=list)
    images: int = 0

    def document(self) -> dict[str, Any]:
        """JSON types."""
        said = {"studies": self.studies, "images": self.images, "candidates": self.candidates[:SAID_CANDIDATES]}
        return {"patient_id": self.patient_id, **said} if self.patient_id else said
