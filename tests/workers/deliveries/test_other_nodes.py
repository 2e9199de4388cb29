"""Two nodes with one index and different destinations: each destination gets everything once, whoever plans first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fakes import NOON
from tests.workers.deliveries.delivering import FIRST, FULL, Site
from tests.workers.deliveries.test_forwarding import Forwards
from triage.errors import Transient
from workers.deliveries.escalation import acknowledge
from workers.deliveries.forwarding import forward_new
from workers.deliveries.other_nodes import end_removed, served_elsewhere
from workers.deliveries.process import plan_new
from workers.delivery_ports import PLAN, Decided, DeliveryState, Known


@dataclass
class Two:
    """One serves "pacs", the other "archive"; both look once before anything is decided."""

    one: Site
    other: Site

    def step(self, times: int = 1) -> None:
        for _ in range(times):
            for site, name in ((self.one, "pacs"), (self.other, "archive")):
                plan_new(site.parts)
                site.step(name)

    def advance(self, seconds: float) -> None:
        for site in (self.one, self.other):
            site.clock.advance(seconds)

    def got(self) -> tuple[list[str], list[str]]:
        return self.one.got(), self.other.got("archive")


@pytest.fixture
def two(tmp_path: Path) -> Two:
    found = Two(Site(tmp_path, names=("pacs",), owner="one"), Site(tmp_path, names=("archive",), owner="other"))
    found.step()
    return found


def first(two: Two) -> None:
    two.one.decide()


def second(two: Two) -> None:
    two.other.decide()


def both_at_once(two: Two) -> None:
    """Both have read that it is without a plan."""
    waiting = [*two.one.deliveries.unplanned(limit=9)]
    two.one.decide()
    two.other.deliveries.plan(FULL, [], now=NOON)
    assert waiting == []


@pytest.mark.parametrize("decides", [first, second, both_at_once])
def test_each_destination_gets_it_once(two: Two, decides: Callable[[Two], None]) -> None:
    decides(two)
    two.step(times=3)
    assert two.got() == (["r1 full"], ["r1 full"])
    assert {one.state for one in two.one.deliveries.listed()} == {DeliveryState.DONE}
    assert PLAN not in {one.output for one in two.one.deliveries.listed()}


def test_an_older_decision_that_is_left_never_follows_a_newer_one(two: Two) -> None:
    two.one.decide(FIRST)
    two.one.decide(FULL)
    two.one.decide(Decided("1.2.3", 2, "full"))
    two.step(times=4)
    assert two.got() == (["r2 full"], ["r2 full"])


@pytest.mark.parametrize("away_s", [30, 100, 4 * 86400])
def test_a_node_that_was_away_plans_what_was_decided_meanwhile(two: Two, tmp_path: Path, away_s: float) -> None:
    two.advance(away_s / 2)
    two.one.step()
    two.one.decide(at=two.one.clock.now())
    two.one.step()
    two.advance(away_s / 2)
    again = Site(tmp_path, names=("archive",), owner="other")
    again.clock.advance(away_s)
    for _ in range(3):
        plan_new(again.parts)
        again.step("archive")
    assert (two.one.got(), again.got("archive")) == (["r1 full"], ["r1 full"])


@pytest.mark.parametrize("fails", ["hold", "untold", "add"])
def test_what_was_missed_survives_a_fault_at_any_step(two: Two, monkeypatch: pytest.MonkeyPatch, fails: str) -> None:
    two.advance(200)
    two.one.step()
    two.one.decide(at=two.one.clock.now())

    def broken(*_: object, **__: object) -> None:
        raise Transient("the index is away")

    with monkeypatch.context() as patch:
        patch.setattr(two.other.deliveries, fails, broken)
        with pytest.raises(Transient):
            two.other.step("archive")
    two.step(times=3)
    assert two.got() == (["r1 full"], ["r1 full"])


def test_noop_a_destination_that_this_node_had_itself_is_not_planned_any_more(tmp_path: Path) -> None:
    Site(tmp_path, names=("pacs", "old")).step("old")
    site = Site(tmp_path, names=("pacs",))
    site.decide()
    assert [one.destination for one in site.deliveries.listed()] == ["pacs"]


@pytest.mark.parametrize("back_s", [20, 100, 4 * 86400])
def test_what_is_decided_while_a_destination_is_not_in_the_settings(tmp_path: Path, back_s: float) -> None:
    """However soon it is put back: nobody left a row for it, since this node planned alone."""
    Site(tmp_path, names=("pacs", "old")).step("old")
    without = Site(tmp_path, names=("pacs",))
    without.clock.advance(10)
    without.decide(at=without.clock.now())
    back = Site(tmp_path, names=("pacs", "old"))
    back.clock.advance(back_s)
    for _ in range(3):
        back.step("old")
        plan_new(back.parts)
    assert back.got("old") == ["r1 full"]


def test_noop_a_restart_sends_nothing_again(tmp_path: Path) -> None:
    before = Site(tmp_path)
    before.decide()
    before.step()
    after = Site(tmp_path)
    for _ in range(3):
        after.step()
        plan_new(after.parts)
    assert (before.got(), after.got()) == (["r1 full"], [])


@pytest.mark.parametrize(
    ("owner", "alone", "left"),
    [
        pytest.param("other", False, 0, id="it had the destination and has it no more"),
        pytest.param("third", False, 1, id="no-op: another node had it, and may come back"),
        pytest.param("third", True, 0, id="the same node under a former name, alone with its index"),
    ],
)
def test_what_was_left_for_a_destination_that_was_removed(
    tmp_path: Path, two: Two, owner: str, *, alone: bool, left: int
) -> None:
    two.one.decide()
    deliveries = two.one.deliveries
    assert end_removed(deliveries, ["pacs"], owner, alone=alone) == 1 - left
    assert len(deliveries.listed(states=[DeliveryState.UNPLANNED])) == left
    back = Site(tmp_path, names=("archive",), owner="other")
    back.clock.advance(100)
    for _ in range(3):
        back.step("archive")
        plan_new(back.parts)
    assert back.got("archive") == ["r1 full"], "nothing is lost when it is put back"


def test_a_new_destination_gets_what_was_decided_shortly_before(tmp_path: Path) -> None:
    """As results.backfill_s says; also beside one that has its plan."""
    before = Site(tmp_path, names=("pacs",))
    before.decide(Decided("1.2.8", 1, "full"), at=NOON)
    site = Site(tmp_path, names=("pacs", "new"))
    site.clock.advance(60)
    for _ in range(3):
        plan_new(site.parts)
        site.step("new")
    assert site.got("new") == ["r1 full"]


def test_what_a_person_gives_up_is_not_planned(two: Two) -> None:
    two.one.decide()
    (left,) = two.one.deliveries.listed(states=[DeliveryState.UNPLANNED])
    assert (left.destination, left.output) == ("archive", PLAN)
    assert not two.one.deliveries.delivered("1.2.3", 1), "its images are kept until then"
    assert two.one.deliveries.retry([left.number], now=NOON) == 0
    assert two.one.deliveries.discard([left.number], why="not wanted", now=NOON) == 1
    assert two.one.deliveries.retry([left.number], now=NOON) == 0
    two.step(times=2)
    assert two.got() == (["r1 full"], [])


def test_an_acknowledgement_at_one_node_stops_the_escalation_of_the_other(tmp_path: Path) -> None:
    one = Site(tmp_path, names=("pacs",), owner="one")
    other = Site(tmp_path, names=("pager",), owner="other", alert=True, own={"escalate_after_s": 600})
    other.step("pager")
    one.decide()
    plan_new(other.parts)
    assert acknowledge(one.deliveries, "1.2.3", by="Dr. Ada", now=one.clock.now()) == 1
    other.clock.advance(700)
    other.step("pager", times=2)
    assert other.got("pager") == []


@pytest.mark.parametrize(("days", "state"), [(2, DeliveryState.PLANNED), (4, DeliveryState.HELD)])
def test_an_alert_of_long_ago_calls_nobody(tmp_path: Path, days: int, state: DeliveryState) -> None:
    """A destination comes back to the settings: a person decides on what is older than give_up_after_s."""
    Site(tmp_path, names=("pager",), alert=True).step("pager")
    without = Site(tmp_path, names=("pacs",))
    without.clock.advance(86400)
    without.decide(at=without.clock.now())
    again = Site(tmp_path, names=("pager",), alert=True)
    again.clock.advance((1 + days) * 86400)
    again.step("pager")
    plan_new(again.parts)
    assert [one.state for one in again.deliveries.listed(destination="pager")] == [state]


KNOWN = [
    pytest.param(Known("a", NOON, owner="other", owner_until=NOON), ["a"], id="another node serves it"),
    pytest.param(Known("pacs", NOON, owner="other", owner_until=NOON), [], id="no-op: ours"),
    pytest.param(Known("a", NOON, owner="me", owner_until=NOON), [], id="we had it and do not any more"),
    pytest.param(Known("a", NOON), [], id="not measured: nobody ever served it"),
]


@pytest.mark.parametrize(("known", "expected"), KNOWN)
def test_who_else_serves(known: Known, expected: Sequence[str]) -> None:
    assert served_elsewhere([known], ["pacs"], "me", NOON) == expected


def test_images_for_the_destination_of_another_node(tmp_path: Path) -> None:
    one, other = Forwards(tmp_path, owner="one", own=("pacs",)), Forwards(tmp_path, owner="other", own=("research",))
    other.deliveries.hold("research", owner="other", now=one.clock.now(), for_s=60)
    one.receive("flair", 1)
    assert one.planned() == {("pacs", "1")}
    for _ in range(2):
        forward_new(other.parts)
        assert other.planned() == {("pacs", "1"), ("research", "1")}
    assert {row.output for row in one.deliveries.listed()} == {"images"}
