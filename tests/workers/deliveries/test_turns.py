"""Who goes first when several senders have work: nobody waits for long, and the quick one not at all."""

from __future__ import annotations

import threading
import time

import pytest

from workers.deliveries.turns import LONGEST_WAIT_S, Turns


def turns_of(costs: dict[str, float | None]) -> Turns:
    """costs: name -> seconds of its receiver; None: it failed."""
    turns = Turns()
    for name, seconds in costs.items():
        turns.note(name, time.monotonic() - (seconds or 0.0), failed=seconds is None)
    return turns


@pytest.mark.parametrize(
    ("costs", "waits"),
    [
        pytest.param({}, False, id="no-op: nobody has sent yet"),
        pytest.param({"live": 0.02, "own": 0.02}, False, id="alike"),
        pytest.param({"live": 0.02, "own": 0.15}, True, id="own is slow"),
        pytest.param({"live": 0.02, "own": None}, True, id="own fails"),
        pytest.param({"live": 0.15, "own": 0.02}, False, id="own is the quick one"),
        pytest.param({"live": 5.0, "own": None}, False, id="a failure costs less than a very slow one"),
    ],
)
def test_the_dear_one_waits_while_the_cheap_one_works(costs: dict[str, float | None], waits: bool) -> None:
    turns, began = turns_of(costs), threading.Event()

    def own() -> None:
        with turns.turn("own"):
            began.set()

    with turns.turn("live"):
        thread = threading.Thread(target=own)
        thread.start()
        assert began.wait(LONGEST_WAIT_S / 5) is not waits
    assert began.wait(10), "it goes when the other is through"
    thread.join()


def test_nobody_waits_for_ever() -> None:
    turns = turns_of({"live": 0.001, "own": None})
    with turns.turn("live"), turns.turn("own"):  # in one thread: it would hang
        pass


def test_a_fault_in_a_turn_ends_it() -> None:
    turns = turns_of({"live": 0.001, "own": None})
    with pytest.raises(ValueError, match="x"), turns.turn("live"):
        raise ValueError("x")
    began = time.monotonic()
    with turns.turn("own"):
        assert time.monotonic() - began < LONGEST_WAIT_S


def test_who_recovers_is_cheap_again() -> None:
    turns = turns_of({"live": 0.02, "own": None})
    for _ in range(30):
        turns.note("own", time.monotonic() - 0.02, failed=False)
    began = time.monotonic()
    with turns.turn("live"), turns.turn("own"):
        assert time.monotonic() - began < LONGEST_WAIT_S
