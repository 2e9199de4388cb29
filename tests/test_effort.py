from __future__ import annotations

import pytest

from tests.effort import within


def counted(number: int) -> int:
    total = 0
    for one in range(number):
        total += one
    return total


@pytest.mark.parametrize("number", [0, 400])
def test_noop_work_within_its_limit(number: int) -> None:
    assert within(1000, lambda: counted(number)) == sum(range(number))


def test_more_work_is_a_fault_and_ends() -> None:
    with pytest.raises(AssertionError, match="more than 1000 lines"):
        within(1000, lambda: counted(10**9))


def test_work_that_catches_what_ends_it_is_a_fault_too() -> None:
    def caught() -> int:
        try:
            return counted(10**9)
        except AssertionError:
            return 0

    with pytest.raises(AssertionError, match="more than 1000 lines"):
        within(1000, caught)
