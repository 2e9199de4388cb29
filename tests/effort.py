"""How much a piece of work does, whatever the speed of the machine and whatever else it does."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, TypeVar

T = TypeVar("T")


def within(most_lines: int, work: Callable[[], T]) -> T:
    """What ``work`` returns. It may run so many lines of Python in this thread; work of libraries in C is not seen.

    Raises:
        AssertionError: it runs more; it is ended there.
    """
    left = most_lines

    def count(_frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal left
        if event == "line":
            left -= 1
            if left < 0:
                sys.settrace(None)
                raise AssertionError(f"more than {most_lines} lines of Python")
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        answer = work()
    finally:
        sys.settrace(before)
    assert left >= 0, f"more than {most_lines} lines of Python"  # also when the work caught what ended it
    return answer
