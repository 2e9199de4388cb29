"""Decisions in, outputs at destinations out: a toy output, registered by one line, is delivered exactly once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from tests.fake_index import InMemoryIndex
from tests.fakes import NOON, FakeClock, an_instance
from tests.fakes_deliveries import FakeDeliveries, FakeDestination
from triage.errors import Transient
from workers.deliveries.deliver import Delivering, deliver_due
from workers.deliveries.plan import Route, planned
from workers.delivery_ports import Decided, Delivery
from workers.outputs.all import OUTPUTS
from workers.outputs.output import EvidenceFiles, Output

STUDY = "1.2.3"
DECIDED = Decided(STUDY, 1, "full")


def toy(document: Mapping[str, Any], evidence: EvidenceFiles) -> bytes:
    return f"{document['decision']['category']} {len(evidence['evidence.png'])}".encode()


TOY = Output("toy", "toy.txt", "text/plain", toy)


class Site:
    """A node with one decided study, the outputs of the program and the toy, and one destination."""

    def __init__(self) -> None:
        self.clock, self.index, self.destination = FakeClock(), InMemoryIndex(), FakeDestination()
        self.deliveries = FakeDeliveries()
        self.index.record_instances([an_instance(STUDY)])
        self.index.mark_ready(STUDY, now=NOON, reason="test")
        claim = self.index.claim(STUDY, owner="w", now=NOON, lease_s=30)
        assert claim is not None
        for stage, category in (("first_look", "possible"), ("full", "no_pattern")):
            document = {"decision": {"category": category, "priority": "unchanged"}}
            assert self.index.save_assessment(claim, stage=stage, document=document, now=NOON)
        self.parts = Delivering(
            deliveries=self.deliveries,
            index=self.index,
            evidence=lambda _decided: {"evidence.png": b"12345"},
            outputs=(*OUTPUTS, TOY),
            destinations={"pacs": self.destination},
            clock=self.clock,
        )

    def plan(self, *routes: Route) -> None:
        self.deliveries.plan(planned(DECIDED, routes, now=self.clock.now()))

    def got(self) -> list[tuple[str, str, bytes]]:
        return [(name, media_type, content) for _, name, media_type, content in self.destination.got]


def test_a_toy_output_is_rendered_and_delivered_exactly_once() -> None:
    site = Site()
    site.plan(Route("toy", "pacs"))
    assert deliver_due(site.parts) == 1
    site.plan(Route("toy", "pacs"))
    site.clock.advance(1e6)
    assert deliver_due(site.parts) == 0
    assert site.got() == [("toy.txt", "text/plain", b"no_pattern 5")]
    assert site.deliveries.open(STUDY) == []


def test_the_document_of_the_decided_stage_is_delivered() -> None:
    site = Site()
    first = replace(DECIDED, stage="first_look")
    site.deliveries.plan(planned(first, [Route("document", "pacs")], now=NOON))
    deliver_due(site.parts)
    [(name, media_type, content)] = site.got()
    assert (name, media_type) == ("document.json", "application/json")
    assert b'"possible"' in content


def test_a_destination_that_is_away_gets_it_later_and_costs_no_other() -> None:
    site, archive = Site(), FakeDestination()
    parts = replace(site.parts, destinations={"pacs": site.destination, "archive": archive})
    site.destination.fault = Transient("the destination is away")
    site.plan(Route("toy", "pacs"), Route("toy", "archive"))
    assert deliver_due(parts) == 1
    assert len(archive.got) == 1
    [left] = site.deliveries.open(STUDY)
    assert (left.destination, left.attempts) == ("pacs", 1)
    assert left.failure is not None

    site.destination.fault = None
    assert deliver_due(parts) == 0, "it is not tried again at once"
    site.clock.advance(30)
    assert deliver_due(parts) == 1
    assert (len(site.destination.got), len(archive.got)) == (1, 1)


@pytest.mark.parametrize(
    "route",
    [pytest.param(Route("fax", "pacs"), id="no such output"), pytest.param(Route("toy", "moon"), id="no such place")],
)
def test_what_cannot_be_delivered_stays_visible(route: Route) -> None:
    site = Site()
    site.plan(route)
    assert deliver_due(site.parts) == 0
    assert [one.failure is not None for one in site.deliveries.open(STUDY)] == [True]


def test_another_process_that_was_faster() -> None:
    site = Site()
    site.plan(Route("toy", "pacs"))

    class Late(FakeDeliveries):
        def due(self, *, now: datetime) -> list[Delivery]:
            return found

    found = site.deliveries.due(now=NOON)
    assert deliver_due(replace(site.parts, deliveries=Late())) == 0
    assert site.got() == []


@pytest.mark.parametrize(
    ("routes", "kinds"),
    [
        pytest.param([], [], id="noop: no route"),
        pytest.param([Route("a", "x"), Route("a", "x")], [("a", "x")], id="named twice"),
        pytest.param(
            [Route("a", "x"), Route("b", "x"), Route("a", "y")], [("a", "x"), ("b", "x"), ("a", "y")], id="all"
        ),
    ],
)
def test_the_plan_holds_each_route_once(routes: list[Route], kinds: list[tuple[str, str]]) -> None:
    found = planned(DECIDED, routes, now=NOON)
    assert [(one.output, one.destination) for one in found] == kinds
    assert all((one.decided, one.due_at, one.attempts) == (DECIDED, NOON, 0) for one in found)


def test_kinds_and_files_of_the_outputs_are_unique() -> None:
    assert len({one.kind for one in OUTPUTS}) == len({one.file_name for one in OUTPUTS}) == len(OUTPUTS)
