"""Alerts beyond the budget of a day are held back and listed; P1 always goes; a restored index alerts nobody twice."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes import NOON
from tests.workers.deliveries.delivering import FULL, Site
from workers.config import parse
from workers.deliveries.budget import DAY
from workers.deliveries.plan import MAY_BE_KNOWN, PlanFacts, planned
from workers.delivery_ports import Decided, DeliveryState, Known, Unplanned
from workers.index.schema import assessments

HOUR = 3600.0
HELD, DONE = DeliveryState.HELD, DeliveryState.DONE


def a_site(folder: Path, **own: Any) -> Site:
    """A site whose destination "pager" gets alerts; its output is the toy one."""
    return Site(folder, ("pager",), alert=True, own=own)


def decide(site: Site, number: int, priority: str) -> None:
    site.decide(Decided(f"1.2.{number}", 1, "full"), at=site.clock.now(), priority=priority)


def states(site: Site) -> list[str]:
    """Of all deliveries, oldest first."""
    return [one.state.value for one in reversed(site.deliveries.listed())]


@pytest.mark.parametrize(
    ("budget", "priorities", "expected"),
    [
        pytest.param(None, ("P2", "P2", "P3"), ["done"] * 3, id="noop: no budget"),
        pytest.param(2, ("P2", "P3"), ["done"] * 2, id="noop: within the budget"),
        pytest.param(2, ("P2", "P3", "unchanged", "P1"), ["done", "done", "held", "done"], id="beyond; P1 goes"),
        pytest.param(1, ("P1", "P1", "P3"), ["done", "done", "held"], id="P1 counts"),
        pytest.param(0, ("P3", "P1"), ["held", "done"], id="nothing but P1"),
    ],
)
def test_budgets(tmp_path: Path, budget: int | None, priorities: Sequence[str], expected: list[str]) -> None:
    site = a_site(tmp_path, daily_budget=budget)
    for number, priority in enumerate(priorities):
        decide(site, number, priority)
        site.step("pager")
    assert states(site) == expected


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        pytest.param("P1", ["done", "done"], id="it corrects a P1 that went there"),
        pytest.param(None, ["held"], id="no-op: nothing went there"),
    ],
)
def test_what_follows_a_p1_is_never_held_back(tmp_path: Path, first: str | None, expected: list[str]) -> None:
    site = a_site(tmp_path, daily_budget=0)
    if first is not None:
        site.decide(Decided("1.2.3", 1, "first_look"), at=site.clock.now(), priority=first)
        site.step("pager")
    site.decide(FULL, at=site.clock.now(), priority="unchanged")
    site.step("pager")
    assert states(site) == expected


def test_what_is_held_says_why_and_goes_when_a_person_releases_it(tmp_path: Path) -> None:
    site = a_site(tmp_path, daily_budget=0)
    decide(site, 1, "P2")
    site.step("pager", 3)
    row = site.row("pager")
    assert (row.state, row.attempts, row.done_at) == (HELD, 0, None)
    assert row.answer == "held back: 0 alerts within 24 hours are the budget"
    site.deliveries.let_go([row.number], by="Dr Doe", now=site.clock.now())
    site.step("pager")
    assert site.got("pager") == ["r1 full"]


def test_a_newer_decision_replaces_what_is_held(tmp_path: Path) -> None:
    site = a_site(tmp_path, daily_budget=0)
    site.decide(priority="P3")
    site.step("pager")
    site.decide(Decided("1.2.3", 2, "full"), priority="P1")
    site.step("pager")
    assert states(site) == ["superseded", "done"]


def test_the_budget_of_a_day_comes_back_and_a_clock_that_is_set_back_locks_nothing(tmp_path: Path) -> None:
    site = a_site(tmp_path, daily_budget=1)
    for number, moved_s in enumerate((0, HOUR, 24 * HOUR, -48 * HOUR)):
        site.clock.advance(moved_s)
        site.decide(Decided(f"1.2.{number}", 1, "full"), priority="P2")
        site.step("pager")
    assert states(site) == ["done", "held", "done", "done"]


COMING = st.lists(
    st.tuples(st.sampled_from(["P1", "P2", "P3", "unchanged"]), st.sampled_from([0.0, HOUR, 9 * HOUR, 25 * HOUR])),
    max_size=14,
)


@settings(max_examples=25, deadline=None)
@given(budget=st.integers(0, 4), coming=COMING)
def test_whatever_comes_p1_goes_the_budget_holds_and_nothing_is_lost(
    budget: int, coming: list[tuple[str, float]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        site = a_site(Path(folder), daily_budget=budget)
        for number, (priority, moved_s) in enumerate(coming):
            site.clock.advance(moved_s)
            decide(site, number, priority)
            site.step("pager", 2)
        rows = list(reversed(site.deliveries.listed()))
        site.deliveries.close()
    assert len(rows) == len(coming)
    assert {row.state for row in rows} <= {DONE, HELD}
    sent = [(row.done_at or NOON, row.urgency) for row in rows if row.state is DONE]
    assert all(row.state is DONE for row in rows if row.urgency == 1)
    for place, (when, urgency) in enumerate(sent):
        if urgency > 1:
            assert sum(when - DAY <= other for other, _ in sent[:place]) < budget


def test_a_restored_decision_alerts_nobody_again_by_itself(tmp_path: Path) -> None:
    site = a_site(tmp_path)
    site.decide()
    with site.deliveries._engine.begin() as connection:
        mark = sa.literal(NOON.replace(year=1970, month=1, day=1, hour=0), assessments.c.planned_at.type)
        connection.execute(assessments.update().values(planned_at=mark))
    (found,) = site.deliveries.unplanned(limit=9)
    assert (found.decided, found.restored) == (FULL, True)


ALERTED = {"name": "ris", "kind": "mllp", "host": "localhost", "port": 2575}
STORED = {"name": "pacs", "kind": "folder", "path": "/x", "outputs": ["document"]}


@pytest.mark.parametrize(
    ("restored", "expected"),
    [
        pytest.param(False, {"ris": ("planned", None), "pacs": ("planned", None)}, id="noop: a new decision"),
        pytest.param(True, {"ris": ("held", MAY_BE_KNOWN), "pacs": ("planned", None)}, id="restored"),
    ],
)
def test_objects_of_a_restored_decision_go_and_alerts_wait(restored: bool, expected: dict[str, object]) -> None:
    results = parse({"results": {"destinations": [ALERTED, STORED]}}).results
    known = {name: Known(name, since=NOON) for name in ("ris", "pacs")}
    some = planned(Unplanned(FULL, NOON, "P1", restored=restored), results, PlanFacts(known))
    assert {one.destination: (one.state.value, one.answer) for one in some} == expected
