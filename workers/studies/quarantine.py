"""How often a study made its assessment exceed a limit, kept in its failure text; after two times it is quarantined.

Time (``queue.task_time_limit_s``) and memory (``queue.worker_memory_bytes``) are limits that the program itself sets:
the end of such an attempt is recorded before the process is replaced. A worker that is killed from outside (power,
kill -9, memory of the machine) records nothing; its study is tried ``queue.max_killed_attempts`` times.
"""

from __future__ import annotations

MOST_OVERRUNS = 2
CODE = "quarantined"  # reason code of the result
_TEXT = "limit exceeded ({} of {}): "


def failure(overruns: int, reason: str) -> str:
    """The failure text of an attempt that exceeded a limit for the ``overruns``-th time."""
    return _TEXT.format(overruns, MOST_OVERRUNS) + reason


def overruns_of(failure_text: str | None) -> int:
    """How many attempts exceeded a limit, by the failure text of the last one."""
    text = failure_text or ""
    return next((n for n in range(MOST_OVERRUNS, 0, -1) if text.startswith(_TEXT.format(n, MOST_OVERRUNS))), 0)
