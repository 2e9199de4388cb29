"""A P1 goes to the next one when nobody acknowledges it in time; the acknowledgement stops that for good."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from tests.fakes import NOON
from tests.workers.deliveries.delivering import FIRST, FULL, Site
from workers.deliveries.errors import DeliveryRejected, Unreachable
from workers.deliveries.escalation import acknowledge
from workers.deliveries.readings import StopsEscalation
from workers.deliveries.retracting import retract
from workers.delivery_ports import Decided, Delivery, DeliveryState
from workers.feeds.facts import ReadingReported

MINUTES_10 = 600.0
NEWER = Decided("1.2.3", 2, "full")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path, ("call",), own={"escalate_after_s": MINUTES_10})


def later(site: Site, seconds: float) -> None:
    site.clock.advance(seconds)
    site.step("call", 2)


def acknowledged(site: Site) -> int:
    return acknowledge(site.deliveries, "1.2.3", by="Dr Doe", now=site.clock.now())


def test_nobody_acknowledges(site: Site) -> None:
    site.decide()
    later(site, MINUTES_10 - 1)
    assert site.got("call") == []
    later(site, 2)
    assert site.got("call") == ["r1 full"]


@pytest.mark.parametrize("priority", ["P2", "P3", "unchanged"])
def test_noop_only_a_p1_is_escalated(site: Site, priority: str) -> None:
    site.decide(priority=priority)
    assert site.deliveries.listed() == []


def test_others_get_it_at_once(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.decide()
    site.step()
    assert site.got() == ["r1 full"]
    assert acknowledged(site) == 0


def test_acknowledged_in_time(site: Site) -> None:
    site.decide(FIRST)
    later(site, 30)
    assert acknowledged(site) == 1
    assert site.row("call").state is DeliveryState.DISCARDED
    assert site.row("call").answer == "given up: acknowledged by Dr Doe"
    site.decide(FULL, at=NOON + timedelta(seconds=40))
    later(site, 2 * MINUTES_10)
    assert site.got("call") == [], "a later decision of the study calls nobody either"
    assert acknowledged(site) == 0


@pytest.mark.parametrize("planned", [True, False], ids=["planned", "not planned yet"])
def test_who_has_seen_an_older_decision_stops_nothing_of_the_newer_one(site: Site, *, planned: bool) -> None:
    """The newer one is stored after the reader's page was made, with a time before it."""
    site.decide(FIRST, priority="unchanged")
    site.step("call")
    if planned:
        site.decide(FULL)
        site.step("call")
    site.clock.advance(3)
    assert acknowledge(site.deliveries, "1.2.3", by="Dr Doe", now=site.clock.now(), seen=FIRST) == 0
    if not planned:
        site.decide(FULL)
    later(site, MINUTES_10 + 1)
    assert site.got("call") == ["r1 full"]


def test_a_newer_decision_does_not_start_the_time_again(site: Site) -> None:
    site.decide(FIRST)
    later(site, MINUTES_10 - 10)
    site.decide(FULL, at=site.clock.now())
    later(site, 11)
    assert site.got("call") == ["r1 full"]


def test_whoever_was_called_gets_what_is_newer_at_once(site: Site) -> None:
    site.decide(FIRST)
    later(site, MINUTES_10 + 1)
    site.decide(FULL, at=site.clock.now())
    later(site, 1)
    assert site.got("call") == ["r1 first_look", "r1 full"]


def test_the_acknowledgement_concerns_its_study(site: Site) -> None:
    site.decide()
    assert acknowledge(site.deliveries, "1.2.4", by="Dr Doe", now=site.clock.now()) == 0
    later(site, MINUTES_10 + 1)
    assert site.got("call") == ["r1 full"]


def test_an_acknowledgement_before_the_planning_counts_and_is_listed(site: Site) -> None:
    site.decide(at=NOON - timedelta(seconds=1))
    acknowledged(site)
    later(site, MINUTES_10 + 1)
    assert site.got("call") == []
    row = site.row("call")
    assert (row.state, row.answer, row.done_at) == (DeliveryState.DISCARDED, "given up: acknowledged by Dr Doe", NOON)


def test_a_p1_that_comes_after_the_acknowledgement_is_news(site: Site) -> None:
    site.decide(FIRST, priority="unchanged")
    acknowledged(site)
    site.decide(FULL, at=NOON + timedelta(seconds=5))
    later(site, MINUTES_10 + 10)
    assert site.got("call") == ["r1 full"]


