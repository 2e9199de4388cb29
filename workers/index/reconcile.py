"""The scan that makes index and files agree: files without a row are read again, rows without a file are reported.

Runs beside a working listener. The rows of a folder are read before its files, and a file always precedes its row: an
object that arrives in between can only look like a file without a row, and recording it twice changes nothing.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from triage.errors import Rejected, Transient
from workers.files import part10
from workers.files.index_rows import read_cut_row, read_row
from workers.files.store import FileStore
from workers.files.uid_paths import folders
from workers.index.writer import record_one_by_one
from workers.log import get_logger, uid_hash
from workers.ports import InstanceRow

log = get_logger(__name__)

BATCH_ROWS = 500


class ScannedIndex(Protocol):
    """What the scan needs of the index; workers.index.sql.SqlIndex has it."""

    def paths_under(self, prefix: str) -> dict[str, int]: ...

    def record_instances(self, rows: Sequence[InstanceRow]) -> None: ...


@dataclass(frozen=True)
class Report:
    """What a scan found. Numbers of files or rows.

    added: files that had no row and have one now. renewed: files that were replaced, whose row says now what they say.
    missing: rows whose file is gone. changed: files of another size than their row says, which nothing calls whole.
    damaged: files without a row that lost their end, while the index is filled again; they have one now. incomplete:
    files a crash cut short before they were acknowledged, moved to quarantine. unreadable: files that are no objects of
    this store, left where they are. unread: files that the disk did not give, or whose row the index refuses: another
    scan has to look. finished: False when the scan was stopped early.
    """

    files: int = 0
    added: int = 0
    renewed: int = 0
    missing: int = 0
    changed: int = 0
    damaged: int = 0
    incomplete: int = 0
    unreadable: int = 0
    unread: int = 0
    finished: bool = True

    @property
    def clean(self) -> bool:
        found = {name: value for name, value in vars(self).items() if name not in ("files", "finished")}
        return self.finished and not any(found.values())


def reconcile(
    store: FileStore, index: ScannedIndex, *, stop: threading.Event | None = None, lost: bool = False
) -> Report:
    """Scan the whole store once.

    Args:
        lost: the index is filled again. Of a file that lost its end nobody can tell then whether it was acknowledged,
            so that it counts as damaged and not as one that a crash cut short.

    Raises:
        Transient: the index is away. A later scan adds the rows that are still missing.
    """
    report = Report()
    for folder in folders():
        if stop is not None and stop.is_set():
            report = replace(report, finished=False)
            break
        report = _scan_folder(store, index, folder, report, lost=lost)
    log.info("store.reconciled", **{name: value for name, value in vars(report).items() if value or name == "files"})
    return report


def _scan_folder(store: FileStore, index: ScannedIndex, folder: str, report: Report, *, lost: bool) -> Report:
    known = index.paths_under(f"{folder}/")
    try:
        on_disk = {f"{folder}/{path.name}": path for path in store.files_in(folder)}
    except OSError as error:
        log.error("store.folder_not_readable", folder=folder, reason=str(error.strerror))
        return replace(report, unread=report.unread + 1)
    missing = [path for path in known if path not in on_disk and _is_gone(store.root / path)]
    for path in missing:
        log.error("store.file_missing", instance=_name(path))
    rows: list[InstanceRow] = []
    refused = 0
    found: Counter[str] = Counter()
    for path in known:
        if path in on_disk and _size(on_disk[path]) not in (known[path], None):
            row, what = _look_again(store, on_disk[path])
            found[what] += 1
            rows += [row] if row is not None else []
    for relative in sorted(on_disk.keys() - known.keys()):
        row, what = _look_at(store, on_disk[relative], lost=lost)
        found[what] += 1
        rows += [row] if row is not None else []
        if len(rows) >= BATCH_ROWS:
            refused += _record(index, rows)
            rows = []
    refused += _record(index, rows)
    return replace(
        report,
        files=report.files + len(on_disk),
        added=report.added + found["added"] - refused,
        missing=report.missing + len(missing),
        renewed=report.renewed + found["renewed"],
        changed=report.changed + found["changed"],
        damaged=report.damaged + found["damaged"],
        incomplete=report.incomplete + found["incomplete"],
        unreadable=report.unreadable + found["unreadable"],
        unread=report.unread + found["unread"] + refused,
    )


def _look_at(store: FileStore, path: Path, *, lost: bool) -> tuple[InstanceRow | None, str]:
    """Read the row of a file that has none. Returns the row and the name of its counter.

    A fault of one file does not stop the scan.
    """
    try:
        try:
            return read_row(store.root, path), "added"
        except Rejected as error:
            row = _cut_row(store, path) if lost and error.reason == "incomplete" else None
            if row is not None:
                log.error("store.file_changed", instance=_name(path))
                return row, "damaged"
            moved = error.reason == "incomplete" and _quarantine(store, path)
            log.warning("store.file_not_readable", instance=_name(path), reason=error.reason, quarantined=moved)
            return None, "incomplete" if moved else "unreadable"
    except FileNotFoundError:  # deleted, or put aside by the scan of another host, since the folder was listed
        return None, "gone"
    except OSError as error:
        log.error("store.file_not_readable", instance=_name(path), reason=str(error.strerror))
        return None, "unread"


def _cut_row(store: FileStore, path: Path) -> InstanceRow | None:
    with contextlib.suppress(Rejected):
        return read_cut_row(store.root, path)
    return None


def _look_again(store: FileStore, path: Path) -> tuple[InstanceRow | None, str]:
    """Read the row of a file that has another size than its row says; None: it lost bytes, or nobody can tell."""
    try:
        with path.open("rb") as file:
            whole = part10.sealed_bytes(file.fileno())
        if whole == _size(path):
            return read_row(store.root, path), "renewed"
    except (Rejected, OSError):
        pass
    log.error("store.file_changed", instance=_name(path))
    return None, "changed"


def _quarantine(store: FileStore, path: Path) -> bool:
    """Move a file that was cut short to the quarantine.

    False: a whole file replaced it at that moment and stays, or the scan of another host moved it first.
    """
    aside = store.root.parent / "quarantine" / path.name
    aside.parent.mkdir(exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        path.replace(aside)
        with aside.open("rb") as file:
            if not part10.is_complete(file.fileno()):
                return True
        with contextlib.suppress(FileExistsError):
            os.link(aside, path)
        aside.unlink()
    return False


def _size(path: Path) -> int | None:
    """None: the file is gone, or the disk gives no answer."""
    try:
        return path.stat().st_size
    except OSError:
        return None


def _is_gone(path: Path) -> bool:
    try:
        path.stat()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False


def _name(path: str | Path) -> str:
    """The name of an instance in the log: a hash of its UID."""
    return uid_hash(Path(path).stem)


def _record(index: ScannedIndex, rows: Sequence[InstanceRow]) -> int:
    """Write rows. Returns how many the index refused.

    Raises:
        Transient: the index is away.
    """
    try:
        index.record_instances(rows)
    except Transient:
        raise
    except Exception:  # the database refuses the content of one of the rows
        log.exception("index.write_failed", rows=len(rows))
        return record_one_by_one(index.record_instances, rows)
    return 0
