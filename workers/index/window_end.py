"""Where a window of the worklist ended, as text to hand back: what becomes of its last study moves nothing."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from workers.worklist_ports import Group


@dataclass(frozen=True)
class WindowEnd:
    """The last study of a window. group, values: as it stood then, values by the order's expressions without the UID;
    None: look it up as it stands now."""

    uid: str
    group: Group | None = None
    values: Sequence[Any] | None = None


def end_text(end: WindowEnd) -> str:
    """For an address: letters, digits, "-" and "_"; a bare UID where nothing else is kept. No name or patient ID."""
    if end.values is None or end.group is None:
        return end.uid
    written = [value.isoformat() if isinstance(value, datetime) else value for value in end.values]
    said = json.dumps([end.uid, end.group.value, written], separators=(",", ":"))
    return base64.urlsafe_b64encode(said.encode()).decode().rstrip("=")


def end_of(text: str) -> WindowEnd:
    """The inverse. What was not written by end_text counts as a UID, which no study has."""
    if text[:1].isdigit():
        return WindowEnd(text)
    try:
        uid, group, written = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        values = [datetime.fromisoformat(value) if isinstance(value, str) else float(value) for value in written]
        return WindowEnd(str(uid), Group(group), values)
    except (ValueError, TypeError):
        return WindowEnd(text)
