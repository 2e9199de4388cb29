"""A stored decision in, its document and its evidence out, for the renderers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from triage.errors import Transient
from workers.delivery_ports import Decided
from workers.outputs.output import EvidenceFiles
from workers.ports import Clock, StudyIndex

FILES_WITHIN_S = 120.0  # a decision without files after this time has none: a refusal after a fault writes no files


def stored_document_of(index: StudyIndex) -> Callable[[Decided], Mapping[str, Any]]:
    """The stored document of a decision."""

    def document(decided: Decided) -> Mapping[str, Any]:
        versions = index.assessments(decided.study_instance_uid)
        wanted = (decided.revision, decided.stage)
        found: Mapping[str, Any] = next(
            one["document"] for one in versions if (one["revision"], one["stage"]) == wanted
        )
        return found

    return document


class EvidenceFolder(Mapping[str, bytes]):
    """The files of one decision, read when they are asked for.

    Args:
        late: whether files that are not there now never come.
    """

    def __init__(self, folder: Path, *, late: Callable[[], bool]) -> None:
        self._folder, self._late = folder, late

    def __getitem__(self, name: str) -> bytes:
        path = self._there() / name
        if Path(name).name != name or not path.is_file():
            raise KeyError(name)
        return path.read_bytes()

    def __iter__(self) -> Iterator[str]:
        folder = self._there()
        return iter(sorted(path.name for path in folder.iterdir()) if folder.is_dir() else ())

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _there(self) -> Path:
        """The folder, which appears whole or not at all.

        Raises:
            Transient: it may still come.
        """
        if not self._folder.is_dir() and not self._late():
            raise Transient("the files of this decision are not written yet")
        return self._folder


def evidence_of(
    place: Callable[[str, int, str], Path], decided_at: Callable[[Decided], datetime], clock: Clock
) -> Callable[[Decided], EvidenceFiles]:
    """The evidence of a decision.

    Args:
        place: study UID, revision and stage -> folder.
    """

    def evidence(decided: Decided) -> EvidenceFiles:
        folder = place(decided.study_instance_uid, decided.revision, decided.stage)

        def late() -> bool:
            return (clock.now() - decided_at(decided)).total_seconds() > FILES_WITHIN_S

        return EvidenceFolder(folder, late=late)

    return evidence


def time_of(index: StudyIndex) -> Callable[[Decided], datetime]:
    """When a decision was stored."""

    def decided_at(decided: Decided) -> datetime:
        wanted = (decided.revision, decided.stage)
        versions = index.assessments(decided.study_instance_uid)
        found: datetime = next(one["created_at"] for one in versions if (one["revision"], one["stage"]) == wanted)
        return found

    return decided_at
