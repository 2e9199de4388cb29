"""Who goes first when several senders have work: nobody waits for long, and the quick one not at all."""

from __future__ import annotations

import threading
import time

import pytest

from tests.patience import PATIENCE_S
from workers.deliveries.turns import LONGEST_WAIT_S, Turns

LONG_S = 10_000.0  # a wait that ends by itself is none that another sender ended
MOMENT_S = LONGEST_WAIT_S / 5


def turns_of(costs: dict[str, float | None], longest_wait_s: float = LONG_S) -> Turns:
    """costs: name -> seconds of its receiver; None: it failed."""
    turns = Turns(longest_wait_s)
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
        assert began.wait(MOMENT_S if waits else PATIENCE_S) is not waits
    assert began.wait(PATIENCE_S), "it goes when the other is through"
    thread.join()


def test_nobody_waits_for_ever() -> None:
    turns = turns_of({"live": 0.001, "own": None}, LONGEST_WAIT_S)
    with turns.turn("live"), turns.turn("own"):  # in one thread: it would hang
        pass


def test_a_fault_in_a_turn_ends_it() -> None:
    turns = turns_of({"live": 0.001, "own": None})
    with pytest.raises(ValueError, match="x"), turns.turn("live"):
        raise ValueError("x")
    with turns.turn("own"):  # it would wait for LONG_S
        pass


def test_who_recovers_is_cheap_again() -> None:
    turns = turns_of({"live": 0.02, "own": None})
    for _ in range(30):
        turns.note("own", time.monotonic() - 0.02, failed=False)
    with turns.turn("live"), turns.turn("own"):  # it would wait for LONG_S
        pass
