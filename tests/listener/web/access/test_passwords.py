"""Many passwords at once: who comes in a known browser waits for no stranger."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from itertools import islice

import pytest
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from listener.web.access.passwords import AT_ONCE, KNOWN, WAITING, WAITING_OF_A_PLACE, Passwords
from tests.patience import PATIENCE_S
from triage.errors import Transient


class SlowHasher(PasswordHasher):
    """Looks at a password until the test lets it go on. begun: how many it looks at or has looked at."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.begun, self.goes_on = threading.Semaphore(0), threading.Event()

    def verify(self, hash: str | bytes, password: str | bytes) -> bool:  # noqa: A002 - as argon2 has it
        self.begun.release()
        if password != "known":
            assert self.goes_on.wait(PATIENCE_S)
            raise VerifyMismatchError
        return True


@contextmanager
def flooded(places: list[str]) -> Iterator[tuple[Passwords, SlowHasher, list[Future[bool]]]]:
    """One attempt of a stranger at each place; those that are let in wait until the end."""
    hasher = SlowHasher()
    passwords = Passwords(hasher)
    with ThreadPoolExecutor(len(places) + 1) as pool:
        asked = [pool.submit(passwords.fits, "hash", "guess", place) for place in places]
        assert hasher.begun.acquire(timeout=PATIENCE_S)
        try:
            yield passwords, hasher, asked
        finally:
            hasher.goes_on.set()


def require_refused(asked: list[Future[bool]], number: int) -> None:
    """So many are sent away while the others wait, and no more."""
    first = list(islice(as_completed(asked, PATIENCE_S), number))
    assert [type(one.exception()) for one in first] == [Transient] * number
    assert sum(one.done() for one in asked) == number


@pytest.mark.parametrize(
    ("addresses", "let_in"), [(1, WAITING_OF_A_PLACE), (250, WAITING)], ids=["one address", "many addresses"]
)
def test_strangers_never_take_every_slot(addresses: int, let_in: int) -> None:
    places = [f"192.0.2.{n % addresses}" for n in range(3 * (AT_ONCE + WAITING))]
    with flooded(places) as (passwords, _hasher, asked):
        require_refused(asked, len(places) - let_in)
        assert passwords.fits("hash", "known", KNOWN), "at once"


def test_one_address_does_not_fill_the_line_of_strangers() -> None:
    with flooded(["192.0.2.1"] * (2 * WAITING)) as (passwords, hasher, asked):
        require_refused(asked, 2 * WAITING - WAITING_OF_A_PLACE)
        with ThreadPoolExecutor(1) as pool:
            other = pool.submit(passwords.fits, "hash", "guess", "192.0.2.2")
            hasher.goes_on.set()
            assert other.result(PATIENCE_S) is False, "looked at"


def test_noop_nobody_is_remembered_who_waits_no_more() -> None:
    with flooded(["192.0.2.1", "192.0.2.2"]) as (passwords, _hasher, _asked):
        pass
    assert not passwords._waiting
    assert passwords.fits("hash", "known", KNOWN)
