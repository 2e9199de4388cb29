"""What every implementation of prior_ports.OrderPriorities must do: the one in SQL on both databases, and the fake."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes import NOON
from tests.fakes_priors import FakeOrderPriorities
from tests.workers.index import postgres
from workers.index import migrations
from workers.index.order_priorities import SqlOrderPriorities
from workers.index.schema import open_engine
from workers.prior_ports import OrderPriorities

STUDY = "1.2.3"


@pytest.fixture(params=["fake", "sqlite", "postgresql"])
def orders(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OrderPriorities]:
    if request.param == "fake":
        yield FakeOrderPriorities()
        return
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'index.db'}"
    else:
        url = postgres.empty_database(request.getfixturevalue("postgres_socket"))
    engine = open_engine(url)
    migrations.prepare(engine, upgrade=False)
    yield SqlOrderPriorities(engine)
    engine.dispose()


def test_what_the_worklist_says_is_kept(orders: OrderPriorities) -> None:
    assert orders.priorities([]) == {}
    assert orders.priorities([STUDY]) == {}
    orders.put_priority(STUDY, "ROUTINE", now=NOON)
    orders.put_priority("1.2.4", "", now=NOON)
    orders.put_priority(STUDY, "STAT", now=NOON)
    assert orders.priorities([STUDY, "1.2.4", "1.2.5"]) == {STUDY: "STAT", "1.2.4": ""}
