"""Which deliveries a decision gets, with rules and without."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.fakes import NOON
from tests.workers.deliveries.delivering import FULL, Site
from workers.config import parse
from workers.deliveries.plan import PlanFacts, planned
from workers.delivery_ports import Decided, Known, Unplanned
from workers.rules.rule import Send

FOLDERS = [
    {"name": name, "kind": "folder", "path": "/x", "outputs": ["sr", "sc", "sr"]} for name in ("pacs", "archive")
]
RESULTS = parse({"results": {"destinations": FOLDERS}}).results
KNOWN = {name: Known(name, since=NOON) for name in ("pacs", "archive")}
SENDS = [
    pytest.param(None, {("pacs", "sr"), ("pacs", "sc"), ("archive", "sr"), ("archive", "sc")}, id="no rules"),
    pytest.param((), set(), id="dropped"),
    pytest.param((Send(("document",), ("archive",)),), {("archive", "document")}, id="one"),
    pytest.param(
        (Send(("document",), ("archive", "pacs")), Send(("document", "sr"), ("pacs",))),
        {("archive", "document"), ("pacs", "document"), ("pacs", "sr")},
        id="twice is once",
    ),
]


@pytest.mark.parametrize(("sends", "expected"), SENDS)
def test_what_rules_want(sends: tuple[Send, ...] | None, expected: set[tuple[str, str]]) -> None:
    some = planned(Unplanned(FULL, NOON, "P1"), RESULTS, PlanFacts(KNOWN, sends=sends))
    assert {(one.destination, one.output) for one in some} == expected
    assert len(some) == len(expected)


def test_what_is_slow_goes_last() -> None:
    folder = FOLDERS[0] | {"outputs": ["seg", "sc", "sr", "kos"]}
    results = parse({"results": {"destinations": [folder]}}).results
    some = planned(Unplanned(FULL, NOON, "P1"), results, PlanFacts(KNOWN))
    assert [one.output for one in some] == ["sc", "kos", "sr", "seg"]


def test_a_decision_that_cannot_be_planned_holds_up_no_other(tmp_path: Path) -> None:
    site, bad = Site(tmp_path, shadow_patterns=["B"]), Decided("1.2.9", 1, "full")

    def document(decided: Decided) -> dict[str, object]:
        return {"decision": {"priority": "P1"}, "findings": [{}] if decided == bad else []}

    site.parts = replace(site.parts, document=document)
    for one in (bad, FULL):
        site.decide(one)  # what cannot be planned is logged, and tried again
    site.step()
    assert site.got() == ["r1 full"]
    assert [one.decided for one in site.deliveries.unplanned(limit=9)] == [bad]
