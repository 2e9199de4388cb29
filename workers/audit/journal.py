"""Who saw and changed what in the web application, and who released what by command: one line of JSON for each, chained
by digests, so that a changed or removed line shows.

The file names people and studies. The chain does not show that the newest lines were cut off: keep the last digest of
`icansee audit verify` elsewhere, or send audit messages to a repository (workers.audit.spool).
"""

from __future__ import annotations

import fcntl
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workers.log import brief, get_logger
from workers.settings import NodeSettings

log = get_logger(__name__)

START = "0" * 64  # what the first line follows
LONGEST_LINE = 1 << 16


def journal_file(settings: NodeSettings) -> Path:
    return settings.store.state_dir.absolute() / "web-audit.jsonl"


@dataclass(frozen=True)
class JournalVerdict:
    """entries: lines that are as they were written. last: digest of the newest of them. broken: number of the first
    line that is not; None: all are."""

    entries: int
    last: str
    broken: int | None = None


class Journal:
    """Appends. Threads and processes may do so at the same time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, facts: Mapping[str, Any]) -> None:
        """Never raises: a full disk must not keep a reader from a study. It is logged."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                size = file.seek(0, 2)
                file.seek(max(0, size - LONGEST_LINE))
                tail = file.read()
                before = _digest_of(tail.splitlines()[-1]) if tail else START
                file.write((b"" if tail.endswith(b"\n") or not tail else b"\n") + _line(before, facts))
        except (OSError, ValueError) as error:
            log.error("audit.journal_not_written", error=brief(error))


def verify_journal(path: Path) -> JournalVerdict:
    """Raises:
    OSError: it cannot be read. One that is not there has no entries.
    """
    last, number = START, 0
    if not path.exists():
        return JournalVerdict(0, last)
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                facts = json.loads(line)
                intact = facts.pop("digest") == _chained(last, facts) and facts.pop("before") == last
            except (ValueError, KeyError, AttributeError, TypeError):
                intact = False
            if not intact:
                return JournalVerdict(number - 1, last, broken=number)
            last = _digest_of(line)
    return JournalVerdict(number, last)


def _line(before: str, facts: Mapping[str, Any]) -> bytes:
    whole = {**facts, "before": before}
    return json.dumps({**whole, "digest": _chained(before, whole)}, ensure_ascii=True).encode() + b"\n"


def _chained(before: str, facts: Mapping[str, Any]) -> str:
    return hashlib.sha256((before + json.dumps(facts, sort_keys=True, ensure_ascii=True)).encode()).hexdigest()


def _digest_of(line: bytes) -> str:
    """What the line says of itself; a line that says nothing has the digest of its bytes, and shows as broken."""
    try:
        return str(json.loads(line)["digest"])
    except (ValueError, KeyError, TypeError):
        return hashlib.sha256(line).hexdigest()
