"""Two pieces of work that do not need each other in, both results out: they run at the same time.

SimpleITK, numpy and scipy release Python's lock while they compute. The results do not depend on the order.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")


def side_by_side(one: Callable[[], A], other: Callable[[], B]) -> tuple[A, B]:
    """The results of both. What the first raises is raised; else what the other raises; both have ended then."""
    with ThreadPoolExecutor(1) as beside:
        waited_for = beside.submit(other)
        return one(), waited_for.result()
