"""The limits of a pool child, in a real process."""

from __future__ import annotations

import subprocess
import sys

_PROGRAM = """
from workers.queue.tasks import limit_memory
limit_memory({limit})
try:
    print(len(bytes(400 << 20)))
except MemoryError:
    print("refused")
print(open("/proc/self/oom_score_adj").read().strip())
"""


def _run(limit: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM.format(limit=limit)], capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def test_a_pool_child_gets_no_more_memory_than_its_limit_and_is_ended_before_the_others() -> None:
    assert _run("300 << 20") == ["refused", "500"]


def test_without_a_limit_it_gets_what_it_asks_for() -> None:
    assert _run("None") == [str(400 << 20), "500"]
