"""Facts about patients in, one small durable file for each out: what clinical systems said survives the index.

A fact is written before its row of the index. One that is withdrawn stays as a file that says so, because a row may
outlive the process that was to remove it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workers.log import brief, get_logger

log = get_logger(__name__)

FORMAT = 1  # of the files
KIND = re.compile(r"[a-z][a-z_]{0,30}")


@dataclass(frozen=True)
class KeptFact:
    """One fact. kind: what it is about, e.g. ``infusion``. key: texts that identify it among its kind.

    value: JSON types. withdrawn: it does not hold any more.
    """

    kind: str
    key: tuple[str, ...]
    value: Mapping[str, Any]
    withdrawn: bool = False


class FactFolder:
    """The facts of one node, ``facts/`` beside the images. Safe for several processes and hosts: a file appears whole
    or not at all.

    Args:
        files_dir: the folder of the images (``settings.store.files_dir``).
    """

    def __init__(self, files_dir: Path) -> None:
        self._folder = files_dir.absolute() / "facts"
        self.unread: set[str] = set()
        """Names of files that could not be read at the last look."""

    def put(self, fact: KeptFact) -> None:
        """Write it in place of what was known under its key; durable on return.

        Raises:
            ValueError: the kind is no name.
            OSError: the disk is full or fails.
        """
        path = self._path(fact)
        self._folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(
            {
                "format": FORMAT,
                "kind": fact.kind,
                "key": list(fact.key),
                "value": dict(fact.value),
                "withdrawn": fact.withdrawn,
            }
        )
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
        try:
            with temporary.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
        _sync(self._folder)

    def all(self, kind: str) -> Iterator[KeptFact]:
        """Every fact of a kind, also withdrawn ones, in the order of their file names. A damaged file is named in the
        log and skipped; so is one that cannot be read now, which is in ``unread`` from then on.

        Raises:
            OSError: the folder cannot be read now.
        """
        for path in self._files(kind):
            self.unread.discard(path.name)
            try:
                found = _read(path)
            except FileNotFoundError:
                continue
            except OSError as error:
                log.error("facts.file_not_readable", file=path.name, error=brief(error))
                self.unread.add(path.name)
                continue
            except (ValueError, KeyError, TypeError) as error:
                log.error("facts.file_damaged", file=path.name, error=type(error).__name__)
                continue
            if found.kind == kind:
                yield found

    def _files(self, kind: str) -> list[Path]:
        """Of a kind. Path.glob would take a folder that must not be read for an empty one."""
        try:
            with os.scandir(self._folder) as entries:
                names = [e.name for e in entries if e.name.startswith(f"{kind}-") and e.name.endswith(".json")]
        except FileNotFoundError:
            return []
        return [self._folder / name for name in sorted(names)]

    def get(self, kind: str, key: tuple[str, ...]) -> KeptFact | None:
        """None: nothing is known under this key, or its file is damaged.

        Raises:
            OSError: the file cannot be read now.
        """
        try:
            return _read(self._path(KeptFact(kind, key, {})))
        except (FileNotFoundError, KeyError, TypeError, ValueError):
            return None

    def _path(self, fact: KeptFact) -> Path:
        """The key comes from outside: only a digest of it becomes a file name."""
        if not KIND.fullmatch(fact.kind):
            raise ValueError("not a kind of facts")
        digest = hashlib.sha256(json.dumps(list(fact.key)).encode()).hexdigest()
        return self._folder / f"{fact.kind}-{digest[:40]}.json"


def _read(path: Path) -> KeptFact:
    said = json.loads(path.read_text(encoding="utf-8"))
    if said["format"] != FORMAT:
        raise ValueError("another format")
    value = said["value"]
    if not isinstance(value, dict):
        raise TypeError("no object")
    return KeptFact(str(said["kind"]), tuple(map(str, said["key"])), value, bool(said["withdrawn"]))


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
