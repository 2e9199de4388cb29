"""The text of the last failure of a study in, how many of its attempts count against it out.

An attempt that ended in a recorded transient fault (a disk or the index was away) says nothing about the study. Neither
do those before it: a node that is started again after hours without its disk must not give a study up that was being
tried then.
"""

from __future__ import annotations

import re

_TRANSIENT = re.compile(r"transient \(attempt (\d+)\):")
_FREE = re.compile(r"; attempts up to (\d+) do not count$")


def transient(attempt: int, reason: str) -> str:
    """The failure text of an attempt that ended in a transient fault."""
    return f"transient (attempt {attempt}): {reason}"


def blamed(failure: str, before: str | None) -> str:
    """The failure text of an attempt that counts. before: that of the attempt before, which says which do not."""
    free = _free(before)
    return f"{failure}; attempts up to {free} do not count" if free else failure


def attempts_counted(attempt: int, failure: str | None) -> int:
    """How many attempts up to this one count against the study.

    Args:
        failure: text of the last attempt whose end was recorded.
    """
    return attempt - _free(failure)


def _free(failure: str | None) -> int:
    found = _TRANSIENT.match(failure or "") or _FREE.search(failure or "")
    return 0 if found is None else int(found[1])
