"""Priorities of orders: asked once for each study, shown, and used to raise the urgency only."""

from __future__ import annotations

from datetime import date

import pytest

from tests.fake_index import InMemoryIndex
from tests.fakes import NOON, FakeBell, FakeClock, an_instance
from tests.fakes_priors import FakeOrderPriorities
from triage.infusions import Infusion
from workers.ports import PatientKey, StudyRow
from workers.priors.orders import OrderLook
from workers.queue.rings import DueRinger
from workers.studies.urgency import is_urgent, with_order

STUDY = "1.2.3"


def index_with(*studies: str) -> InMemoryIndex:
    index = InMemoryIndex()
    for number, uid in enumerate(studies):
        index.record_instances([an_instance(uid, patient_id=f"P{number}")])
    return index


def test_each_study_is_asked_for_once() -> None:
    index, orders = index_with("1.1", "1.2"), FakeOrderPriorities()
    asked: list[str] = []

    def ask(row: StudyRow) -> str:
        asked.append(row.study_instance_uid)
        return "HIGH" if row.study_instance_uid == "1.1" else ""

    look = OrderLook(index, orders, FakeClock(), ask)
    assert [look.look(), look.look()] == [2, 0]
    assert (sorted(asked), orders.known) == (["1.1", "1.2"], {"1.1": "HIGH", "1.2": ""})
    index.mark_ready("1.1", now=NOON, reason="test")
    assert look.look() == 0


def test_a_worklist_that_is_away_is_asked_again() -> None:
    orders = FakeOrderPriorities()
    assert OrderLook(index_with("1.1", "1.2"), orders, FakeClock(), lambda _: None).look() == 0
    assert orders.known == {}


def test_a_study_that_the_worklist_fails_on_keeps_no_other_waiting() -> None:
    orders = FakeOrderPriorities()
    look = OrderLook(
        index_with("1.1", "1.2"), orders, FakeClock(), lambda row: None if row.patient_id == "P0" else "STAT"
    )
    assert [look.look(), look.look(), orders.known] == [0, 1, {"1.2": "STAT"}]


@pytest.mark.parametrize(
    ("priority", "infusion", "urgent"),
    [
        pytest.param("STAT", None, True, id="STAT"),
        pytest.param("HIGH", None, True, id="HIGH"),
        pytest.param("ROUTINE", None, False, id="routine"),
        pytest.param("", None, False, id="the order says none"),
        pytest.param(None, None, False, id="nobody has asked"),
        pytest.param("LOW", date(2026, 3, 1), True, id="low, but after an infusion: an order lowers nothing"),
    ],
)
def test_an_order_can_only_raise_the_urgency(priority: str | None, infusion: date | None, urgent: bool) -> None:
    index = index_with(STUDY)
    if infusion is not None:
        index.add_infusion(PatientKey("P0"), Infusion(infusion), now=NOON)
    orders = FakeOrderPriorities(**({} if priority is None else {STUDY: priority}))
    row = index.study(STUDY)
    assert row is not None
    assert is_urgent(row, index, orders) is urgent
    bell = FakeBell()
    index.mark_ready(STUDY, now=NOON, reason="test")
    ringer = DueRinger(
        index,
        bell,
        FakeClock(),
        first_pause_s=1,
        broker_epoch=lambda: "one",
        urgent=lambda one: is_urgent(one, index, orders),
    )
    ringer.ring_due()
    assert bell.urgent == ([STUDY] if urgent else [])


def test_the_priority_is_shown() -> None:
    document = {"notices": ["one"]}
    assert with_order(document, None, STUDY) == document
    assert with_order(document, FakeOrderPriorities(), STUDY) == document
    assert with_order(document, FakeOrderPriorities(**{STUDY: "STAT"}), STUDY) == {
        "notices": ["one", "the order has priority STAT"],
        "order_priority": "STAT",
    }
