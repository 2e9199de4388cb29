"""A claim -> kept alive by heartbeats, or known to be lost."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.fake_index import InMemoryIndex
from tests.fakes import FakeClock, an_instance
from tests.patience import PATIENCE_S
from workers.studies.lease import Lease, LeaseLost, hold


def leased() -> tuple[InMemoryIndex, FakeClock, Lease]:
    index, clock = InMemoryIndex(), FakeClock()
    index.record_instances([an_instance("1.2.3")])
    index.mark_ready("1.2.3", now=clock.now(), reason="test")
    claim = index.claim("1.2.3", owner="w", now=clock.now(), lease_s=30)
    assert claim is not None
    return index, clock, Lease(claim, index, clock, lease_s=30, limit_s=100)


def test_a_beat_prolongs() -> None:
    index, clock, lease = leased()
    clock.advance(20)
    lease.beat()
    lease.check()
    row = index.study("1.2.3")
    assert row is not None
    assert row.lease_until == lease.claim.until
    assert (lease.claim.until - clock.now()).total_seconds() == 30


def test_taken_over_is_lost() -> None:
    index, clock, lease = leased()
    clock.advance(31)
    assert index.claim("1.2.3", owner="other", now=clock.now(), lease_s=30) is not None
    lease.beat()
    with pytest.raises(LeaseLost):
        lease.check()


@pytest.mark.parametrize(
    ("away_s", "lost"), [pytest.param(29, False, id="back in time"), pytest.param(31, True, id="away too long")]
)
def test_an_index_that_is_away_costs_the_lease_only_when_it_runs_out(away_s: float, lost: bool) -> None:
    index, clock, lease = leased()
    index.away = True
    clock.advance(away_s)
    lease.beat()
    assert lease.lost is lost


def test_the_heartbeat_runs_while_held_and_ends_with_it() -> None:
    import threading

    index, clock, lease = leased()
    beaten = threading.Event()
    renew = index.renew

    def noticed(*args: object, **kwargs: object) -> object:
        beaten.set()
        return renew(*args, **kwargs)  # type: ignore[arg-type]

    index.renew = noticed  # type: ignore[method-assign,assignment]
    with hold(lease.claim, index, clock, lease_s=0.03, limit_s=100):
        assert beaten.wait(PATIENCE_S)
    assert not any(thread.name == "lease" for thread in threading.enumerate())


@pytest.mark.parametrize("leap_s", [0.0, -3600.0, 3600.0])
def test_a_clock_that_is_set_costs_no_lease_and_hides_no_loss(leap_s: float) -> None:
    index, clock, lease = leased()
    clock.leap(leap_s)
    clock.advance(10)
    lease.beat()
    assert not lease.lost
    assert lease.claim.until == clock.now() + timedelta(seconds=30)
    index.away = True
    clock.leap(-leap_s)
    clock.advance(29)
    lease.beat()
    assert not lease.lost
    clock.advance(2)
    lease.beat()
    assert lease.lost


@pytest.mark.parametrize("leap_s", [0.0, -3600.0, 3600.0])
def test_a_task_that_hangs_loses_its_lease_at_the_limit_in_seconds_that_pass(leap_s: float) -> None:
    _, clock, lease = leased()
    clock.leap(leap_s)
    for _ in range(10):
        clock.advance(10)
        lease.beat()
    assert not lease.lost
    clock.advance(1)
    lease.beat()
    assert lease.lost
