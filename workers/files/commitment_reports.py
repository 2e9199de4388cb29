"""Reports of storage commitment that a PACS sends on an association of its own: the receiving process takes them, the
delivery process waits for them. A file for each transaction stands between the two.

Only a transaction that is waited for is taken, so that no peer fills the disk.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from workers.files.uid_paths import valid_uid

FORGOTTEN_AFTER_S = 86400.0  # files of a process that was killed while it waited


def failed_in(report: Any) -> list[str]:
    """SOP Instance UIDs of a report, a data set, to which the PACS does not commit itself."""
    return [str(one.get("ReferencedSOPInstanceUID", "")) for one in report.get("FailedSOPSequence") or ()]


class AwaitedReports:
    """Safe for several processes and hosts that share the folder."""

    def __init__(self, files_dir: Path) -> None:
        self._folder = files_dir.absolute() / "commitments" / "awaited"

    def expect(self, transaction_uid: str) -> None:
        """Wait for the report of a transaction of ours, before it is asked for.

        Raises:
            OSError: the disk is full or fails.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        for path in self._folder.iterdir():
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > FORGOTTEN_AFTER_S:
                    path.unlink()
        self._waiting(transaction_uid).touch()

    def take(self, transaction_uid: str, failed: Sequence[str]) -> bool:
        """Keep a report; False: nobody waits for it.

        Args:
            failed: SOP Instance UIDs that the PACS does not commit itself to.

        Raises:
            OSError: the disk is full or fails.
        """
        if not valid_uid(transaction_uid) or not self._waiting(transaction_uid).exists():
            return False
        growing = self._folder / f".{transaction_uid}.{secrets.token_hex(4)}.tmp"
        growing.write_text(json.dumps(list(failed)), encoding="utf-8")
        growing.replace(self._report(transaction_uid))
        return True

    def answer(self, transaction_uid: str) -> list[str] | None:
        """What the PACS does not commit itself to; None: it has said nothing yet."""
        try:
            found: list[str] = json.loads(self._report(transaction_uid).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return found

    def forget(self, transaction_uid: str) -> None:
        """Nobody waits any more."""
        for path in (self._waiting(transaction_uid), self._report(transaction_uid)):
            path.unlink(missing_ok=True)

    def _waiting(self, transaction_uid: str) -> Path:
        return self._folder / transaction_uid

    def _report(self, transaction_uid: str) -> Path:
        return self._folder / f"{transaction_uid}.json"
