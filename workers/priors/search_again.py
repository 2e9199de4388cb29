"""A search and what would be asked now in, whether and how it is asked again out. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from workers.prior_ports import PriorSearch, SearchState

GIVEN_UP_FOR = timedelta(hours=6)  # then an archive that could not be asked gets one attempt more


def ask_again(known: PriorSearch | None, wanted: PriorSearch, *, most: int) -> PriorSearch | None:
    """The search to be planned again; None: what it said, or is about to say, holds.

    Args:
        known: as it stands, of a study that still needs a baseline.
        wanted: the same study and archive, as it would be planned now.
        most: attempts of one search.
    """
    if known is None:
        return None
    if known.patient != wanted.patient or (known.asked_for and known.asked_for != wanted.asked_for):
        return wanted
    due = replace(known, due_at=wanted.due_at, asked_for=wanted.asked_for)
    if known.state is SearchState.GAVE_UP and _is_over(known, wanted):
        return replace(due, attempts=most - 1)
    # what was found cannot be the baseline: the next study may be
    if known.state is SearchState.FOUND or known.state is SearchState.NOT_NEEDED:
        return due if known.attempts < most else None
    return None


def _is_over(known: PriorSearch, wanted: PriorSearch) -> bool:
    """Whether a search was given up long enough ago, or in the future: then the clock was set back."""
    ended = known.finished_at
    return ended is None or wanted.due_at - ended >= GIVEN_UP_FOR or ended > wanted.due_at


def answered(known: Iterable[PriorSearch], now: datetime) -> list[PriorSearch]:
    """All of them, to be asked from the beginning; their answers are kept until then."""
    return [replace(one, attempts=0, due_at=now, failure=None) for one in known]


def failed(known: Iterable[PriorSearch], now: datetime) -> list[PriorSearch]:
    """Those that were given up, or wait after a failure."""
    waits = SearchState.WAITING
    ended = [one for one in known if one.state is SearchState.GAVE_UP or (one.state is waits and one.failure)]
    return answered(ended, now)
