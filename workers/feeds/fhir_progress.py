"""How far a FHIR server was read, on the disk."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Cursor:
    """How far one kind was read. since: lastUpdated of the newest one, empty at first; at: those of that time."""

    since: str = ""
    at: tuple[str, ...] = ()


@dataclass(frozen=True)
class FhirProgress:
    """What the node remembers of a server. failed: reference -> why it could not be read."""

    cursors: Mapping[str, Cursor] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)


class ProgressFile:
    """FhirProgress on the disk."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> FhirProgress:
        try:
            read = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return FhirProgress()
        cursors = {kind: Cursor(one["since"], tuple(one["at"])) for kind, one in read["cursors"].items()}
        return FhirProgress(cursors, read["failed"])

    def write(self, progress: FhirProgress) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = self._path.with_suffix(".tmp")
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(asdict(progress), file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)

    def start_again(self) -> None:
        """Read everything again at the next poll."""
        self._path.unlink(missing_ok=True)
