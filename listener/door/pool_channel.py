"""Messages between a pool and its receiving processes: JSON over a unix socket that keeps them apart (SOCK_SEQPACKET).

A message must fit the buffer of the socket, or the kernel refuses it; what may be longer goes in several.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pydantic import TypeAdapter

from workers.ports import InstanceRow

MESSAGE_BYTES = 192 << 10  # what is read at once
SENT_BYTES = 96 << 10  # what is sent at once: half of the usual buffer (net.core.wmem_default is 212,992)

ROWS = TypeAdapter(list[InstanceRow])


def rows_in_parts(rows: Sequence[InstanceRow]) -> list[str]:
    """The rows as messages. One row has 40 kB at most: its texts are cut when they are read
    (workers.files.dataset_head)."""
    encoded = json.dumps({"rows": ROWS.dump_python(list(rows), mode="json")})
    if len(encoded) <= SENT_BYTES or len(rows) == 1:
        return [encoded]
    half = len(rows) // 2
    return rows_in_parts(rows[:half]) + rows_in_parts(rows[half:])


def rows_in(message: dict[str, Any]) -> list[InstanceRow]:
    """The rows of a message; none when it is another one."""
    return ROWS.validate_python(message["rows"]) if "rows" in message else []
