"""The limits of a pool child, in a real process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from workers.queue.machine_memory import memory_of_group
from workers.queue.tasks import SHARE_OF_GROUP, within_group

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


GIB = 1 << 30
NO_LIMIT = "9223372036854771712\n"


@pytest.mark.parametrize(
    ("own", "files", "limit"),
    [
        pytest.param("0::/node\n", {"node/memory.max": f"{4 * GIB}\n"}, 4 * GIB, id="version 2"),
        pytest.param("0::/node\n", {"node/memory.max": "max\n"}, None, id="version 2, no limit"),
        pytest.param("0::/a/b\n", {"a/b/memory.max": "max\n", "a/memory.max": f"{GIB}\n"}, GIB, id="of a group above"),
        pytest.param("0::/of/the/host\n", {"memory.max": f"{GIB}\n"}, GIB, id="a path that is not there"),
        pytest.param("4:memory:/node\n0::/\n", {"memory/node/memory.limit_in_bytes": f"{GIB}\n"}, GIB, id="version 1"),
        pytest.param("4:cpu,memory:/\n", {"memory/memory.limit_in_bytes": NO_LIMIT}, None, id="version 1, no limit"),
        pytest.param("4:cpu:/node\n", {"cpu/node/memory.max": f"{GIB}\n"}, None, id="other controllers"),
        pytest.param("", {}, None, id="no groups"),
    ],
)
def test_the_limit_of_the_group(tmp_path: Path, own: str, files: dict[str, str], limit: int | None) -> None:
    (tmp_path / "own").write_text(own)
    for name, content in files.items():
        (tmp_path / "groups" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "groups" / name).write_text(content)
    assert memory_of_group(groups=tmp_path / "groups", own=tmp_path / "own") == limit


def test_without_proc_there_is_no_limit(tmp_path: Path) -> None:
    assert memory_of_group(groups=tmp_path, own=tmp_path / "own") is None


@pytest.mark.parametrize(
    ("group", "wanted", "limit"),
    [
        pytest.param(4 * GIB, 3 * GIB, int(SHARE_OF_GROUP * 4 * GIB), id="a small container"),
        pytest.param(16 * GIB, 3 * GIB, 3 * GIB, id="a large container"),
        pytest.param(None, 3 * GIB, 3 * GIB, id="no container"),
        pytest.param(4 * GIB, None, None, id="no limit wanted"),
    ],
)
def test_a_pool_child_leaves_memory_to_the_other_processes_of_its_container(
    group: int | None, wanted: int | None, limit: int | None
) -> None:
    assert within_group(wanted, group) == limit
