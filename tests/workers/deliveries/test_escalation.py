"""A P1 goes to the next one when nobody acknowledges it in time; the acknowledgement stops that for good."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tests.fakes import NOON
from tests.workers.deliveries.delivering import FIRST, FULL, Site
from workers.deliveries.escalation import acknowledge
from workers.deliveries.readings import StopsEscalation
from workers.delivery_ports import DeliveryState
from workers.feeds.facts import ReadingReported

MINUTES_10 = 600.0


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path, ("call",), own={"escalate_after_s": MINUTES_10})


def later(site: Site, seconds: float) -> None:
    site.clock.advance(seconds)
    site.step("call", 2)


def acknowledged(site: Site) -> int:
    return acknowledge(site.deliveries, site.results, "1.2.3", by="Dr Doe", now=site.clock.now())


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
    assert acknowledge(site.deliveries, site.results, "1.2.4", by="Dr Doe", now=site.clock.now()) == 0
    later(site, MINUTES_10 + 1)
    assert site.got("call") == ["r1 full"]


def test_an_acknowledgement_before_the_planning_counts_and_is_listed(site: Site) -> None:
    acknowledged(site)
    site.decide(at=NOON - timedelta(seconds=1))
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
    StopsEscalation(site.deliveries, site.results)(ReadingReported("1.2.4", (), (), "ORU, OBR-25 F"), "HL7 ORU^R01")
    later(site, MINUTES_10 + 1)
    assert site.got("call") == ["r1 full"]
