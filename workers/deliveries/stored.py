"""A stored decision in, its document and its evidence out, for the renderers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from triage.errors import Transient
from workers.delivery_ports import Decided
from workers.log import get_logger, study_hash
from workers.outputs.output import EvidenceFiles
from workers.outputs.results import ResultFolder
from workers.outputs.sources import FILE_NAME, sources_from_json, with_headers
from workers.ports import Clock, StudyIndex

log = get_logger(__name__)

FILES_WITHIN_S = 120.0  # a decision without files after this time has none, unless somebody is still working on it
# The headers stand there within a second of the decision, as long as the worker lives. An alert waits for them.
HEADERS_WITHIN_S = 5.0
READ_AGAIN_S = 10.0  # between two attempts to read the headers of one decision here


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
        early: the folder with files that are ready before the others.
        age_s: seconds since the decision.
        busy: whether somebody is still working on the study. Files that are not there after ``FILES_WITHIN_S`` never
            come, once nobody is: on a busy machine the pictures of a decision may take minutes.
        repair: makes ``sources.json`` once more; None: that is not possible.
    """

    def __init__(
        self,
        folder: Path,
        early: Path,
        *,
        age_s: Callable[[], float],
        busy: Callable[[], bool],
        repair: Callable[[], bytes | None],
    ) -> None:
        self._folder, self._early, self._age_s, self._busy, self._repair = folder, early, age_s, busy, repair
        self._tried = False
        self._made: bytes | None = None

    def __getitem__(self, name: str) -> bytes:
        if name == FILE_NAME:
            content = self._headers()
            if content is not None:
                return content
        path = self._there() / name
        if Path(name).name != name or not path.is_file():
            raise KeyError(name)
        return path.read_bytes()

    def _headers(self) -> bytes | None:
        """``sources.json``; made once more when the worker could not read the headers, or died before it wrote any
        file."""
        stored: bytes | None = None
        with suppress(FileNotFoundError):
            stored = ((self._folder if self._folder.is_dir() else self._early) / FILE_NAME).read_bytes()
        if stored is not None and with_headers(stored):
            return stored
        worker_is_over = stored is not None or self._folder.is_dir()
        if not self._tried and (worker_is_over or self._age_s() > HEADERS_WITHIN_S):
            self._tried, self._made = True, self._repair()
        if self._made is not None and (worker_is_over or with_headers(self._made) or self.lost):
            return self._made
        return stored

    def __iter__(self) -> Iterator[str]:
        folder = self._there()
        return iter(sorted(path.name for path in folder.iterdir()) if folder.is_dir() else ())

    def __len__(self) -> int:
        return sum(1 for _ in self)

    @property
    def lost(self) -> bool:
        """Whether the files were never written and nobody is going to: the disk was full, or the worker died."""
        return not self._folder.is_dir() and self._age_s() > FILES_WITHIN_S and not self._busy()

    def _there(self) -> Path:
        """The folder, which appears whole or not at all.

        Raises:
            Transient: it may still come.
        """
        if not self._folder.is_dir() and not self.lost:
            raise Transient("the files of this decision are not written yet")
        return self._folder


class WithoutContent(Mapping[str, bytes]):
    """Evidence in which some files are empty, and are not waited for. They count as there."""

    def __init__(self, files: EvidenceFiles, left_out: Collection[str]) -> None:
        self._files, self._left_out = files, left_out

    def __getitem__(self, name: str) -> bytes:
        return b"" if name in self._left_out else self._files[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


def evidence_of(
    results: ResultFolder,
    decided_at: Callable[[Decided], datetime],
    clock: Clock,
    repair: Callable[[Decided], bytes | None] = lambda _decided: None,
    busy: Callable[[Decided], bool] = lambda _decided: False,
) -> Callable[[Decided], EvidenceFiles]:
    """The evidence of a decision.

    Args:
        repair: makes its ``sources.json`` once more; what failed is tried again later.
        busy: whether somebody is working on it.
    """
    failed: dict[Decided, tuple[datetime, bytes | None]] = {}

    def repaired(decided: Decided) -> bytes | None:
        now = clock.now()
        for one in [one for one, (at, _) in list(failed.items()) if abs((now - at).total_seconds()) >= READ_AGAIN_S]:
            failed.pop(one, None)
        known = failed.get(decided)
        content = repair(decided) if known is None else known[1]
        if content is None or not with_headers(content):
            failed.setdefault(decided, (now, content))
        return content

    def evidence(decided: Decided) -> EvidenceFiles:
        key = (decided.study_instance_uid, decided.revision, decided.stage)

        def age_s() -> float:
            # a decision of tomorrow was stored before the clock was set back
            return abs((clock.now() - decided_at(decided)).total_seconds())

        places = (results.place(*key), results.early_place(*key))
        return EvidenceFolder(*places, age_s=age_s, busy=lambda: busy(decided), repair=lambda: repaired(decided))

    return evidence


def series_meant_of(
    evidence: Callable[[Decided], EvidenceFiles],
) -> Callable[[Decided], Sequence[str] | None]:
    """UIDs of the series that a decision rests on, as its images state them. None: they are not written yet; none:
    nobody knows them."""

    def meant(decided: Decided) -> Sequence[str] | None:
        try:
            series = sources_from_json(evidence(decided)[FILE_NAME]).followup.series
        except Transient:
            return None
        except (KeyError, ValueError, TypeError, OSError):
            log.warning("delivery.no_sources", study=study_hash(decided.study_instance_uid))
            return ()
        own = [image.series_instance_uid for one in series for image in one.instances]
        return [uid for uid in dict.fromkeys([*(one.series_instance_uid for one in series), *own]) if uid]

    return meant


def worked_on(index: StudyIndex, clock: Clock) -> Callable[[Decided], bool]:
    """Whether a worker holds the study of a decision, in that revision."""

    def busy(decided: Decided) -> bool:
        row = index.study(decided.study_instance_uid)
        if row is None or row.revision != decided.revision or row.lease_until is None:
            return False
        return row.lease_until > clock.now()

    return busy


def time_of(index: StudyIndex) -> Callable[[Decided], datetime]:
    """When a decision was stored."""

    def decided_at(decided: Decided) -> datetime:
        wanted = (decided.revision, decided.stage)
        versions = index.assessments(decided.study_instance_uid)
        found: datetime = next(one["created_at"] for one in versions if (one["revision"], one["stage"]) == wanted)
        return found

    return decided_at
