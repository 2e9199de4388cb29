"""What ports.Deliveries promises, in SQL on both databases: leases, order, supersession, and what a person does."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from tests.workers.index.index_contract import STUDY, a_row
from workers.delivery_ports import Decided, Deliveries, Delivery, DeliveryState, Release, ShadowKind, released_by
from workers.index.deliveries import SqlDeliveries, delivery_values
from workers.index.schema import assessments, metadata
from workers.index.sql import SqlIndex

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
FIRST, FULL, LATER = Decided("1.2.3", 1, "first_look"), Decided("1.2.3", 1, "full"), Decided("1.2.3", 2, "first_look")
ONE = Delivery(FULL, "sr", "pacs", due_at=NOW)
LONGEST_S = 300.0


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


@pytest.fixture(params=["sqlite", "postgresql"])
def deliveries(request: pytest.FixtureRequest, engine_of: Callable[[str], Engine]) -> SqlDeliveries:
    opened = SqlDeliveries(engine_of(request.param))
    opened.register(["pacs", "ris"], since=NOW)
    return opened


def take(deliveries: Deliveries, now: datetime = NOW, to: str = "pacs", owner: str = "me") -> Delivery | None:
    return deliveries.take(to, owner=owner, now=now, for_s=60, longest_s=LONGEST_S)


def taken(deliveries: Deliveries, now: datetime = NOW) -> Delivery:
    found = take(deliveries, now)
    assert found is not None
    return found


def states(deliveries: Deliveries) -> dict[tuple[str, str, str], str]:
    return {
        (f"{d.decided.revision} {d.decided.stage}", d.output, d.destination): d.state.value for d in deliveries.listed()
    }


def decide(deliveries: SqlDeliveries, decided: Decided, priority: str = "P1") -> None:
    row = {
        "study_instance_uid": decided.study_instance_uid, "revision": decided.revision, "stage": decided.stage,
        "stage_rank": int(decided.stage == "full"), "created_at": NOW, "superseded": False,
        "document": {"decision": {"priority": priority}},
    }  # fmt: skip
    with deliveries._engine.begin() as connection:
        connection.execute(sa.insert(assessments).values(**row))


def test_noop_nothing_is_planned(deliveries: SqlDeliveries) -> None:
    deliveries.add([], now=NOW)
    assert take(deliveries) is None
    assert deliveries.unplanned(limit=9) == []
    assert (deliveries.listed(), deliveries.tallies(), deliveries.oldest_open()) == ([], {}, {})
    assert deliveries.one(1) is None
    assert deliveries.free(now=NOW, owner="me") == 0


@pytest.mark.parametrize("newer", list(DeliveryState))
@pytest.mark.parametrize("by_hand", ["retry", "let_go"])
def test_what_a_person_lets_go_never_follows_a_newer_decision(
    deliveries: SqlDeliveries, by_hand: str, newer: DeliveryState
) -> None:
    older = DeliveryState.DISCARDED if by_hand == "retry" else DeliveryState.HELD
    with deliveries._engine.begin() as connection:
        for one in (replace(ONE, state=older), replace(ONE, decided=LATER, state=newer)):
            connection.execute(sa.insert(metadata.tables["deliveries"]).values(**delivery_values(one, NOW)))
    number = deliveries.listed()[-1].number
    if by_hand == "retry":
        waiting = deliveries.retry([number], now=NOW)
    else:
        waiting = deliveries.let_go([number], by="Ada", now=NOW)
    goes = newer is DeliveryState.DISCARDED
    assert waiting == int(goes)
    assert states(deliveries)["1 full", "sr", "pacs"] == ("planned" if goes else "superseded")


@pytest.mark.parametrize("planned", [False, True])
def test_what_was_planned_is_not_replaced(deliveries: SqlDeliveries, planned: bool) -> None:
    """Whoever has it would never hear of another word under the same key."""
    index = SqlIndex(deliveries._engine)
    index.record_instances([a_row(1)])
    index.mark_ready(STUDY, now=NOW, reason="test")
    for attempt, (priority, stored) in enumerate([("unchanged", True), ("P1", not planned)], start=1):
        claim = index.claim(STUDY, owner="w", now=NOW + timedelta(seconds=40 * attempt), lease_s=30)
        assert claim is not None
        document = {"decision": {"category": "possible", "priority": priority, "reasons": []}, "findings": []}
        assert index.save_assessment(claim, stage="full", document=document, now=NOW) is stored
        if planned:
            deliveries.plan(Decided(STUDY, 1, "full"), [], now=NOW)
    row = index.study(STUDY)
    assert row is not None
    assert row.priority == ("unchanged" if planned else "P1")


def test_a_decision_without_a_plan_is_found_until_its_plan_is_stored_with_it(deliveries: SqlDeliveries) -> None:
    decide(deliveries, FULL)
    (found,) = deliveries.unplanned(limit=9)
    assert (found.decided, found.priority, found.created_at) == (FULL, "P1", NOW)
    assert not deliveries.delivered("1.2.3", 1), "nobody has planned it"
    deliveries.plan(FULL, [ONE], now=NOW)
    assert deliveries.unplanned(limit=9) == []
    assert not deliveries.delivered("1.2.3", 1), "it waits"
    deliveries.settle(replace(taken(deliveries), state=DeliveryState.DONE, answer="0x0000"), now=NOW)
    assert deliveries.delivered("1.2.3", 1)


def test_planned_again_stays_as_it_is(deliveries: SqlDeliveries) -> None:
    deliveries.add([ONE], now=NOW)
    deliveries.settle(replace(taken(deliveries), state=DeliveryState.DONE), now=NOW)
    deliveries.add([ONE], now=after(1))
    assert [d.state for d in deliveries.listed()] == [DeliveryState.DONE]


def test_exactly_one_of_many_takes_it(deliveries: SqlDeliveries) -> None:
    deliveries.add([ONE], now=NOW)
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda number: take(deliveries, owner=str(number)), range(6)))
    assert sum(one is not None for one in found) == 1


def test_the_most_urgent_goes_first_and_the_oldest_among_equals(deliveries: SqlDeliveries) -> None:
    others = [replace(ONE, decided=replace(FULL, study_instance_uid=f"1.{n}"), urgency=n) for n in (3, 1, 2, 1)]
    others[3] = replace(others[3], decided=replace(FULL, study_instance_uid="1.9"))
    deliveries.add(others, now=NOW)
    order = [taken(deliveries).decided.study_instance_uid for _ in range(4)]
    assert order == ["1.1", "1.9", "1.2", "1.3"]


def test_one_study_is_sent_to_one_place_one_thing_at_a_time(deliveries: SqlDeliveries) -> None:
    deliveries.add([ONE, replace(ONE, output="seg"), replace(ONE, destination="ris")], now=NOW)
    first = taken(deliveries)
    assert take(deliveries) is None, "the other output waits"
    assert take(deliveries, to="ris") is not None, "another destination does not"
    deliveries.settle(replace(first, state=DeliveryState.DONE), now=NOW)
    assert taken(deliveries).output == "seg"


def test_a_newer_decision_replaces_what_waits_and_what_is_dead_and_never_what_arrived(
    deliveries: SqlDeliveries,
) -> None:
    deliveries.add([replace(ONE, decided=FIRST, output=o) for o in ("sr", "seg", "sc")], now=NOW)
    deliveries.settle(replace(taken(deliveries), state=DeliveryState.DONE), now=NOW)
    deliveries.settle(replace(taken(deliveries), state=DeliveryState.DEAD, failure="no"), now=NOW)
    deliveries.add([ONE], now=NOW)
    assert states(deliveries) == {
        ("1 first_look", "sr", "pacs"): "done",
        ("1 first_look", "seg", "pacs"): "superseded",
        ("1 first_look", "sc", "pacs"): "superseded",
        ("1 full", "sr", "pacs"): "planned",
    }


def test_an_older_decision_that_is_planned_late_is_superseded_at_once(deliveries: SqlDeliveries) -> None:
    deliveries.add([ONE], now=NOW)
    deliveries.add([replace(ONE, decided=FIRST)], now=NOW)
    assert states(deliveries)["1 first_look", "sr", "pacs"] == "superseded"


def test_an_older_one_that_fails_while_a_newer_one_waits_is_not_tried_again(deliveries: SqlDeliveries) -> None:
    deliveries.add([replace(ONE, decided=FIRST)], now=NOW)
    old = taken(deliveries)
    deliveries.add([ONE], now=NOW)
    assert take(deliveries) is None, "the newer one waits for the older one that is on its way"
    deliveries.settle(replace(old, state=DeliveryState.PLANNED, failure="away"), now=NOW)
    assert states(deliveries)["1 first_look", "sr", "pacs"] == "superseded"
    assert taken(deliveries).decided == FULL


@pytest.mark.parametrize("output", ["retract", "images"])
def test_what_no_newer_decision_makes_needless_stays(deliveries: SqlDeliveries, output: str) -> None:
    deliveries.add([replace(ONE, output=output)], now=NOW)
    deliveries.add([replace(ONE, decided=LATER)], now=NOW)
    assert states(deliveries)["1 full", output, "pacs"] == "planned"


def test_a_pause_is_kept_and_a_due_time_of_before_the_clock_was_set_back_counts_as_over(
    deliveries: SqlDeliveries,
) -> None:
    deliveries.add([ONE], now=NOW)
    deliveries.settle(replace(taken(deliveries), state=DeliveryState.PLANNED, due_at=after(30)), now=NOW)
    assert take(deliveries, after(29)) is None
    assert take(deliveries, after(-3600)) is not None


# escalates, attempts, seconds that the clock is set back -> whether it is due
SET_BACK = [
    pytest.param(True, 0, 0, False, id="no-op: an escalation waits for its time"),
    pytest.param(True, 0, 4 * 3600, True, id="an escalation that would wait for longer than any"),
    pytest.param(True, 1, 4 * 3600, True, id="an escalation that was tried"),
    pytest.param(False, 0, 4 * 3600, True, id="planned for now"),
    pytest.param(False, 1, 4 * 3600, True, id="tried"),
]


@pytest.mark.parametrize(("escalates", "attempts", "back_s", "due"), SET_BACK)
def test_what_is_due_after_the_clock_was_set_back(
    deliveries: SqlDeliveries, escalates: bool, attempts: int, back_s: float, due: bool
) -> None:
    waits_s = 3600 if escalates else 1
    deliveries.add([replace(ONE, due_at=after(waits_s), escalates=escalates, attempts=attempts)], now=NOW)
    now, span = after(-back_s), {"for_s": 60, "longest_s": LONGEST_S, "escalate_s": 3600}
    assert (deliveries.take("pacs", owner="me", now=now, **span) is not None) is due
    if not due:
        assert deliveries.take("pacs", owner="me", now=after(waits_s), **span) is not None


def test_a_lost_lease_stores_nothing_but_the_arrival(deliveries: SqlDeliveries) -> None:
    deliveries.add([ONE], now=NOW)
    slow = taken(deliveries)
    assert deliveries.free(now=after(30), for_s=60) == 0, "the lease goes on"
    assert deliveries.free(now=after(61), for_s=60) == 1
    again = taken(deliveries, after(61))
    assert again.attempts == 2
    assert not deliveries.settle(replace(slow, state=DeliveryState.DEAD), now=after(62))
    assert states(deliveries) == {("1 full", "sr", "pacs"): "sending"}
    assert deliveries.settle(replace(slow, state=DeliveryState.DONE), now=after(62))
    assert not deliveries.settle(replace(again, state=DeliveryState.PLANNED), now=after(63))
    assert states(deliveries) == {("1 full", "sr", "pacs"): "done"}


def test_a_process_takes_up_what_it_was_sending_when_it_died(deliveries: SqlDeliveries) -> None:
    deliveries.add([ONE], now=NOW)
    taken(deliveries)
    assert deliveries.free(now=NOW, owner="somebody else") == 0
    assert deliveries.free(now=NOW, owner="me") == 1
    assert taken(deliveries).attempts == 2


def test_leases_of_before_the_clock_was_set_back_end(deliveries: SqlDeliveries) -> None:
    deliveries.add([ONE], now=NOW)
    taken(deliveries)
    assert deliveries.free(now=after(-3600), for_s=60) == 1


def test_one_sender_at_a_time_serves_a_destination(deliveries: SqlDeliveries) -> None:
    assert deliveries.hold("pacs", owner="a", now=NOW, for_s=60)
    assert not deliveries.hold("pacs", owner="b", now=after(59), for_s=60)
    assert deliveries.hold("pacs", owner="a", now=after(59), for_s=60)
    assert not deliveries.hold("pacs", owner="b", now=after(60), for_s=60)
    assert deliveries.hold("pacs", owner="b", now=after(120), for_s=60)
    assert deliveries.hold("pacs", owner="a", now=after(-3600), for_s=60), "the clock was set back"
    assert not deliveries.hold("nobody", owner="a", now=NOW, for_s=60)


def test_the_breaker_and_the_first_day_of_a_destination_are_kept(deliveries: SqlDeliveries) -> None:
    deliveries.pause("pacs", failures=5, until=after(30))
    known = deliveries.register(["pacs", "new"], since=after(99))
    assert (known["pacs"].since, known["pacs"].failures, known["pacs"].paused_until) == (NOW, 5, after(30))
    assert known["new"].since == after(99)
    assert deliveries.known("nobody") is None


def test_retry_sends_at_once_with_new_attempts_and_ends_the_pause(deliveries: SqlDeliveries) -> None:
    deliveries.add([ONE], now=NOW)
    deliveries.settle(replace(taken(deliveries), state=DeliveryState.DEAD, failure="no"), now=NOW)
    deliveries.pause("pacs", failures=9, until=after(300))
    (dead,) = deliveries.listed(states=[DeliveryState.DEAD])
    assert deliveries.retry([dead.number, 999], now=after(5)) == 1
    known = deliveries.known("pacs")
    assert known is not None
    assert known.paused_until is None
    assert taken(deliveries, after(-3600)).attempts == 1


def test_discard_keeps_the_reason_and_what_is_done_stays(deliveries: SqlDeliveries) -> None:
    deliveries.add([ONE, replace(ONE, destination="ris")], now=NOW)
    deliveries.settle(replace(taken(deliveries), state=DeliveryState.DONE), now=NOW)
    numbers = [one.number for one in deliveries.listed()]
    assert deliveries.discard(numbers, why="wrong PACS", now=NOW) == 1
    (given_up,) = deliveries.listed(states=[DeliveryState.DISCARDED])
    assert given_up.answer == "given up: wrong PACS"


def test_lists_tallies_and_the_oldest(deliveries: SqlDeliveries) -> None:
    other = replace(ONE, decided=replace(FULL, study_instance_uid="1.9"), destination="ris", shadow=True)
    deliveries.add([ONE], now=NOW)
    deliveries.add([other], now=after(1))
    assert [d.destination for d in deliveries.listed()] == ["ris", "pacs"]
    assert [d.destination for d in deliveries.listed(limit=1)] == ["ris"]
    assert [d.destination for d in deliveries.listed(shadow=False)] == ["pacs"]
    assert [d.destination for d in deliveries.listed(study_instance_uid="1.9")] == ["ris"]
    assert [d.destination for d in deliveries.listed(destination="pacs")] == ["pacs"]
    assert deliveries.tallies() == {("pacs", "planned"): 1, ("ris", "planned"): 1}
    deliveries.add([replace(other, output="sc", state=DeliveryState.DONE)], now=NOW)
    assert deliveries.tallies(ended=False) == {("pacs", "planned"): 1, ("ris", "planned"): 1}
    assert deliveries.tallies()["ris", "done"] == 1
    assert deliveries.oldest_open() == {"pacs": NOW, "ris": after(1)}


def test_a_promotion_is_recorded_and_can_be_taken_back(deliveries: SqlDeliveries) -> None:
    first = Release("pacs", promoted=True, by="Dr. Ada", why="two weeks in shadow", at=NOW)
    deliveries.release(first)
    assert released_by(deliveries.releases()) == {(ShadowKind.DESTINATION, "pacs")}
    second = replace(first, promoted=False, why="too many", at=after(1))
    deliveries.release(second)
    assert released_by(deliveries.releases()) == frozenset()
    assert deliveries.releases() == [first, second]
