"""Numbers of the listener: events counted in each receiving process in, one sum over all of them out.

Every process writes its own numbers to a small file every second; a reader adds the files. The counts of a process that
has ended stay in the sum, its open associations do not. When the listener starts anew, all numbers begin at zero,
which is what a scraper expects of a counter.
"""

from __future__ import annotations

import json
import os
import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workers.listing import files_in

WRITE_EVERY_S = 1.0
LATENCY_BOUNDS_S = (0.0005, 0.001, 0.002, 0.004, 0.008, 0.015, 0.03, 0.06, 0.125, 0.25, 0.5, 1.0, 2.5, 10.0)


@dataclass(frozen=True)
class Numbers:
    """counts: "name" or "name:label" -> number that only grows. open: the same for what is so now. latency: answers per
    bound of LATENCY_BOUNDS_S, the last one beyond all; latency_sum_s: their total."""

    counts: Mapping[str, int] = field(default_factory=dict)
    open: Mapping[str, int] = field(default_factory=dict)
    latency: tuple[int, ...] = (0,) * (len(LATENCY_BOUNDS_S) + 1)
    latency_sum_s: float = 0.0


class Meter:
    """Counts in one process; safe for many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._open: Counter[str] = Counter()
        self._latency = [0] * (len(LATENCY_BOUNDS_S) + 1)
        self._latency_sum_s = 0.0

    def count(self, name: str, number: int = 1) -> None:
        with self._lock:
            self._counts[name] += number

    def set(self, name: str, value: int) -> None:
        """How many of something there are now."""
        with self._lock:
            self._open[name] = value

    def stored(self, outcome: str, size_bytes: int, seconds: float) -> None:
        """One object was taken and answered after ``seconds``."""
        with self._lock:
            self._counts[f"instances:{outcome}"] += 1
            self._counts["bytes"] += size_bytes
            self._latency[bisect_left(LATENCY_BOUNDS_S, seconds)] += 1
            self._latency_sum_s += seconds

    def numbers(self) -> Numbers:
        with self._lock:
            return Numbers(dict(self._counts), dict(self._open), tuple(self._latency), self._latency_sum_s)


class MeterFolder:
    """The files of all processes of one listener."""

    def __init__(self, state_dir: Path) -> None:
        self._folder = state_dir.absolute() / "run" / "meters"
        self._adding = threading.Lock()

    def begin(self) -> None:
        """Forget an earlier listener."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for path in self._folder.iterdir():
            path.unlink(missing_ok=True)

    def write(self, meter: Meter) -> None:
        """What this process counted; whole or not at all."""
        self._put(str(os.getpid()), meter.numbers())

    def add_finished_process(self, pid: int) -> None:
        """Add the counts of a process that has ended to those of all ended processes. Safe for many threads of one
        process, the parent.

        Raises:
            OSError: the disk is full or fails; the numbers are still counted where they are.
        """
        path = self._folder / f"{pid}.json"
        with self._adding:  # several children may die at the same moment
            found = _read(path)
            if found is not None:
                self._put("dead", add([_read(self._folder / "dead.json") or Numbers(), found]))
                path.unlink(missing_ok=True)

    def total(self) -> Numbers:
        """The sum over all processes; nothing is open at the dead.

        Raises:
            OSError: the folder cannot be read now.
        """
        found = []
        for path in files_in(self._folder, ending=".json"):
            numbers = _read(path)
            if numbers is not None:
                found.append(
                    numbers
                    if _alive(path.stem)
                    else Numbers(numbers.counts, {}, numbers.latency, numbers.latency_sum_s)
                )
        return add(found)

    def _put(self, name: str, numbers: Numbers) -> None:
        temporary = self._folder / f".{name}.{os.getpid()}.{threading.get_ident()}.tmp"
        temporary.write_text(json.dumps(vars(numbers)), encoding="utf-8")
        temporary.replace(self._folder / f"{name}.json")


def add(found: Iterable[Numbers]) -> Numbers:
    """The sum."""
    counts: Counter[str] = Counter()
    is_open: Counter[str] = Counter()
    latency, total_s = [0] * (len(LATENCY_BOUNDS_S) + 1), 0.0
    for one in found:
        counts.update(one.counts)
        is_open.update(one.open)
        latency = [a + b for a, b in zip(latency, one.latency, strict=True)]
        total_s += one.latency_sum_s
    return Numbers(dict(counts), dict(is_open), tuple(latency), total_s)


def _read(path: Path) -> Numbers | None:
    try:
        facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return Numbers(**{**facts, "latency": tuple(facts["latency"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _alive(name: str) -> bool:
    try:
        os.kill(int(name), 0)
    except (OSError, ValueError):
        return False
    return True
