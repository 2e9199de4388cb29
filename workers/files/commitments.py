"""Storage commitment requests kept as files until they are answered, and the verdict on each instance they name.

A request is a JSON file under ``commitments/`` of the state folder, durable before the requester hears that it was
taken: it survives a crash, a restart and a lost index. Verdicts are made from the instance files alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from triage.errors import Rejected
from workers.backoff import Backoff
from workers.dicom_status import CLASS_CONFLICT, NO_SUCH_INSTANCE, PROCESSING_FAILURE
from workers.files.index_rows import read_row
from workers.files.store import FileStore
from workers.files.uid_paths import relative_path, valid_uid
from workers.listing import files_in
from workers.log import get_logger

log = get_logger(__name__)


MOST_WAITING = 10_000  # a requester that asks without end is refused, and does not fill the disk
LONGEST_PAUSE_S = 3600.0
HERE_GRACE_S = 30.0  # how long an attempt on the requester's own association may take before the address is tried


@dataclass(frozen=True)
class Reference:
    """One instance a request names. UIDs as sent, unchecked."""

    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True)
class Request:
    """One transaction. Times are UTC; not_before: when the next attempt to report may be made."""

    transaction_uid: str
    requester: str
    references: tuple[Reference, ...]
    received_at: datetime
    not_before: datetime
    attempts: int = 0


@dataclass(frozen=True)
class Verdict:
    """committed: durable here, with the same SOP class. failed: with the reason of each."""

    committed: tuple[Reference, ...]
    failed: tuple[tuple[Reference, int], ...]
    studies: frozenset[str] = frozenset()  # of the committed ones


class GivenCommitments:
    """Studies with images that were reported as safe here: they are not deleted unless the site says so."""

    def __init__(self, files_dir: Path) -> None:
        self._folder = files_dir.absolute() / "commitments" / "given"

    def add(self, verdict: Verdict) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        for uid in verdict.studies:  # read from our own files: valid UIDs
            (self._folder / uid).touch()

    def holds(self, study_instance_uid: str) -> bool:
        return valid_uid(study_instance_uid) and (self._folder / study_instance_uid).exists()


class TooManyWaiting(Exception):  # noqa: N818 - read as a state
    """There is no room for another request."""


class RequestFolder:
    """The requests of one node. Safe for several processes: a file appears whole or not at all."""

    def __init__(self, state_dir: Path) -> None:
        self._folder = state_dir.absolute() / "commitments"
        self._folder.mkdir(parents=True, exist_ok=True)

    def put(self, request: Request) -> None:
        """Write a request, or what changed about it; durable on return. The same transaction is stored once.

        Raises:
            TooManyWaiting: there are too many already.
            OSError: the disk is full or fails.
        """
        path = self._path(request)
        if not path.exists() and self.waiting() >= MOST_WAITING:
            raise TooManyWaiting
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
        text = json.dumps({**asdict(request), **{k: getattr(request, k).isoformat() for k in _TIMES}})
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(self._folder)

    def done(self, request: Request) -> None:
        """Forget a request; a second time does no harm."""
        self._path(request).unlink(missing_ok=True)

    def waiting(self) -> int:
        """Requests that are not answered yet. Raises OSError."""
        return len(self._files())

    def due(self, now: datetime, *, retry_s: float = LONGEST_PAUSE_S) -> list[Request]:
        """Requests whose time has come, oldest first. A file that cannot be read is set aside and reported.

        One that would wait longer than its pause came before the clock was set back: its time has come.
        """
        found = [request for path in self._files() if (request := self._read(path)) is not None]
        come = [one for one in found if not 0 < (one.not_before - now).total_seconds() <= _longest_s(one, retry_s)]
        return sorted(come, key=lambda one: one.received_at)

    def _files(self) -> list[Path]:
        return files_in(self._folder, ending=".json")

    def _path(self, request: Request) -> Path:
        # the names come from outside: only a digest of them becomes a file name
        digest = hashlib.sha256(f"{request.requester}\0{request.transaction_uid}".encode()).hexdigest()
        return self._folder / f"{digest[:40]}.json"

    def _read(self, path: Path) -> Request | None:
        try:
            facts = json.loads(path.read_text(encoding="utf-8"))
            facts |= {name: datetime.fromisoformat(facts[name]) for name in _TIMES}
            facts["references"] = tuple(Reference(**one) for one in facts["references"])
            return Request(**facts)
        except FileNotFoundError:
            return None  # answered in this moment
        except OSError as error:  # no descriptor left, or the disk: the request may well be whole
            log.error("commitment.unreadable", file=path.name, error=type(error).__name__)
            return None
        except (ValueError, KeyError, TypeError) as error:
            log.error("commitment.unreadable", file=path.name, error=type(error).__name__)
            path.rename(path.with_suffix(".unreadable"))
            return None


_TIMES = ("received_at", "not_before")


def _longest_s(request: Request, retry_s: float) -> float:
    """How long a request may have been told to wait."""
    return Backoff(retry_s, LONGEST_PAUSE_S).pause_s(request.attempts - 1) if request.attempts else HERE_GRACE_S


def later(request: Request, now: datetime, *, retry_s: float) -> Request:
    """The request after an attempt that failed; pauses double up to an hour."""
    pause_s = Backoff(retry_s, LONGEST_PAUSE_S).pause_s(request.attempts)
    return replace(request, attempts=request.attempts + 1, not_before=now + timedelta(seconds=pause_s))


def judge(store: FileStore, references: Sequence[Reference]) -> Verdict:
    """Which of the instances are safe here. Reads and flushes the files themselves; what the index says counts
    nothing.

    Raises:
        OSError: which of them are in dispute cannot be read now.
    """
    disputed = {path.name.rpartition(".")[0].rpartition(".")[0] for path in files_in(store.conflicts, ending=".dcm")}
    committed: list[Reference] = []
    failed: list[tuple[Reference, int]] = []
    studies: set[str] = set()
    for one in references:
        # two contents came under this UID: it is unknown which of them the requester would delete
        found = PROCESSING_FAILURE if one.sop_instance_uid in disputed else _study_of(store, one)
        if isinstance(found, int):
            failed.append((one, found))
        else:
            committed.append(one)
            studies.add(found)
    return Verdict(tuple(committed), tuple(failed), frozenset(studies))


def _study_of(store: FileStore, one: Reference) -> str | int:
    """The study of an instance that is safe; the reason when it is not."""
    if not valid_uid(one.sop_instance_uid):
        return NO_SUCH_INSTANCE
    path = store.root / relative_path(one.sop_instance_uid)
    try:
        row = read_row(store.root, path)
        # a file has its name a moment before it is flushed
        for place, flags in ((path, os.O_RDONLY), (path.parent, os.O_RDONLY | os.O_DIRECTORY)):
            _flush(place, flags)
    except FileNotFoundError:
        return NO_SUCH_INSTANCE
    except (Rejected, OSError) as error:
        log.error("commitment.file_unsafe", error=type(error).__name__)
        return PROCESSING_FAILURE
    return row.study_instance_uid if row.sop_class_uid == one.sop_class_uid else CLASS_CONFLICT


def _flush(path: Path, flags: int) -> None:
    fd = os.open(path, flags | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _sync_folder(folder: Path) -> None:
    _flush(folder, os.O_RDONLY | os.O_DIRECTORY)
