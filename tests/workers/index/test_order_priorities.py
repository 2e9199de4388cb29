"""What every implementation of prior_ports.OrderPriorities must do: the one in SQL on both databases, and the fake."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy.engine import Engine

from tests.fakes import NOON
from tests.fakes_priors import FakeOrderPriorities
from workers.index.order_priorities import SqlOrderPriorities
from workers.prior_ports import OrderPriorities

STUDY = "1.2.3"


@pytest.fixture(params=["fake", "sqlite", "postgresql"])
def orders(request: pytest.FixtureRequest, engine_of: Callable[[str], Engine]) -> OrderPriorities:
    if request.param == "fake":
        return FakeOrderPriorities()
    return SqlOrderPriorities(engine_of(request.param))


def test_what_the_worklist_says_is_kept(orders: OrderPriorities) -> None:
    assert orders.priorities([]) == {}
    assert orders.priorities([STUDY]) == {}
    orders.put_priority(STUDY, "ROUTINE", now=NOON)
    orders.put_priority("1.2.4", "", now=NOON)
    orders.put_priority(STUDY, "STAT", now=NOON)
    assert orders.priorities([STUDY, "1.2.4", "1.2.5"]) == {STUDY: "STAT", "1.2.4": ""}
