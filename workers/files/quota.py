"""A folder and a quota in, a refusal out when the next object would exceed it."""

from __future__ import annotations

import os
from pathlib import Path

from triage.errors import Rejected
from workers.dicom_status import OUT_OF_RESOURCES
from workers.log import get_logger

log = get_logger(__name__)


def check(folder: Path, size_bytes: int, *, most: int | None) -> None:
    """Whether ``size_bytes`` more fit into the folder. Conflicts are rare: it is counted each time.

    Raises:
        Rejected: 0xA700, they do not. The sender keeps its object.
    """
    if most is None:
        return
    with os.scandir(folder) as entries:
        held = sum(entry.stat().st_size for entry in entries)
    if held + size_bytes > most:
        log.error("store.conflicts_full", bytes=held, remedy="look at conflicts/, or raise store.max_conflict_bytes")
        raise Rejected(OUT_OF_RESOURCES, "conflicts_full", f"{held} bytes of conflicting objects are kept already")
