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
from typing import Any, BinaryIO

from workers.log import brief, get_logger
from workers.settings import NodeSettings

log = get_logger(__name__)

START = "0" * 64  # what the first line follows
LONGEST_TEXT = 1024  # characters of one fact; anybody may ask for an address of any length
CHUNK = 1 << 16  # bytes that are read at once


def journal_file(settings: NodeSettings) -> Path:
    return settings.store.state_dir.absolute() / "web-audit.jsonl"


@dataclass(frozen=True)
class JournalVerdict:
    """entries: lines that are as they were written. last: digest of the newest line. broken: numbers of the lines that
    were changed, not written whole, or stand behind one that was removed."""

    entries: int
    last: str
    broken: tuple[int, ...] = ()


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
                newest, whole = _newest_line(file)
                before = START if newest is None else _digest_of(newest)
                file.write((b"" if whole else b"\n") + _line(before, facts))
        except (OSError, ValueError) as error:
            log.error("audit.journal_not_written", error=brief(error))


def verify_journal(path: Path) -> JournalVerdict:
    """Every line is looked at: one that was changed, or was cut by a full disk, hides nothing behind it.

    Raises:
    OSError: it cannot be read. One that is not there has no entries.
    """
    last, number, broken = START, 0, []
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
                broken.append(number)
            last = _digest_of(line)
    return JournalVerdict(number - len(broken), last, tuple(broken))


def _newest_line(file: BinaryIO) -> tuple[bytes | None, bool]:
    """The last line without its end, however long it is, and whether it has one; None: there is no line."""
    at, tail = file.seek(0, 2), b""
    while at > 0 and b"\n" not in tail[:-1]:
        size = min(CHUNK, at)
        at -= size
        file.seek(at)
        tail = file.read(size) + tail
    if not tail:
        return None, True
    whole = tail.endswith(b"\n")
    return (tail[:-1] if whole else tail).rpartition(b"\n")[2], whole


def _line(before: str, facts: Mapping[str, Any]) -> bytes:
    whole = {**{name: _short(value) for name, value in facts.items()}, "before": before}
    return json.dumps({**whole, "digest": _chained(before, whole)}, ensure_ascii=True).encode() + b"\n"


def _short(value: Any) -> Any:
    """A fact that is too long is its beginning and the digest of the whole."""
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    if len(text) <= LONGEST_TEXT:
        return value
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{text[:LONGEST_TEXT]}… ({len(text)} characters, SHA-256 {digest})"


def _chained(before: str, facts: Mapping[str, Any]) -> str:
    return hashlib.sha256((before + json.dumps(facts, sort_keys=True, ensure_ascii=True)).encode()).hexdigest()


def _digest_of(line: bytes) -> str:
    """What the line says of itself; a line that says nothing has the digest of its bytes, and shows as broken."""
    try:
        return str(json.loads(line)["digest"])
    except (ValueError, KeyError, TypeError):
        return hashlib.sha256(line.rstrip(b"\n")).hexdigest()