def test_a_message_about_a_study_that_is_not_here_stops_nothing(site: Site) -> None:
    site.decide()
    StopsEscalation(site.deliveries)(ReadingReported("1.2.4", (), (), "ORU, OBR-25 F"), "HL7 ORU^R01")
    later(site, MINUTES_10 + 1)
    assert site.got("call") == ["r1 full"]


def was_retracted(site: Site) -> None:
    assert retract(site.deliveries, {FULL}, {"call"}, why="another patient", now=site.clock.now()) == (0, 1)


def was_given_up_dead(site: Site) -> None:
    fails(site, DeliveryRejected("403"))
    assert site.row("call").state is DeliveryState.DEAD
    site.deliveries.discard([site.row("call").number], why="wrong number", now=site.clock.now())


def is_dead(site: Site) -> None:
    fails(site, DeliveryRejected("403"))


def was_retracted_and_then_seen(site: Site) -> None:
    was_retracted(site)
    site.clock.advance(1)
    acknowledged(site)


@pytest.mark.parametrize("ended", [was_retracted, was_given_up_dead, is_dead, was_retracted_and_then_seen])
def test_what_ended_without_an_acknowledgement_calls_nobody_off(site: Site, ended: Callable[[Site], None]) -> None:
    site.decide()
    ended(site)
    site.clock.advance(1)
    site.decide(NEWER, at=site.clock.now())
    later(site, MINUTES_10 + 1)
    assert site.got("call") == ["r2 full"]


def fails(site: Site, fault: Exception) -> None:
    """Its time comes, and the destination does not take it."""
    site.clock.advance(MINUTES_10 + 1)
    site.destinations["call"].fault = fault
    site.step("call")
    site.destinations["call"].fault = None


def while_it_is_being_sent(site: Site) -> None:
    pager = site.destinations["call"]
    pager.before = lambda: acknowledged(site)
    fails(site, Unreachable("timeout"))


def while_its_lease_is_lost(site: Site) -> None:
    site.clock.advance(MINUTES_10 + 1)
    span = {"owner": "node", "now": site.clock.now(), "for_s": 1.0, "longest_s": 1.0}
    assert site.deliveries.take("call", **span) is not None
    acknowledged(site)
    assert site.deliveries.free(now=site.clock.now(), owner="node") == 1


def when_it_is_dead(site: Site) -> None:
    is_dead(site)
    assert acknowledged(site) == 1


def when_it_was_dead_and_is_tried_again(site: Site) -> None:
    when_it_is_dead(site)
    assert site.deliveries.retry([site.row("call").number], now=site.clock.now()) == 0


def after_a_failure_at_another_node(site: Site) -> None:
    fails(site, Unreachable("timeout"))
    assert acknowledged(site) == 1


def behind_many_others(site: Site) -> None:
    images = [Delivery(Decided("1.2.3", n, "arrival"), "images", "archive", due_at=NOON) for n in range(1, 300)]
    site.deliveries.add(images, now=NOON)
    assert acknowledged(site) == 1


def between_planning_and_its_plan(site: Site) -> None:
    plan = site.deliveries.listed()
    site.deliveries.discard([one.number for one in plan], why="a test", now=NOON)
    acknowledged(site)
    late = Delivery(FIRST, "webhook", "call", due_at=NOON, escalates=True)
    site.deliveries.add([late], now=NOON)


@pytest.mark.parametrize(
    "seen",
    [
        while_it_is_being_sent,
        while_its_lease_is_lost,
        when_it_is_dead,
        when_it_was_dead_and_is_tried_again,
        after_a_failure_at_another_node,
        behind_many_others,
        between_planning_and_its_plan,
    ],
)
def test_nobody_is_called_after_the_acknowledgement(site: Site, seen: Callable[[Site], None]) -> None:
    site.decide(FIRST)
    seen(site)
    assert (site.row("call").state, site.row("call").answer) == (
        DeliveryState.DISCARDED,
        "given up: acknowledged by Dr Doe",
    )
    site.clock.advance(1)
    site.decide(FULL, at=site.clock.now(), priority="P3")
    later(site, 2 * MINUTES_10)
    assert site.got("call") == []


def test_whoever_was_called_before_the_acknowledgement_gets_what_is_newer(site: Site) -> None:
    site.decide(FIRST)
    later(site, MINUTES_10 + 1)
    acknowledged(site)
    site.decide(FULL, at=site.clock.now() + timedelta(seconds=1), priority="P3")
    later(site, 2)
    assert site.got("call") == ["r1 first_look", "r1 full"]
