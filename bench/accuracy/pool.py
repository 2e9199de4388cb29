"""Cases in, their records out, by several processes. A module of its own: a spawned process does not load ``__main__``
of a package, so what it is to run must stand elsewhere."""

from __future__ import annotations

import multiprocessing
import time
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bench.accuracy.cases import Case


def by_head(wanted: Sequence[Case]) -> list[list[Case]]:
    """Cases of one baseline together, the longest list first: each worker prepares a baseline once."""
    groups: dict[str, list[Case]] = {}
    for case in wanted:
        groups.setdefault(case.base.name, []).append(case)
    return sorted(groups.values(), key=len, reverse=True)


def work(job: tuple[list[Case], Path, Any]) -> None:
    """One worker's share: puts a record of each case of one baseline on the queue, also when the bench itself fails."""
    import SimpleITK as sitk

    from bench.accuracy.run import run

    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    group, folder, queue = job
    for case in group:
        try:
            queue.put(run(case, folder))
        except Exception:
            queue.put(
                {"name": case.name, "kind": case.kind, "split": case.split, "failed": traceback.format_exc(limit=6)}
            )


def records(wanted: Sequence[Case], jobs: int, folder: Path) -> Iterator[dict[str, Any]]:
    """Records as they come, in no particular order."""
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, context.Pool(jobs) as pool:
        queue = manager.Queue()
        groups = by_head(wanted)
        done = pool.map_async(work, [(group, folder / "prepared", queue) for group in groups], chunksize=1)
        for _ in wanted:
            while queue.empty():
                if done.ready():
                    done.get()  # raises what ended a worker
                time.sleep(0.2)
            yield queue.get()
