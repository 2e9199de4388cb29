"""What every implementation of ports.Deliveries must do: the one in SQL on both databases, and the fake."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.fakes_deliveries import FakeDeliveries
from tests.workers.index import postgres
from workers.delivery_ports import Decided, Deliveries, Delivery
from workers.index import migrations
from workers.index.deliveries import SqlDeliveries
from workers.index.schema import open_engine

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ONE = Delivery(Decided("1.2.3", 1, "full"), "document", "pacs", due_at=NOW)


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


@pytest.fixture(params=["fake", "sqlite", "postgresql"])
def deliveries(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Deliveries]:
    if request.param == "fake":
        yield FakeDeliveries()
        return
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'index.db'}"
    else:
        url = postgres.empty_database(request.getfixturevalue("postgres_socket"))
    engine = open_engine(url)
    migrations.prepare(engine, upgrade=False)
    yield SqlDeliveries(engine)
    engine.dispose()


def test_noop_nothing_planned(deliveries: Deliveries) -> None:
    deliveries.plan([])
    assert deliveries.due(now=NOW) == []
    assert deliveries.take(ONE, now=NOW, for_s=60) is None


def test_each_part_of_the_key_makes_another_delivery(deliveries: Deliveries) -> None:
    others = [
        replace(ONE, decided=Decided("1.2.4", 1, "full")),
        replace(ONE, decided=Decided("1.2.3", 2, "full")),
        replace(ONE, decided=Decided("1.2.3", 1, "first_look")),
        replace(ONE, output="report"),
        replace(ONE, destination="archive"),
    ]
    deliveries.plan([ONE, *others])
    assert len(deliveries.due(now=NOW)) == 6
    assert len(deliveries.open("1.2.3")) == 5
    deliveries.done(ONE, now=NOW)
    assert set(deliveries.due(now=NOW)) == set(others)


def test_planned_again_stays_as_it_is(deliveries: Deliveries) -> None:
    deliveries.plan([ONE])
    deliveries.take(ONE, now=NOW, for_s=60)
    deliveries.plan([ONE])
    assert deliveries.open("1.2.3") == [replace(ONE, due_at=later(60), attempts=1)]
    deliveries.done(ONE, now=NOW)
    deliveries.plan([ONE])
    assert deliveries.open("1.2.3") == []


def test_due_the_longest_due_first(deliveries: Deliveries) -> None:
    old, young = replace(ONE, output="a", due_at=later(-60)), replace(ONE, output="b", due_at=later(60))
    deliveries.plan([young, ONE, old])
    assert deliveries.due(now=NOW) == [old, ONE]


def test_taken_once_until_its_time_has_passed(deliveries: Deliveries) -> None:
    deliveries.plan([ONE])
    assert deliveries.take(ONE, now=NOW, for_s=60) == replace(ONE, due_at=later(60), attempts=1)
    assert deliveries.take(ONE, now=later(59), for_s=60) is None
    again = deliveries.take(ONE, now=later(60), for_s=60)
    assert again is not None
    assert again.attempts == 2


def test_a_failure_is_kept_and_tried_again(deliveries: Deliveries) -> None:
    deliveries.plan([ONE])
    deliveries.take(ONE, now=NOW, for_s=60)
    deliveries.failed(ONE, reason="away", due_at=later(30))
    assert deliveries.due(now=later(29)) == []
    assert deliveries.due(now=later(30)) == [replace(ONE, due_at=later(30), attempts=1, failure="away")]


def test_what_is_done_stays_done(deliveries: Deliveries) -> None:
    deliveries.plan([ONE])
    deliveries.done(ONE, now=NOW)
    deliveries.failed(ONE, reason="late news of another process", due_at=NOW)
    assert deliveries.due(now=later(1e6)) == []
    assert deliveries.take(ONE, now=later(1e6), for_s=60) is None


def test_exactly_one_of_many_takes_it(deliveries: Deliveries) -> None:
    deliveries.plan([ONE])
    with ThreadPoolExecutor(6) as pool:
        taken = list(pool.map(lambda _: deliveries.take(ONE, now=NOW, for_s=60), range(6)))
    assert sum(one is not None for one in taken) == 1
