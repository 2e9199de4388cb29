"""What became of an object that was received: new, the same again, or in conflict."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from pathlib import Path

from workers.files.dataset_head import Uids, Values, head_in
from workers.files.index_rows import row_of
from workers.files.part10 import Announced
from workers.ports import InstanceRow


class Outcome(StrEnum):
    """NEW: stored. SAME: was there already, byte for byte. CONFLICT: kept aside, the first copy of this UID stays."""

    NEW = "new"
    SAME = "same"
    CONFLICT = "conflict"


Named = tuple[Outcome, str, Announced, int]
"""A file that has a name: how that came, the absolute path, how the file was sent, its size in bytes."""


@dataclass(frozen=True)
class Stored:
    """A durable object.

    status: for the C-STORE response. name: absolute path. announced: how it was sent this time. filed: how the file
    that has the name was sent, and size_bytes its size; of a SAME they are those of the first copy. values: what its
    data set says, not decoded yet.
    """

    outcome: Outcome
    status: int
    name: str
    announced: Announced
    filed: Announced
    uids: Uids
    values: Values
    size_bytes: int
    received_at: datetime

    @cached_property
    def row(self) -> InstanceRow:
        """For the index; the row of a CONFLICT is not recorded. Made on first use, after the sender has its answer."""
        return row_of(self.filed, head_in(self.values, self.uids), self.size_bytes, self.received_at)

    @property
    def path(self) -> Path:
        return Path(self.name)
