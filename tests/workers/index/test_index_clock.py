"""Hosts whose clocks are apart -> one time for their leases, that of the database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy.engine import Engine

from listener.commands.common import index_time
from tests.fakes import FakeClock, an_instance
from triage.errors import Transient
from workers import container
from workers.clock import SystemClock
from workers.config import parse
from workers.index import index_clock
from workers.index.connected import Connected
from workers.index.index_clock import ASK_AGAIN_S, ASK_EVERY_S, IndexClock, clock_of
from workers.index.sql import SqlIndex
from workers.rules.read import parse_rules
from workers.rules.site import known_of
from workers.settings import IndexSettings, NodeSettings

NOON = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
LEASE_S = 30.0


class ApartClock(SystemClock):
    """The clock of a host, apart from the right one."""

    def __init__(self, seconds: float) -> None:
        self._apart = timedelta(seconds=seconds)

    def now(self) -> datetime:
        return super().now() + self._apart


class Said(Connected):
    """A database that says a time, or is away."""

    def __init__(self) -> None:
        self.said: datetime | None = NOON
        self.asked = 0

    def time(self) -> datetime:
        self.asked += 1
        if self.said is None:
            raise Transient("away")
        return self.said


def machine_at(moment: datetime) -> SystemClock:
    machine = SystemClock()
    machine.now = lambda: moment  # type: ignore[method-assign]
    return machine


class Moved(IndexClock):
    def elapsed_s(self) -> float:
        return seconds[0]


seconds = [0.0]


@pytest.mark.parametrize("apart_s", [0.0, -60.0, 60.0, 3600.0])
def test_the_database_says_the_time(apart_s: float) -> None:
    database, seconds[0] = Said(), 0.0
    clock = Moved(database, machine=machine_at(NOON + timedelta(seconds=apart_s)))
    assert clock.now() == NOON
    seconds[0] += ASK_EVERY_S - 1
    assert clock.now() == NOON + timedelta(seconds=ASK_EVERY_S - 1)
    assert database.asked == 1
    database.said = NOON + timedelta(seconds=500)
    seconds[0] += 1
    assert clock.now() == NOON + timedelta(seconds=500)


def test_it_goes_on_while_the_database_is_away() -> None:
    database, seconds[0] = Said(), 0.0
    clock = Moved(database, machine=machine_at(NOON + timedelta(seconds=60)))
    assert clock.now() == NOON
    database.said = None
    seconds[0] += 1000
    assert clock.now() == NOON + timedelta(seconds=1000)


def test_until_the_database_has_answered_it_is_the_machines_clock() -> None:
    database, seconds[0] = Said(), 0.0
    database.said = None
    clock = Moved(database, machine=machine_at(NOON))
    assert clock.now() == NOON
    database.said = NOON + timedelta(seconds=60)
    seconds[0] += ASK_AGAIN_S
    assert clock.now() == NOON + timedelta(seconds=60)


def test_which_clock() -> None:
    shared = NodeSettings(index=IndexSettings(url="postgresql+psycopg://user@host/icansee"))
    assert type(clock_of(shared)) is IndexClock
    assert type(clock_of(NodeSettings())) is SystemClock


@pytest.mark.parametrize("apart_s", [60.0, -60.0])
def test_no_host_takes_what_another_one_works_on(engine_of: Callable[[str], Engine], apart_s: float) -> None:
    engine = engine_of("postgresql")
    index = SqlIndex(engine)
    here, there = IndexClock(Connected(engine)), IndexClock(Connected(engine), machine=ApartClock(apart_s))
    index.record_instances([an_instance("1.2.3")])
    index.mark_ready("1.2.3", now=here.now(), reason="x")
    claim = index.claim("1.2.3", owner="here", now=here.now(), lease_s=LEASE_S)
    assert claim is not None
    assert index.claim("1.2.3", owner="there", now=there.now(), lease_s=LEASE_S) is None
    assert index.due(now=there.now(), lease_s=LEASE_S) == []
    assert index.complete(claim, now=here.now())


@pytest.mark.parametrize("rules", [None, "rules: []"])
def test_deliveries_go_by_the_clock_of_the_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rules: str | None
) -> None:
    """Hosts that hold one destination by turns would otherwise hold it at once."""
    clock = FakeClock()
    monkeypatch.setattr(index_clock, "clock_of", lambda _settings: clock)
    settings = parse({"store": {"state_dir": str(tmp_path)}})
    found = None if rules is None else parse_rules(rules.encode(), known_of(settings.results), source="rules.yaml")
    index, deliveries = container.node_index(settings), container.open_deliveries(settings)
    parts = container._delivering(settings, found, index, deliveries)
    assert parts.forwarding is not None
    assert (parts.clock, parts.forwarding.clock, index_time(settings)) == (clock, clock, clock.now())
