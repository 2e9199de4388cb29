"""How long one pass over many things may take, so that what is due behind it is not kept waiting."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from workers.ports import Clock

Thing = TypeVar("Thing")

# The beat makes three passes in turn, each begins anew after half a second or more: what comes in meanwhile is looked
# at within some seconds, however much waits. Each pass does at least one thing.
PASS_S = 2.0


def within(budget_s: float, clock: Clock, things: Iterable[Thing]) -> Iterator[Thing]:
    """The things, until the time is over; always the first one. The caller takes up the rest in its next pass."""
    end_s = clock.elapsed_s() + budget_s
    for thing in things:
        yield thing
        if clock.elapsed_s() >= end_s:
            return
