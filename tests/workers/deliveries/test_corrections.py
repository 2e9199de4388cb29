"""A decision that rules send elsewhere than the one before: nobody is left with, or still gets, what it contradicts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import NOON
from tests.workers.deliveries.delivering import FIRST, FULL, TOY, Site
from workers.deliveries.errors import DeliveryRejected, Unreachable
from workers.deliveries.process import plan_new
from workers.deliveries.retracting import retract
from workers.delivery_ports import Decided, DeliveryState
from workers.rules.answer import RulesAnswer
from workers.rules.rule import Send

TO_PAGER = (Send(("webhook",), ("call",)),)
SUSPECTED, QUIET = ("neurotoxicity_suspected", "P1", "present"), ("no_pattern", "unchanged", "absent")
UNKNOWN, POSSIBLE = ("not_assessable", "unchanged", "indeterminate"), ("possible", "P2", "present")
SHOWS_MORE = ("neurotoxicity_suspected", "P1", "indeterminate")


def a_document(said: tuple[str, str, str]) -> dict[str, Any]:
    category, priority, presence = said
    return {
        "decision": {"category": category, "priority": priority, "reasons": []},
        "findings": [{"pattern": "A", "presence": presence}],
        "series": [],
    }


class Sites(Site):
    """Rules send a first look to the one who is called, and a full decision to nobody."""

    def __init__(self, folder: Path, **own: Any) -> None:
        super().__init__(folder, ("call",), rules=str(folder / "rules.yaml"), own=own, alert=True)
        self.said: dict[Decided, tuple[str, str, str]] = {}
        self.sends = {FIRST: TO_PAGER}
        self.held = False
        self.parts = replace(
            self.parts,
            document=lambda one: a_document(self.said[one]),
            wanted=lambda one: RulesAnswer(self.sends.get(one, ()), held=self.held and one != FIRST),
        )
        self.senders = {"call": type(self.senders["call"])("call", self.destinations["call"], self.parts)}

    def says(self, decided: Decided, said: tuple[str, str, str]) -> None:
        self.said[decided] = said
        self.decide(decided, at=self.clock.now(), priority=said[1])
        self.clock.advance(1)

    def settled(self) -> None:
        """Whatever waits goes out."""
        self.clock.advance(60)
        for _ in range(2):
            plan_new(self.parts)
            self.step("call", 4)


def waits(_site: Sites) -> None:
    """It was never tried."""


def failed(site: Sites) -> None:
    site.destinations["call"].fault = Unreachable("no answer")
    site.step("call")
    site.destinations["call"].fault = None


def was_refused(site: Sites) -> None:
    site.destinations["call"].fault = DeliveryRejected("413")
    site.step("call")
    site.destinations["call"].fault = None


def arrived(site: Sites) -> None:
    site.step("call")


def is_being_sent(site: Sites) -> None:
    assert site.deliveries.take("call", owner="node", now=site.clock.now(), for_s=1, longest_s=9) is not None


def was_retracted(site: Sites) -> None:
    site.step("call")
    retract(site.deliveries, {FIRST}, ["call"], why="wrong", now=site.clock.now())
    site.parts.outputs["retract_webhook"] = replace(TOY, kind="retract_webhook")  # type: ignore[index]
    site.step("call")
    site.destinations["call"].got.clear()


FL, FU = "r1 first_look", "r1 full"
CASES = [
    pytest.param(waits, SUSPECTED, [FL], id="no-op: it waits, and the newer says the same"),
    pytest.param(arrived, SUSPECTED, [FL], id="no-op: it arrived, and the newer says the same"),
    pytest.param(waits, QUIET, [], id="it waits, and there is no pattern: nobody is called"),
    pytest.param(failed, QUIET, [FU], id="it may have arrived: corrected"),
    pytest.param(arrived, QUIET, [FL, FU], id="it arrived: corrected"),
    pytest.param(was_refused, QUIET, [], id="it was refused: nothing to correct"),
    pytest.param(waits, UNKNOWN, [FU], id="not measured: no all-clear, the newer goes in its place"),
    pytest.param(waits, SHOWS_MORE, [FU], id="as urgent, other findings: the newer goes in its place"),
    pytest.param(arrived, POSSIBLE, [FL, FU], id="less"),
    pytest.param(was_retracted, QUIET, [], id="it was taken back: nothing to correct"),
]


@pytest.mark.parametrize(("becomes", "newer", "expected"), CASES)
def test_a_p1_whose_full_decision_goes_elsewhere(
    tmp_path: Path, becomes: Callable[[Sites], None], newer: tuple[str, str, str], expected: list[str]
) -> None:
    site = Sites(tmp_path)
    site.says(FIRST, SUSPECTED)
    becomes(site)
    site.says(FULL, newer)
    site.settled()
    assert site.got("call") == expected
    for one in site.deliveries.listed():
        assert one.state in (DeliveryState.DONE, DeliveryState.SUPERSEDED), "nothing is left that a retry would send"


def test_a_less_urgent_one_is_replaced_by_the_p1(tmp_path: Path) -> None:
    site = Sites(tmp_path)
    site.says(FIRST, POSSIBLE)
    site.says(FULL, SUSPECTED)
    site.settled()
    assert site.got("call") == ["r1 full"]


def test_one_that_was_being_sent_is_corrected_behind_it(tmp_path: Path) -> None:
    site = Sites(tmp_path)
    site.says(FIRST, SUSPECTED)
    is_being_sent(site)
    site.says(FULL, QUIET)
    site.deliveries.free(now=site.clock.now(), owner="node")
    site.settled()
    assert site.got("call") == ["r1 full"], "the older one does not follow the newer"


def test_a_dead_one_is_not_sent_by_hand_after_the_all_clear(tmp_path: Path) -> None:
    site = Sites(tmp_path)
    site.says(FIRST, SUSPECTED)
    was_refused(site)
    site.says(FULL, QUIET)
    number = site.deliveries.listed()[-1].number
    assert site.deliveries.retry([number], now=site.clock.now()) == 0
    site.settled()
    assert site.got("call") == []


def test_the_correction_of_a_p1_exceeds_no_budget(tmp_path: Path) -> None:
    site = Sites(tmp_path, daily_budget=0)
    site.says(FIRST, SUSPECTED)
    arrived(site)
    site.says(FULL, QUIET)
    site.settled()
    assert site.got("call") == ["r1 first_look", "r1 full"]


def test_a_decision_on_hold_corrects_when_it_is_released(tmp_path: Path) -> None:
    site = Sites(tmp_path)
    site.says(FIRST, SUSPECTED)
    arrived(site)
    site.held = True
    site.says(FULL, QUIET)
    site.settled()
    assert site.got("call") == ["r1 first_look"]
    (held,) = site.deliveries.listed(states=[DeliveryState.HELD])
    assert site.deliveries.let_go([held.number], by="Ada", now=NOON) == 1
    site.settled()
    assert site.got("call") == ["r1 first_look", "r1 full"]
