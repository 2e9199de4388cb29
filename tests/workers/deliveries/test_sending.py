"""Deliveries that are due in, outputs at destinations out: failures, pauses, order, shadow mode."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from tests.fakes_deliveries import FakeDestination
from tests.patience import PATIENCE_S
from tests.workers.deliveries.delivering import FIRST, FULL, Site
from triage.errors import Transient
from workers.deliveries import process
from workers.deliveries.errors import DeliveryRejected, Unreachable
from workers.deliveries.sending import MOST_FAULTS, DeliverySender
from workers.delivery_ports import Decided, Delivery, DeliveryState, Receipt, Release


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_noop_nothing_is_decided(site: Site) -> None:
    site.step()
    assert site.destinations["pacs"].got == []
    assert site.deliveries.listed() == []


def test_what_is_decided_arrives_once_with_the_receipt_in_its_row(site: Site) -> None:
    site.decide()
    site.step(times=3)
    ((delivery, name, media_type, content),) = site.destinations["pacs"].got
    assert (delivery.decided, name, media_type, content) == (FULL, "toy.txt", "text/plain", b"P1 0")
    row = site.row()
    assert (row.state, row.answer, row.size_bytes, row.attempts) == (DeliveryState.DONE, "kept", 4, 1)
    assert site.deliveries.delivered("1.2.3", 1)


def test_an_output_that_does_not_apply_is_done_without_sending(tmp_path: Path) -> None:
    site = Site(tmp_path, own={"outputs": ["seg"]})
    site.decide()
    site.step()
    assert site.destinations["pacs"].got == []
    assert (site.row().state, site.row().answer) == (
        DeliveryState.DONE,
        "nothing to send: this output does not apply to the decision",
    )


def test_a_receiver_that_is_away_gets_it_after_growing_pauses(site: Site) -> None:
    site.decide()
    site.destinations["pacs"].fault = Unreachable("nobody answers")
    pauses = []
    for _ in range(4):
        site.step()
        row = site.row()
        assert (row.state, row.failure, row.error_class) == (DeliveryState.PLANNED, "nobody answers", "transient")
        pauses.append((row.due_at - site.clock.now()).total_seconds())
        site.step()
        assert site.row().attempts == row.attempts, "not before its time"
        site.clock.advance(pauses[-1])
    assert pauses == [10, 20, 40, 80]
    site.destinations["pacs"].fault = None
    site.step()
    assert (site.row().state, site.row().failure) == (DeliveryState.DONE, None)


def test_what_the_receiver_refuses_waits_for_a_human(site: Site) -> None:
    site.decide()
    site.destinations["pacs"].fault = DeliveryRejected("no SR here")
    site.step(times=3)
    row = site.row()
    assert (row.state, row.failure, row.error_class, row.attempts) == (
        DeliveryState.DEAD, "no SR here", "permanent", 1,
    )  # fmt: skip
    known = site.deliveries.known("pacs")
    assert known is not None
    assert known.failures == 0, "it answered"
    site.destinations["pacs"].fault = None
    site.deliveries.retry([row.number], now=site.clock.now())
    site.step()
    assert site.got() == ["r1 full"]


def test_a_destination_that_is_away_is_left_alone_and_a_restart_does_not_forget_it(site: Site) -> None:
    for number in range(8):
        site.decide(Decided(f"1.2.{number}", 1, "full"))
    site.destinations["pacs"].fault = Unreachable("away")
    site.step(times=20)
    tried = [one for one in site.deliveries.listed() if one.attempts]
    assert len(tried) == site.results.failures_until_pause
    again = DeliverySender("pacs", site.destinations["pacs"], site.parts)
    again.step()
    assert len([one for one in site.deliveries.listed() if one.attempts]) == len(tried)
    site.clock.advance(10)
    site.destinations["pacs"].fault = None
    for _ in range(9):
        again.step()
    assert len(site.got()) == 8
    known = site.deliveries.known("pacs")
    assert known is not None
    assert (known.failures, known.paused_until) == (0, None)


def test_a_pause_of_before_the_clock_was_set_back_is_over(site: Site) -> None:
    site.decide()
    site.deliveries.pause("pacs", failures=5, until=site.clock.now())
    site.clock.advance(-86400)
    site.step()
    assert site.got() == ["r1 full"]


@pytest.mark.parametrize(
    ("age_s", "state"), [pytest.param(100, "planned", id="young"), pytest.param(4000, "dead", id="old")]
)
def test_what_was_not_taken_for_too_long_is_dead(tmp_path: Path, age_s: float, state: str) -> None:
    site = Site(tmp_path, give_up_after_s=3600)
    site.decide()
    site.destinations["pacs"].fault = Unreachable("away")
    site.clock.advance(age_s)
    site.step()
    assert (site.row().state.value, site.row().error_class) == (state, "transient")


def test_a_destination_that_is_away_for_too_long_has_all_of_it_dead_and_gets_it_after_retry(tmp_path: Path) -> None:
    site = Site(tmp_path, give_up_after_s=3600)
    for number in range(9):
        site.decide(Decided(f"1.2.{number}", 1, "full"))
    site.destinations["pacs"].fault = Unreachable("away")
    site.step(times=9)
    site.clock.advance(4000)
    site.step()
    assert site.deliveries.tallies() == {("pacs", "dead"): 9}
    site.destinations["pacs"].fault = None
    site.deliveries.retry([one.number for one in site.deliveries.listed()], now=site.clock.now())
    site.step(times=9)
    assert len(site.got()) == 9


def test_one_that_fails_again_and_again_while_others_succeed_is_dead(tmp_path: Path) -> None:
    site = Site(tmp_path, max_attempts=3)

    class Picky(FakeDestination):
        def send(self, delivery: Delivery, file_name: str, media_type: str, content: bytes) -> Receipt:
            if delivery.decided == FULL:
                raise Unreachable("not this one")
            return super().send(delivery, file_name, media_type, content)

    sender = DeliverySender("pacs", Picky(), site.parts)
    site.decide()
    for number in range(3):
        site.decide(Decided(f"1.9.{number}", 1, "full"))
        sender.step()
        sender.step()
        site.clock.advance(300)
    assert [one.decided for one in site.deliveries.listed(states=[DeliveryState.DEAD])] == [FULL]


def test_an_outage_of_a_night_uses_up_no_attempts(tmp_path: Path) -> None:
    """Afterwards one broken connection is one attempt."""
    site = Site(tmp_path, max_attempts=5)
    for number in range(2):
        site.decide(Decided(f"1.2.{number}", 1, "full"))
    site.destinations["pacs"].fault = Unreachable("away")
    for _ in range(100):
        site.step()
        site.clock.advance(300)
    assert min(one.attempts for one in site.deliveries.listed()) > 5 * 5
    site.destinations["pacs"].fault = None
    site.step()
    site.destinations["pacs"].fault = Unreachable("broke off")
    site.step()
    assert [one.state for one in site.deliveries.listed(states=[DeliveryState.PLANNED, DeliveryState.DEAD])] == [
        DeliveryState.PLANNED
    ]
    site.destinations["pacs"].fault = None
    site.clock.advance(300)
    site.step()
    assert len(site.got()) == 2


def test_what_has_nothing_to_send_tells_nothing_of_an_outage(tmp_path: Path) -> None:
    """Most decisions have no segmentation: that there is nothing to send is no answer of the destination."""
    site = Site(tmp_path, max_attempts=5, own={"outputs": ["document", "seg"]})
    site.destinations["pacs"].fault = Unreachable("away")
    for number in range(30):
        site.decide(Decided(f"1.2.{number}", 1, "full"))
        site.step(times=4)
        site.clock.advance(300)
    tallies = site.deliveries.tallies()
    assert set(tallies) == {("pacs", "done"), ("pacs", "planned")}, "none of them is dead"
    assert tallies["pacs", "planned"] >= 30
    known = site.deliveries.known("pacs")
    assert known is not None
    assert known.failures > 20


def test_a_limit_of_one_attempt_makes_an_outage_cost_one_delivery(tmp_path: Path) -> None:
    site = Site(tmp_path, max_attempts=1)
    for number in range(9):
        site.decide(Decided(f"1.2.{number}", 1, "full"))
    site.destinations["pacs"].fault = Unreachable("away")
    for _ in range(30):
        site.step()
        site.clock.advance(300)
    assert site.deliveries.tallies() == {("pacs", "dead"): 1, ("pacs", "planned"): 8}


def test_a_fault_of_a_renderer_after_an_outage_is_the_first_one(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.decide()
    site.destinations["pacs"].fault = Unreachable("away")
    for _ in range(5):
        site.step()
        site.clock.advance(300)
    site.fault, site.destinations["pacs"].fault = RuntimeError("a fault"), None
    site.step()
    assert (site.row().state, site.row().attempts) == (DeliveryState.PLANNED, 6)


@pytest.mark.parametrize(
    ("asked_s", "priority", "failing"),
    [
        pytest.param(None, "P3", 0, id="no-op: all are taken"),
        pytest.param(None, "P3", 1, id="the same urgency"),
        pytest.param(None, "P1", 1, id="more urgent"),
        pytest.param(1.0, "P3", 1, id="the same urgency and the receiver asks for a pause"),
        pytest.param(1.0, "P1", 3, id="several, more urgent, and the receiver asks for a pause"),
    ],
)
def test_one_that_fails_again_and_again_keeps_no_other_waiting_and_ends(
    tmp_path: Path, asked_s: float | None, priority: str, failing: int
) -> None:
    site = Site(tmp_path, max_attempts=10, longest_pause_s=20)

    class Picky(FakeDestination):
        def send(self, delivery: Delivery, file_name: str, media_type: str, content: bytes) -> Receipt:
            if delivery.decided.study_instance_uid.startswith("1.1"):
                raise Unreachable("503", again_after_s=asked_s)
            return super().send(delivery, file_name, media_type, content)

    sender = DeliverySender("pacs", to := Picky(), site.parts)
    for number in range(failing):
        site.decide(Decided(f"1.1.{number}", 1, "full"), priority=priority)
    for second in range(0, 480, 2):
        if second >= 120 and second % 30 == 0:  # its own pauses and those of the destination are the longest by then
            site.decide(Decided(f"1.9.{second}", 1, "full"), at=site.clock.now(), priority="P3")
        if second >= 120 and second % 30 == 24:  # the longest pause, and the looks after it
            assert len(to.got) == second // 30 - 3, second
        sender.step()
        sender.step()
        site.clock.advance(2)
    ended = [one.attempts for one in site.deliveries.listed(states=[DeliveryState.DEAD])]
    assert len(ended) == failing
    assert all(attempts >= 10 for attempts in ended)


def test_files_that_are_not_written_yet_cost_no_attempt_and_no_pause_of_the_destination(site: Site) -> None:
    site.decide()
    site.fault = Transient("not written yet")
    site.step()
    assert (site.row().attempts, site.row().state) == (0, DeliveryState.PLANNED)
    known = site.deliveries.known("pacs")
    assert known is not None
    assert known.failures == 0
    site.fault = None
    site.clock.advance(1)
    site.step()
    assert site.got() == ["r1 full"]


@pytest.mark.parametrize(
    ("fault", "age_s", "state"),
    [
        pytest.param(Transient("not written yet"), 100, "planned", id="young"),
        pytest.param(Transient("not written yet"), 4000, "dead", id="never written"),
        pytest.param(OSError(5, "Input/output error"), 4000, "dead", id="unreadable"),
        pytest.param(None, 4000, "done", id="no-op: old and readable"),
    ],
)
def test_what_we_cannot_read_for_too_long_waits_for_a_human(
    tmp_path: Path, fault: Exception | None, age_s: float, state: str
) -> None:
    site = Site(tmp_path, give_up_after_s=3600)
    site.decide()
    site.fault = fault
    site.clock.advance(age_s)
    site.step()
    assert site.row().state.value == state


def test_a_fault_of_a_renderer_ends_and_costs_no_other(site: Site) -> None:
    site.decide()
    site.fault = ValueError("a name of a patient")
    for _ in range(MOST_FAULTS):
        site.step()
        site.clock.advance(100)
    row = site.row()
    assert (row.state, row.failure) == (DeliveryState.DEAD, "a fault of the program (ValueError)")
    site.fault = None
    site.decide(Decided("1.2.4", 1, "full"))
    site.step()
    assert len(site.got()) == 1


def test_the_full_assessment_replaces_a_first_look_that_waits_and_never_the_other_way(site: Site) -> None:
    site.destinations["pacs"].fault = Unreachable("away")
    site.decide(FIRST)
    site.step()
    site.decide(FULL)
    site.destinations["pacs"].fault = None
    site.clock.advance(60)
    site.step(times=3)
    assert site.got() == ["r1 full"]


@pytest.mark.parametrize(("stages", "expected"), [("both", ["r1 first_look", "r1 full"]), ("full", ["r1 full"])])
def test_stages(tmp_path: Path, stages: str, expected: list[str]) -> None:
    site = Site(tmp_path, own={"stages": stages})
    site.decide(FIRST)
    site.step()
    site.decide(FULL)
    site.step(times=2)
    assert site.got() == expected


def test_a_new_destination_gets_no_decisions_of_long_ago(tmp_path: Path) -> None:
    site = Site(tmp_path, backfill_s=60)
    long_ago = site.clock.now().replace(year=2000)
    site.decide(at=long_ago)
    site.step()
    assert site.got() == []
    assert site.deliveries.unplanned(limit=9) == []


def test_without_destinations_decisions_keep_waiting_for_a_plan(tmp_path: Path) -> None:
    site = Site(tmp_path, names=())
    site.decide()
    assert len(site.deliveries.unplanned(limit=9)) == 1


def test_the_shadow_mode_of_the_site_outlasts_a_promotion(tmp_path: Path) -> None:
    site = Site(tmp_path, shadow=True)
    site.deliveries.release(Release("pacs", promoted=True, by="a", why="b", at=site.clock.now()))
    site.decide()
    site.step()
    assert site.got() == []


def test_another_host_does_not_serve_the_same_destination(site: Site) -> None:
    site.decide()
    assert site.deliveries.hold("pacs", owner="other", now=site.clock.now(), for_s=60)
    site.step()
    assert site.got() == []
    site.clock.advance(61)
    site.step()
    assert site.got() == ["r1 full"]


def test_connections_of_a_study_are_given_back_after_it(site: Site) -> None:
    site.decide()
    site.step()
    assert site.destinations["pacs"].closed == 1
    site.step()
    assert site.destinations["pacs"].closed == 2


def test_the_process_serves_each_destination_while_another_hangs(tmp_path: Path) -> None:
    site, stop, stuck = Site(tmp_path, names=("hangs", "lives")), threading.Event(), threading.Event()
    begun, arrived = threading.Event(), threading.Event()

    class Hangs(FakeDestination):
        def send(self, delivery: Delivery, file_name: str, media_type: str, content: bytes) -> Receipt:
            begun.set()
            stuck.wait(PATIENCE_S)
            return super().send(delivery, file_name, media_type, content)

    class Lives(FakeDestination):
        def send(self, delivery: Delivery, file_name: str, media_type: str, content: bytes) -> Receipt:
            begun.wait(PATIENCE_S)
            receipt = super().send(delivery, file_name, media_type, content)
            arrived.set()
            return receipt

    ends = {"hangs": Hangs(), "lives": Lives()}
    thread = threading.Thread(target=process.run, args=(replace(site.parts), ends, stop))
    thread.start()
    try:
        site.decide()
        assert arrived.wait(PATIENCE_S)
        assert ends["hangs"].got == []
    finally:
        stop.set()
        stuck.set()
        thread.join(PATIENCE_S)
    assert len(ends["hangs"].got) == 1
