"""The machine's clock."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

LOCAL_TIME, ZONES = Path("/etc/localtime"), "zoneinfo/"


def zone_of_machine() -> str:
    """The IANA name of the machine's time zone; "" when it is not known.

    UTC counts as not known: machines and containers have it unless somebody sets another one.
    """
    name = os.environ.get("TZ", "").lstrip(":")
    if not name and LOCAL_TIME.is_symlink():
        name = str(LOCAL_TIME.readlink()).rpartition(ZONES)[2]
    try:
        known = {datetime(2000, month, 1, tzinfo=ZoneInfo(name)).tzname() for month in (1, 7)}
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ""
    return "" if known == {"UTC"} else name


class SystemClock:
    """UTC."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def elapsed_s(self) -> float:
        return time.monotonic()
