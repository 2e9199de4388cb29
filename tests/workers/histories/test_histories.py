"""Histories of patients: what the decisions say at the end, by hand, for named orders of events."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from itertools import chain, zip_longest

import pytest

from tests.workers.histories.clinic import STORIES
from tests.workers.histories.events import Arrives, Event, Filled, History
from tests.workers.histories.world import check_versions, world
from workers.ports import StudyState

Order = Callable[[History], Sequence[Event]]


def in_order(history: History) -> list[Event]:
    return list(chain.from_iterable(history.all_chains()))


def backwards(history: History) -> list[Event]:
    return list(chain.from_iterable(reversed(history.all_chains())))


def mixed(history: History) -> list[Event]:
    """The first event of each chain, then the second ones; parts of different studies interleave."""
    return [event for row in zip_longest(*reversed(history.all_chains())) for event in row if event is not None]


ORDERS = [pytest.param(order, id=order.__name__) for order in (in_order, backwards, mixed)]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("history", STORIES, ids=lambda history: history.name)
def test_the_end_of_a_history(history: History, order: Order) -> None:
    """Everything at once, or each event followed by all that the node does about it."""
    with world(history.scans) as one:
        for event in order(history):
            one.apply(event)
            if order is not in_order:
                one.settle()
        one.settle()
        ends = one.ends()
        assert {uid: str(ends[uid]) for uid in history.expected} == dict(history.expected)
        check_versions(one)
        assert one.beat() == 0, "nothing is left to do"


SAID_LATE = [one for one in STORIES if one.rejected or any(scan.blank for scan in one.scans)]


@pytest.mark.parametrize("history", SAID_LATE, ids=lambda history: history.name)
def test_a_worker_comes_before_the_beat(history: History) -> None:
    """The last study is decided when something was just said about the objects of the earlier ones, and nobody has
    compared these with it yet."""
    last = max(history.scans, key=lambda scan: (scan.date or date.max, scan.at)).uid
    said: list[Event] = [*history.rejected, *(Filled(scan.uid) for scan in history.scans if scan.blank)]
    arrival = [one for one in in_order(history) if isinstance(one, Arrives) and one.uid == last]
    others = [one for one in in_order(history) if one not in said and one not in arrival]
    with world(history.scans) as one:
        for event in others:
            one.apply(event)
        one.settle()
        for event in [*(what for what in said if what != Filled(last)), *arrival]:
            one.apply(event)
        one.quiet(last)
        one.work(last)
        if Filled(last) in said:
            one.apply(Filled(last))
        one.settle()
        ends = one.ends()
        assert {uid: str(ends[uid]) for uid in history.expected} == dict(history.expected)


def test_the_table() -> None:
    assert len(STORIES) >= 60
    assert len({history.name for history in STORIES}) == len(STORIES)
    assert all(history.expected for history in STORIES)


def test_the_index_remembers_until_something_is_written() -> None:
    """What another one writes is not seen, which shows that it remembers; what is written by it is."""
    with world(STORIES[0].scans) as one:
        uid = STORIES[0].scans[0].uid
        assert one.index.study(uid) is None
        one.apply(Arrives(uid))
        row = one.index.study(uid)
        assert row is not None
        assert row.state is StudyState.RECEIVING
        assert one.index.instances(uid).pop() in one.index.instances(uid), "each answer is a list of its own"
        one.index._index.mark_ready(uid, now=one.clock.now(), reason="quiet_period")
        assert one.index.study(uid) == row
        one.work(uid)
        assert one.index.study(uid) != row


def test_noop_the_same_objects_again_change_nothing() -> None:
    history = STORIES[0]
    with world(history.scans) as one:
        for event in in_order(history):
            one.apply(event)
            one.settle()
        before = {uid: len(one.index.assessments(uid)) for uid in one.scans}
        for scan in history.scans:
            one.apply(Arrives(scan.uid))
        one.settle()
        assert {uid: len(one.index.assessments(uid)) for uid in one.scans} == before
